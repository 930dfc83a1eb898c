/* Variables as the reference knows them when it checks: spec/language.md 4.  Of a base image only PATH is assumed. */
#include <string.h>

#include "../base/mem.h"
#include "../front/parse.h"
#include "../sema/sema.h"
#include "../graph/graph.h"
#include "walk.h"

enum { HELD_LIMIT = 64 << 20 };

#define BASE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *
env_value(const struct env *e, const char *name, bool *declared)
{
	const char *value = NULL;

	*declared = false;
	for (; e != NULL && value == NULL; e = e->parent) {
		const struct map_slot *slot = map_get(&e->vars, name);

		*declared = *declared || slot != NULL;
		value = slot != NULL ? slot->value : NULL;
	}
	return value;
}

void
env_set(struct check *c, struct env *e, const char *name, const char *value)
{
	struct map_slot *slot = map_put(c->d, &e->vars, name);

	if (value == NULL)
		return;
	/* the compiler refuses what grows without end; here it is empty from there on */
	c->held += strlen(value);
	slot->value = c->held <= HELD_LIMIT ? mem_str(c->d, value) : "";
}

struct expansion {
	struct check *c;
	const struct env *env;
	enum diag_id id;
	const struct inst *inst;
};

static const char *
lookup(void *arg, const char *name)
{
	struct expansion *x = arg;
	bool declared;

	return env_value(x->env, name, &declared);
}

/* The known name that `name` may have been meant to be. */
static const char *
similar(struct expansion *x, const char *name)
{
	const char *names[256];
	size_t n = 0;

	for (const struct env *e = x->env; e != NULL; e = e->parent) {
		for (size_t k = 0; k < e->vars.cap && n < 256; k++) {
			if (e->vars.v[k].key != NULL)
				names[n++] = e->vars.v[k].key;
		}
	}
	return diag_nearest(name, names, n);
}

static const struct env *
root(const struct env *e)
{
	while (e->parent != NULL)
		e = e->parent;
	return e;
}

static void
report(void *arg, const struct word_part *var)
{
	struct expansion *x = arg;
	struct diag_item *item;
	const char *near;
	bool declared;

	if (env_value(x->env, var->text, &declared) != NULL || declared || strcmp(var->text, "BUILDKIT_SBOM_SCAN_CONTEXT") == 0 ||
	    strcmp(var->text, "BUILDKIT_SBOM_SCAN_STAGE") == 0)
		return;
	item = check_report(x->c, x->id, x->inst, var->at, x->id == DIAG_UNDEFINED_VAR
		? "nothing in this file sets $%s before here" : "$%s is no ARG above the first FROM", var->text);
	if ((near = similar(x, var->text)) != NULL)
		diag_fix(x->c->d, item, NULL, "$%s", near);
	else if (root(x->env)->image)
		diag_note(x->c->d, item, NULL, var->at, "the base image may set it; nothing is fetched to find out");
}

const char *
env_expand(struct check *c, const struct env *e, const struct text *t, bool raw, enum diag_id id, const struct inst *i)
{
	struct expansion x = { .c = c, .env = e, .id = id, .inst = i };
	struct diag *nowhere;
	struct word_tree *tree;

	if (memchr(t->s, '$', t->len) == NULL && strpbrk(t->s, "\\`'\"") == NULL)
		return t->s;
	nowhere = diag_new(c->scratch);
	tree = word_parse(c->scratch, c->u->source, t, raw || c->trigger != NULL ? '\\' : c->u->escape,
	                  raw ? WORD_MODE_RAW : WORD_MODE_NORMAL, nowhere);
	if (tree == NULL)
		return NULL;
	if (i != NULL)
		word_names(tree, report, &x);
	return word_eval(c->scratch, tree, lookup, &x, c->u->source, nowhere);
}

const char *
env_expand_flag(struct check *c, const struct env *e, const struct flag *f, enum diag_id id, const struct inst *i)
{
	struct piece map = { 0, f->value_at.begin };
	struct text t = { .s = f->value, .len = strlen(f->value), .at = f->value_at, .map = &map, .npieces = 1 };

	return env_expand(c, e, &t, false, id, i);
}

const char *
env_given(const struct check *c, const char *name)
{
	const struct sema_options *o = c->o->sema;

	for (size_t k = o->nbuild_args; k-- > 0;) {
		if (strcmp(o->build_args[k].name, name) == 0)
			return o->build_args[k].value;
	}
	return NULL;
}

/* TARGETOS and the rest for both sides; a part that the platform does not name is empty. */
static void
platform_args(struct check *c, struct env *e, const char *side, const char *platform)
{
	static const char *const parts[] = { "OS", "ARCH", "VARIANT" };

	env_set(c, e, mem_printf(c->scratch, "%sPLATFORM", side), platform);
	env_set(c, e, mem_printf(c->scratch, "%sOSVERSION", side), "");
	for (size_t k = 0; k < 3; k++) {
		size_t n = strcspn(platform, "/");

		env_set(c, e, mem_printf(c->scratch, "%s%s", side, parts[k]), mem_dup(c->scratch, platform, n));
		platform += n + (platform[n] == '/');
	}
}

bool
env_globals(struct check *c, struct env *e, bool defaults)
{
	const struct unit *u = c->u;
	const char *target = u->nstages > 0 ? u->stages[u->nstages - 1]->name : NULL;

	platform_args(c, e, "BUILD", "linux/amd64");
	platform_args(c, e, "TARGET", c->o->sema->platform != NULL ? c->o->sema->platform : "linux/amd64");
	env_set(c, e, "TARGETSTAGE", target != NULL ? target : "default");
	for (size_t k = 0; k < u->nmeta_args; k++) {
		for (size_t n = 0; n < u->meta_args[k]->nkvs; n++) {
			const struct key_value *kv = &u->meta_args[k]->kvs[n];
			const char *value = defaults ? NULL : env_given(c, kv->key.text.s);

			if (value == NULL && kv->has_value && (value = env_expand(c, e, &kv->value.text, false, DIAG_COUNT, NULL)) == NULL)
				return false;
			env_set(c, e, kv->key.text.s, value);
		}
	}
	return true;
}
