/* The digest of what a COPY would read (perf.md 2): part of the step's cache key.  Times are not in it. */
#include "copy_int.h"
#include "fresh.h"
#include "lock.h"
#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_VALUE = 64 << 10 }; /* of an extended attribute, xattr(7) */

struct digest {
	const struct copy_source *from;
	const struct copy_spec *spec;
	struct memo *memo; /* or NULL */
	struct inodes firsts; /* of the source at hand */
	struct sha256 sum;
};

/* A text with its end, so that no two lists of texts look the same. */
static void
put_text(struct digest *d, const char *s)
{
	sha256_update(&d->sum, s, strlen(s) + 1);
}

static void
put_number(struct digest *d, uint64_t v)
{
	unsigned char b[8];

	for (unsigned i = 0; i < 8; i++)
		b[i] = (unsigned char)(v >> (8 * i));
	sha256_update(&d->sum, b, sizeof(b));
}

static int
hash_fd(int fd, const char *what, unsigned char hash[32], struct rt_err *e)
{
	static char buf[64 << 10];
	struct sha256 sum;
	ssize_t n;

	sha256_init(&sum);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rt_fail(e, errno, "read %s", what);
		sha256_update(&sum, buf, (size_t)n);
	}
	sha256_final(&sum, hash);
	return 0;
}

static int
put_content(struct digest *d, int dirfd, const char *name, const char *path, const struct stat *st, struct rt_err *e)
{
	struct stat before, after;
	unsigned char hash[32];
	cleanup_fd int fd = -1;

	if (d->memo == NULL || !memo_find(d->memo, st, hash)) {
		fd = source_open(dirfd, name, path, &before, e);
		if (fd < 0 || hash_fd(fd, path, hash, e) < 0)
			return -1;
		if (d->memo != NULL && fstat(fd, &after) == 0)
			memo_put(d->memo, &before, &after, hash);
	}
	sha256_update(&d->sum, hash, sizeof(hash));
	return 0;
}

/* Attributes that COPY keeps; a context has none. */
static int
put_xattrs(struct digest *d, int fd, const char *path, struct rt_err *e)
{
	struct list names = { 0 };
	cleanup_free char *value = NULL;
	int bad = tree_xattrs(fd, &names) < 0 ? rt_fail(e, errno, "list the attributes of %s", path) : 0;

	put_number(d, names.n);
	if (names.n > 0)
		value = rt_alloc(MAX_VALUE);
	for (size_t i = 0; bad == 0 && i < names.n; i++) {
		ssize_t n = fgetxattr(fd, names.v[i], value, MAX_VALUE);

		if (n < 0)
			bad = rt_fail(e, errno, "read attribute %s of %s", names.v[i], path);
		put_text(d, names.v[i]);
		put_number(d, n < 0 ? 0 : (uint64_t)n);
		sha256_update(&d->sum, value, n < 0 ? 0 : (size_t)n);
	}
	list_free(&names);
	return bad;
}

static int
put_entry_xattrs(struct digest *d, int dirfd, const char *name, const char *path, mode_t mode, struct rt_err *e)
{
	cleanup_fd int fd = -1;

	if (d->from->is_context || (!S_ISREG(mode) && !S_ISDIR(mode)))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? rt_fail(e, errno, "open %s", path) : put_xattrs(d, fd, path, e);
}

/* One entry, under the name `as`. */
static int
put_entry(struct digest *d, int dirfd, const char *name, const char *as, const struct stat *st, struct rt_err *e)
{
	char target[4097];
	ssize_t n;

	put_text(d, as);
	put_number(d, st->st_mode);
	if (!d->from->is_context) {
		put_number(d, st->st_uid);
		put_number(d, st->st_gid);
	}
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		if (put_content(d, dirfd, name, as, st, e) < 0)
			return -1;
		break;
	case S_IFLNK:
		n = readlinkat(dirfd, name, target, sizeof(target) - 1);
		if (n < 0)
			return rt_fail(e, errno, "read link %s", as);
		target[n] = '\0';
		put_text(d, target);
		break;
	case S_IFBLK:
	case S_IFCHR:
		put_number(d, major(st->st_rdev));
		put_number(d, minor(st->st_rdev));
		break;
	}
	return put_entry_xattrs(d, dirfd, name, as, st->st_mode, e);
}

static int
digest_node(void *arg, struct node *n, struct rt_err *e)
{
	struct digest *d = arg;
	bool many = !S_ISDIR(n->st.st_mode) && n->st.st_nlink > 1;
	const char *first = many ? inodes_first(&d->firsts, &n->st, n->path) : NULL;

	if (first == NULL)
		return put_entry(d, n->dirfd, n->name, n->path, &n->st, e);
	put_text(d, "link");
	put_text(d, n->path);
	put_text(d, first);
	return 0;
}

static int
digest_leave(void *arg, struct node *n, struct rt_err *e)
{
	(void)n;
	(void)e;
	put_text(arg, ""); /* the end of a directory */
	return 0;
}

static int
digest_found(void *arg, const struct found *f, struct rt_err *e)
{
	struct digest *d = arg;
	const struct filter filter = { .context = d->from->ignore, .prefix = f->path, .exclude = d->spec->exclude,
		.include = f->include, .no_sockets = d->from->is_context };
	const struct visitor v = { .enter = digest_node, .leave = digest_leave, .leaf = digest_node, .arg = d };
	int bad;

	if (!S_ISDIR(f->st.st_mode)) {
		put_text(d, "file");
		return put_entry(d, f->dirfd, f->name, f->base, &f->st, e);
	}
	/* neither name, mode nor owner of the directory itself are copied */
	put_text(d, "directory");
	bad = tree_walk(f->dirfd, -1, &filter, &v, e);
	inodes_free(&d->firsts);
	put_text(d, "");
	return bad;
}

static int
digest_word(struct digest *d, const char *word, struct rt_err *e)
{
	if (d->spec->add && remote_is(word)) {
		const char *sum = d->spec->checksum;

		if (sum == NULL)
			sum = lock_find(d->spec->locked, git_is_url(word) ? "git" : "url", word);
		if (sum == NULL && fresh_find(word) != NULL)
			sum = fresh_find(word)->key;
		put_text(d, "remote");
		put_text(d, word);
		put_text(d, sum == NULL ? "" : sum);
		return 0;
	}
	return source_each(d->from, word, d->spec->parents, digest_found, d, e);
}

int
copy_digest(const struct copy_source *from, const struct copy_spec *spec, const char *memo, unsigned char hash[32],
            struct rt_err *e)
{
	struct digest d = { .from = from, .spec = spec };
	int bad = 0;

	/* the numbers of a stage's overlay are reused by the next mount: only a context can be remembered */
	if (memo != NULL && from->is_context)
		d.memo = memo_open(memo);
	sha256_init(&d.sum);
	for (size_t i = 0; bad == 0 && i < spec->npaths; i++) {
		put_text(&d, "word");
		bad = digest_word(&d, spec->paths[i], e);
	}
	for (size_t i = 0; bad == 0 && i < spec->nfiles; i++) {
		put_text(&d, "here-document");
		put_text(&d, spec->files[i].name);
		put_number(&d, spec->files[i].len);
		sha256_update(&d.sum, spec->files[i].data, spec->files[i].len);
	}
	sha256_final(&d.sum, hash);
	if (d.memo != NULL)
		memo_close(d.memo);
	return bad;
}
