/* Scopes: platform arguments, global ARGs, and the environment of each stage.  spec/language.md 4. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "lower.h"

/* The platform arguments, in the order in which the script lists them. */
static const char *const builtins[] = {
	"BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT", "TARGETPLATFORM", "TARGETOS",
	"TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE",
};
enum { NBUILTINS = sizeof builtins / sizeof builtins[0] };

/* The PATH of a stage whose base has none: spec/language.md 4, rule 6. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *
build_arg(const struct sema *s, const char *name)
{
	for (size_t i = s->o->nbuild_args; i-- > 0;) {
		if (strcmp(s->o->build_args[i].name, name) == 0)
			return s->o->build_args[i].value;
	}
	return NULL;
}

/* Where `name` stands in the index, or the free place where it belongs. */
static uint32_t *
scope_place(const struct scope *scope, const char *name)
{
	size_t h = 5381;

	for (const char *s = name; *s != '\0'; s++)
		h = h * 33 ^ (unsigned char)*s;
	h ^= h >> 15;
	for (;; h++) {
		uint32_t *at = &scope->index[h & (scope->nindex - 1)];

		if (*at == 0 || strcmp(scope->v[*at - 1].var->name, name) == 0)
			return at;
	}
}

struct binding *
scope_own(struct scope *scope, const char *name)
{
	uint32_t at = scope->n > 0 ? *scope_place(scope, name) : 0;

	return at > 0 ? &scope->v[at - 1] : NULL;
}

/* Names are many only in hostile files, and there lists would be quadratic. */
static void
scope_index(struct sema *s, struct scope *scope)
{
	if (scope->n * 2 >= scope->nindex) {
		talloc_free(scope->index);
		scope->nindex = scope->nindex > 0 ? scope->nindex * 2 : 32;
		scope->index = mem_array(s->g, uint32_t, scope->nindex);
		for (size_t i = 0; i + 1 < scope->n; i++)
			*scope_place(scope, scope->v[i].var->name) = (uint32_t)i + 1;
	}
	*scope_place(scope, scope->v[scope->n - 1].var->name) = (uint32_t)scope->n;
}

struct binding *
scope_find(struct scope *scope, const char *name)
{
	struct binding *b = NULL;

	for (; scope != NULL && b == NULL; scope = scope->parent)
		b = scope_own(scope, name);
	return b;
}

static struct binding *
scope_add(struct sema *s, struct scope *scope, const char *name)
{
	struct var *var = mem_new(s->g, struct var);

	var->name = mem_str(var, name);
	var->stage = scope->stage;
	mem_room(s->g, scope->v, scope->n + 1, &scope->cap);
	scope->v[scope->n++].var = var;
	scope_index(s, scope);
	return &scope->v[scope->n - 1];
}

const struct var *
scope_assign(struct sema *s, struct scope *scope, const char *name, struct known known)
{
	struct binding *b = scope_own(scope, name);

	if (b == NULL)
		b = scope_add(s, scope, name);
	b->known = known;
	b->from_base = b->fixed = false;
	return b->var;
}

struct known
scope_fixed(void *sema, const struct var *var)
{
	struct sema *s = sema;
	struct binding *b = var->stage >= 0 ? scope_own(s->stages[var->stage].scope, var->name) : NULL;

	return b != NULL && b->fixed ? b->known : (struct known){ KNOWN_NOT, NULL };
}

struct known
scope_known(void *sema, const struct var *var)
{
	struct sema *s = sema;
	struct binding *b = scope_own(var->stage < 0 ? &s->global : s->stages[var->stage].scope, var->name);

	return b != NULL ? b->known : (struct known){ KNOWN_NOT, NULL };
}

/* `name` is loaded from the base image of `root` when its FROM runs. */
static void
base_var(struct sema *s, struct stage_info *root, const char *name)
{
	struct gstage *g = root->g;
	struct binding *b = scope_own(root->scope, name);

	if (b == NULL)
		b = scope_add(s, root->scope, name);
	if (root->base.kind == ORIGIN_SCRATCH) {
		b->known = (struct known){ KNOWN_TEXT, DEFAULT_PATH };
		b->fixed = true;
		return;
	}
	for (size_t i = 0; i < g->nbase_vars; i++) {
		if (g->base_vars[i] == b->var)
			return;
	}
	g->base_vars = talloc_realloc(g, g->base_vars, const struct var *, (unsigned)g->nbase_vars + 1);
	g->base_vars[g->nbase_vars++] = b->var;
}

/* Only an image brings variables; the empty file system has the PATH that every stage gets. */
static bool
base_may_define(const struct scope *scope, const char *name)
{
	unsigned char c = (unsigned char)name[0];

	if (scope->root == NULL || (!isalpha(c) && c != '_' && c < 0x80))
		return false;
	return scope->root->base.kind == ORIGIN_IMAGE || strcmp(name, "PATH") == 0;
}

struct binding *
scope_read(struct lower *l, const char *name)
{
	struct scope *scope = l->scope;
	struct binding *b = scope_find(scope, name);

	if (b == NULL && base_may_define(scope, name)) {
		base_var(l->s, scope->root, name);
		b = scope_own(scope->root->scope, name);
	}
	if (b == NULL)
		return NULL;
	if (b->from_base) {
		b->from_base = false;
		base_var(l->s, scope->root, name);
		b = scope_find(scope, name);
	}
	b->read = true;
	return b;
}

void
scope_begin(struct sema *s, struct stage_info *stage)
{
	struct scope *scope = mem_new(s->g, struct scope);

	scope->stage = (int)stage->ast->index;
	stage->scope = scope;
	if (stage->base.kind == ORIGIN_STAGE) {
		scope->parent = s->stages[stage->base.stage->index].scope;
		scope->root = scope->parent->root;
	} else {
		scope->root = stage;
	}
}

/* ---- the global scope ---- */

/* OS, ARCH and VARIANT of a platform such as linux/arm/v7; `which` counts from 0. */
static const char *
platform_part(const void *ctx, const char *platform, unsigned which)
{
	for (; which > 0; which--) {
		platform = strchr(platform, '/');
		if (platform == NULL)
			return "";
		platform++;
	}
	return mem_dup(ctx, platform, strcspn(platform, "/"));
}

static const char *
builtin_value(struct sema *s, const char *name)
{
	const char *platform = HOST_PLATFORM, *what;

	if (strcmp(name, "TARGETSTAGE") == 0) {
		if (s->o->target != NULL)
			return s->o->target;
		what = s->u->stages[s->u->nstages - 1]->name;
		return what != NULL ? what : "default";
	}
	if (strncmp(name, "TARGET", 6) == 0 && s->o->platform != NULL && strchr(s->o->platform, ',') == NULL)
		platform = s->o->platform;
	what = name + (name[0] == 'T' ? 6 : 5);
	if (strcmp(what, "PLATFORM") == 0)
		return platform;
	if (strcmp(what, "OS") == 0)
		return platform_part(s->g, platform, 0);
	if (strcmp(what, "ARCH") == 0)
		return platform_part(s->g, platform, 1);
	return strcmp(what, "VARIANT") == 0 ? platform_part(s->g, platform, 2) : "";
}

static void
global_add(struct sema *s, struct global g)
{
	struct graph *graph = s->g;

	mem_room(graph, graph->globals, graph->nglobals + 1, &s->cap_globals);
	graph->globals[graph->nglobals++] = g;
}

static bool
global_arg(struct lower *l, const struct key_value *kv)
{
	struct sema *s = l->s;
	const char *name = kv->key.text.s, *now = build_arg(s, name);
	const struct value *value = NULL;
	struct binding *old = scope_own(&s->global, name);
	struct known known = { KNOWN_UNSET, NULL };
	const struct var *keep;
	struct global g = { .line = l->i->line_start };

	if (kv->has_value && now == NULL) {
		if ((value = lower_word(l, &kv->value.text, false)) == NULL)
			return false;
		now = value_now(l, value);
	} else if (kv->has_value) {
		struct diag *d = l->d;

		/* the default is never looked at, so it cannot be wrong */
		l->d = diag_new(NULL);
		value = lower_word(l, &kv->value.text, false);
		talloc_free(l->d);
		l->d = d;
		if (value == NULL)
			value = value_literal(s->g, now);
	}
	if (now != NULL)
		known = (struct known){ KNOWN_TEXT, now };
	else if (old != NULL)
		known = old->known;
	if (s->o->freeze)
		value = known.state == KNOWN_TEXT ? value_literal(s->g, known.text) : NULL;
	keep = old != NULL ? old->var : NULL;
	g.assign = (struct assign){
		.keep = keep,
		.var = scope_assign(s, &s->global, name, known),
		.value = value,
		.overridable = !s->o->freeze,
	};
	global_add(s, g);
	return true;
}

bool
globals_lower(struct sema *s)
{
	bool good = true;

	s->global.stage = -1;
	for (size_t k = 0; k < NBUILTINS; k++) {
		const char *value = build_arg(s, builtins[k]);

		if (value == NULL)
			value = builtin_value(s, builtins[k]);
		scope_assign(s, &s->global, builtins[k], (struct known){ KNOWN_TEXT, value });
	}
	for (size_t k = 0; k < s->u->nmeta_args; k++) {
		const struct inst *i = s->u->meta_args[k];
		struct item item = { .inst = i };
		struct lower l = {
			.s = s, .scope = &s->global, .item = &item, .i = i, .d = s->d, .escape = s->u->escape, .now = true,
		};

		for (size_t n = 0; n < i->nkvs; n++)
			good = global_arg(&l, &i->kvs[n]) && good;
	}
	return good;
}

/* Platform arguments that are read come first in the graph. */
void
globals_finish(struct sema *s)
{
	struct graph *g = s->g;
	struct global *old = g->globals;
	size_t n = g->nglobals;

	g->globals = NULL;
	g->nglobals = s->cap_globals = 0;
	for (size_t k = 0; k < NBUILTINS; k++) {
		struct binding *b = scope_own(&s->global, builtins[k]);
		const char *fixed = s->o->freeze ? build_arg(s, builtins[k]) : NULL;

		if (!b->read)
			continue;
		global_add(s, (struct global){
			.assign = {
				.var = b->var,
				.value = value_literal(g, fixed != NULL ? fixed : builtin_value(s, builtins[k])),
				.overridable = !s->o->freeze,
			},
			.builtin = true,
		});
	}
	for (size_t k = 0; k < n; k++)
		global_add(s, old[k]);
	talloc_free(old);
}

static void
structural(void *arg, const struct value_part *part)
{
	struct sema *s = arg;
	struct graph *g = s->g;

	for (size_t k = 0; part->var != NULL && k < g->nglobals; k++) {
		if (g->globals[k].assign.var != part->var || g->globals[k].structural)
			continue;
		g->globals[k].structural = true;
		value_vars(g->globals[k].assign.value, structural, s);
	}
}

void
globals_structural(struct sema *s, const struct value *v)
{
	value_vars(v, structural, s);
}

/* ---- ARG in a stage ---- */

/* What one NAME or NAME=DEFAULT means; NULL after a report. */
static struct assign *
stage_arg(struct lower *l, const struct key_value *kv)
{
	struct sema *s = l->s;
	const char *name = kv->key.text.s, *given = build_arg(s, name);
	struct binding *global = kv->has_value ? NULL : scope_own(&s->global, name);
	struct binding *before = scope_find(l->scope, name), *b;
	struct assign *a = mem_new(s->g, struct assign);
	struct known known = { KNOWN_NOT, NULL };
	bool base = before != NULL ? before->from_base : !kv->has_value && l->scope->root->base.kind == ORIGIN_IMAGE &&
		base_may_define(l->scope, name);
	bool surely = global != NULL && global->known.state == KNOWN_TEXT; /* no need for what the name meant before */

	if (kv->has_value && (!s->o->freeze || given == NULL)) {
		if ((a->value = lower_word(l, &kv->value.text, false)) == NULL)
			return NULL;
		before = scope_find(l->scope, name);
	}
	if (global != NULL) {
		global->read = true;
		a->fallback = global->var;
		base = base && !surely;
	}
	if (s->o->freeze) {
		if (given == NULL && global != NULL && global->known.state == KNOWN_TEXT)
			given = global->known.text;
		if (given != NULL)
			a->value = value_literal(s->g, given);
		a->fallback = NULL;
		if (given == NULL && a->value != NULL)
			given = value_now(l, a->value);
		if (given != NULL)
			known = (struct known){ KNOWN_TEXT, given };
		else if (a->value == NULL && before != NULL)
			known = before->known;
		else if (a->value == NULL && !base)
			known.state = KNOWN_UNSET;
	}
	a->overridable = !s->o->freeze;
	if (a->value == NULL && before != NULL && !surely) {
		a->keep = before->var;
	} else if (a->value == NULL && base) {
		b = scope_own(l->scope->root->scope, name);
		if (b == NULL)
			b = scope_add(s, l->scope->root->scope, name);
		b->from_base = true;
		a->keep = b->var;
	}
	a->var = scope_assign(s, l->scope, name, known);
	if (a->value == NULL)
		scope_own(l->scope, name)->from_base = base;
	return a;
}

bool
lower_arg(struct lower *l)
{
	struct assign **v = mem_array(l->s->g, struct assign *, l->i->nkvs);

	l->step->kind = STEP_ARG;
	l->step->assigns = v;
	for (size_t k = 0; k < l->i->nkvs; k++) {
		if ((v[k] = stage_arg(l, &l->i->kvs[k])) == NULL)
			return false;
		l->step->nassigns++;
	}
	return true;
}
