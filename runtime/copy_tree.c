/* Makes the entries of a copy (spec execution.md 1.3): data, owner, mode, attributes, times; from open
   descriptors, so that what was checked is what is copied (security.md S4.1). */
#include "copy_int.h"
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	SMALL = 64 << 10,       /* up to here read and write beat copy_file_range's set-up */
	MODE_BITS = 07777,
	MAX_XATTR = 64 << 10,   /* xattr(7) */
};

mode_t
rules_mode(const struct rules *r, mode_t mode)
{
	mode_t m = mode & MODE_BITS;

	if (r->chmod != NULL)
		chmod_apply(r->chmod, m, S_ISDIR(mode), &m);
	return m;
}

static uint32_t
rules_uid(const struct rules *r, const struct stat *st)
{
	return r->uid < 0 ? st->st_uid : (uint32_t)r->uid;
}

static uint32_t
rules_gid(const struct rules *r, const struct stat *st)
{
	return r->gid < 0 ? st->st_gid : (uint32_t)r->gid;
}

int
tree_finish(int fd, uint32_t uid, uint32_t gid, mode_t mode, const struct timespec *mtime, const char *name,
            struct rt_err *e)
{
	/* the owner first: changing it clears the set-id bits, chown(2) */
	if (fchown(fd, uid, gid) < 0)
		return rt_fail(e, errno, "give %s to %lu:%lu", name, (unsigned long)uid, (unsigned long)gid);
	if (fchmod(fd, mode) < 0)
		return rt_fail(e, errno, "set the mode of %s to %04o", name, (unsigned)mode);
	if (mtime != NULL && futimens(fd, (const struct timespec[2]){ *mtime, *mtime }) < 0)
		return rt_fail(e, errno, "set the time of %s", name);
	return 0;
}

/* ---- extended attributes ---- */

/* security.md S2.7. */
static bool
xattr_kept(const char *name)
{
	static const char *const dropped[] = { "user.overlay.", "user.fuseoverlayfs." };

	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (strncmp(name, dropped[i], strlen(dropped[i])) == 0)
			return false;
	return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
tree_xattrs(int fd, struct list *names)
{
	cleanup_free char *all = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);

	if (n <= 0)
		return n < 0 && errno != ENOTSUP ? -1 : 0;
	all = rt_alloc((size_t)n + 1);
	n = flistxattr(fd, all, (size_t)n);
	if (n < 0)
		return -1;
	for (char *p = all; p < all + n; p += strlen(p) + 1)
		if (xattr_kept(p))
			list_add(names, p);
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return 0;
}

/* File systems without such attributes take the file without them, as tar does. */
static int
copy_xattrs(int in, int out, const char *name, struct rt_err *e)
{
	struct list names = { 0 };
	cleanup_free char *value = NULL;
	int bad = 0;

	if (tree_xattrs(in, &names) < 0)
		return rt_fail(e, errno, "list the attributes of %s", name);
	if (names.n > 0)
		value = rt_alloc(MAX_XATTR);
	for (size_t i = 0; bad == 0 && i < names.n; i++) {
		ssize_t n = fgetxattr(in, names.v[i], value, MAX_XATTR);

		if (n >= 0 && fsetxattr(out, names.v[i], value, (size_t)n, 0) == 0)
			continue;
		if (errno != ENODATA && errno != ENOTSUP && errno != EPERM)
			bad = rt_fail(e, errno, "copy attribute %s of %s", names.v[i], name);
	}
	list_free(&names);
	return bad;
}

/* ---- leaves ---- */

/* Makes room for a new entry: removes what is there, never a directory [V]. */
static int
make_room(int dirfd, const char *name, struct rt_err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : rt_fail(e, errno, "stat %s", name);
	if (S_ISDIR(st.st_mode))
		return rt_fail(e, 0, "cannot replace the directory %s by something that is none", name);
	if (unlinkat(dirfd, name, 0) < 0)
		return rt_fail(e, errno, "remove the old %s", name);
	return 0;
}

int
tree_create(int dirfd, const char *name, struct rt_err *e)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, fd = openat(dirfd, name, flags, 0600);

	if (fd < 0 && errno == EEXIST) {
		if (make_room(dirfd, name, e) < 0)
			return -1;
		fd = openat(dirfd, name, flags, 0600);
	}
	return fd < 0 ? rt_fail(e, errno, "create %s", name) : fd;
}

int
tree_copy_data(int in, int out, uint64_t size, const char *name, struct rt_err *e)
{
	static char buf[SMALL];
	ssize_t n = 1;

	/* a copy by the kernel may stop early or not work between two file systems, copy_file_range(2); what is left is
	   read and written */
	for (uint64_t left = size; size > SMALL && left > 0 && n > 0; left -= (uint64_t)(n > 0 ? n : 0))
		n = copy_file_range(in, NULL, out, NULL, left < (1u << 30) ? left : 1u << 30, 0);
	if (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM)
		return rt_fail(e, errno, "copy %s", name);
	for (;;) {
		n = read(in, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rt_fail(e, errno, "read %s", name);
		if (n == 0)
			return 0;
		if (rt_write_all(out, buf, (size_t)n, name, e) < 0)
			return -1;
		if ((uint64_t)n == size && n < (ssize_t)sizeof(buf))
			return 0;
	}
}

static int
copy_file(const struct rules *r, int fromdir, const char *from, int todir, const char *name, struct rt_err *e)
{
	struct stat st;
	cleanup_fd int in = source_open(fromdir, from, from, &st, e), out = -1;

	if (in < 0)
		return -1;
	out = tree_create(todir, name, e);
	if (out < 0)
		return -1;
	if (tree_copy_data(in, out, (uint64_t)st.st_size, name, e) < 0)
		return -1;
	meter_add(METER_COPY, (uint64_t)st.st_size, 1);
	/* attributes behind the owner: changing it drops file capabilities, execution.md 6 */
	if (tree_finish(out, rules_uid(r, &st), rules_gid(r, &st), rules_mode(r, st.st_mode), NULL, name, e) < 0)
		return -1;
	if (r->xattrs && copy_xattrs(in, out, name, e) < 0)
		return -1;
	if (futimens(out, (const struct timespec[2]){ st.st_mtim, st.st_mtim }) < 0)
		return rt_fail(e, errno, "set the time of %s", name);
	if (close(out) < 0)
		return out = -1, rt_fail(e, errno, "close %s", name);
	out = -1;
	return 0;
}

static int
copy_link(int fromdir, const char *from, int todir, const char *name, struct rt_err *e)
{
	char target[4097];
	ssize_t n = readlinkat(fromdir, from, target, sizeof(target) - 1);

	if (n < 0)
		return rt_fail(e, errno, "read link %s", from);
	target[n] = '\0';
	return symlinkat(target, todir, name) < 0 ? rt_fail(e, errno, "create link %s", name) : 0;
}

/* A fifo, device or socket: the node is made anew, the source is never opened.  1: skipped. */
static int
copy_node(const struct stat *st, int todir, const char *name, struct rt_err *e)
{
	/* a socket becomes an empty file, execution.md 1.3 */
	mode_t type = S_ISSOCK(st->st_mode) ? S_IFREG : st->st_mode & S_IFMT;

	if (mknodat(todir, name, type | 0600, st->st_rdev) == 0)
		return 0;
	if (errno != EPERM || (!S_ISBLK(st->st_mode) && !S_ISCHR(st->st_mode)))
		return rt_fail(e, errno, "create %s", name);
	rt_warn("device %s is left out: this user may not make devices", name);
	return 1;
}

int
tree_copy_leaf(const struct rules *r, int fromdir, const char *from, const struct stat *st, int todir, const char *name,
               struct rt_err *e)
{
	const struct timespec times[2] = { st->st_mtim, st->st_mtim };
	bool link = S_ISLNK(st->st_mode);
	int made;

	if (S_ISREG(st->st_mode))
		return copy_file(r, fromdir, from, todir, name, e);
	if (make_room(todir, name, e) < 0)
		return -1;
	made = link ? copy_link(fromdir, from, todir, name, e) : copy_node(st, todir, name, e);
	if (made != 0)
		return made < 0 ? -1 : 0;
	if (fchownat(todir, name, rules_uid(r, st), rules_gid(r, st), AT_SYMLINK_NOFOLLOW) < 0)
		return rt_fail(e, errno, "change the owner of %s", name);
	if (!link && fchmodat(todir, name, rules_mode(r, st->st_mode), 0) < 0)
		return rt_fail(e, errno, "set the mode of %s", name);
	if (utimensat(todir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return rt_fail(e, errno, "set the time of %s", name);
	return 0;
}

/* ---- trees ---- */

struct merge {
	const struct rules *rules;
	int top; /* destination directory */
	bool keep_existing;
	struct inodes firsts;
};

/* Makes the leaf a further name of an earlier one.  1 done, 0 it is the first, -1. */
static int
link_again(struct merge *m, const struct node *n, struct rt_err *e)
{
	const char *first = n->st.st_nlink < 2 ? NULL : inodes_first(&m->firsts, &n->st, n->path);

	if (first == NULL)
		return 0;
	if (make_room(n->up->out, n->name, e) < 0)
		return -1;
	/* a path too long or too many names: a copy of its own */
	if (linkat(m->top, first, n->up->out, n->name, 0) < 0)
		return errno == ENAMETOOLONG || errno == EMLINK || errno == ENOENT ? 0 : rt_fail(e, errno, "link");
	return 1;
}

static int
merge_leaf(void *arg, struct node *n, struct rt_err *e)
{
	struct merge *m = arg;
	int done = link_again(m, n, e);

	if (done == 0)
		done = tree_copy_leaf(m->rules, n->dirfd, n->name, &n->st, n->up->out, n->name, e);
	return done < 0 ? rt_prefix(e, "%s", n->path) : 0;
}

static int
merge_enter(void *arg, struct node *n, struct rt_err *e)
{
	int at = n->up->out;

	(void)arg;
	if (mkdirat(at, n->name, 0700) < 0) {
		if (errno != EEXIST)
			return rt_fail(e, errno, "create directory %s", n->path);
		n->existed = true;
	}
	n->out = openat(at, n->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (n->out >= 0)
		return 0;
	if (errno == ENOTDIR || errno == ELOOP)
		return rt_fail(e, 0, "cannot replace %s by a directory: it exists and is none", n->path);
	return rt_fail(e, errno, "open directory %s", n->path);
}

/* Metadata behind the contents, or making those would change the time again. */
static int
merge_leave(void *arg, struct node *n, struct rt_err *e)
{
	const struct merge *m = arg;
	const struct rules *r = m->rules;

	if (n->existed && m->keep_existing)
		return 0;
	if (tree_finish(n->out, rules_uid(r, &n->st), rules_gid(r, &n->st), rules_mode(r, n->st.st_mode), NULL, n->path,
	                e) < 0)
		return -1;
	if (r->xattrs) {
		cleanup_fd int in = openat(n->dirfd, n->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (in >= 0 && copy_xattrs(in, n->out, n->path, e) < 0)
			return -1;
	}
	if (futimens(n->out, (const struct timespec[2]){ n->st.st_mtim, n->st.st_mtim }) < 0)
		return rt_fail(e, errno, "set the time of %s", n->path);
	return 0;
}

int
tree_copy(const struct rules *r, int fromfd, int tofd, const struct filter *filter, bool keep_existing,
          struct rt_err *e)
{
	struct merge m = { .rules = r, .top = tofd, .keep_existing = keep_existing };
	const struct visitor v = { .enter = merge_enter, .leave = merge_leave, .leaf = merge_leaf, .arg = &m };
	int bad = tree_walk(fromfd, tofd, filter, &v, e);

	inodes_free(&m.firsts);
	return bad;
}
