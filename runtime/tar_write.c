#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tar_entry.h"

enum { COPY_BLOCK = 131072, MAX_DEPTH = 2000 };

/* ---- headers ----------------------------------------------------------------------------------- */

static bool
is_ascii(const char *s)
{
	while (*s != '\0')
		if ((unsigned char)*s++ >= 0x80)
			return false;
	return true;
}

/* Splits a name for ustar: where the "/" between prefix and name is, 0 for none needed, -1 when it does not fit. */
static long
split_name(const char *name)
{
	size_t n = strlen(name);

	if (n <= 100)
		return 0;
	for (size_t i = n > 156 ? 155 : n - 2; i > 0; i--)
		if (name[i] == '/' && n - i - 1 <= 100)
			return n - i - 1 > 0 ? (long)i : -1;
	return -1;
}

static void
octal(char *to, size_t n, uint64_t v)
{
	to[n - 1] = '\0';
	for (size_t i = n - 1; i-- > 0; v >>= 3)
		to[i] = (char)('0' + (v & 7));
}

/* A name field of what may be too long or not ASCII: the pax record has the truth. */
static void
short_name(char *to, size_t n, const char *name)
{
	for (size_t i = 0; i < n && name[i] != '\0'; i++)
		to[i] = (unsigned char)name[i] < 0x80 ? name[i] : '_';
}

static void
pax_record(struct str *b, const char *key, const char *value, size_t n)
{
	size_t rest = strlen(key) + n + 3, len = rest, digits = 0; /* blank, "=", newline */

	for (size_t before = 0; before != len;) {
		before = len;
		digits = 1;
		for (size_t x = len; x >= 10; x /= 10)
			digits++;
		len = rest + digits;
	}
	str_printf(b, "%zu %s=", len, key);
	str_add(b, value, n);
	str_putc(b, '\n');
}

static void
pax_number(struct str *b, const char *key, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	pax_record(b, key, text, strlen(text));
}

static void
seal(char h[512])
{
	unsigned sum = 0;

	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	octal(h + 148, 7, sum);
}

static int
put_pax(struct writer *w, const struct str *records, struct rt_err *e)
{
	char h[512] = { 0 };

	memcpy(h, "././@PaxHeader", 14);
	octal(h + 100, 8, 0);
	octal(h + 108, 8, 0);
	octal(h + 116, 8, 0);
	octal(h + 124, 12, records->len);
	octal(h + 136, 12, 0);
	h[156] = 'x';
	seal(h);
	if (w->write(w, h, sizeof(h), e) < 0 || w->write(w, records->s, records->len, e) < 0)
		return -1;
	return tar_put_padding(w, records->len, e);
}

int
tar_put_header(struct writer *w, const struct tar_entry *t, struct rt_err *e)
{
	static const int64_t max_id = 07777777, max_size = 077777777777;
	const char *link = t->link != NULL ? t->link : "";
	long split = split_name(t->name);
	struct str pax = { 0 };
	char h[512] = { 0 };
	int rc = 0;

	/* in the order of their names, which is no rule but always the same */
	if (t->gid > max_id)
		pax_number(&pax, "gid", t->gid);
	if (strlen(link) > 100 || !is_ascii(link))
		pax_record(&pax, "linkpath", link, strlen(link));
	if (t->mtime < 0 || t->mtime > max_size)
		pax_number(&pax, "mtime", t->mtime);
	if (split < 0 || !is_ascii(t->name))
		pax_record(&pax, "path", t->name, strlen(t->name));
	for (size_t i = 0; i < t->nxattrs; i++) {
		cleanup_free char *key = rt_printf("SCHILY.xattr.%s", t->xattrs[i].name);

		pax_record(&pax, key, t->xattrs[i].value, t->xattrs[i].len);
	}
	if (t->size > (uint64_t)max_size)
		pax_number(&pax, "size", (int64_t)t->size);
	if (t->uid > max_id)
		pax_number(&pax, "uid", t->uid);
	if (pax.len > 0)
		rc = put_pax(w, &pax, e);
	str_free(&pax);
	if (rc < 0)
		return -1;
	short_name(h, 100, split > 0 ? t->name + split + 1 : t->name);
	if (split > 0)
		short_name(h + 345, (size_t)split, t->name);
	octal(h + 100, 8, t->mode & 07777);
	octal(h + 108, 8, t->uid > max_id ? 0 : (uint64_t)t->uid);
	octal(h + 116, 8, t->gid > max_id ? 0 : (uint64_t)t->gid);
	octal(h + 124, 12, t->size > (uint64_t)max_size ? 0 : t->size);
	octal(h + 136, 12, t->mtime < 0 || t->mtime > max_size ? 0 : (uint64_t)t->mtime);
	h[156] = t->type;
	short_name(h + 157, 100, link);
	octal(h + 329, 8, t->major);
	octal(h + 337, 8, t->minor);
	seal(h);
	return w->write(w, h, sizeof(h), e);
}

int
tar_put_padding(struct writer *w, uint64_t size, struct rt_err *e)
{
	static const char zeros[512];

	return size % 512 != 0 ? w->write(w, zeros, 512 - size % 512, e) : 0;
}

int
tar_put_end(struct writer *w, struct rt_err *e)
{
	static const char zeros[1024];

	return w->write(w, zeros, sizeof(zeros), e);
}

int64_t
tar_time(int64_t mtime_ns, int64_t epoch, int64_t start_ns)
{
	int64_t s = mtime_ns / 1000000000 - (mtime_ns % 1000000000 < 0);

	if (epoch >= 0)
		return s < epoch ? s : epoch;
	return (start_ns >= 0 && mtime_ns >= start_ns) || mtime_ns - s * 1000000000 == TIME_MADE ? 0 : s;
}

/* ---- walking ----------------------------------------------------------------------------------- */

struct inode {
	dev_t dev;
	ino_t ino;
	char *name; /* first name in the tar; NULL: free slot */
};

struct tree {
	struct writer *w;
	bool layer;
	int64_t epoch, start;
	struct str path;
	struct inode *inodes; /* open hash of files with several names */
	size_t ninodes, capinodes;
	char *block;
};

/* The slot of the inode, perhaps a free one. */
static struct inode *
inode_slot(struct inode *v, size_t cap, dev_t dev, ino_t ino)
{
	size_t i = (size_t)((uint64_t)(ino ^ dev << 20) * 0x9e3779b97f4a7c15ull >> 20) & (cap - 1);

	while (v[i].name != NULL && (v[i].dev != dev || v[i].ino != ino))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

/* The first name of a file, or NULL when this is it. */
static const char *
first_name(struct tree *t, const struct stat *st)
{
	struct inode *slot;

	if (st->st_nlink < 2)
		return NULL;
	if (t->ninodes * 2 >= t->capinodes) {
		size_t cap = t->capinodes != 0 ? t->capinodes * 2 : 256;
		struct inode *v = rt_alloc(cap * sizeof(*v));

		for (size_t i = 0; i < t->capinodes; i++)
			if (t->inodes[i].name != NULL)
				*inode_slot(v, cap, t->inodes[i].dev, t->inodes[i].ino) = t->inodes[i];
		free(t->inodes);
		t->inodes = v;
		t->capinodes = cap;
	}
	slot = inode_slot(t->inodes, t->capinodes, st->st_dev, st->st_ino);
	if (slot->name != NULL)
		return slot->name;
	*slot = (struct inode){ .dev = st->st_dev, .ino = st->st_ino, .name = rt_strdup(t->path.s) };
	t->ninodes++;
	return NULL;
}

static int64_t
entry_time(const struct tree *t, const struct stat *st)
{
	int64_t s = st->st_mtim.tv_sec;

	if (!t->layer)
		return t->epoch >= 0 ? t->epoch : st->st_mtim.tv_nsec == TIME_MADE ? 0 : s;
	if (s > INT64_MAX / 1000000000 - 1 || s < INT64_MIN / 1000000000 + 1)
		return t->epoch >= 0 && s > t->epoch ? t->epoch : s;
	return tar_time(s * 1000000000 + st->st_mtim.tv_nsec, t->epoch, t->start);
}

static int
put_whiteout(struct tree *t, size_t base, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%.*s.wh.%s", (int)base, t->path.s, t->path.s + base);
	struct tar_entry entry = { .type = '0', .name = name };

	return tar_put_header(t->w, &entry, e);
}

static int
put_data(struct tree *t, int fd, uint64_t size, struct rt_err *e)
{
	for (uint64_t left = size; left > 0;) {
		ssize_t n = read(fd, t->block, left < COPY_BLOCK ? (size_t)left : COPY_BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rt_fail(e, errno, "read %s", t->path.s);
		if (n == 0)
			return rt_fail(e, 0, "%s became shorter while it was read", t->path.s);
		if (t->w->write(t->w, t->block, (size_t)n, e) < 0)
			return -1;
		left -= (uint64_t)n;
	}
	return tar_put_padding(t->w, size, e);
}

static int
put_file(struct tree *t, int dir, const char *base, struct tar_entry *entry, struct rt_err *e)
{
	cleanup_fd int fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char capability[64];
	struct tar_xattr x = { .name = (char *)(uintptr_t)"security.capability", .value = capability };
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rt_fail(e, errno, "open %s", t->path.s);
	if (!S_ISREG(st.st_mode))
		return rt_fail(e, 0, "%s changed while it was read", t->path.s);
	entry->size = (uint64_t)st.st_size;
	n = fgetxattr(fd, x.name, capability, sizeof(capability));
	if (n > 0) {
		x.len = (size_t)n;
		entry->xattrs = &x;
		entry->nxattrs = 1;
	}
	if (tar_put_header(t->w, entry, e) < 0)
		return -1;
	entry->xattrs = NULL;
	return put_data(t, fd, entry->size, e);
}

static int
put_symlink(struct tree *t, int dir, const char *base, struct tar_entry *entry, struct rt_err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, base, target, sizeof(target) - 1);

	if (n < 0)
		return rt_fail(e, errno, "read the link %s", t->path.s);
	target[n] = '\0';
	entry->type = '2';
	entry->link = target;
	entry->mode = 0777;
	return tar_put_header(t->w, entry, e);
}

static int put_directory(struct tree *t, int dir, const char *base, struct tar_entry *entry, int depth, struct rt_err *e);

/* The entry t->path, whose last component begins at `base`. */
static int
put_entry(struct tree *t, int dir, size_t base, int depth, struct rt_err *e)
{
	const char *name = t->path.s + base, *first;
	struct tar_entry entry = { .name = t->path.s };
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return rt_fail(e, errno, "look at %s", t->path.s);
	if (t->layer && S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return put_whiteout(t, base, e);
	if (t->layer && strncmp(name, ".wh.", 4) == 0)
		return rt_fail(e, 0, "%s cannot be stored in a layer: names that begin with \".wh.\" mean deletions there",
		               t->path.s);
	entry.mode = st.st_mode & 07777;
	entry.uid = st.st_uid;
	entry.gid = st.st_gid;
	entry.mtime = entry_time(t, &st);
	first = S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode) ? NULL : first_name(t, &st);
	if (first != NULL) {
		entry.type = '1';
		entry.link = (char *)(uintptr_t)first;
		return tar_put_header(t->w, &entry, e);
	}
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		entry.type = '0';
		return put_file(t, dir, name, &entry, e);
	case S_IFLNK:
		return put_symlink(t, dir, name, &entry, e);
	case S_IFDIR:
		return put_directory(t, dir, name, &entry, depth, e);
	case S_IFIFO:
		entry.type = '6';
		return tar_put_header(t->w, &entry, e);
	case S_IFCHR:
	case S_IFBLK:
		entry.type = S_ISCHR(st.st_mode) ? '3' : '4';
		entry.major = major(st.st_rdev);
		entry.minor = minor(st.st_rdev);
		return tar_put_header(t->w, &entry, e);
	default: /* a socket means nothing without its process */
		return 0;
	}
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sorted names in the directory open at fd, which is closed. */
static int
list_names(int fd, struct list *names, const char *path, struct rt_err *e)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;

	if (d == NULL) {
		close(fd);
		return rt_fail(e, errno, "list %s", path);
	}
	while (errno = 0, (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			list_add(names, entry->d_name);
	if (errno != 0) {
		closedir(d);
		return rt_fail(e, errno, "list %s", path);
	}
	closedir(d);
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return 0;
}

/* All entries below the directory open at fd (closed), t->path being its name with "/" or empty. */
static int
put_children(struct tree *t, int fd, int depth, struct rt_err *e)
{
	cleanup_fd int dir = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct list names = { 0 };
	size_t base = t->path.len;
	int rc;

	if (dir < 0 || depth > MAX_DEPTH) {
		rt_fail(e, dir < 0 ? errno : 0, depth > MAX_DEPTH ? "%s is nested too deep" : "open %s", t->path.s);
		close(fd);
		return -1;
	}
	rc = list_names(fd, &names, t->path.s, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		str_puts(&t->path, names.v[i]);
		rc = put_entry(t, dir, base, depth, e);
		t->path.s[t->path.len = base] = '\0';
	}
	list_free(&names);
	return rc;
}

static bool
is_opaque(int fd)
{
	char v = 0;

	return (fgetxattr(fd, "trusted.overlay.opaque", &v, 1) == 1 && v == 'y') ||
	       (fgetxattr(fd, "user.overlay.opaque", &v, 1) == 1 && v == 'y');
}

static int
put_opaque(struct tree *t, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%s.wh..wh..opq", t->path.s);
	struct tar_entry entry = { .type = '0', .name = name };

	return tar_put_header(t->w, &entry, e);
}

static int
put_directory(struct tree *t, int dir, const char *base, struct tar_entry *entry, int depth, struct rt_err *e)
{
	int fd = openat(dir, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return rt_fail(e, errno, "open %s", t->path.s);
	str_putc(&t->path, '/');
	entry->type = '5';
	entry->name = t->path.s;
	if (tar_put_header(t->w, entry, e) < 0 || (t->layer && is_opaque(fd) && put_opaque(t, e) < 0)) {
		close(fd);
		return -1;
	}
	return put_children(t, fd, depth + 1, e);
}

static int
put_tree(struct tree *t, int dirfd, struct rt_err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return rt_fail(e, errno, "open the root of a tree");
	str_add(&t->path, "", 0);
	t->block = rt_grow(NULL, COPY_BLOCK);
	rc = t->layer && is_opaque(fd) ? put_opaque(t, e) : 0;
	if (rc == 0)
		rc = put_children(t, fd, 0, e);
	else
		close(fd);
	if (rc == 0)
		rc = tar_put_end(t->w, e);
	for (size_t i = 0; i < t->capinodes; i++)
		free(t->inodes[i].name);
	free(t->inodes);
	free(t->block);
	str_free(&t->path);
	return rc;
}

int
tar_write_layer(struct writer *w, int dirfd, int64_t epoch, int64_t start_ns, struct rt_err *e)
{
	struct tree t = { .w = w, .layer = true, .epoch = epoch, .start = start_ns };

	return put_tree(&t, dirfd, e);
}

int
tar_write_tree(struct writer *w, int dirfd, int64_t epoch, struct rt_err *e)
{
	struct tree t = { .w = w, .epoch = epoch, .start = -1 };

	return put_tree(&t, dirfd, e);
}
