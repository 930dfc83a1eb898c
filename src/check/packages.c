/* Rules on package managers: one row a manager. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "walk.h"

static const struct manager {
	const char *names[4];
	const char *verbs[4];      /* that install */
	const char *asks[5];       /* further ones that ask */
	const char *fetches[6];    /* further ones that download */
	const char *yes[6];        /* options that answer; none: it does not ask */
	const char *insert;        /* what the fix adds behind the verb */
	const char *version;       /* characters that begin a version, NULL: not looked at */
	const char *version_option[3]; /* options that give it, or make it needless */
	const char *clean[5];      /* any of these words, or of a path removed, behind it in the same RUN is enough */
	const char *cache[2];      /* options that keep no cache; the fix adds the first */
	const char *dirs[4];       /* where downloads are: a cache or tmpfs mount there keeps them out of the layer */
	const char *takes[30];     /* options with a value of their own */
} managers[] = {
	{ .names = { "apt-get", "apt", "aptitude" }, .verbs = { "install" }, .yes = { "-y", "--yes", "--assume-yes", "-qq" }, .insert = "-y",
	  .version = "=/", .clean = { "/var/lib/apt/lists", "/var/lib/apt" }, .dirs = { "/var/lib/apt" },
	  .takes = { "-o", "-t", "-c", "--target-release", "-a", "--option" } },
	{ .names = { "yum" }, .verbs = { "install" }, .asks = { "groupinstall", "localinstall", "reinstall" }, .yes = { "-y", "--assumeyes" },
	  .insert = "-y", .version = "-", .clean = { "clean", "/var/cache/yum" }, .dirs = { "/var/cache/yum" }, .takes = { "-c", "-x" } },
	{ .names = { "dnf", "microdnf" }, .verbs = { "install", "in" }, .asks = { "groupinstall", "localinstall", "reinstall" },
	  .fetches = { "upgrade", "up", "upgrade-minimal", "up-min", "rei" }, .yes = { "-y", "--assumeyes" }, .insert = "-y", .version = "-",
	  .clean = { "clean", "/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum" }, .dirs = { "/var/cache/dnf", "/var/cache/libdnf5", ".cache/libdnf5" },
	  .takes = { "-c", "-x" } },
	{ .names = { "zypper" }, .verbs = { "install", "in" }, .asks = { "remove", "rm", "patch" },
	  .yes = { "-y", "-n", "--no-confirm", "--non-interactive" }, .insert = "-y", .version = "=<>", .clean = { "clean", "cc", "/var/cache/zypp" },
	  .dirs = { "/var/cache/zypp" }, .takes = { "-t", "-r" } },
	{ .names = { "apk" }, .verbs = { "add" }, .version = "=<>~@", .cache = { "--no-cache" }, .dirs = { "/var/cache/apk", "/etc/apk/cache" },
	  .takes = { "-t", "--virtual", "-X", "--repository", "-p", "--root" } },
	{ .names = { "pip" }, .verbs = { "install" }, .version = "=<>~!",
	  .version_option = { "-c", "--constraint", "--build-constraint" }, .cache = { "--no-cache-dir" }, .dirs = { ".cache/pip" },
	  .takes = { "-r", "-c", "-e", "-i", "-f", "-t", "-b", "--abi", "--build", "--requirement", "--editable", "--extra-index-url", "--find-links", "--index-url",
	             "--implementation", "--no-binary", "--only-binary", "--platform", "--prefix", "--progress-bar", "--proxy", "--python",
	             "--python-version", "--root", "--root-user-action", "--src", "--target", "--trusted-host", "--upgrade-strategy" } },
	{ .names = { "pipx" }, .verbs = { "install" }, .version = "=<>~!", .takes = { "--python", "--suffix", "--pip-args", "-i", "--index-url" } },
	{ .names = { "npm" }, .verbs = { "install", "i", "add" }, .version = "@", .takes = { "--prefix", "-C", "--registry", "--loglevel" } },
	{ .names = { "gem" }, .verbs = { "install", "i" }, .version = ":", .version_option = { "-v", "--version" },
	  .takes = { "-v", "--version", "-i", "-n", "--source", "--use-system-libraries", "--platform" } },
	{ .names = { "go" }, .verbs = { "install", "get", "run" }, .version = "@", .takes = { "-ldflags", "-tags", "-mod", "-modfile", "-C" } },
	{ .names = { "yarn" }, .verbs = { "install" }, .clean = { "clean" }, .dirs = { ".cache/yarn", "/usr/local/share/.cache" } },
};
enum { NTAKES = sizeof managers[0].takes / sizeof managers[0].takes[0] };

static bool
listed(const char *s, const char *const *list, size_t n)
{
	for (size_t k = 0; k < n && list[k] != NULL; k++) {
		if (strcmp(s, list[k]) == 0)
			return true;
	}
	return false;
}

/* The word behind the options, where a verb belongs; cmd->n: none. */
static size_t
verb_at(const struct manager *m, const struct command *cmd, size_t k)
{
	for (; k < cmd->n && cmd->v[k].value[0] == '-'; k++)
		k += listed(cmd->v[k].value, m->takes, NTAKES);
	return k < cmd->n ? k : cmd->n;
}

/* The manager that the command calls; *verb is the index of the word that says what to do. */
static const struct manager *
manager_of(const struct command *cmd, size_t *verb)
{
	const char *name = cmd->name;
	size_t begin = 1;

	if (strncmp(name, "python", 6) == 0 && cmd->n > 3 && strcmp(cmd->v[1].value, "-m") == 0) {
		name = cmd->v[2].value;
		begin = 3;
	}
	/* pip3, pip3.11 */
	if (strncmp(name, "pip", 3) == 0 && name[3 + strspn(name + 3, "0123456789.")] == '\0')
		name = "pip";
	for (size_t k = 0; k < sizeof managers / sizeof managers[0]; k++) {
		const struct manager *m = &managers[k];

		if (!listed(name, m->names, 4))
			continue;
		*verb = verb_at(m, cmd, begin);
		return *verb < cmd->n ? m : NULL;
	}
	return NULL;
}

/* A variable among the options may hold any of them. */
static bool
hidden_options(const struct command *cmd, size_t verb)
{
	for (size_t k = 1; k < cmd->n && k <= verb + 1; k++) {
		if (cmd->v[k].value[0] == '$')
			return true;
	}
	return false;
}

/* Puts the option behind the verb; a JSON array gets one more string. */
static void
insert_fix(struct check *c, struct diag_item *item, const struct inst *i, const struct shell_word *verb, const char *option)
{
	bool plain = !verb->quoted && strchr(verb->raw, '\\') == NULL;
	const char *text = mem_printf(c->scratch, i->form == FORM_EXEC ? "\"%s\", \"%s\"" : "%s %s", verb->value, option);

	diag_fix(c->d, item, plain || i->form == FORM_EXEC ? text : NULL, "%s", text);
}

static void
assume_yes(struct check *c, const struct inst *i, const struct manager *m, const struct command *cmd, size_t verb)
{
	unsigned quiet = 0;
	struct diag_item *item;

	if (m->yes[0] == NULL || cmd->node->piped || hidden_options(cmd, verb) ||
	    !(listed(cmd->v[verb].value, m->verbs, 4) || listed(cmd->v[verb].value, m->asks, 5)))
		return;
	for (size_t k = 0; k < 6 && m->yes[k] != NULL; k++) {
		if (command_has(cmd, m->yes[k]))
			return;
	}
	for (size_t k = 1; k < cmd->n; k++) {
		const char *w = cmd->v[k].value;

		quiet += strcmp(w, "-q") == 0 || strcmp(w, "--quiet") == 0;
		if (strstr(w, "ssume-") != NULL || strstr(w, "-q=2") != NULL || strcmp(w, "--download-only") == 0 || strcmp(w, "-s") == 0)
			return;
		for (const char *p = w; w[0] == '-' && w[1] != '-' && *p != '\0'; p++)
			quiet += *p == 'q' && strlen(w) > 2;
	}
	if (quiet > 1 && m == managers)
		return;
	item = check_report(c, DIAG_ASSUME_YES, i, cmd->v[verb].at, "%s %s asks, and nobody answers in a build", cmd->name, cmd->v[verb].value);
	insert_fix(c, item, i, &cmd->v[verb], m->insert);
}

/* A name that begins with a letter and ends in one of these is a file. */
static bool
local_file(const char *word)
{
	static const char *const ends[] = { ".deb", ".rpm", ".apk", ".whl", ".gem", ".tar", ".tar.gz", ".tgz", ".zip", ".go" };
	size_t n = strlen(word);

	for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
		size_t m = strlen(ends[k]);

		if (n > m && strcmp(word + n - m, ends[k]) == 0)
			return true;
	}
	return strchr("./~$", word[0]) != NULL;
}

/* git+https://host/project@v1 for pip, #v1 for npm; another address names one file. */
static bool
pinned_address(const struct manager *m, const char *word)
{
	const char *slash = strrchr(word, '/');

	if (strncmp(word, "git", 3) != 0)
		return true;
	return strcmp(m->names[0], "npm") == 0 ? strchr(word, '#') != NULL : strchr(slash != NULL ? slash : word, '@') != NULL;
}

static bool
has_version(const struct manager *m, const char *package)
{
	const char *at = strpbrk(package + 1, m->version);

	if (local_file(package))
		return true;
	if (strstr(package, "://") != NULL)
		return pinned_address(m, package);
	if (strcmp(m->names[0], "pip") == 0 && strchr(package, '/') != NULL)
		return true; /* a directory */
	if (*m->version != '-')
		return at != NULL && strcmp(at, "@latest") != 0 && strcmp(at, "@none") != 0;
	for (; at != NULL; at = strchr(at + 1, '-')) {
		if (isdigit((unsigned char)at[1]))
			return true;
	}
	return false;
}

static void
pin(struct check *c, const struct inst *i, const struct manager *m, const struct command *cmd, size_t verb)
{
	if (!check_wants(c, DIAG_PIN_PACKAGE) || m->version == NULL || !listed(cmd->v[verb].value, m->verbs, 4) ||
	    (m == managers && strcmp(cmd->name, "apt-get") != 0))
		return;
	for (size_t k = 0; k < 3 && m->version_option[k] != NULL; k++) {
		if (command_has(cmd, m->version_option[k]))
			return;
	}
	for (size_t k = verb + 1; k < cmd->n; k++) {
		const char *w = cmd->v[k].value;

		if (strcmp(w, "--") == 0)
			return;
		if (w[0] == '-') {
			k += listed(w, m->takes, NTAKES);
		} else if (*w != '\0' && !cmd->v[k].expands && !has_version(m, w)) {
			check_report(c, DIAG_PIN_PACKAGE, i, cmd->v[k].at, "%s has no version", w);
			return;
		} else if (strcmp(cmd->v[verb].value, "run") == 0) {
			return; /* what follows is for the program */
		}
	}
}

/* Whether a directory that is mounted holds `dir`, of which only the end may be known. */
static bool
mount_holds(const char *target, size_t n, const char *dir)
{
	const char *tail = "/.cache";

	if (memmem(target, n, dir, strlen(dir)) != NULL || memchr(target, '$', n) != NULL)
		return true;
	if (*dir == '.')
		return n >= strlen(tail) && memcmp(target + n - strlen(tail), tail, strlen(tail)) == 0;
	return n > 1 && strncmp(target, dir, n) == 0 && dir[n] == '/';
}

/* Whether a mount keeps the downloads of `m` out of the layer. */
static bool
mounted(const struct inst *i, const struct manager *m)
{
	static const char *const keys[] = { "target=", "dst=", "destination=" };

	for (size_t k = 0; k < i->nflags; k++) {
		const char *v = i->flags[k].value;

		if (strcmp(i->flags[k].name, "mount") != 0 || v == NULL || (strstr(v, "type=cache") == NULL && strstr(v, "type=tmpfs") == NULL))
			continue;
		for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++) {
			const char *target = strstr(v, keys[n]);

			target = target != NULL ? target + strlen(keys[n]) : NULL;
			for (size_t d = 0; target != NULL && d < 4 && m->dirs[d] != NULL; d++) {
				if (mount_holds(target, strcspn(target, ",\""), m->dirs[d]))
					return true;
			}
		}
	}
	return false;
}

static bool
cleans(const struct manager *m, const struct shell_node *simple)
{
	for (size_t w = 1; w < simple->nwords; w++) {
		const char *word = simple->words[w].value;

		for (size_t n = 0; n < 5 && m->clean[n] != NULL; n++) {
			if (m->clean[n][0] == '/' ? strncmp(word, m->clean[n], strlen(m->clean[n])) == 0 : strcmp(word, m->clean[n]) == 0)
				return true;
		}
	}
	return false;
}

/* What the commands of one RUN do for one another. */
struct packages {
	bool updates;                                             /* apt-get leaves lists behind only where they are fetched */
	size_t cleaned[sizeof managers / sizeof managers[0]];     /* the last command that cleans, counted from 1 */
	const char *pip_no_cache;                                 /* what PIP_NO_CACHE_DIR is set to, NULL: it is not */
};

struct packages *
packages_of(const void *ctx, const struct shell *sh)
{
	const char *name = "PIP_NO_CACHE_DIR=";
	struct packages *p = mem_new(ctx, struct packages);

	for (size_t k = 0; k < sh->nsimple; k++) {
		const struct shell_node *n = sh->simple[k];
		bool apt = listed(shell_name(n), managers[0].names, 4);

		for (size_t m = 0; m < sizeof managers / sizeof managers[0]; m++) {
			if (managers[m].clean[0] != NULL && cleans(&managers[m], n))
				p->cleaned[m] = k + 1;
		}
		for (size_t w = 0; w < n->nassigns + n->nwords; w++) {
			const char *word = w < n->nassigns ? n->assigns[w].value : n->words[w - n->nassigns].value;

			p->updates = p->updates || (apt && strcmp(word, "update") == 0);
			if (strncmp(word, name, strlen(name)) == 0)
				p->pip_no_cache = word + strlen(name);
		}
	}
	return p;
}

static void
clean(struct check *c, struct check_stage *s, const struct inst *i, const struct manager *m, const struct packages *p, size_t at,
      const struct command *cmd, size_t verb)
{
	const char *word = cmd->v[verb].value;

	if (!check_wants(c, DIAG_CLEAN_PACKAGES) || m->clean[0] == NULL || !s->lasting || mounted(i, m) || (m == managers && !p->updates))
		return;
	if (!listed(word, m->verbs, 4) && !listed(word, m->fetches, 6) && strcmp(word, "reinstall") != 0)
		return;
	if (p->cleaned[m - managers] <= at + 1)
		check_report(c, DIAG_CLEAN_PACKAGES, i, cmd->v[verb].at, "what %s downloads stays in this layer", cmd->name);
}

/* Whether ENV or a command of the RUN sets PIP_NO_CACHE_DIR to yes. */
static bool
pip_cache_off(const struct check_stage *s, const struct packages *p)
{
	static const char *const no[] = { "", "0", "false", "no", "off" };
	bool declared;
	const char *value = p->pip_no_cache != NULL ? p->pip_no_cache : env_value(&s->env, "PIP_NO_CACHE_DIR", &declared);

	return value != NULL && !listed(value, no, sizeof no / sizeof no[0]);
}

static void
no_cache(struct check *c, struct check_stage *s, const struct inst *i, const struct manager *m, const struct packages *p, const struct command *cmd, size_t verb)
{
	struct diag_item *item;

	if (!check_wants(c, DIAG_NO_CACHE) || m->cache[0] == NULL || !listed(cmd->v[verb].value, m->verbs, 4) || mounted(i, m) ||
	    command_has(cmd, m->cache[0]) || hidden_options(cmd, verb))
		return;
	if (strcmp(m->names[0], "pip") == 0 && pip_cache_off(s, p))
		return;
	item = check_report(c, DIAG_NO_CACHE, i, cmd->v[verb].at, "%s keeps its cache in this layer", cmd->name);
	insert_fix(c, item, i, &cmd->v[verb], m->cache[0]);
}

static void
no_recommends(struct check *c, const struct inst *i, const struct command *cmd, size_t verb)
{
	if (!check_wants(c, DIAG_NO_RECOMMENDS) || strcmp(cmd->name, "apt-get") != 0 || !listed(cmd->v[verb].value, managers[0].verbs, 4) ||
	    command_has(cmd, "--no-install-recommends"))
		return;
	for (size_t k = 1; k < cmd->n; k++) {
		if (strstr(cmd->v[k].value, "APT::Install-Recommends=") != NULL)
			return;
	}
	check_report(c, DIAG_NO_RECOMMENDS, i, cmd->v[verb].at, "recommended packages are installed as well");
}

void
rules_packages(struct check *c, struct check_stage *s, const struct inst *i, const struct packages *p, size_t at, const struct command *cmd)
{
	size_t verb;
	const struct manager *m = manager_of(cmd, &verb);

	if (strcmp(cmd->name, "zypper") == 0 && cmd->verb != NULL && check_wants(c, DIAG_DIST_UPGRADE) &&
	    (strcmp(cmd->verb->value, "dist-upgrade") == 0 || strcmp(cmd->verb->value, "dup") == 0))
		check_report(c, DIAG_DIST_UPGRADE, i, cmd->verb->at, "an upgrade of everything is another image every day");
	if (m == NULL)
		return;
	assume_yes(c, i, m, cmd, verb);
	pin(c, i, m, cmd, verb);
	clean(c, s, i, m, p, at, cmd, verb);
	no_cache(c, s, i, m, p, cmd, verb);
	if (m == managers)
		no_recommends(c, i, cmd, verb);
}
