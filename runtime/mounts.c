#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box.h"
#include "path.h"

/* ---- stubs ------------------------------------------------------------------------------------- */

/* Gives the directory back the time it had before we made or removed an entry. */
static void
keep_time(int dir, const struct stat *before)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, before->st_mtim };

	(void)utimensat(dir, ".", t, 0);
}

int
stubs_note(int dir, const char *name, enum stub_kind kind, struct stubs *s)
{
	s->v = rt_grow(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n] = (struct stub){ .parent = fcntl(dir, F_DUPFD_CLOEXEC, 3), .name = rt_strdup(name), .kind = kind };
	return s->v[s->n++].parent < 0 ? -1 : 0;
}

/* One entry: mode 0755 whatever the umask.  Keeps a copy of `dir` when the stub is to be removed. */
static int
make_entry(int dir, const char *name, bool is_dir, struct stubs *s)
{
	struct stat before;

	if (fstat(dir, &before) < 0)
		return -1;
	if (is_dir) {
		if (mkdirat(dir, name, 0755) < 0 || fchmodat(dir, name, 0755, 0) < 0)
			return -1;
	} else {
		cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (fd < 0)
			return -1;
	}
	if (s == NULL)
		return 0;
	keep_time(dir, &before);
	return stubs_note(dir, name, is_dir ? STUB_DIR : STUB_FILE, s);
}

/* `path` has no links, path_resolve made it; what is there is opened, what is not is made. */
static int
make_path(int rootfd, char *path, bool dir, struct stubs *s)
{
	cleanup_fd int at = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *name = strtok_r(path, "/", &save), *next;

	for (; name != NULL && at >= 0; name = next) {
		int fd;

		next = strtok_r(NULL, "/", &save);
		fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT) {
			if (make_entry(at, name, next != NULL || dir, s) < 0)
				return -1;
			fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		}
		rt_close_fd(&at);
		at = fd;
	}
	return at < 0 ? -1 : 0;
}

int
stubs_make(int rootfd, const char *path, bool dir, struct stubs *s, struct rt_err *e)
{
	cleanup_fd int fd = path_open(rootfd, path, O_PATH, 0);
	cleanup_free char *real = NULL;
	struct stat st;

	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return rt_fail(e, errno, "mount point %s", path);
		if ((S_ISDIR(st.st_mode) != 0) != dir)
			return rt_fail(e, 0, "mount point %s is %sa directory", path, dir ? "not " : "");
		return 0;
	}
	if (errno != ENOENT || (real = path_resolve(rootfd, path)) == NULL || make_path(rootfd, real, dir, s) < 0)
		return rt_fail(e, errno, "make mount point %s", path);
	return 0;
}

static void
stub_remove(const struct stub *t)
{
	struct stat before, st;

	if (t->kind == STUB_FILE && (fstatat(t->parent, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	                             st.st_size != 0))
		return;
	if (fstat(t->parent, &before) == 0 && unlinkat(t->parent, t->name, t->kind == STUB_DIR ? AT_REMOVEDIR : 0) == 0)
		keep_time(t->parent, &before);
}

void
stubs_remove(struct stubs *s)
{
	while (s->n > 0) {
		struct stub *t = &s->v[--s->n];

		stub_remove(t);
		rt_close_fd(&t->parent);
		free(t->name);
	}
	free(s->v);
	*s = (struct stubs){ 0 };
}

/* ---- attaching --------------------------------------------------------------------------------- */

/* Numbers and flags of open_tree(2), move_mount(2), mount_setattr(2); no C library in use has them all. */
enum { NR_OPEN_TREE = 428, NR_MOVE_MOUNT = 429, NR_MOUNT_SETATTR = 442 };
enum { TREE_CLONE = 1, AT_ALL = 0x8000, MOVE_EMPTY = 0x44 };
struct attr {
	uint64_t set, clr, propagation, userns;
};

int
mount_fd(int fd, const char *type, unsigned long flags, const char *data, struct rt_err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (mount(type, path, type, flags, data) < 0)
		return rt_fail(e, errno, "mount %s", type);
	return 0;
}

/* Without mount_setattr (before 5.12) a remount has to repeat every flag, mount_namespaces(7) "locked". */
static int
remount(const char *path, uint64_t attr)
{
	unsigned long flags = MS_REMOUNT | MS_BIND;
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return -1;
	flags |= v.f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME);
	flags |= attr & (BOX_RDONLY | BOX_NOSUID | BOX_NODEV | BOX_NOEXEC); /* the same bits as MS_ */
	return mount(NULL, path, NULL, flags, NULL);
}

int
mount_attr_add(const char *path, uint64_t attr, bool all)
{
	struct attr a = { .set = attr };

	if (attr == 0 || syscall(NR_MOUNT_SETATTR, AT_FDCWD, path, all ? AT_ALL : 0, &a, sizeof(a)) == 0)
		return 0;
	return errno == ENOSYS || errno == EPERM ? remount(path, attr) : -1;
}

/* For kernels without open_tree: bind by descriptor, then look up our own mount again for the flags. */
static int
bind_old(int src, int dst, int rootfd, const char *path, uint64_t attr, bool all, struct rt_err *e)
{
	cleanup_fd int top = -1;
	char from[32], to[32];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", src);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", dst);
	if (mount(from, to, NULL, all ? MS_BIND | MS_REC : MS_BIND, NULL) < 0)
		return rt_fail(e, errno, "mount on %s", path);
	top = path_open(rootfd, path, O_PATH, 0);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", top);
	if (top < 0 || mount_attr_add(to, attr, all) < 0)
		return rt_fail(e, errno, "remount %s", path);
	return 0;
}

int
mount_bind_at(int src, int rootfd, const char *path, uint64_t attr, bool all, struct rt_err *e)
{
	cleanup_fd int dst = path_open(rootfd, path, O_PATH, 0), tree = -1;
	struct attr a = { .set = attr };

	if (dst < 0)
		return rt_fail(e, errno, "open mount point %s", path);
	tree = (int)syscall(NR_OPEN_TREE, src, "", TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | (all ? AT_ALL : 0));
	if (tree < 0 || syscall(NR_MOUNT_SETATTR, tree, "", AT_EMPTY_PATH | (all ? AT_ALL : 0), &a, sizeof(a)) < 0) {
		if (errno == ENOSYS || errno == EPERM)
			return bind_old(src, dst, rootfd, path, attr, all, e);
		return rt_fail(e, errno, "mount on %s", path);
	}
	if (syscall(NR_MOVE_MOUNT, tree, "", dst, "", MOVE_EMPTY) < 0)
		return rt_fail(e, errno, "mount on %s", path);
	return 0;
}

int
mounts_bytes(int rootfd, int devfd, const char *path, const void *p, size_t n, mode_t mode, uint32_t uid, uint32_t gid,
             struct rt_err *e)
{
	cleanup_fd int fd = openat(devfd, ".bytes", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return rt_fail(e, errno, "file for %s", path);
	if (rt_write_all(fd, p, n, path, e) < 0)
		return -1;
	if (((uid != 0 || gid != 0) && fchown(fd, uid, gid) < 0) || fchmod(fd, mode & 07777) < 0)
		return rt_fail(e, errno, "owner and mode of %s", path);
	rc = mount_bind_at(fd, rootfd, path, BOX_RDONLY | BOX_NOSUID | BOX_NODEV | BOX_NOEXEC, false, e);
	if (rc == 0 && unlinkat(devfd, ".bytes", 0) < 0) /* not before: a mount needs a name to start from */
		return rt_fail(e, errno, "file for %s", path);
	return rc;
}

/* ---- the step's mounts ------------------------------------------------------------------------- */

/* What a bind or cache mount shows, resolved inside its own root (S4.1, S4.4). */
static int
open_source(const struct run_mount *m, struct rt_err *e)
{
	cleanup_fd int root = open(m->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *source = m->source == NULL || *m->source == '\0' ? "/" : m->source;
	int fd;

	if (root < 0)
		return rt_fail(e, errno, "open %s", m->root);
	fd = path_open(root, source, O_PATH, 0);
	return fd < 0 ? rt_fail_status(e, 1, "mount on %s: source %s: %s", m->target, source, strerror(errno)) : fd;
}

static int
is_file(int fd, const char *path, struct rt_err *e)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? rt_fail(e, errno, "stat what %s shows", path) : !S_ISDIR(st.st_mode);
}

int
mounts_is_file(const struct run_mount *m, bool *skip, struct rt_err *e)
{
	cleanup_fd int fd = -1;

	*skip = (m->kind == RUN_MOUNT_SECRET || m->kind == RUN_MOUNT_SSH) && m->secret == NULL;
	if (m->kind == RUN_MOUNT_SECRET || m->kind == RUN_MOUNT_SSH)
		return 1;
	if (m->kind == RUN_MOUNT_TMPFS || m->root == NULL)
		return 0;
	fd = open_source(m, e);
	return fd < 0 ? -1 : is_file(fd, m->target, e);
}

static int
attach_tmpfs(const struct run_mount *m, int rootfd, unsigned long flags, struct rt_err *e)
{
	cleanup_fd int at = path_open(rootfd, m->target, O_PATH | O_DIRECTORY, 0);
	char data[64];

	if (at < 0)
		return rt_fail(e, errno, "open mount point %s", m->target);
	snprintf(data, sizeof(data), m->size != 0 ? "mode=1777,size=%llu" : "mode=1777", (unsigned long long)m->size);
	return mount_fd(at, "tmpfs", MS_NOSUID | MS_NODEV | flags, data, e);
}

/* A file cannot be a layer: `rw` on one gets a copy in the scratch directory. */
static int
attach_copy(const struct run_mount *m, int src, int rootfd, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%s/file", m->scratch);
	cleanup_fd int in = -1, out = -1;
	char block[16384], path[32];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", src);
	in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	out = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return rt_fail(e, errno, "copy for %s", m->target);
	if (!S_ISREG(st.st_mode))
		return rt_fail(e, 0, "mount on %s: the source is neither a file nor a directory", m->target);
	while ((n = read(in, block, sizeof(block))) > 0)
		if (rt_write_all(out, block, (size_t)n, name, e) < 0)
			return -1;
	if (n < 0 || fchown(out, st.st_uid, st.st_gid) < 0 || fchmod(out, st.st_mode & 07777) < 0)
		return rt_fail(e, errno, "copy for %s", m->target);
	return mount_bind_at(out, rootfd, m->target, BOX_NODEV, false, e);
}

/* Writes go to a layer nobody keeps; its top directory has to look like the source's. */
static int
attach_overlay(const struct run_mount *m, int src, int rootfd, struct rt_err *e)
{
	cleanup_fd int at = path_open(rootfd, m->target, O_PATH | O_DIRECTORY, 0);
	cleanup_free char *upper = rt_printf("%s/upper", m->scratch), *work = rt_printf("%s/work", m->scratch);
	char from[32], to[32];
	char *lower[] = { from, NULL };
	const struct list l = { .v = lower, .n = 1 };
	struct stat st;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", src);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", at);
	if (at < 0 || fstat(src, &st) < 0)
		return rt_fail(e, errno, "open mount point %s", m->target);
	if (mkdir(upper, 0700) < 0 || mkdir(work, 0700) < 0 || chown(upper, st.st_uid, st.st_gid) < 0 ||
	    chmod(upper, st.st_mode & 07777) < 0)
		return rt_fail(e, errno, "make %s", upper);
	return overlay_mount(to, &l, upper, work, e);
}

static int
attach_source(const struct run_mount *m, int rootfd, struct rt_err *e)
{
	bool readonly = m->readonly || m->kind == RUN_MOUNT_BIND; /* the context and stages are never written, S4.5 */
	cleanup_fd int src = -1;
	int file;

	if (m->root == NULL)
		return attach_tmpfs(m, rootfd, readonly && !m->rw_discard ? MS_RDONLY : 0, e);
	src = open_source(m, e);
	if (src < 0 || (file = is_file(src, m->target, e)) < 0)
		return -1;
	if (!m->rw_discard)
		return mount_bind_at(src, rootfd, m->target, readonly ? BOX_NODEV | BOX_RDONLY : BOX_NODEV, true, e);
	if (m->scratch == NULL)
		return rt_fail(e, 0, "mount on %s: no scratch directory", m->target);
	return file ? attach_copy(m, src, rootfd, e) : attach_overlay(m, src, rootfd, e);
}

static int
attach_one(const struct run_mount *m, int rootfd, int devfd, struct rt_err *e)
{
	cleanup_fd int fd = -1;

	switch (m->kind) {
	case RUN_MOUNT_BIND:
	case RUN_MOUNT_CACHE:
		return attach_source(m, rootfd, e);
	case RUN_MOUNT_TMPFS:
		return attach_tmpfs(m, rootfd, m->readonly ? MS_RDONLY : 0, e);
	case RUN_MOUNT_SECRET:
		return mounts_bytes(rootfd, devfd, m->target, m->secret, m->secret_len, m->mode, m->uid, m->gid, e);
	case RUN_MOUNT_SSH:
		fd = open(m->secret, O_PATH | O_CLOEXEC);
		if (fd < 0)
			return rt_fail(e, errno, "open agent socket %s", m->secret);
		return mount_bind_at(fd, rootfd, m->target, BOX_NOSUID | BOX_NODEV | BOX_NOEXEC, false, e);
	}
	return rt_fail(e, 0, "mount on %s: unknown kind", m->target);
}

static size_t
depth(const char *path)
{
	size_t n = 0;

	for (; *path != '\0'; path++)
		n += *path == '/' && path[1] != '/' && path[1] != '\0';
	return n;
}

/* Outer targets first, equal depths as written, so that no mount hides another. */
int
mounts_attach(const struct run_spec *s, int rootfd, int devfd, struct rt_err *e)
{
	size_t done = 0;

	for (size_t level = 0; done < s->nmounts; level++)
		for (size_t i = 0; i < s->nmounts; i++) {
			const struct run_mount *m = &s->mounts[i];
			bool skip;
			int file;

			if (depth(m->target) != level)
				continue;
			done++;
			file = mounts_is_file(m, &skip, e);
			/* the point is there already, unless an outer mount of this step hides it */
			if (file < 0 || (!skip && (stubs_make(rootfd, m->target, !file, NULL, e) < 0 || attach_one(m, rootfd, devfd, e) < 0)))
				return -1;
		}
	return 0;
}
