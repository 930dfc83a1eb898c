#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "path.h"
#include "tar_entry.h"

enum { COPY_BLOCK = 131072 };

/* Unpacking.  Entries mostly come directory by directory, so the directory of the last one stays open: its time is
   put back when it is left, and nothing has to be remembered to the end, however many directories there are. */
struct unpack {
	int rootfd;
	const struct tar_options *o;
	struct tar_in in;
	uint64_t bytes, max_bytes, max_entries;
	uid_t uid; /* ours: what a new file has anyway */
	gid_t gid;
	mode_t umask;
	char *dir;  /* path below the root of the open directory, "" the root; NULL none */
	int dirfd;
	struct stat was; /* before we wrote to it */
	bool warned_name, warned_device, warned_owner, warned_xattr;
	char *block;
};

static int
bad(struct unpack *u, const char *name, const char *why, struct rt_err *e)
{
	return rt_fail_status(e, RT_DIGEST, "%s: entry %llu (%s) %s", u->o->what, (unsigned long long)u->in.entry, name, why);
}

static int
io(struct unpack *u, const char *name, const char *doing, struct rt_err *e)
{
	return rt_fail(e, errno, "%s: %s %s", u->o->what, doing, name);
}

static void
warn_once(struct unpack *u, bool *warned, const char *text)
{
	if (!*warned)
		rt_warn("%s: %s", u->o->what, text);
	*warned = true;
}

/* ---- the open directory ------------------------------------------------------------------------ */

static void
leave(struct unpack *u)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, u->was.st_mtim };

	if (u->dirfd >= 0) {
		futimens(u->dirfd, times);
		if ((u->was.st_mode & 0300) != 0300 && u->uid != 0)
			fchmod(u->dirfd, u->was.st_mode & 07777);
	}
	rt_close_fd(&u->dirfd);
	free(u->dir);
	u->dir = NULL;
}

/* The directories of `path` that do not exist, root's and 0755. */
static int
make_parents(struct unpack *u, const char *path, struct rt_err *e)
{
	cleanup_free char *copy = rt_strdup(path);

	for (char *p = copy;; p++) {
		cleanup_free char *store = NULL;
		cleanup_fd int fd = -1;
		const char *base;
		struct stat above;
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		fd = path_parent(u->rootfd, copy, &store, &base, e);
		if (fd < 0 || fstat(fd, &above) < 0)
			return fd < 0 ? -1 : io(u, copy, "look above", e);
		if (*base != '\0' && mkdirat(fd, base, 0755) == 0) {
			struct timespec epoch[2] = { { .tv_nsec = 0 } }, was[2] = { { .tv_nsec = UTIME_OMIT }, above.st_mtim };

			utimensat(fd, ".", was, 0);

			if (u->umask != 0)
				fchmodat(fd, base, 0755, 0);
			if (u->o->chown_uid >= 0 && fchownat(fd, base, (uid_t)u->o->chown_uid, (gid_t)u->o->chown_gid, AT_SYMLINK_NOFOLLOW) < 0)
				return io(u, copy, "chown", e);
			if (u->o->mode == TAR_LAYER)
				utimensat(fd, base, epoch, AT_SYMLINK_NOFOLLOW);
			if (u->o->implied != NULL)
				list_add(u->o->implied, copy);
		} else if (*base != '\0' && errno != EEXIST) {
			return io(u, copy, "make directory", e);
		}
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/* Makes `path` (clean, relative, "" the root) the open directory. */
static int
enter(struct unpack *u, const char *path, struct rt_err *e)
{
	const char *name = *path != '\0' ? path : "/";

	if (u->dir != NULL && strcmp(u->dir, path) == 0)
		return 0;
	leave(u);
	u->dirfd = path_open(u->rootfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (u->dirfd < 0 && errno == ENOENT) {
		if (make_parents(u, path, e) < 0)
			return -1;
		u->dirfd = path_open(u->rootfd, name, O_RDONLY | O_DIRECTORY, 0);
	}
	if (u->dirfd < 0 || fstat(u->dirfd, &u->was) < 0)
		return io(u, name, "open directory", e);
	if ((u->was.st_mode & 0300) != 0300 && u->uid != 0)
		fchmod(u->dirfd, (u->was.st_mode & 07777) | 0300);
	u->dir = rt_strdup(path);
	return 0;
}

/* Takes away what is in the way of a new `base`. */
static int
clear_way(struct unpack *u, const char *base, const char *name, struct rt_err *e)
{
	if (unlinkat(u->dirfd, base, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return io(u, name, "replace", e);
	if (u->o->mode == TAR_LAYER)
		return rt_remove_tree(u->dirfd, base, e);
	return unlinkat(u->dirfd, base, AT_REMOVEDIR) < 0 ? io(u, name, "replace directory", e) : 0;
}

/* After clear_way the open directory's own path may mean something else (it could run through the link that went). */
static void
forget_dir(struct unpack *u)
{
	free(u->dir);
	u->dir = rt_strdup("/"); /* no clean relative path: open, but never found again */
}

/* ---- attributes -------------------------------------------------------------------------------- */

static uid_t
owner(const struct unpack *u, const struct tar_entry *t)
{
	return (uid_t)(u->o->chown_uid >= 0 ? u->o->chown_uid : t->uid);
}

static gid_t
group(const struct unpack *u, const struct tar_entry *t)
{
	return (gid_t)(u->o->chown_gid >= 0 ? u->o->chown_gid : t->gid);
}

/* Without privilege owners are lost, said once. */
static int
chown_failed(struct unpack *u, const char *name, struct rt_err *e)
{
	if (errno != EPERM && errno != EINVAL)
		return io(u, name, "chown", e);
	warn_once(u, &u->warned_owner, "some owners cannot be set here");
	return 0;
}

static bool
xattr_kept(const char *name)
{
	return strcmp(name, "security.capability") == 0 ||
	       (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0 &&
	        strncmp(name, "user.fuseoverlayfs.", 19) != 0);
}

static int
set_xattrs(struct unpack *u, int fd, const struct tar_entry *t, struct rt_err *e)
{
	for (size_t i = 0; i < t->nxattrs; i++) {
		const struct tar_xattr *x = &t->xattrs[i];

		if (!xattr_kept(x->name) || fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		if (errno == ENOSPC || errno == EIO || errno == EDQUOT)
			return io(u, t->name, "set an extended attribute of", e);
		if (strncmp(x->name, "user.", 5) != 0)
			warn_once(u, &u->warned_xattr, "some file capabilities cannot be set here");
	}
	return 0;
}

/* Everything but the contents, on an open file or directory; `has` are the permission bits it was made with. */
static int
set_attributes(struct unpack *u, int fd, const struct tar_entry *t, mode_t has, struct rt_err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = t->mtime, .tv_nsec = t->nsec } };
	bool chowned = owner(u, t) != u->uid || group(u, t) != u->gid || t->type == '5';

	if (chowned && fchown(fd, owner(u, t), group(u, t)) < 0 && chown_failed(u, t->name, e) < 0)
		return -1;
	if (t->mode != has && fchmod(fd, t->mode) < 0)
		return io(u, t->name, "chmod", e);
	if (set_xattrs(u, fd, t, e) < 0)
		return -1;
	return futimens(fd, times) < 0 ? io(u, t->name, "set the time of", e) : 0;
}

/* The same for what cannot be opened. */
static int
set_attributes_at(struct unpack *u, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = t->mtime, .tv_nsec = t->nsec } };

	if ((owner(u, t) != u->uid || group(u, t) != u->gid) &&
	    fchownat(u->dirfd, base, owner(u, t), group(u, t), AT_SYMLINK_NOFOLLOW) < 0 && chown_failed(u, t->name, e) < 0)
		return -1;
	if (t->type != '2' && fchmodat(u->dirfd, base, t->mode, 0) < 0)
		return io(u, t->name, "chmod", e);
	return utimensat(u->dirfd, base, times, AT_SYMLINK_NOFOLLOW) < 0 ? io(u, t->name, "set the time of", e) : 0;
}

/* ---- one function a type ----------------------------------------------------------------------- */

static int
copy_data(struct unpack *u, int fd, const struct tar_entry *t, uint64_t off, uint64_t len, struct rt_err *e)
{
	while (len > 0) {
		size_t n = len < COPY_BLOCK ? (size_t)len : COPY_BLOCK, done = 0;

		if (tar_data(&u->in, u->block, n, e) < 0)
			return -1;
		while (done < n) {
			ssize_t k = t->sparse ? pwrite(fd, u->block + done, n - done, (off_t)(off + done))
			                      : write(fd, u->block + done, n - done);

			if (k < 0 && errno != EINTR)
				return io(u, t->name, "write", e);
			done += k > 0 ? (size_t)k : 0;
		}
		off += n;
		len -= n;
	}
	return 0;
}

static int
make_file(struct unpack *u, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	cleanup_fd int fd = openat(u->dirfd, base, flags, t->mode & 0777);

	u->bytes += t->size;
	if (t->size > u->max_bytes || u->bytes > u->max_bytes)
		return rt_fail_status(e, RT_DIGEST, "%s: unpacks to more than %llu bytes", u->o->what, (unsigned long long)u->max_bytes);
	if (fd < 0 && errno == EEXIST) {
		if (clear_way(u, base, t->name, e) < 0)
			return -1;
		forget_dir(u);
		fd = openat(u->dirfd, base, flags, t->mode & 0777);
	}
	if (fd < 0)
		return io(u, t->name, "create", e);
	if (!t->sparse && copy_data(u, fd, t, 0, t->size, e) < 0)
		return -1;
	for (size_t i = 0; i < t->nmap; i++)
		if (copy_data(u, fd, t, t->map[i].off, t->map[i].len, e) < 0)
			return -1;
	if (t->sparse && ftruncate(fd, (off_t)t->size) < 0)
		return io(u, t->name, "set the size of", e);
	return set_attributes(u, fd, t, t->mode & 0777 & ~u->umask, e);
}

static int
mark_opaque(struct unpack *u, int fd, const char *name, struct rt_err *e)
{
	const char *mark = u->o->opaque_user ? "user.overlay.opaque" : "trusted.overlay.opaque";

	return fsetxattr(fd, mark, "y", 1, 0) < 0 ? io(u, name, "mark as opaque", e) : 0;
}

static bool
is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* An entry of its own means that the directory is no longer an implied one. */
static void
not_implied(struct list *l, const char *name)
{
	for (size_t i = 0; l != NULL && i < l->n; i++) {
		if (strcmp(l->v[i], name) == 0) {
			free(l->v[i]);
			memmove(l->v + i, l->v + i + 1, (l->n - i) * sizeof(*l->v));
			l->n--;
			return;
		}
	}
}

static int
make_directory(struct unpack *u, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	cleanup_fd int fd = -1;
	bool opaque = false;
	struct stat st;

	if (*base == '\0') { /* the root itself */
		fd = openat(u->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		leave(u);
		return fd < 0 ? io(u, t->name, "open", e) : set_attributes(u, fd, t, 010000, e);
	}
	if (mkdirat(u->dirfd, base, 0700) < 0) {
		if (errno != EEXIST || fstatat(u->dirfd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return io(u, t->name, "make directory", e);
		if (!S_ISDIR(st.st_mode)) {
			opaque = u->o->mode == TAR_LAYER && is_whiteout(&st);
			if (clear_way(u, base, t->name, e) < 0)
				return -1;
			forget_dir(u);
			if (mkdirat(u->dirfd, base, 0700) < 0)
				return io(u, t->name, "make directory", e);
		} else {
			not_implied(u->o->implied, t->name);
		}
	}
	fd = openat(u->dirfd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return io(u, t->name, "open directory", e);
	if (opaque && mark_opaque(u, fd, t->name, e) < 0)
		return -1;
	return set_attributes(u, fd, t, 010000, e);
}

/* Makes a link, fifo or device: 0, or -1 with errno. */
static int
make_node(struct unpack *u, const char *base, const struct tar_entry *t)
{
	switch (t->type) {
	case '2':
		return symlinkat(t->link, u->dirfd, base);
	case '6':
		return mknodat(u->dirfd, base, S_IFIFO | 0600, 0);
	default:
		return mknodat(u->dirfd, base, (t->type == '3' ? S_IFCHR : S_IFBLK) | 0600, makedev(t->major, t->minor));
	}
}

static int
make_special(struct unpack *u, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	bool device = t->type == '3' || t->type == '4';

	if (t->type == '2' && *t->link == '\0')
		return bad(u, t->name, "is a link to nothing", e);
	if (t->type == '3' && t->major == 0 && t->minor == 0 && u->o->mode == TAR_LAYER) {
		warn_once(u, &u->warned_device, "a device 0/0, the overlay's own mark, is left out");
		return 0;
	}
	if (make_node(u, base, t) < 0) {
		if (errno == EEXIST) {
			if (clear_way(u, base, t->name, e) < 0)
				return -1;
			forget_dir(u);
			errno = 0;
			if (make_node(u, base, t) == 0)
				return set_attributes_at(u, base, t, e);
		}
		if (device && errno == EPERM) {
			warn_once(u, &u->warned_device, "devices cannot be made here and are left out");
			return 0;
		}
		return io(u, t->name, "make", e);
	}
	return set_attributes_at(u, base, t, e);
}

static int
make_link(struct unpack *u, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	cleanup_free char *rooted = rt_printf("/%s", t->link), *target = path_clean(rooted), *store = NULL;
	cleanup_fd int dir = -1;
	struct stat from, there;
	const char *name;

	if (target[1] == '\0')
		return bad(u, t->name, "is a hard link to a directory", e);
	dir = path_parent(u->rootfd, target, &store, &name, e);
	if (dir < 0)
		return rt_prefix(e, "%s: hard link %s", u->o->what, t->name);
	if (fstatat(dir, name, &from, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? rt_fail_status(e, RT_DIGEST, "%s: entry %llu is a hard link from %s to %s, which is not there",
		                                        u->o->what, (unsigned long long)u->in.entry, t->name, target + 1)
		                       : io(u, target, "look at", e);
	if (S_ISDIR(from.st_mode))
		return bad(u, t->name, "is a hard link to a directory", e);
	if (fstatat(u->dirfd, base, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		if (there.st_dev == from.st_dev && there.st_ino == from.st_ino)
			return 0;
		if (clear_way(u, base, t->name, e) < 0)
			return -1;
		forget_dir(u);
	}
	return linkat(dir, name, u->dirfd, base, 0) < 0 ? io(u, t->name, "link", e) : 0;
}

/* ---- layers ------------------------------------------------------------------------------------ */

/* `.wh.NAME`: a device 0/0 where lower layers had NAME.  What this very layer holds stays (OCI layer.md: whiteouts apply
   to lower layers), a directory of it becomes opaque. */
static int
make_whiteout(struct unpack *u, const char *name, const struct tar_entry *t, struct rt_err *e)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return bad(u, t->name, "is a whiteout of nothing", e);
	if (mknodat(u->dirfd, name, S_IFCHR, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return io(u, t->name, "make whiteout", e);
	if (fstatat(u->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return io(u, t->name, "look at", e);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(u->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? io(u, t->name, "open directory", e) : mark_opaque(u, fd, t->name, e);
}

/* 1: `t` was a marker and is done. */
static int
layer_marker(struct unpack *u, const char *dir, const char *base, const struct tar_entry *t, struct rt_err *e)
{
	if (strncmp(dir, ".wh.", 4) == 0 || strstr(dir, "/.wh.") != NULL)
		return 1; /* below .wh..wh.plnk and the like */
	if (strncmp(base, ".wh.", 4) != 0)
		return 0;
	if (strncmp(base, ".wh..wh.", 8) == 0 && strcmp(base, ".wh..wh..opq") != 0)
		return 1;
	if (enter(u, dir, e) < 0)
		return -1;
	if (strcmp(base, ".wh..wh..opq") == 0)
		return mark_opaque(u, u->dirfd, t->name, e) < 0 ? -1 : 1;
	return make_whiteout(u, base + 4, t, e) < 0 ? -1 : 1;
}

/* ---- the loop ---------------------------------------------------------------------------------- */

static int
unpack_entry(struct unpack *u, struct tar_entry *t, struct rt_err *e)
{
	cleanup_free char *rooted = rt_printf("/%s", t->name), *clean = path_clean(rooted), *dir = NULL;
	const char *base = strrchr(clean, '/') + 1;
	int rc;

	if (*t->name == '\0')
		return bad(u, "", "has an empty name", e);
	if (strlen(clean) >= PATH_MAX || strlen(t->link) >= PATH_MAX)
		return rt_fail_status(e, RT_DIGEST, "%s: entry %llu has a name longer than %d bytes", u->o->what,
		                      (unsigned long long)u->in.entry, PATH_MAX);
	if (*t->name == '/' || strcmp(t->name, "..") == 0 || strncmp(t->name, "../", 3) == 0 || strstr(t->name, "/../") != NULL)
		warn_once(u, &u->warned_name, "names that are absolute or hold \"..\" stay below the root");
	if (*base == '\0' && t->type != '5')
		return bad(u, t->name, "names the root and is no directory", e);
	dir = rt_strndup(clean + 1, base > clean + 1 ? (size_t)(base - clean - 2) : 0);
	free(t->name);
	t->name = rt_strdup(clean + 1);
	if (u->o->mode == TAR_LAYER && (rc = layer_marker(u, dir, base, t, e)) != 0)
		return rc < 0 ? -1 : 0;
	if (enter(u, dir, e) < 0)
		return -1;
	switch (t->type) {
	case '0':
		return make_file(u, base, t, e);
	case '1':
		return make_link(u, base, t, e);
	case '5':
		return make_directory(u, base, t, e);
	default:
		return make_special(u, base, t, e);
	}
}

int
tar_unpack(struct reader *r, int rootfd, const struct tar_options *o, struct rt_err *e)
{
	struct unpack u = {
		.rootfd = rootfd,
		.o = o,
		.in = { .src = r, .what = o->what },
		.max_bytes = o->max_bytes != 0 ? o->max_bytes : 64ull << 30,
		.max_entries = o->max_entries != 0 ? o->max_entries : 4000000,
		.uid = geteuid(),
		.gid = getegid(),
		.dirfd = -1,
		.block = rt_grow(NULL, COPY_BLOCK),
	};
	struct tar_entry t;
	int rc;

	u.umask = umask(022);
	umask(u.umask);
	while ((rc = tar_next(&u.in, &t, e)) > 0) {
		rc = u.in.entry > u.max_entries
		         ? rt_fail_status(e, RT_DIGEST, "%s: more than %llu entries", o->what, (unsigned long long)u.max_entries)
		         : unpack_entry(&u, &t, e);
		tar_entry_free(&t);
		if (rc < 0)
			break;
	}
	leave(&u);
	free(u.block);
	return rc < 0 ? -1 : 0;
}
