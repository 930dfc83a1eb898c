/* COPY and ADD: where things go (spec execution.md 1.1), and in which order. */
#include "copy_int.h"
#include "exec.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- destinations ---- */

/* Opens the directory `name`, made if it is not there. */
static int
mkdir_one(int dirfd, const char *name, uint32_t uid, uint32_t gid, mode_t mode, const struct timespec *mtime,
          bool *made, struct rt_err *e)
{
	cleanup_fd int fd = -1;
	int kept;

	*made = mkdirat(dirfd, name, 0700) == 0;
	if (!*made && errno != EEXIST)
		return rt_fail(e, errno, "create directory");
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? rt_fail(e, 0, "it exists and is no directory")
		                                          : rt_fail(e, errno, "open directory");
	if (*made && tree_finish(fd, uid, gid, mode, mtime, name, e) < 0)
		return -1;
	kept = fd;
	fd = -1;
	return kept;
}

int
place_mkdirs(int rootfd, const char *path, uint32_t uid, uint32_t gid, mode_t mode, const struct timespec *mtime,
             bool *made, struct rt_err *e)
{
	int fd = openat(rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *p = path + strspn(path, "/");

	*made = false;
	if (fd < 0)
		return rt_fail(e, errno, "open the root");
	while (*p != '\0') {
		size_t n = strcspn(p, "/");
		cleanup_free char *name = rt_strndup(p, n);
		bool above_made = *made;
		int next = mkdir_one(fd, name, uid, gid, mode, mtime, made, e);

		/* the new entry changed the time of the directory above */
		if (next >= 0 && *made && above_made && mtime != NULL)
			futimens(fd, (const struct timespec[2]){ *mtime, *mtime });
		rt_close_fd(&fd);
		if (next < 0)
			return rt_prefix(e, "%.*s", (int)(p + n - path), path);
		fd = next;
		p += n + strspn(p + n, "/");
	}
	return fd;
}

/* A trailing slash or /. (language.md 6; execution.md 1.1) asks for a directory. */
static bool
dir_like(const char *dest)
{
	size_t n = strlen(dest);

	return n == 0 || strcmp(dest, ".") == 0 || dest[n - 1] == '/' || (n > 1 && strcmp(dest + n - 2, "/.") == 0);
}

static bool
is_dir(int rootfd, const char *path)
{
	int fd = path_open(rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	bool is = fd >= 0;

	rt_close_fd(&fd);
	return is;
}

int
place_find(const struct copy_spec *spec, const struct rules *r, int rootfd, bool dir, const char *base,
           struct place *p, struct rt_err *e)
{
	cleanup_free char *written = *spec->dest == '/' ? rt_strdup(spec->dest) : path_join(spec->workdir, spec->dest);
	cleanup_free char *path = path_resolve(rootfd, written);
	uint32_t uid = r->uid < 0 ? 0 : (uint32_t)r->uid, gid = r->gid < 0 ? 0 : (uint32_t)r->gid;
	mode_t mode = 0755;
	char *slash;

	*p = (struct place){ .dirfd = -1 };
	if (path == NULL)
		return rt_fail(e, errno, "destination %s", written);
	if (r->chmod != NULL)
		chmod_octal(r->chmod, &mode); /* symbolic modes leave 0755 [V] */
	if (dir || dir_like(spec->dest) || is_dir(rootfd, path)) {
		p->name = base == NULL ? NULL : rt_strdup(base);
	} else {
		slash = strrchr(path, '/');
		p->name = rt_strdup(slash + 1);
		*slash = '\0';
	}
	p->dirfd = place_mkdirs(rootfd, path, uid, gid, mode, NULL, &p->made, e);
	if (p->dirfd >= 0)
		return 0;
	place_free(p);
	return rt_prefix(e, "destination %s", written);
}

void
place_free(struct place *p)
{
	rt_close_fd(&p->dirfd);
	free(p->name);
	p->name = NULL;
}

/* ---- sources ---- */

/* Merges a directory's contents into the destination, which takes its time but neither mode nor owner [V]. */
static int
copy_directory(const struct copy_spec *spec, const struct rules *r, int rootfd, const struct ignore *context,
               bool no_sockets, const struct found *f, struct rt_err *e)
{
	const struct filter filter = { .context = context, .prefix = f->path, .exclude = spec->exclude,
		.include = f->include, .no_sockets = no_sockets };
	struct place p;
	int bad;

	if (place_find(spec, r, rootfd, true, NULL, &p, e) < 0)
		return -1;
	bad = tree_copy(r, f->dirfd, p.dirfd, &filter, f->include != NULL, e);
	if (bad == 0 && f->include == NULL &&
	    futimens(p.dirfd, (const struct timespec[2]){ f->st.st_mtim, f->st.st_mtim }) < 0)
		bad = rt_fail(e, errno, "set the time of %s", spec->dest);
	place_free(&p);
	return bad;
}

int
place_copy(const struct copy_spec *spec, const struct rules *r, int rootfd, const struct copy_source *from,
           const struct found *f, struct rt_err *e)
{
	struct place p;
	int bad;

	if (S_ISDIR(f->st.st_mode)) {
		bad = copy_directory(spec, r, rootfd, from->ignore, from->is_context, f, e);
	} else {
		if (place_find(spec, r, rootfd, false, f->base, &p, e) < 0)
			return -1;
		bad = tree_copy_leaf(r, f->dirfd, f->name, &f->st, p.dirfd, p.name, e);
		place_free(&p);
	}
	return bad < 0 ? rt_prefix(e, "%s", *f->path == '\0' ? "/" : f->path) : 0;
}

/* What one source word is copied with. */
struct job {
	const struct copy_source *from;
	const struct copy_spec *spec;
	const struct rules *rules;
	int rootfd;
};

/* ADD of a regular file: 1 it was an archive and is unpacked, 0 it is to be copied. */
static int
try_archive(const struct job *j, const struct found *f, struct rt_err *e)
{
	struct stat st;
	cleanup_fd int fd = -1;

	if (!j->spec->add || j->spec->unpack == 0 || !S_ISREG(f->st.st_mode))
		return 0;
	fd = source_open(f->dirfd, f->name, f->path, &st, e);
	return fd < 0 ? -1 : add_archive(j->spec, j->rules, j->rootfd, fd, f->path, e);
}

static int
copy_one(void *arg, const struct found *f, struct rt_err *e)
{
	const struct job *j = arg;
	int done = try_archive(j, f, e);

	if (done != 0)
		return done < 0 ? -1 : 0;
	return place_copy(j->spec, j->rules, j->rootfd, j->from, f, e);
}

static int
copy_word(struct job *j, const char *word, struct rt_err *e)
{
	if (j->spec->add) {
		int done = add_remote(j->spec, j->rules, j->rootfd, word, e);

		if (done != 0)
			return done < 0 ? -1 : 0;
	}
	return source_each(j->from, word, j->spec->parents, copy_one, j, e);
}

/* A here-document: a file of its own, root's, 0644 before --chmod. */
static int
copy_here(const struct job *j, const struct copy_file *file, struct rt_err *e)
{
	const struct rules *r = j->rules;
	cleanup_fd int fd = -1;
	struct place p;
	int bad;

	if (place_find(j->spec, r, j->rootfd, false, file->name, &p, e) < 0)
		return -1;
	fd = tree_create(p.dirfd, p.name, e);
	bad = fd < 0 ? -1 : rt_write_all(fd, file->data, file->len, file->name, e);
	if (bad == 0)
		bad = tree_finish(fd, r->uid < 0 ? 0 : (uint32_t)r->uid, r->gid < 0 ? 0 : (uint32_t)r->gid,
		                  rules_mode(r, S_IFREG | 0644), NULL, p.name, e);
	place_free(&p);
	return bad;
}

/* --chown, --chmod, --checksum. */
static int
make_rules(const struct copy_source *from, int rootfd, const struct copy_spec *spec, struct rules *r, struct rt_err *e)
{
	uint32_t uid, gid;
	mode_t mode;

	*r = (struct rules){ .uid = -1, .gid = -1, .chmod = spec->chmod, .xattrs = !from->is_context };
	if (from->is_context)
		r->uid = r->gid = 0;
	if (spec->chown != NULL) {
		if (user_chown(rootfd, spec->chown, spec->empty_root, &uid, &gid, e) < 0)
			return -1;
		r->uid = uid;
		r->gid = gid;
	}
	if (spec->chmod != NULL && chmod_apply(spec->chmod, 0644, false, &mode) < 0)
		return rt_fail(e, 0, "--chmod=%s is neither an octal mode up to 07777 nor a symbolic one", spec->chmod);
	if (spec->add && spec->checksum != NULL &&
	    (spec->npaths != 1 || spec->nfiles != 0 || !remote_is(spec->paths[0])))
		return rt_fail(e, 0, "--checksum needs exactly one source, and a remote one");
	return 0;
}

int
copy_run(const struct copy_source *from, int rootfd, const struct copy_spec *spec, struct rt_err *e)
{
	struct rules rules;
	struct job j = { .from = from, .spec = spec, .rules = &rules, .rootfd = rootfd };

	if (make_rules(from, rootfd, spec, &rules, e) < 0)
		return -1;
	for (size_t i = 0; i < spec->npaths; i++)
		if (copy_word(&j, spec->paths[i], e) < 0)
			return -1;
	for (size_t i = 0; i < spec->nfiles; i++)
		if (copy_here(&j, &spec->files[i], e) < 0)
			return rt_prefix(e, "here-document %s", spec->files[i].name);
	return 0;
}
