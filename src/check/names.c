/* Rules on stages, keywords and FROM: what the reference finds before it looks at the first step. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../sema/lower.h"
#include "walk.h"

static void
stage_names(struct check *c)
{
	struct map seen = { 0 };

	for (size_t k = 0; k < c->u->nstages; k++) {
		const struct stage *s = c->u->stages[k];
		struct diag_item *item;
		struct map_slot *slot;

		if (s->name == NULL)
			continue;
		if (strcmp(s->name, "scratch") == 0 || strcmp(s->name, "context") == 0)
			check_report(c, DIAG_RESERVED_STAGE, s->from, s->name_at, "the name %s has a meaning of its own", s->name);
		if ((slot = map_get(&seen, s->name)) != NULL) {
			const struct stage *first = c->u->stages[slot->number];

			item = check_report(c, DIAG_DUPLICATE_STAGE, s->from, s->name_at, "there is a stage %s already", s->name);
			diag_note(c->d, item, c->u->source, first->name_at, "it begins here");
		} else {
			map_put(c->d, &seen, s->name)->number = k;
		}
	}
	talloc_free(seen.v);
}

/* -1 lower, 1 upper, 0 mixed. */
static int
casing(const char *s)
{
	bool lower = false, upper = false;

	for (; *s != '\0'; s++) {
		lower = lower || islower((unsigned char)*s);
		upper = upper || isupper((unsigned char)*s);
	}
	return lower && upper ? 0 : lower ? -1 : 1;
}

static void
keyword_case(struct check *c, const struct inst *i, int want)
{
	struct diag_item *item;
	char *right;

	if (casing(i->keyword) == want)
		return;
	item = check_report(c, DIAG_INSTRUCTION_CASING, i, i->keyword_at, "%s is not in the case of the other instructions", i->keyword);
	right = mem_str(c->scratch, i->keyword);
	for (char *s = right; *s != '\0'; s++)
		*s = (char)(want > 0 ? toupper((unsigned char)*s) : tolower((unsigned char)*s));
	diag_fix(c->d, item, right, "%s", right);
}

static void
keyword_casing(struct check *c)
{
	const struct unit *u = c->u;
	int balance = 0;

	for (size_t k = 0; k < u->nstages; k++) {
		balance += casing(u->stages[k]->from->keyword);
		for (size_t n = 0; n < u->stages[k]->ninsts; n++)
			balance += casing(u->stages[k]->insts[n]->keyword);
	}
	for (size_t k = 0; k < u->nstages; k++) {
		keyword_case(c, u->stages[k]->from, balance < 0 ? -1 : 1);
		for (size_t n = 0; n < u->stages[k]->ninsts; n++)
			keyword_case(c, u->stages[k]->insts[n], balance < 0 ? -1 : 1);
	}
}

static void
default_args(struct check *c)
{
	struct env e = { 0 };

	if (!env_globals(c, &e, true))
		return;
	for (size_t k = 0; k < c->u->nstages; k++) {
		const struct stage *s = c->u->stages[k];
		const char *base = env_expand(c, &e, &s->base.text, false, DIAG_COUNT, NULL);

		if (base == NULL)
			return;
		if (!reference_valid(base))
			check_report(c, DIAG_INVALID_DEFAULT_ARG, s->from, s->base.text.at, *base == '\0'
				? "%s is empty with the default values%s%s" : "%s is \"%s\" with the default values, which is no image name%s",
				s->base.text.s, base, "");
	}
}

void
rules_names(struct check *c)
{
	stage_names(c);
	keyword_casing(c);
	default_args(c);
}

/* ---- FROM ---- */

/* OS and architecture as the reference normalizes them.  containerd/platforms: database.go. */
static void
platform_words(const void *ctx, const char *platform, const char **os, const char **arch)
{
	static const char *const same[][2] = {
		{ "x86_64", "amd64" }, { "x86-64", "amd64" }, { "aarch64", "arm64" }, { "armhf", "arm" }, { "armel", "arm" },
		{ "i386", "386" }, { "macos", "darwin" },
	};
	static const char *const systems[] = {
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9",
		"solaris", "wasip1", "windows",
	};
	char *first = mem_dup(ctx, platform, strcspn(platform, "/(")), *second;
	const char *slash = strchr(platform, '/');

	second = slash != NULL ? mem_dup(ctx, slash + 1, strcspn(slash + 1, "/")) : NULL;
	*os = first;
	*arch = second;
	if (second == NULL) {
		bool system = false;

		for (size_t k = 0; k < sizeof systems / sizeof systems[0]; k++)
			system = system || strcasecmp(first, systems[k]) == 0;
		*os = system ? first : "linux";
		*arch = system ? "amd64" : first;
	}
	for (size_t k = 0; k < sizeof same / sizeof same[0]; k++) {
		if (strcasecmp(*arch, same[k][0]) == 0)
			*arch = same[k][1];
		if (strcasecmp(*os, same[k][0]) == 0)
			*os = same[k][1];
	}
}

char *
check_lower(struct check *c, const char *s)
{
	char *copy = mem_str(c->scratch, s);

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static void
const_platform(struct check *c, const struct stage *s, const char *platform)
{
	const char *os, *arch, *name = s->name != NULL ? s->name : "";

	if (!platform_valid(platform))
		return;
	platform_words(c->scratch, platform, &os, &arch);
	if (strstr(name, check_lower(c, os)) != NULL || strstr(name, check_lower(c, arch)) != NULL)
		return;
	check_report(c, DIAG_CONST_PLATFORM, s->from, s->platform_at, "--platform is written out as %s", platform);
}

struct names {
	const char *only;
	size_t n;
};

static void
count_name(void *arg, const struct word_part *var)
{
	struct names *seen = arg;

	if (seen->only == NULL || strcmp(seen->only, var->text) != 0)
		seen->n++;
	seen->only = var->text;
}

static const struct flag *
platform_flag(const struct inst *from)
{
	for (size_t k = 0; k < from->nflags; k++) {
		if (strcmp(from->flags[k].name, "platform") == 0 && from->flags[k].value != NULL && *from->flags[k].value != '\0')
			return &from->flags[k];
	}
	return NULL;
}

/* FROM ends with its line: the blank behind the flag goes with it. */
static struct span
flag_with_blank(const struct check *c, const struct flag *f)
{
	struct span at = f->at;
	const char *text = c->u->source->text;

	while (at.end < c->u->source->len && (text[at.end] == ' ' || text[at.end] == '\t'))
		at.end++;
	return at;
}

void
rules_from(struct check *c, struct check_stage *s)
{
	const struct inst *from = s->ast->from;
	const struct flag *f = platform_flag(from);
	struct piece map = { 0, 0 };
	struct names seen = { 0 };
	struct word_tree *tree;
	const char *platform, *target;
	bool declared;
	struct text t;

	if (env_expand(c, &c->globals, &s->ast->base.text, false, DIAG_UNDEFINED_ARG_FROM, from) == NULL || f == NULL)
		return;
	map.source = f->value_at.begin;
	t = (struct text){ .s = f->value, .len = strlen(f->value), .at = f->value_at, .map = &map, .npieces = 1 };
	tree = word_parse(c->scratch, c->u->source, &t, c->u->escape, WORD_MODE_NORMAL, diag_new(c->scratch));
	platform = env_expand_flag(c, &c->globals, f, DIAG_UNDEFINED_ARG_FROM, from);
	if (tree == NULL || platform == NULL)
		return;
	word_names(tree, count_name, &seen);
	if (seen.n == 0) {
		const_platform(c, s->ast, platform);
	} else if (seen.n == 1 && strcmp(seen.only, "TARGETPLATFORM") == 0 &&
	           (target = env_value(&c->globals, "TARGETPLATFORM", &declared)) != NULL && strcmp(platform, target) == 0) {
		struct diag_item *item = check_report(c, DIAG_REDUNDANT_PLATFORM, from, f->at, "this is the platform a FROM has anyway");

		item->where.at = flag_with_blank(c, f);
		diag_fix(c->d, item, "", "leave the flag out");
	}
}
