#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec.h"
#include "export.h"
#include "json.h"
#include "path.h"

/* ---- output ------------------------------------------------------------------------------------ */

int
output_open(struct output *o, const char *dest, struct rt_err *e)
{
	struct stat st;

	*o = (struct output){ .name = rt_strdup(dest), .fd = STDOUT_FILENO };
	if (strcmp(dest, "-") != 0 && stat(dest, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		o->fd = open(dest, O_WRONLY | O_CLOEXEC);
	} else if (strcmp(dest, "-") != 0) {
		o->tmp = unfinished_name(dest);
		unlink(o->tmp);
		o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	}
	if (o->fd < 0 || (o->tmp != NULL && unfinished_hold(o->fd, o->tmp, e) < 0)) {
		rt_fail(e, errno, "create %s", o->tmp != NULL ? o->tmp : dest);
		free(o->tmp);
		free(o->name);
		return -1;
	}
	o->file = rt_alloc(sizeof(*o->file));
	fd_writer_init(o->file, o->fd, o->fd != STDOUT_FILENO ? o->name : "standard output");
	return 0;
}

int
output_close(struct output *o, bool good, struct rt_err *e)
{
	int rc = good ? fd_writer_flush(o->file, e) : -1;

	if (o->tmp != NULL) {
		if (rc == 0 && fsync(o->fd) < 0)
			rc = rt_fail(e, errno, "fsync %s", o->name);
		if (close(o->fd) < 0 && rc == 0)
			rc = rt_fail(e, errno, "close %s", o->name);
		if (rc == 0 && rename(o->tmp, o->name) < 0)
			rc = rt_fail(e, errno, "rename to %s", o->name);
		if (rc < 0)
			unlink(o->tmp);
	}
	if (o->tmp == NULL && o->fd != STDOUT_FILENO && close(o->fd) < 0 && rc == 0)
		rc = rt_fail(e, errno, "close %s", o->name);
	free(o->file);
	free(o->tmp);
	free(o->name);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
list_directory(int dirfd, struct list *names, struct rt_err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int failed;

	if (d == NULL) {
		rt_close_fd(&fd);
		return rt_fail(e, errno, "list a directory");
	}
	while (errno = 0, (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			list_add(names, entry->d_name);
	failed = errno;
	closedir(d);
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return failed != 0 ? rt_fail(e, failed, "list a directory") : 0;
}

/* ---- root file systems ------------------------------------------------------------------------- */

static int
copy_tree(int from, int to, int64_t epoch, struct rt_err *e)
{
	struct tar_options o = { .mode = TAR_ARCHIVE, .chown_uid = (int64_t)geteuid(), .chown_gid = (int64_t)getegid(),
	                         .max_bytes = UINT64_MAX, .max_entries = UINT64_MAX, .what = "the root file system" };

	return layer_copy(from, to, epoch, &o, e);
}

/* Into a new directory that is renamed when whole; into one that has something in it already, as docker does, directly. */
static int
to_directory(int from, const char *dest, int64_t epoch, struct rt_err *e)
{
	cleanup_free char *tmp = unfinished_name(dest);
	bool fresh = rmdir(dest) == 0 || errno == ENOENT;
	cleanup_fd int to = -1;
	int rc;

	if (fresh && mkdir(tmp, 0755) < 0)
		return rt_fail(e, errno, "make %s", tmp);
	to = open(fresh ? tmp : dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = to < 0 ? rt_fail(e, errno, "open %s", dest) : fresh ? unfinished_hold(to, tmp, e) : 0;
	if (rc == 0)
		rc = copy_tree(from, to, epoch, e);
	if (rc == 0 && syncfs(to) < 0)
		rc = rt_fail(e, errno, "sync %s", dest);
	if (rc == 0 && fresh && rename(tmp, dest) < 0)
		rc = rt_fail(e, errno, "rename to %s", dest);
	if (rc < 0 && fresh)
		rt_remove_tree(AT_FDCWD, tmp, &(struct rt_err){ 0 });
	return rc;
}

static int
to_tar(int from, const char *dest, int64_t epoch, struct rt_err *e)
{
	struct output o;
	int rc;

	if (output_open(&o, dest, e) < 0)
		return -1;
	rc = tar_write_tree(&o.file->writer, from, epoch, e);
	return output_close(&o, rc == 0, e);
}

/* The layers as directories; "scratch" is an empty one. */
static void
lower_dirs(struct export *x, const char *empty, struct list *lower)
{
	for (size_t i = 0; i < x->im->layers.n; i++) {
		cleanup_free char *dir = rt_printf("%s/layers/%s/diff", x->store->path, x->im->layers.v[i]);

		list_add(lower, dir);
	}
	if (lower->n == 0)
		list_add(lower, empty);
}

int
export_mounted(struct export *x, int (*work)(struct export *x, int root, void *arg, struct rt_err *e), void *arg, struct rt_err *e)
{
	cleanup_free char *tmp = NULL, *root = NULL, *empty = NULL;
	cleanup_fd int lock = -1;
	struct list lower = { 0 };
	int fd, rc;

	if (store_tmp(x->store, &tmp, &lock, e) < 0)
		return -1;
	root = rt_printf("%s/%s/root", x->store->path, tmp);
	empty = rt_printf("%s/%s/empty", x->store->path, tmp);
	lower_dirs(x, empty, &lower);
	rc = mkdir(root, 0755) < 0 || mkdir(empty, 0755) < 0 ? rt_fail(e, errno, "make %s", root)
	                                                     : overlay_mount(root, &lower, NULL, NULL, e);
	if (rc == 0) {
		struct rt_err unmounting = { 0 };

		fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? rt_fail(e, errno, "open %s", root) : work(x, fd, arg, e);
		rt_close_fd(&fd);
		if (overlay_umount(root, &unmounting) < 0 && rc == 0) {
			*e = unmounting;
			rc = -1;
		}
	}
	rt_remove_tree(x->store->fd, tmp, &(struct rt_err){ 0 });
	list_free(&lower);
	return rc;
}

static int
write_tar(struct export *x, int root, void *dest, struct rt_err *e)
{
	return to_tar(root, dest, x->im->epoch, e);
}

static int
write_directory(struct export *x, int root, void *dest, struct rt_err *e)
{
	return to_directory(root, dest, x->im->epoch, e);
}

int
image_export(struct store *s, const struct export_image *im, enum export_kind kind, const char *dest, struct export_result *r,
             struct rt_err *e)
{
	struct export x = { .store = s, .im = im, .out = -1, .root = -1 };
	int rc = -1;

	*r = (struct export_result){ 0 };
	switch (kind) {
	case EXPORT_OCI_DIR:
		rc = export_oci_dir(&x, dest, r, e);
		break;
	case EXPORT_OCI_TAR:
	case EXPORT_DOCKER:
		rc = export_oci_tar(&x, kind == EXPORT_DOCKER, dest, r, e);
		break;
	case EXPORT_ROOTFS_DIR:
	case EXPORT_ROOTFS_TAR:
		rc = export_mounted(&x, kind == EXPORT_ROOTFS_TAR ? write_tar : write_directory, (void *)(uintptr_t)dest, e);
		break;
	}
	json_free(x.others);
	return rc < 0 ? rt_prefix(e, "export to %s", dest) : 0;
}
