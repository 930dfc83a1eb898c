/* Walks a source directory in a fixed order; what is not wanted is not looked into. */
#include "copy_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
tree_names(int dirfd, struct list *names, struct rt_err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (d == NULL) {
		bad = errno;
		rt_close_fd(&fd);
		return rt_fail(e, bad, "open directory");
	}
	while (errno = 0, (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			list_add(names, entry->d_name);
	bad = errno;
	closedir(d);
	if (bad != 0)
		return rt_fail(e, bad, "read directory");
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), by_bytes);
	return 0;
}

enum want { WANTED, MAYBE_BELOW, UNWANTED };

/* What one list says about a path. */
static enum want
ask(const struct ignore *ig, const char *path, enum want so_far)
{
	if (ig == NULL || so_far == UNWANTED || !ignore_match(ig, path))
		return so_far;
	return ignore_may_reinclude(ig, path) ? MAYBE_BELOW : UNWANTED;
}

static enum want
filter_ask(const struct filter *f, const char *path)
{
	enum want w = ask(f->exclude, path, WANTED);

	w = ask(f->include, path, w);
	if (f->context != NULL && w != UNWANTED) {
		cleanup_free char *whole = *f->prefix == '\0' ? rt_strdup(path) : rt_printf("%s/%s", f->prefix, path);

		w = ask(f->context, whole, w);
	}
	return w;
}

/* Enters a directory and those above it that still wait for their first wanted entry. */
static int
enter(const struct visitor *v, struct node *n, struct rt_err *e)
{
	int bad;

	if (n->up == NULL || n->entered)
		return 0;
	bad = enter(v, n->up, e);
	if (bad != 0)
		return bad;
	n->entered = true;
	return v->enter(v->arg, n, e);
}

static int walk(int dirfd, struct node *dir, const struct filter *f, const struct visitor *v, struct rt_err *e);

static int
walk_dir(struct node *n, enum want w, const struct filter *f, const struct visitor *v, struct rt_err *e)
{
	cleanup_fd int fd = -1;
	int bad = w == WANTED ? enter(v, n, e) : 0;

	if (bad == 0) {
		fd = openat(n->dirfd, n->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			bad = rt_fail(e, errno, "open %s", n->path);
	}
	if (bad == 0)
		bad = walk(fd, n, f, v, e);
	if (bad == 0 && n->entered)
		bad = v->leave(v->arg, n, e);
	rt_close_fd(&n->out);
	return bad;
}

static int
walk_entry(int dirfd, struct node *dir, const char *name, const struct filter *f, const struct visitor *v,
           struct rt_err *e)
{
	cleanup_free char *path = *dir->path == '\0' ? rt_strdup(name) : rt_printf("%s/%s", dir->path, name);
	struct node n = { .up = dir, .dirfd = dirfd, .name = name, .path = path, .out = -1 };
	enum want w = filter_ask(f, path);
	int bad;

	if (w == UNWANTED)
		return 0;
	if (fstatat(dirfd, name, &n.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : rt_fail(e, errno, "stat %s", path);
	if (S_ISDIR(n.st.st_mode))
		return walk_dir(&n, w, f, v, e);
	if (w != WANTED || (f->no_sockets && S_ISSOCK(n.st.st_mode)))
		return 0;
	bad = enter(v, dir, e);
	return bad != 0 ? bad : v->leaf(v->arg, &n, e);
}

static int
walk(int dirfd, struct node *dir, const struct filter *f, const struct visitor *v, struct rt_err *e)
{
	struct list names = { 0 };
	int bad = tree_names(dirfd, &names, e);

	if (bad < 0)
		rt_prefix(e, "%s", *dir->path == '\0' ? "." : dir->path);
	for (size_t i = 0; bad == 0 && i < names.n; i++)
		bad = walk_entry(dirfd, dir, names.v[i], f, v, e);
	list_free(&names);
	return bad;
}

int
tree_walk(int dirfd, int out, const struct filter *filter, const struct visitor *v, struct rt_err *e)
{
	struct node top = { .dirfd = dirfd, .name = ".", .path = "", .out = out, .entered = true };

	return walk(dirfd, &top, filter, v, e);
}
