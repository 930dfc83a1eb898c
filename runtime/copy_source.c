/* From source words to what they name (spec execution.md 1.2), without leaving the source's root: a walk by
   descriptors that re-roots absolute links and stops ".." at the root, and that knows at each step whether the
   ignore file hides what it stands on. */
#include "copy_int.h"
#include "glob.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINKS = 40 }; /* path_resolution(7) */

/* Where the walk stands: the directories entered, and its path. */
struct walker {
	const struct copy_source *from;
	struct str path; /* clean, no links */
	int *fds;        /* of the directories along `path`; fds[0] is from->rootfd */
	size_t depth;    /* index of the last */
	unsigned links;
};

static void
walker_up(struct walker *w)
{
	char *slash;

	if (w->depth == 0)
		return;
	rt_close_fd(&w->fds[w->depth--]);
	slash = w->path.len == 0 ? NULL : strrchr(w->path.s, '/');
	w->path.len = slash == NULL ? 0 : (size_t)(slash - w->path.s);
	w->path.s[w->path.len] = '\0';
}

static void
walker_end(struct walker *w)
{
	while (w->depth > 0)
		rt_close_fd(&w->fds[w->depth--]);
	rt_free_ptr(&w->fds);
	w->fds = NULL;
	str_free(&w->path);
}

static int
walker_down(struct walker *w, const char *name)
{
	int fd = openat(w->fds[w->depth], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	w->fds = rt_grow(w->fds, (w->depth + 2) * sizeof(*w->fds));
	w->fds[++w->depth] = fd;
	if (w->path.len > 0)
		str_putc(&w->path, '/');
	str_puts(&w->path, name);
	return 0;
}

static int
note_leaf(void *arg, struct node *n, struct rt_err *e)
{
	(void)n;
	(void)e;
	*(bool *)arg = true;
	return 1; /* ends the walk */
}

static int
note_dir(void *arg, struct node *n, struct rt_err *e)
{
	return note_leaf(arg, n, e);
}

/* Whether the context shows the object `name` here, at `path`.  An ignored directory is there when something
   re-included is in it (language.md 7). */
static int
visible(const struct walker *w, const char *name, const char *path, const struct stat *st, struct rt_err *e)
{
	const struct ignore *ig = w->from->ignore;
	bool any = false;
	const struct visitor v = { .enter = note_dir, .leave = note_dir, .leaf = note_leaf, .arg = &any };
	const struct filter f = { .context = ig, .prefix = path, .no_sockets = w->from->is_context };
	cleanup_fd int fd = -1;

	if (w->from->is_context && S_ISSOCK(st->st_mode))
		return 0;
	if (ig == NULL || !ignore_match(ig, path))
		return 1;
	if (!S_ISDIR(st->st_mode) || !ignore_may_reinclude(ig, path))
		return 0;
	fd = openat(w->fds[w->depth], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return rt_fail(e, errno, "open %s", path);
	if (tree_walk(fd, -1, &f, &v, e) < 0)
		return -1;
	return any;
}

static void
found_fill(const struct walker *w, const char *name, struct found *f)
{
	f->dirfd = fcntl(w->fds[w->depth], F_DUPFD_CLOEXEC, 3);
	f->name = rt_strdup(name);
	if (strcmp(name, ".") == 0)
		f->path = rt_strdup(w->path.s);
	else
		f->path = w->path.len == 0 ? rt_strdup(name) : rt_printf("%s/%s", w->path.s, name);
}

/* Takes one component.  `rest`, what is still to go, grows by the text of a link.  1 went on, 0 not there, 2 `*f` holds the
   last one, -1. */
static int
walker_take(struct walker *w, const char *name, char **rest, struct found *f, struct rt_err *e)
{
	cleanup_free char *path = w->path.len == 0 ? rt_strdup(name) : rt_printf("%s/%s", w->path.s, name);
	char target[4097], *longer;
	ssize_t n;
	int seen;

	if (fstatat(w->fds[w->depth], name, &f->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENAMETOOLONG ? 0 : rt_fail(e, errno, "stat %s", path);
	seen = visible(w, name, path, &f->st, e);
	if (seen <= 0)
		return seen;
	if (S_ISDIR(f->st.st_mode))
		return walker_down(w, name) < 0 ? rt_fail(e, errno, "open %s", path) : 1;
	if (!S_ISLNK(f->st.st_mode)) {
		if (**rest != '\0')
			return 0;
		found_fill(w, name, f);
		return 2;
	}
	n = readlinkat(w->fds[w->depth], name, target, sizeof(target) - 1);
	if (n < 0)
		return rt_fail(e, errno, "read link %s", path);
	if (++w->links > MAX_LINKS)
		return rt_fail(e, ELOOP, "follow %s", path);
	target[n] = '\0';
	while (*target == '/' && w->depth > 0)
		walker_up(w);
	longer = rt_printf("%s/%s", target, *rest);
	rt_free_ptr(rest);
	*rest = longer;
	return 1;
}

/* Takes all of *rest. */
static int
walker_go(struct walker *w, char **rest, struct found *f, struct rt_err *e)
{
	for (;;) {
		const char *p = *rest + strspn(*rest, "/");
		size_t n = strcspn(p, "/");
		cleanup_free char *name = rt_strndup(p, n);
		char *tail;
		int r = 1;

		if (n == 0)
			return 1;
		tail = rt_strdup(p + n + strspn(p + n, "/"));
		rt_free_ptr(rest);
		*rest = tail;
		if (strcmp(name, "..") == 0)
			walker_up(w);
		else if (strcmp(name, ".") != 0)
			r = walker_take(w, name, rest, f, e);
		if (r != 1)
			return r;
	}
}

int
source_lookup(const struct copy_source *from, const char *word, struct found *f, struct rt_err *e)
{
	struct walker w = { .from = from };
	cleanup_free char *rest = rt_strdup(word);
	int r;

	*f = (struct found){ .dirfd = -1 };
	w.fds = rt_alloc(sizeof(*w.fds));
	w.fds[0] = from->rootfd;
	str_puts(&w.path, "");
	r = walker_go(&w, &rest, f, e);
	if (r == 1) { /* a directory: found through itself */
		if (fstat(w.fds[w.depth], &f->st) < 0)
			r = rt_fail(e, errno, "stat %s", w.path.s);
		else
			found_fill(&w, ".", f);
	}
	if (r > 0 && f->dirfd < 0)
		r = rt_fail(e, errno, "open %s", word);
	walker_end(&w);
	if (r <= 0)
		found_free(f);
	return r > 0 ? 1 : r;
}

void
found_free(struct found *f)
{
	rt_close_fd(&f->dirfd);
	free(f->name);
	free(f->path);
	f->name = f->path = NULL;
}

int
source_open(int dirfd, const char *name, const char *what, struct stat *st, struct rt_err *e)
{
	/* O_NONBLOCK: whatever took the file's place since it was looked at cannot make us wait */
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return rt_fail(e, errno, "open %s", what);
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	rt_close_fd(&fd);
	return rt_fail(e, 0, "%s changed while it was read", what);
}

/* ---- wildcards ---- */

struct match {
	const struct copy_source *from;
	const char *prefix, *pattern; /* the pattern is on paths below the prefix */
	struct glob *glob;
	size_t most_depth;  /* components a match can have */
	source_fn *fn;
	void *arg;
};

/* Hands on the match `name` in `dirfd`, at `path` from the root.  A link is followed but keeps its name [V]; one that
   leads nowhere is an error, what the ignore file hides is no match. */
static int
match_hit(const struct match *m, int dirfd, const char *name, const char *path, bool hidden, struct rt_err *e)
{
	struct found f;
	struct stat st;
	int r = source_lookup(m->from, path, &f, e);

	if (r == 0 && !hidden && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return rt_fail(e, 0, "%s: not found in %s", path, m->from->what);
	if (r <= 0)
		return r;
	f.base = name;
	r = m->fn(m->arg, &f, e);
	found_free(&f);
	return r;
}

static int match_dir(const struct match *m, int dirfd, const char *path, size_t depth, struct rt_err *e);

/* One entry of a directory with `depth` components below the prefix; a match is not descended into. */
static int
match_entry(const struct match *m, int dirfd, const char *path, const char *name, size_t depth, struct rt_err *e)
{
	cleanup_free char *below = *path == '\0' ? rt_strdup(name) : rt_printf("%s/%s", path, name);
	cleanup_free char *whole = *m->prefix == '\0' ? rt_strdup(below) : rt_printf("%s/%s", m->prefix, below);
	const struct ignore *ig = m->from->ignore;
	unsigned hit = glob_run(m->glob, below);
	cleanup_fd int fd = -1;
	bool hidden;

	if ((hit & (GLOB_HERE | GLOB_BELOW)) == 0)
		return 0;
	hidden = ig != NULL && ignore_match(ig, whole);
	if (hidden && !ignore_may_reinclude(ig, whole))
		return 0;
	if ((hit & GLOB_HERE) != 0)
		return match_hit(m, dirfd, name, whole, hidden, e);
	if (depth + 1 >= m->most_depth)
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return match_dir(m, fd, below, depth + 1, e);
	return errno == ENOTDIR || errno == ELOOP ? 0 : rt_fail(e, errno, "open %s", whole);
}

static int
match_dir(const struct match *m, int dirfd, const char *path, size_t depth, struct rt_err *e)
{
	struct list names = { 0 };
	int bad = tree_names(dirfd, &names, e);

	for (size_t i = 0; bad == 0 && i < names.n; i++)
		bad = match_entry(m, dirfd, path, names.v[i], depth, e);
	list_free(&names);
	return bad;
}

/* Splits a clean word before its first component with a wildcard; malloc'd prefix, the rest in *pattern. */
static char *
split_pattern(const char *word, const char **pattern)
{
	const char *p = word;

	for (;;) {
		size_t n = strcspn(p, "/");
		cleanup_free char *part = rt_strndup(p, n);

		if (glob_has_wildcard(part) || p[n] == '\0')
			break;
		p += n + 1;
	}
	*pattern = p;
	return p == word ? rt_strdup("") : rt_strndup(word, (size_t)(p - word) - 1);
}

static size_t
count(const char *s, char c)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += *s == c;
	return n;
}

static int
each_match(const struct copy_source *from, const char *word, source_fn *fn, void *arg, struct rt_err *e)
{
	const char *pattern;
	cleanup_free char *prefix = split_pattern(word, &pattern);
	struct match m = { .from = from, .pattern = pattern, .fn = fn, .arg = arg };
	struct found top;
	int r = source_lookup(from, prefix, &top, e);

	if (r <= 0)
		return r;
	m.prefix = top.path;
	m.glob = glob_compile(pattern, GLOB_PATH);
	/* a negated set may match a slash in Go */
	m.most_depth = 1 + count(pattern, '/') + count(pattern, '[');
	if (m.glob == NULL) { /* as docker has it: matches nothing */
		rt_warn("malformed pattern \"%s\" matches no source", word);
		r = 0;
	} else if (S_ISDIR(top.st.st_mode)) {
		r = match_dir(&m, top.dirfd, "", 0, e);
	} else {
		r = 0;
	}
	glob_free(m.glob);
	found_free(&top);
	return r;
}

/* ---- whole words ---- */

struct parents {
	const struct copy_source *from;
	const char *pattern;
	const struct ignore *include;
	bool literal;
	source_fn *fn;
	void *arg;
};

/* Hands a pivot directory on, with what is wanted below it. */
static int
parents_one(void *arg, const struct found *f, struct rt_err *e)
{
	const struct parents *p = arg;
	struct found with = *f;

	if (!S_ISDIR(f->st.st_mode))
		return rt_fail(e, 0, "%s: is no directory, so /./ cannot follow it", f->path);
	with.include = p->include;
	with.base = "";
	if (p->literal) {
		bool any = false;
		const struct visitor v = { .enter = note_dir, .leave = note_dir, .leaf = note_leaf, .arg = &any };
		const struct filter filter = { .context = p->from->ignore, .prefix = f->path, .include = p->include,
			.no_sockets = p->from->is_context };
		if (tree_walk(f->dirfd, -1, &filter, &v, e) < 0)
			return -1;
		if (!any)
			return rt_fail(e, 0, "%s: not found in %s", p->pattern, p->from->what);
	}
	return p->fn(p->arg, &with, e);
}

/* `--parents A/./B`: the directory A, of which only what B matches; without the pivot A is the root.  B is read as
   a pattern of the ignore language, which is where `**` comes from (Dockerfile reference, COPY --parents). */
static int
each_parents(const struct copy_source *from, const char *word, source_fn *fn, void *arg, struct rt_err *e)
{
	const char *pivot = strstr(word, "/./");
	cleanup_free char *above = pivot == NULL ? rt_strdup("") : rt_strndup(word, (size_t)(pivot - word));
	cleanup_free char *rooted = path_join("/", pivot == NULL ? word : pivot + 3);
	cleanup_free char *wanted = rt_printf("!%s", rooted + 1);
	char *patterns[] = { (char[]){ "**" }, wanted, NULL };
	const struct list list = { .v = patterns, .n = rooted[1] == '\0' ? 0 : 2 };
	struct parents p = { .from = from, .pattern = rooted + 1, .fn = fn, .arg = arg };
	struct ignore *include = ignore_patterns(&list, e);
	int r;

	if (include == NULL)
		return -1;
	p.include = include;
	p.literal = rooted[1] != '\0' && !glob_has_wildcard(rooted);
	r = source_each(from, above, false, parents_one, &p, e);
	ignore_free(include);
	return r;
}

int
source_each(const struct copy_source *from, const char *word, bool parents, source_fn *fn, void *arg,
            struct rt_err *e)
{
	cleanup_free char *rooted = NULL;
	struct found f;
	int r;

	if (parents)
		return each_parents(from, word, fn, arg, e);
	rooted = path_join("/", word[0] == '/' ? word + 1 : word);
	if (glob_has_wildcard(rooted))
		return each_match(from, rooted + 1, fn, arg, e);
	r = source_lookup(from, rooted + 1, &f, e);
	if (r == 0)
		return rt_fail(e, 0, "%s: not found in %s", rooted + 1, from->what);
	if (r < 0)
		return -1;
	f.base = strrchr(rooted, '/') + 1;
	r = fn(arg, &f, e);
	found_free(&f);
	return r;
}
