/* ADD of a git repository (language.md 6, ADD sources): the host's git fetches one commit, its tree is copied. */
#include "copy_int.h"
#include "fresh.h"
#include "http.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MOST_ARGS = 32 };

/* A source word, taken apart. Strings are owned; NULL: not given. */
struct git_source {
	char *url;
	char *ref;    /* as handed to git fetch */
	char *branch, *tag;
	char *subdir, *commit;
	int keep, submodules; /* -1: not given */
	char *dir;    /* the checkout */
};

static void
git_source_free(struct git_source *g)
{
	free(g->url);
	free(g->ref);
	free(g->branch);
	free(g->tag);
	free(g->subdir);
	free(g->commit);
	free(g->dir);
}

bool
git_is_url(const char *word)
{
	size_t n = strcspn(word, "?#");

	if (strncmp(word, "git://", 6) == 0 || strncmp(word, "ssh://", 6) == 0)
		return true;
	if (strncmp(word, "git@", 4) == 0 && strchr(word, ':') != NULL)
		return true;
	return fetch_is_url(word) && n > 4 && strncmp(word + n - 4, ".git", 4) == 0;
}

/* ---- parsing ---- */

/* Stores a value once; the same again is fine. */
static int
give(char **slot, const char *key, const char *value, struct rt_err *e)
{
	if (*slot != NULL && strcmp(*slot, value) != 0)
		return rt_fail(e, 0, "%s is given twice, as \"%s\" and as \"%s\"", key, *slot, value);
	if (*slot == NULL)
		*slot = rt_strdup(value);
	return 0;
}

/* A switch without a value is on. */
static int
give_bool(int *slot, const char *key, const char *value, struct rt_err *e)
{
	static const char *const on[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const off[] = { "0", "f", "F", "false", "FALSE", "False" };

	*slot = value == NULL ? 1 : -1;
	for (size_t i = 0; value != NULL && i < sizeof(on) / sizeof(*on); i++) {
		if (strcmp(value, on[i]) == 0)
			*slot = 1;
		if (strcmp(value, off[i]) == 0)
			*slot = 0;
	}
	return *slot >= 0 ? 0 : rt_fail(e, 0, "%s=%s is not a boolean", key, value);
}

static int
parse_pair(struct git_source *g, const char *key, const char *value, struct rt_err *e)
{
	const struct {
		const char *key;
		char **slot;
	} texts[] = { { "ref", &g->ref }, { "branch", &g->branch }, { "tag", &g->tag }, { "subdir", &g->subdir },
		{ "commit", &g->commit }, { "checksum", &g->commit } };

	if (strcmp(key, "keep-git-dir") == 0)
		return give_bool(&g->keep, key, value, e);
	if (strcmp(key, "submodules") == 0)
		return give_bool(&g->submodules, key, value, e);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strcmp(key, texts[i].key) != 0)
			continue;
		if (value == NULL || *value == '\0')
			return rt_fail(e, 0, "the query key %s needs a value", key);
		return give(texts[i].slot, key, value, e);
	}
	return rt_fail(e, 0, "unknown query key \"%s\"", key);
}

/* `key=value&...`; each key once. */
static int
parse_query(struct git_source *g, const char *query, struct rt_err *e)
{
	struct list seen = { 0 };
	int bad = 0;

	for (const char *p = query; bad == 0 && *p != '\0'; p += *p == '&') {
		size_t n = strcspn(p, "&");
		cleanup_free char *pair = rt_strndup(p, n);
		char *value = strchr(pair, '=');

		p += n;
		if (value != NULL)
			*value++ = '\0';
		for (size_t i = 0; i < seen.n; i++)
			if (strcmp(seen.v[i], pair) == 0)
				bad = rt_fail(e, 0, "the query key %s is given twice", pair);
		list_add(&seen, pair);
		if (bad == 0 && !fetch_percent_decode(value == NULL ? pair : value))
			bad = rt_fail(e, 0, "malformed %%XX in the value of %s", pair);
		if (bad == 0)
			bad = parse_pair(g, pair, value, e);
	}
	list_free(&seen);
	return bad;
}

/* `#ref:subdir` */
static int
parse_fragment(struct git_source *g, const char *fragment, struct rt_err *e)
{
	size_t n = strcspn(fragment, ":");
	cleanup_free char *ref = rt_strndup(fragment, n);

	if (*ref != '\0' && give(&g->ref, "the ref", ref, e) < 0)
		return -1;
	if (fragment[n] == ':' && fragment[n + 1] != '\0')
		return give(&g->subdir, "the subdirectory", fragment + n + 1, e);
	return 0;
}

/* branch= and tag= are refs with their folder named. */
static int
settle_ref(struct git_source *g, struct rt_err *e)
{
	const char *name = g->branch != NULL ? g->branch : g->tag;

	if (g->branch != NULL && g->tag != NULL)
		return rt_fail(e, 0, "branch and tag exclude each other");
	if (name != NULL) {
		if (g->ref != NULL && strcmp(g->ref, name) != 0)
			return rt_fail(e, 0, "the ref is given twice, as \"%s\" and as \"%s\"", g->ref, name);
		free(g->ref);
		g->ref = rt_printf("refs/%s/%s", g->branch != NULL ? "heads" : "tags", name);
	}
	if (g->ref == NULL)
		g->ref = rt_strdup(g->commit != NULL ? g->commit : "HEAD");
	/* git would take the first two for an option and a refspec (security.md S4.6) */
	if (*g->ref == '-' || strpbrk(g->ref, ":+^ ") != NULL)
		return rt_fail(e, 0, "\"%s\" is no name of a ref", g->ref);
	return 0;
}

static int
parse_source(struct git_source *g, const char *word, const struct copy_spec *spec, struct rt_err *e)
{
	size_t n = strcspn(word, "?#");
	const char *query = word[n] == '?' ? word + n + 1 : NULL, *fragment = strchr(word, '#'), *host;
	const char *scheme = strstr(word, "://");

	*g = (struct git_source){ .url = rt_strndup(word, n), .keep = -1, .submodules = -1 };
	host = scheme == NULL ? word : scheme + 3;
	host += strchr(host, '@') != NULL && strcspn(host, "@") < strcspn(host, "/") ? strcspn(host, "@") + 1 : 0;
	if (*host == '-' || *host == '\0')
		return rt_fail(e, 0, "the host name is malformed");
	if (query != NULL) {
		cleanup_free char *text = rt_strndup(query, strcspn(query, "#"));

		if (parse_query(g, text, e) < 0)
			return -1;
	}
	if (fragment != NULL && parse_fragment(g, fragment + 1, e) < 0)
		return -1;
	if (spec->checksum != NULL && give(&g->commit, "the checksum", spec->checksum, e) < 0)
		return -1;
	if (g->commit != NULL && (strlen(g->commit) < 4 || g->commit[strspn(g->commit, "0123456789abcdefABCDEF")] != '\0'))
		return rt_fail(e, 0, "checksum \"%s\" is no commit id", g->commit);
	return settle_ref(g, e);
}

/* ---- git ---- */

/* Runs git in the checkout, standard output to `out` (-1: dropped).  NULL ends the arguments. */
static int
git(const struct git_source *g, int out, const char *const *args, struct rt_err *e)
{
	const char *argv[MOST_ARGS] = { "git", "-C", g->dir, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
		"-c", "core.autocrlf=false", "-c", "advice.detachedHead=false" };
	/* a build started from a git hook has variables that would point git elsewhere */
	const char *env[] = { "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=http:https:git:ssh", "LC_ALL=C", "GIT_DIR",
		"GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_EXEC_PATH", NULL, NULL };
	struct tool t = { .argv = argv, .env = env, .out = out, .err = -1 };
	size_t n = 11;
	int r;

	if (getenv("GIT_SSH_COMMAND") == NULL && getenv("GIT_SSH") == NULL)
		env[sizeof(env) / sizeof(*env) - 2] = "GIT_SSH_COMMAND=ssh -o BatchMode=yes";
	while (*args != NULL && n < MOST_ARGS - 1)
		argv[n++] = *args++;
	r = tool_run(&t, e);
	str_free(&t.said);
	return r == 1 ? rt_fail_status(e, RT_NOMODE, "git is not installed") : r;
}
#define GIT(g, e, ...) git(g, -1, (const char *const[]){ __VA_ARGS__, NULL }, e)

/* The full id of the commit `rev` names, malloc'd; NULL with `e`. */
static char *
commit_of(const struct git_source *g, const char *rev, struct rt_err *e)
{
	cleanup_free char *peeled = rt_printf("%s^{commit}", rev);
	cleanup_free char *name = rt_printf("%s/.git/dockcc-id", g->dir);
	cleanup_fd int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char id[128];
	ssize_t n;

	if (fd < 0) {
		rt_fail(e, errno, "create %s", name);
		return NULL;
	}
	unlink(name);
	if (git(g, fd, (const char *const[]){ "rev-parse", "--verify", "--end-of-options", peeled, NULL }, e) < 0)
		return NULL;
	n = pread(fd, id, sizeof(id) - 1, 0);
	id[n < 0 ? 0 : n] = '\0';
	id[strcspn(id, "\n")] = '\0';
	return rt_strdup(id);
}

static bool
looks_like_id(const char *ref)
{
	size_t n = strspn(ref, "0123456789abcdefABCDEF");

	return ref[n] == '\0' && n >= 4 && n <= 64;
}

/* Fetches what is wanted, as little as the server allows; its commit's id, malloc'd, or NULL with `e`. */
static char *
fetch_commit(const struct git_source *g, struct rt_err *e)
{
	struct rt_err first = { .status = RT_IO };

	if (GIT(g, &first, "fetch", "-q", "--depth=1", "--no-tags", "--", g->url, g->ref) == 0)
		return commit_of(g, "FETCH_HEAD", e);
	/* not every server hands out single commits, and none knows shortened ids: fetch all, then look */
	if (!looks_like_id(g->ref)) {
		*e = first;
		return NULL;
	}
	if (GIT(g, e, "fetch", "-q", "--", g->url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*") < 0)
		return NULL;
	return commit_of(g, g->ref, e);
}

static int
git_begin(const struct git_source *g, struct rt_err *e)
{
	return GIT(g, e, "-c", "init.defaultBranch=master", "init", "-q", "--template=", ".") < 0 ? -1 :
	       GIT(g, e, "remote", "add", "origin", g->url);
}

static int
check_out(const struct git_source *g, struct rt_err *e)
{
	cleanup_free char *id = NULL, *modules = rt_printf("%s/.gitmodules", g->dir);
	struct stat st;

	if (git_begin(g, e) < 0)
		return -1;
	id = fetch_commit(g, e);
	if (id == NULL)
		return -1;
	if (g->commit != NULL && strncasecmp(id, g->commit, strlen(g->commit)) != 0)
		return rt_fail_status(e, RT_DIGEST, "%s is commit %s, not %s", g->ref, id, g->commit);
	if (GIT(g, e, "checkout", "-q", "--detach", id) < 0)
		return -1;
	if (g->submodules == 0 || lstat(modules, &st) < 0)
		return 0;
	return GIT(g, e, "submodule", "-q", "update", "--init", "--recursive", "--depth=1");
}

/* Copies the checkout or its subdirectory; owners as from a context. */
static int
copy_out(const struct git_source *g, const struct copy_spec *spec, const struct rules *r, int rootfd, struct rt_err *e)
{
	char *hidden[] = { (char[]){ "**/.git" }, NULL };
	bool keep = g->keep >= 0 ? g->keep : spec->keep_git_dir;
	const struct list list = { .v = hidden, .n = keep ? 0 : 1 };
	struct ignore *ignore = ignore_patterns(&list, e);
	cleanup_fd int dirfd = open(g->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct copy_source from = { .rootfd = dirfd, .ignore = ignore, .is_context = true, .what = "the repository" };
	struct rules rules = *r;
	struct found f;
	int got;

	rules.xattrs = false;
	if (spec->chown == NULL)
		rules.uid = rules.gid = 0;
	got = ignore == NULL || dirfd < 0 ? -1 : source_lookup(&from, g->subdir == NULL ? "" : g->subdir, &f, e);
	if (got == 1 && !S_ISDIR(f.st.st_mode)) {
		found_free(&f);
		got = 0;
	}
	if (got == 0)
		got = rt_fail(e, 0, "no directory \"%s\" in the repository", g->subdir);
	if (got == 1) {
		f.base = "";
		got = place_copy(spec, &rules, rootfd, &from, &f, e);
		found_free(&f);
	}
	ignore_free(ignore);
	return got;
}

static int
make_directory(struct git_source *g, const char *where, struct rt_err *e)
{
	g->dir = rt_printf("%s/git.XXXXXX", where);
	return mkdtemp(g->dir) == NULL ? rt_fail(e, errno, "create a directory in %s", where) : 0;
}

/* The commit of a lock file takes the place of the reference, which may have moved since. */
static void
lock_commit(struct git_source *g, const char *commit)
{
	if (commit == NULL || g->commit != NULL)
		return;
	free(g->ref);
	g->ref = rt_strdup(commit);
	g->commit = rt_strdup(commit);
}

bool
remote_fixed(const char *word, const char *checksum)
{
	static const struct copy_spec none;
	struct rt_err ignored;
	struct git_source g;
	bool fixed = checksum != NULL;

	if (!fixed && git_is_url(word)) {
		if (parse_source(&g, word, &none, &ignored) == 0)
			fixed = g.commit != NULL || (strlen(g.ref) >= 40 && looks_like_id(g.ref));
		git_source_free(&g);
	}
	return fixed;
}

int
remote_commit(const char *word, const char *dir, char commit[72], struct rt_err *e)
{
	static const struct copy_spec none;
	struct git_source g;
	char *id = NULL;
	int rc = parse_source(&g, word, &none, e);

	if (rc == 0)
		rc = net_allowed(word, e);
	if (rc == 0 && (rc = make_directory(&g, dir, e)) == 0) {
		rc = git_begin(&g, e);
		if (rc == 0 && (id = fetch_commit(&g, e)) == NULL)
			rc = -1;
		if (rc == 0)
			snprintf(commit, 72, "%s", id);
		rt_remove_tree(AT_FDCWD, g.dir, rc == 0 ? e : &(struct rt_err){ 0 });
	}
	free(id);
	git_source_free(&g);
	return rc;
}

/* One line of ls-remote: how good an answer it is to `ref`, as git fetch resolves names (gitrevisions(7)); 0 none. */
static int
ref_rank(const char *name, const char *ref)
{
	static const char *const prefixes[] = { "", "refs/", "refs/tags/", "refs/heads/" };

	for (int i = 0; i < 4; i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], n) != 0 || strncmp(name + n, ref, strlen(ref)) != 0)
			continue;
		if (strcmp(name + n + strlen(ref), "^{}") == 0) /* what an annotated tag is of */
			return 2 * (4 - i) + 1;
		if (name[n + strlen(ref)] == '\0')
			return 2 * (4 - i);
	}
	return 0;
}

int
remote_ref(const char *word, const char *dir, char commit[72], struct rt_err *e)
{
	static const struct copy_spec none;
	cleanup_free char *name = NULL, *peeled = NULL;
	cleanup_fd int fd = -1;
	struct str text = { 0 };
	struct git_source g;
	int rc = parse_source(&g, word, &none, e), best = 0;

	if (rc == 0 && !looks_like_id(g.ref) && (rc = make_directory(&g, dir, e)) == 0) {
		name = rt_printf("%s/refs", g.dir);
		peeled = rt_printf("%s^{}", g.ref);
		fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		rc = fd < 0 ? rt_fail(e, errno, "create %s", name) : git(&g, fd, (const char *const[]){ "ls-remote", "-q", "--", g.url, g.ref, peeled, NULL }, e);
		if (rc == 0)
			rc = rt_read_file(AT_FDCWD, name, 16 << 20, &text, e);
		for (char *save = NULL, *line = rc == 0 && text.s != NULL ? strtok_r(text.s, "\n", &save) : NULL; line != NULL;
		     line = strtok_r(NULL, "\n", &save)) {
			char *tab = strchr(line, '\t');
			int rank = tab != NULL && tab - line < 72 ? ref_rank(tab + 1, g.ref) : 0;

			if (rank > best) {
				best = rank;
				snprintf(commit, 72, "%.*s", (int)(tab - line), line);
			}
		}
		rt_remove_tree(AT_FDCWD, g.dir, rc == 0 ? e : &(struct rt_err){ 0 });
	}
	str_free(&text);
	git_source_free(&g);
	return rc;
}

int
git_add(const struct copy_spec *spec, const struct rules *r, int rootfd, const char *word, struct rt_err *e)
{
	struct rt_err later = { 0 };
	struct git_source g;
	int bad = parse_source(&g, word, spec, e);

	if (bad == 0)
		lock_commit(&g, lock_find(spec->locked, "git", word));
	/* the key says which commit it is */
	if (bad == 0 && g.commit == NULL && fresh_find(word) != NULL)
		g.commit = rt_strdup(fresh_find(word)->sum);
	if (bad == 0)
		bad = net_allowed(word, e);
	if (bad == 0) {
		bad = make_directory(&g, spec->tmp, e);
		if (bad == 0)
			bad = check_out(&g, e);
		if (bad == 0)
			bad = copy_out(&g, spec, r, rootfd, e);
		if (rt_remove_tree(AT_FDCWD, g.dir, &later) < 0)
			rt_warn("%s", later.text);
	}
	git_source_free(&g);
	return bad;
}

int
git_checkout(const char *word, bool git, const struct list *locked, const char *tmp, int dirfd, struct rt_err *e)
{
	/* an owner is named, so that nobody tries to give files away: they are whoever's we are */
	const struct copy_spec spec = { .dest = "/", .workdir = "/", .chown = "", .add = true, .unpack = -1, .keep_git_dir = git,
		.tmp = tmp, .epoch = -1, .locked = locked };
	const struct rules rules = { .uid = geteuid(), .gid = getegid() };

	return git_add(&spec, &rules, dirfd, word, e);
}
