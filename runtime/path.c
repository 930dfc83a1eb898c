#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "path.h"

bool path_no_openat2;

enum { MAX_LINKS = 40 };

/* A walk in progress.  `done` is the link-free path below the root so far ("" or "/a/b"), `rest` what is still to
   be looked at, `dir` an O_PATH descriptor of done. */
struct walk {
	int root, dir;
	struct str done, rest;
	int links;
	bool missing; /* dir is void: done no longer exists below it */
};

static void
walk_free(struct walk *w)
{
	rt_close_fd(&w->dir);
	str_free(&w->done);
	str_free(&w->rest);
}

/* Opens the link-free path `done` again from the root. */
static int
walk_reopen(struct walk *w)
{
	cleanup_free char *copy = rt_strdup(w->done.s);
	char *save = NULL;

	rt_close_fd(&w->dir);
	w->dir = openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (char *p = strtok_r(copy, "/", &save); p != NULL && w->dir >= 0; p = strtok_r(NULL, "/", &save)) {
		int next = openat(w->dir, p, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		rt_close_fd(&w->dir);
		w->dir = next;
	}
	return w->dir < 0 ? -1 : 0;
}

static int
walk_start(struct walk *w, int rootfd, const char *path)
{
	*w = (struct walk){ .root = rootfd, .dir = -1 };
	str_add(&w->done, "", 0);
	str_puts(&w->rest, path);
	return walk_reopen(w);
}

/* Takes the next component off `rest` into name[NAME_MAX + 1]; false at the end. */
static int
walk_next(struct walk *w, char *name)
{
	char *s = w->rest.s;
	size_t skip = strspn(s, "/"), n = strcspn(s + skip, "/");

	if (n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, s + skip, n);
	name[n] = '\0';
	w->rest.len -= skip + n;
	memmove(s, s + skip + n, w->rest.len + 1);
	return n > 0;
}

static int
walk_up(struct walk *w)
{
	char *slash = strrchr(w->done.s, '/');

	if (slash == NULL)
		return 0;
	*slash = '\0';
	w->done.len = (size_t)(slash - w->done.s);
	if (w->missing) /* still below what exists?  walk_reopen tells */
		w->missing = walk_reopen(w) < 0;
	else if (walk_reopen(w) < 0)
		return -1;
	return 0;
}

/* Puts the target of the link open at `fd` in front of `rest`. */
static int
walk_link(struct walk *w, int fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));
	struct str rest = { 0 };

	if (n < 0)
		return -1;
	if (++w->links > MAX_LINKS) {
		errno = ELOOP;
		return -1;
	}
	if (n == 0 || (size_t)n == sizeof(target)) {
		errno = n == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	if (target[0] == '/') {
		w->done.s[w->done.len = 0] = '\0';
		if (walk_reopen(w) < 0)
			return -1;
	}
	str_add(&rest, target, (size_t)n);
	str_add(&rest, w->rest.s, w->rest.len);
	str_free(&w->rest);
	w->rest = rest;
	return 0;
}

static bool
walk_at_end(const struct walk *w)
{
	return w->rest.s[strspn(w->rest.s, "/")] == '\0';
}

/* One component that is not "." or "..".  `last`: stop in front of a non-link or, with `nofollow`, a link; `name` is
   then the component below w->dir and 1 is returned. */
static int
walk_step(struct walk *w, const char *name, bool nofollow, bool stop)
{
	cleanup_fd int fd = -1;
	bool last = walk_at_end(w);
	struct stat st;

	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return last && stop && errno == ENOENT ? 1 : -1;
	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) && !(last && nofollow && w->rest.len == 0))
		return walk_link(w, fd);
	if (last && stop)
		return 1;
	if (!S_ISDIR(st.st_mode) && !last) {
		errno = ENOTDIR;
		return -1;
	}
	str_putc(&w->done, '/');
	str_puts(&w->done, name);
	rt_close_fd(&w->dir);
	w->dir = fd;
	fd = -1;
	return 0;
}

static int
open_walking(int rootfd, const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX + 1];
	struct walk w;
	int fd = -1, rc;

	if (*path == '\0') {
		errno = ENOENT;
		return -1;
	}
	rc = walk_start(&w, rootfd, path);
	while (rc == 0 && (rc = walk_next(&w, name)) > 0) {
		rc = 0;
		if (strcmp(name, "..") == 0)
			rc = walk_up(&w);
		else if (strcmp(name, ".") != 0)
			rc = walk_step(&w, name, (flags & O_NOFOLLOW) != 0, true);
		if (rc == 1) {
			fd = openat(w.dir, name, flags | O_NOFOLLOW | O_CLOEXEC | (w.rest.len > 0 ? O_DIRECTORY : 0), mode);
			break;
		}
	}
	if (rc == 0) /* ended in a directory: the root, "." or ".." */
		fd = openat(w.dir, ".", flags | O_CLOEXEC, mode);
	rc = errno;
	walk_free(&w);
	errno = rc;
	return fd;
}

int
path_open(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode & 07777 : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	for (int again = 0; !path_no_openat2 && again < 64; again++) {
		long fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno == EAGAIN) /* a rename elsewhere raced with ".." */
			continue;
		if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
			return -1;
		break;
	}
	return open_walking(rootfd, path, flags, mode);
}

char *
path_resolve(int rootfd, const char *path)
{
	char name[NAME_MAX + 1];
	struct walk w;
	char *out = NULL;
	int rc = walk_start(&w, rootfd, path), keep;

	while (rc == 0 && (rc = walk_next(&w, name)) > 0) {
		rc = 0;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			rc = walk_up(&w);
			continue;
		}
		if (!w.missing)
			rc = walk_step(&w, name, false, false);
		if (w.missing || (rc < 0 && errno == ENOENT)) {
			w.missing = true;
			str_putc(&w.done, '/');
			str_puts(&w.done, name);
			rc = 0;
		}
	}
	keep = errno;
	if (rc == 0)
		out = rt_strdup(w.done.len == 0 ? "/" : w.done.s);
	walk_free(&w);
	errno = keep;
	return out;
}

int
path_parent(int rootfd, const char *path, char **store, const char **base, struct rt_err *e)
{
	size_t n = strlen(path);
	char *slash;
	int fd;

	while (n > 0 && (path[n - 1] == '/' || (path[n - 1] == '.' && (n == 1 || path[n - 2] == '/'))))
		n--;
	if (n >= 2 && memcmp(path + n - 2, "..", 2) == 0 && (n == 2 || path[n - 3] == '/')) {
		*store = path_resolve(rootfd, path);
		if (*store == NULL)
			return rt_fail(e, errno, "resolve %s", path);
	} else {
		*store = rt_strndup(path, n);
	}
	slash = strrchr(*store, '/');
	*base = slash != NULL ? slash + 1 : *store;
	if (slash != NULL)
		*slash = '\0';
	fd = path_open(rootfd, slash == NULL || **store == '\0' ? "/" : *store, O_PATH | O_DIRECTORY, 0);
	if (fd < 0) {
		rt_fail(e, errno, "open the directory of %s", path);
		free(*store);
		*store = NULL;
	}
	return fd;
}

char *
path_clean(const char *path)
{
	bool rooted = *path == '/';
	struct str b = { 0 };
	size_t floor = rooted ? 1 : 0; /* what ".." may not take away */

	str_puts(&b, rooted ? "/" : "");
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (b.len > floor) {
				while (b.len > floor && b.s[--b.len] != '/')
					continue;
				b.s[b.len] = '\0';
			} else if (!rooted) {
				str_puts(&b, b.len > 0 ? "/.." : "..");
				floor = b.len;
			}
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			if (b.len > (rooted ? 1u : 0u))
				str_putc(&b, '/');
			str_add(&b, path, n);
		}
		path += n + (path[n] == '/' ? 1 : 0);
	}
	if (b.len == 0)
		str_putc(&b, '.');
	return b.s;
}

char *
path_join(const char *dir, const char *path)
{
	cleanup_free char *both = *dir != '\0' && *path != '\0' ? rt_printf("%s/%s", dir, path) : rt_printf("%s%s", dir, path);

	return *both != '\0' ? path_clean(both) : rt_strdup("");
}
