/* Rules that follow the variables through the file: spec/checks.md, spec/language.md 3 and 4. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../front/word.h"
#include "../sema/lower.h"
#include "check.h"

/* Names in force, with values where defaults alone decide them (NULL: declared and unset). */
struct names {
	struct { const char *name, *value; } *v;
	size_t n, cap;
	bool workdir;            /* a WORKDIR was seen in this stage or its parents */
};

struct walk {
	struct check *k;
	const struct inst *i;
	struct names *env;       /* of the stage, or the global scope */
	enum diag_id rule;
	bool quiet;              /* where the reference does not look */
};

static const char *const platform[][2] = {
	{ "BUILDPLATFORM", "linux/amd64" }, { "BUILDOS", "linux" }, { "BUILDOSVERSION", "" }, { "BUILDARCH", "amd64" }, { "BUILDVARIANT", "" },
	{ "TARGETPLATFORM", "linux/amd64" }, { "TARGETOS", "linux" }, { "TARGETOSVERSION", "" }, { "TARGETARCH", "amd64" },
	{ "TARGETVARIANT", "" }, { "TARGETSTAGE", "default" },
};

static bool
find(const struct names *t, const char *name, const char **value)
{
	for (size_t i = t->n; i-- > 0;)
		if (strcmp(t->v[i].name, name) == 0) {
			if (value != NULL)
				*value = t->v[i].value;
			return true;
		}
	return false;
}

static void
put(struct names *t, const char *name, const char *value)
{
	mem_room(t, t->v, t->n + 1, &t->cap);
	t->v[t->n].name = name;
	t->v[t->n++].value = value;
}

static const char *
value_of(void *arg, const char *name)
{
	const char *value = NULL;

	find(arg, name, &value);
	return value;
}

static void
used(void *arg, const struct word_part *var)
{
	struct walk *w = arg;
	const char **names;
	struct diag_item *item;
	const char *near;

	if (w->quiet || find(w->env, var->text, NULL))
		return;
	names = mem_array(w->env, const char *, w->env->n);
	for (size_t i = 0; i < w->env->n; i++)
		names[i] = w->env->v[i].name;
	near = diag_nearest(var->text, names, w->env->n);
	item = check_say(w->k, w->rule, w->i, w->i->line_start, var->at, "nothing gives $%s a value %s", var->text,
	                 w->rule == DIAG_UndefinedVar ? "in this stage" : "before the first FROM");
	if (near != NULL)
		diag_fix(w->k->d, item, NULL, "$%s", near);
}

/* What one word reads; errors of the word are the compiler's to tell. */
static struct word_tree *
look(struct walk *w, const struct text *t, bool raw)
{
	struct diag *quiet = diag_new(w->env);
	struct word_tree *tree = word_parse(w->env, w->k->u->source, t, w->k->u->escape, raw ? WORD_MODE_RAW : WORD_MODE_NORMAL, quiet);

	word_names(tree, used, w);
	return tree;
}

static char *
expand(struct walk *w, const struct word_tree *tree)
{
	return tree != NULL ? word_eval(w->env, tree, value_of, w->env, w->k->u->source, diag_new(w->env)) : NULL;
}

static char *
look_value(struct walk *w, const struct text *t)
{
	return expand(w, look(w, t, false));
}

static void
look_string(struct walk *w, const char *s, struct span at)
{
	struct piece *map = mem_new(w->env, struct piece);
	struct text t = { .s = s, .len = strlen(s), .at = at, .map = map, .npieces = 1 };

	map->source = at.begin;
	look(w, &t, false);
}

/* ---- EXPOSE ---- */

static void
ports(struct walk *w, const struct word *word)
{
	char *text, *rest, *one;
	const struct inst *i = w->i;

	w->quiet = true;
	text = rest = look_value(w, &word->text);
	w->quiet = false;

	while (text != NULL && (one = strsep(&rest, " \t")) != NULL) {
		char *slash = strchr(one, '/');

		if (*one == '\0')
			continue;
		for (const char *p = slash; p != NULL && *p != '\0'; p++)
			if (isupper((unsigned char)*p)) {
				check_say(w->k, DIAG_ExposeProtoCasing, i, i->line_start, word->text.at, "the protocol of %s is written in lower case", one);
				break;
			}
		if (slash != NULL)
			*slash = '\0';
		if (strchr(one, ':') != NULL)
			check_say(w->k, DIAG_ExposeInvalidFormat, i, i->line_start, word->text.at, "%s: an address or a port of the host does not reach the image", one);
	}
}

/* ---- instructions ---- */

static void
mount_fields(struct walk *w, const struct flag *f)
{
	char **fields;
	size_t n;

	if (strcmp(f->name, "mount") != 0 || f->value == NULL || !csv_fields(w->env, f->value, &fields, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		const char *eq = strchr(fields[i], '=');

		if (eq != NULL && strncasecmp(fields[i], "from=", 5) != 0)
			look_string(w, eq + 1, f->value_at);
	}
}

static void
flags(struct walk *w)
{
	for (size_t n = 0; n < w->i->nflags; n++) {
		const struct flag *f = &w->i->flags[n];

		if (w->i->kind == INST_RUN)
			mount_fields(w, f);
		else if (f->value != NULL && (strcmp(f->name, "chown") == 0 || strcmp(f->name, "chmod") == 0 || strcmp(f->name, "checksum") == 0))
			look_string(w, f->value, f->value_at);
	}
}

static void
heredocs(struct walk *w)
{
	for (size_t n = 0; n < w->i->nheredocs; n++) {
		const struct heredoc *h = &w->i->heredocs[n];
		struct piece *map;
		struct text t = { .s = h->content, .len = h->len, .at = h->body, .npieces = 1 };

		if (!h->expand)
			continue;
		map = mem_new(w->env, struct piece);
		map->source = h->body.begin;
		t.map = map;
		look(w, &t, true);
	}
}

static void
pairs(struct walk *w)
{
	bool env = w->i->kind == INST_ENV;
	struct names *fresh = mem_new(w->env, struct names);

	for (size_t n = 0; n < w->i->nkvs; n++) {
		const struct key_value *kv = &w->i->kvs[n];
		char *key = look_value(w, &kv->key.text), *value = look_value(w, &kv->value.text);

		if (env && key != NULL)
			put(fresh, key, value != NULL ? value : "");
	}
	for (size_t n = 0; n < fresh->n; n++)
		put(w->env, fresh->v[n].name, fresh->v[n].value);
}

static void
args(struct walk *w, const struct names *global)
{
	for (size_t n = 0; n < w->i->nkvs; n++) {
		const struct key_value *kv = &w->i->kvs[n];
		const char *value = NULL;

		if (kv->has_value)
			value = look_value(w, &kv->value.text);
		else if (global == NULL || !find(global, kv->key.text.s, &value) || value == NULL)
			find(w->env, kv->key.text.s, &value);
		put(w->env, kv->key.text.s, value);
	}
}

/* The first WORKDIR of a chain of stages, as it expands. */
static void
workdir(struct walk *w)
{
	const struct inst *i = w->i;
	char *path = i->nargs > 0 ? look_value(w, &i->args[0].text) : NULL;

	if (!w->env->workdir && path != NULL && *path != '/')
		check_say(w->k, DIAG_WorkdirRelativePath, i, i->line_start, i->at, "%s joins whatever directory the base image has",
		          *path != '\0' ? path : "an empty path");
	w->env->workdir = true;
}

static void
instruction(struct walk *w, const struct names *global)
{
	const struct inst *i = w->i;

	switch (i->kind) {
	case INST_ENV:
	case INST_LABEL:
		pairs(w);
		break;
	case INST_ARG:
		args(w, global);
		break;
	case INST_EXPOSE:
		for (size_t n = 0; n < i->nargs; n++)
			ports(w, &i->args[n]);
		break;
	case INST_COPY:
	case INST_ADD:
	case INST_VOLUME:
	case INST_USER:
	case INST_STOPSIGNAL:
		flags(w);
		for (size_t n = 0; n < i->nargs; n++)
			look(w, &i->args[n].text, false);
		if (i->kind == INST_COPY || i->kind == INST_ADD)
			heredocs(w);
		break;
	case INST_WORKDIR:
		workdir(w);
		break;
	case INST_RUN:
		flags(w);
		break;
	default:
		break;
	}
}

/* ---- FROM ---- */

static void
const_platform(struct check *k, const struct stage *s)
{
	const struct inst *from = s->from;
	char *os, *arch;

	if (strcmp(s->platform, "$TARGETPLATFORM") == 0 || strcmp(s->platform, "${TARGETPLATFORM}") == 0) {
		check_say(k, DIAG_RedundantTargetPlatform, from, from->line_start, s->platform_at, "$TARGETPLATFORM is the platform anyway");
		return;
	}
	if (strchr(s->platform, '$') != NULL || !platform_valid(s->platform))
		return;
	os = mem_str(k->d, s->platform);
	arch = strchr(os, '/');
	if (arch != NULL) {
		*arch++ = '\0';
		arch[strcspn(arch, "/")] = '\0';
	}
	if (s->name != NULL && (strstr(s->name, os) != NULL || (arch != NULL && strstr(s->name, arch) != NULL)))
		return;
	check_say(k, DIAG_FromPlatformFlagConstDisallowed, from, from->line_start, s->platform_at,
	          "the platform is always %s, whatever the build is for", s->platform);
}

static void
from(struct check *k, const struct stage *s, struct names *global)
{
	struct walk w = { .k = k, .i = s->from, .env = global, .rule = DIAG_UndefinedArgInFrom };
	struct word_tree *tree = look(&w, &s->base.text, false);
	char *image = expand(&w, tree);
	bool stage = false;

	for (size_t i = 0; image != NULL && i < s->index; i++)
		stage = stage || (k->u->stages[i]->name != NULL && strcmp(k->u->stages[i]->name, image) == 0);
	if (image != NULL && !stage && (*image == '\0' || !reference_valid(image)))
		check_say(k, DIAG_InvalidDefaultArgInFrom, s->from, s->from->line_start, s->base.text.at,
		          "with the defaults alone this is \"%s\", which is no image", image);
	if (s->platform != NULL) {
		look_string(&w, s->platform, s->platform_at);
		const_platform(k, s);
	}
}

/* The environment a stage begins with: its parent's in this file, or the base image's PATH. */
static struct names *
begin(struct check *k, const struct stage *s, struct names **envs, const struct names *global)
{
	struct names *env = mem_new(global, struct names);
	struct walk w = { .k = k, .i = s->from, .env = (struct names *)(uintptr_t)global };
	struct diag *quiet = diag_new(env);
	struct word_tree *tree = word_parse(env, k->u->source, &s->base.text, k->u->escape, WORD_MODE_NORMAL, quiet);
	char *image = expand(&w, tree);

	for (size_t i = s->index; image != NULL && i-- > 0;)
		if (k->u->stages[i]->name != NULL && strcmp(k->u->stages[i]->name, image) == 0) {
			for (size_t n = 0; n < envs[i]->n; n++)
				put(env, envs[i]->v[n].name, envs[i]->v[n].value);
			env->workdir = envs[i]->workdir;
			return env;
		}
	put(env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	return env;
}

void
check_variables(struct check *k)
{
	struct names *global = mem_new(NULL, struct names);
	struct names **envs = mem_array(global, struct names *, k->u->nstages);

	for (size_t i = 0; i < sizeof(platform) / sizeof(platform[0]); i++)
		put(global, platform[i][0], platform[i][1]);
	for (size_t n = 0; n < k->u->nmeta_args; n++) {
		struct walk w = { .k = k, .i = k->u->meta_args[n], .env = global, .rule = DIAG_UndefinedVar, .quiet = true };

		args(&w, NULL);
	}
	for (size_t n = 0; n < k->u->nstages; n++) {
		const struct stage *s = k->u->stages[n];
		struct walk w = { .k = k, .rule = DIAG_UndefinedVar };

		from(k, s, global);
		w.env = envs[n] = begin(k, s, envs, global);
		for (size_t m = 0; m < s->ninsts; m++) {
			w.i = s->insts[m];
			instruction(&w, global);
		}
	}
	talloc_free(global);
}
