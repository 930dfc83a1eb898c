/* Rules on package managers: one row a manager. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "walk.h"

static const struct manager {
	const char *names[4];
	const char *verbs[5];      /* that install */
	const char *yes[6];        /* options that answer; none: it does not ask */
	const char *insert;        /* what the fix adds behind the verb */
	const char *version;       /* characters that begin a version, NULL: not looked at */
	const char *version_option; /* an option that gives it */
	const char *clean[4];      /* any of these words, or of a path removed, in the same RUN is enough */
	const char *cache[2];      /* options that keep no cache; the fix adds the first */
	const char *takes[8];      /* options with a value of their own */
} managers[] = {
	{ { "apt-get", "apt", "aptitude" }, { "install" }, { "-y", "--yes", "--assume-yes", "-qq" }, "-y", "=/", NULL,
	  { "/var/lib/apt/lists", "/var/lib/apt" }, { NULL }, { "-o", "-t", "-c", "--target-release", "-a" } },
	{ { "yum" }, { "install", "groupinstall", "localinstall", "reinstall" }, { "-y", "--assumeyes" }, "-y", "-", NULL,
	  { "clean", "/var/cache/yum" }, { NULL }, { "-c", "-x" } },
	{ { "dnf", "microdnf" }, { "install", "groupinstall", "localinstall", "reinstall" }, { "-y", "--assumeyes" }, "-y", "-", NULL,
	  { "clean", "/var/cache/dnf", "/var/cache/libdnf5" }, { NULL }, { "-c", "-x" } },
	{ { "zypper" }, { "install", "in", "remove", "rm", "patch" }, { "-y", "-n", "--no-confirm", "--non-interactive" }, "-y", "=<>", NULL,
	  { "clean", "cc", "/var/cache/zypp" }, { NULL }, { "-t", "-r" } },
	{ { "apk" }, { "add" }, { NULL }, NULL, "=<>~@", NULL, { NULL }, { "--no-cache" }, { "-t", "--virtual", "-X", "--repository", "-p", "--root" } },
	{ { "pip", "pip3", "pip2" }, { "install" }, { NULL }, NULL, "=<>~!@", NULL, { NULL }, { "--no-cache-dir" },
	  { "-r", "-c", "-e", "-i", "-f", "-t", "--index-url", "--requirement" } },
	{ { "npm" }, { "install", "i", "add" }, { NULL }, NULL, "@", NULL, { NULL }, { NULL }, { "--prefix", "-C", "--registry" } },
	{ { "gem" }, { "install", "i" }, { NULL }, NULL, ":", "-v", { NULL }, { NULL }, { "-v", "--version", "-i", "-n", "--source" } },
	{ { "go" }, { "install" }, { NULL }, NULL, "@", NULL, { NULL }, { NULL }, { "-ldflags", "-tags" } },
	{ { "yarn" }, { "install", "add" }, { NULL }, NULL, "@", NULL, { "clean" }, { NULL }, { NULL } },
};

static bool
listed(const char *s, const char *const *list, size_t n)
{
	for (size_t k = 0; k < n && list[k] != NULL; k++) {
		if (strcmp(s, list[k]) == 0)
			return true;
	}
	return false;
}

/* The manager that the command calls; *verb is the index of the word that says install. */
static const struct manager *
manager_of(const struct command *cmd, size_t *verb)
{
	const struct command *at = cmd;
	struct command python;

	if (strncmp(cmd->name, "python", 6) == 0 && cmd->n > 3 && strcmp(cmd->v[1].value, "-m") == 0 && strcmp(cmd->v[2].value, "pip") == 0) {
		python = (struct command){ .node = cmd->node, .name = "pip", .v = cmd->v, .n = cmd->n };
		at = &python;
	}
	for (size_t k = 0; k < sizeof managers / sizeof managers[0]; k++) {
		const struct manager *m = &managers[k];

		if (!listed(at->name, m->names, 4))
			continue;
		for (size_t w = 1; w < at->n; w++) {
			if (listed(at->v[w].value, m->verbs, 5)) {
				*verb = w;
				return m;
			}
			if (listed(at->v[w].value, m->takes, 8))
				w++;
			else if (at->v[w].value[0] != '-' && at != &python)
				return NULL;
		}
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

static void
insert_fix(struct check *c, struct diag_item *item, const struct shell_word *verb, const char *option)
{
	bool plain = !verb->quoted && strchr(verb->raw, '\\') == NULL;

	diag_fix(c->d, item, plain ? mem_printf(c->scratch, "%s %s", verb->raw, option) : NULL, "%s %s", verb->value, option);
}

static void
assume_yes(struct check *c, const struct inst *i, const struct manager *m, const struct command *cmd, size_t verb)
{
	unsigned quiet = 0;
	struct diag_item *item;

	if (m->yes[0] == NULL || cmd->node->piped || hidden_options(cmd, verb))
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
	insert_fix(c, item, &cmd->v[verb], m->insert);
}

static bool
has_version(const struct manager *m, const char *package)
{
	const char *at = strpbrk(package + 1, m->version);

	if (*m->version != '-')
		return at != NULL && !(strcmp(at, "@latest") == 0);
	for (; at != NULL; at = strchr(at + 1, '-')) {
		if (isdigit((unsigned char)at[1]))
			return true;
	}
	return strstr(package, ".rpm") != NULL;
}

static void
pin(struct check *c, const struct inst *i, const struct manager *m, const struct command *cmd, size_t verb)
{
	if (!check_wants(c, DIAG_PIN_PACKAGE) || m->version == NULL || (m->version_option != NULL && command_has(cmd, m->version_option)))
		return;
	for (size_t k = verb + 1; k < cmd->n; k++) {
		const char *w = cmd->v[k].value;

		if (w[0] == '-') {
			if (listed(w, m->takes, 8))
				k++;
			continue;
		}
		if (*w == '\0' || cmd->v[k].expands || strchr("./$", w[0]) != NULL || strstr(w, "://") != NULL || has_version(m, w) || strstr(w, ".whl") != NULL)
			continue;
		check_report(c, DIAG_PIN_PACKAGE, i, cmd->v[k].at, "%s has no version", w);
		return;
	}
}

/* Whether a cache mount keeps the directory out of the layer. */
static bool
cache_mount(const struct inst *i)
{
	for (size_t k = 0; k < i->nflags; k++) {
		if (strcmp(i->flags[k].name, "mount") == 0 && i->flags[k].value != NULL && strstr(i->flags[k].value, "type=cache") != NULL)
			return true;
	}
	return false;
}

static void
clean(struct check *c, const struct inst *i, const struct manager *m, const struct shell *sh, const struct command *cmd, size_t verb)
{
	if (!check_wants(c, DIAG_CLEAN_PACKAGES) || m->clean[0] == NULL || cache_mount(i))
		return;
	for (size_t k = 0; k < sh->nsimple; k++) {
		for (size_t w = 1; w < sh->simple[k]->nwords; w++) {
			for (size_t n = 0; n < 4 && m->clean[n] != NULL; n++) {
				const char *word = sh->simple[k]->words[w].value;

				if (m->clean[n][0] == '/' ? strncmp(word, m->clean[n], strlen(m->clean[n])) == 0 : strcmp(word, m->clean[n]) == 0)
					return;
			}
		}
	}
	check_report(c, DIAG_CLEAN_PACKAGES, i, cmd->v[verb].at, "what %s downloads stays in this layer", cmd->name);
}

static void
no_cache(struct check *c, const struct inst *i, const struct manager *m, const struct command *cmd, size_t verb)
{
	struct diag_item *item;

	if (!check_wants(c, DIAG_NO_CACHE) || m->cache[0] == NULL || cache_mount(i) || command_has(cmd, m->cache[0]) || hidden_options(cmd, verb))
		return;
	item = check_report(c, DIAG_NO_CACHE, i, cmd->v[verb].at, "%s keeps its cache in this layer", cmd->name);
	insert_fix(c, item, &cmd->v[verb], m->cache[0]);
}

void
rules_packages(struct check *c, const struct inst *i, const struct shell *sh, const struct command *cmd)
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
	clean(c, i, m, sh, cmd, verb);
	no_cache(c, i, m, cmd, verb);
	if (m == managers && check_wants(c, DIAG_NO_RECOMMENDS) && !command_has(cmd, "--no-install-recommends"))
		check_report(c, DIAG_NO_RECOMMENDS, i, cmd->v[verb].at, "recommended packages are installed as well");
}
