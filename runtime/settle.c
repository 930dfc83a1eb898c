#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"
#include "export.h"
#include "oci.h"
#include "path.h"

/* The tree through a pipe: written as tar by a child, unpacked by us, so that both ends are the code that is tested
   anyway.  The child cannot share our memory, hence fork and not vfork. */
int
layer_copy(int from, int to, int64_t epoch, const struct tar_options *o, struct rt_err *e)
{
	struct fd_reader r;
	int ends[2], status = 0, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "make a pipe");
	pid = fork();
	if (pid < 0) {
		rc = rt_fail(e, errno, "fork");
		close(ends[0]);
		close(ends[1]);
		return rc;
	}
	if (pid == 0) {
		struct fd_writer *w = rt_alloc(sizeof(*w));
		struct rt_err mine = { 0 };

		close(ends[0]);
		fd_writer_init(w, ends[1], "a pipe");
		if ((o->mode == TAR_LAYER ? tar_write_layer(&w->writer, from, epoch, -1, &mine)
		                          : tar_write_tree(&w->writer, from, epoch, &mine)) == 0 &&
		    fd_writer_flush(w, &mine) == 0)
			_exit(0);
		rt_warn("%s", mine.text);
		_exit(1);
	}
	close(ends[1]);
	fd_reader_init(&r, ends[0], -1, 0, "a pipe");
	rc = tar_unpack(&r.reader, to, o, e);
	if (rc == 0)
		rc = reader_drain(&r.reader, e);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc == 0 && status != 0)
		rc = rt_fail(e, 0, "reading %s failed", o->what);
	return rc;
}

/* ---- directories that a layer only implies ------------------------------------------------------ */

/* A layer's tar may hold a/b/f without a/ and a/b/: applied to the layers below, those keep the owner and mode they had.
   Our layers are directories of their own, where a/ must be something, and what that is depends on the layers below.
   So such a layer is copied once for each answer. */

struct look {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int64_t mtime;
};

static const struct look plain = { .mode = 0755 };

/* How the directory looks in the topmost of the lower layers that has it. */
static struct look
look_below(struct store *s, const struct list *lower, const char *path)
{
	for (size_t i = lower->n; i-- > 0;) {
		cleanup_free char *diff = rt_printf("layers/%s/diff", lower->v[i]);
		cleanup_fd int root = openat(s->fd, diff, O_PATH | O_DIRECTORY | O_CLOEXEC);
		cleanup_fd int fd = root < 0 ? -1 : path_open(root, path, O_PATH | O_NOFOLLOW, 0);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0)
			return S_ISDIR(st.st_mode) ? (struct look){ st.st_mode & 07777, st.st_uid, st.st_gid, st.st_mtim.tv_sec } : plain;
	}
	return plain;
}

static int
set_look(int root, const char *path, const struct look *l, struct rt_err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = l->mtime } };
	cleanup_fd int fd = path_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0 || (fchown(fd, l->uid, l->gid) < 0 && errno != EPERM && errno != EINVAL) || fchmod(fd, l->mode) < 0 ||
	    futimens(fd, times) < 0)
		return rt_fail(e, errno, "set the owner and mode of %s", path);
	return 0;
}

/* Copies layer `from` to `to` with the paths (NUL-terminated, one behind the other) looking as below. */
static int
make_settled(struct store *s, const char *from, const char *to, const struct str *paths, const struct list *lower,
             struct rt_err *e)
{
	struct tar_options o = { .mode = TAR_LAYER, .opaque_user = ns_overlay_user(), .chown_uid = -1, .chown_gid = -1,
	                         .max_bytes = UINT64_MAX, .max_entries = UINT64_MAX, .what = "a layer" };
	cleanup_free char *tmp = NULL, *diff = NULL, *source = rt_printf("layers/%s/diff", from);
	cleanup_fd int lock = -1, in = openat(s->fd, source, O_RDONLY | O_DIRECTORY | O_CLOEXEC), out = -1;
	struct layer_meta m;
	int rc = layer_meta_read(s, from, &m, e);

	if (rc < 0 || store_tmp(s, &tmp, &lock, e) < 0)
		return -1;
	diff = rt_printf("%s/diff", tmp);
	if (in < 0 || mkdirat(s->fd, diff, 0755) < 0 || (out = openat(s->fd, diff, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = rt_fail(e, errno, "copy the layer %s", from);
	else
		rc = layer_copy(in, out, -1, &o, e);
	for (size_t at = 0; rc == 0 && at < paths->len; at += strlen(paths->s + at) + 1) {
		struct look l = look_below(s, lower, paths->s + at);

		rc = set_look(out, paths->s + at, &l, e);
	}
	if (rc == 0)
		rc = layer_meta_write(s, tmp, &m, e);
	if (rc == 0)
		rc = store_publish_layer(s, tmp, to, e);
	if (rc < 0)
		rt_remove_tree(s->fd, tmp, &(struct rt_err){ 0 });
	layer_meta_free(&m);
	return rc;
}

char *
layer_settle(struct store *s, const char *layer, const struct list *lower, struct rt_err *e)
{
	cleanup_free char *file = rt_printf("layers/%s/implied", layer);
	struct str paths = { 0 };
	struct sha256 sum;
	struct stat st;
	bool differ = false;
	char name[65];
	char *result = NULL;

	if (lower->n == 0 || fstatat(s->fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return rt_strdup(layer);
	sha256_init(&sum);
	sha256_update(&sum, layer, strlen(layer));
	if (rt_read_file(s->fd, file, 256 << 20, &paths, e) == 0) {
		for (size_t at = 0; at < paths.len; at += strlen(paths.s + at) + 1) {
			struct look l = look_below(s, lower, paths.s + at);
			cleanup_free char *text = rt_printf(" %o %u %u %lld", l.mode, l.uid, l.gid, (long long)l.mtime);

			differ = differ || l.mode != plain.mode || l.uid != 0 || l.gid != 0 || l.mtime != 0;
			sha256_update(&sum, text, strlen(text));
		}
		sha256_hex(&sum, name);
		if (!differ)
			result = rt_strdup(layer);
		else if (store_has_layer(s, name) || make_settled(s, layer, name, &paths, lower, e) == 0)
			result = rt_strdup(name);
	}
	str_free(&paths);
	return result;
}
