/* share-prefix: a stage that begins with the same steps as an earlier one starts from what that one made. */
#include <string.h>

#include "../base/mem.h"
#include "pass.h"

struct pair {
	int a, b; /* the stages whose variables stand for each other */
};

static bool
text_same(const char *x, const char *y)
{
	return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

static bool
origin_same(const struct origin *x, const struct origin *y, struct pair p)
{
	return x->kind == y->kind && x->stage == y->stage && value_same(x->image, y->image, p.a, p.b) &&
	       value_same(x->platform, y->platform, p.a, p.b);
}

static bool
var_same(const struct var *x, const struct var *y, struct pair p)
{
	if (x == NULL || y == NULL || x == y)
		return x == y;
	return x->stage == p.a && y->stage == p.b && strcmp(x->name, y->name) == 0;
}

static bool
assign_same(const struct assign *x, const struct assign *y, struct pair p)
{
	if (x == NULL || y == NULL)
		return x == y;
	return x->overridable == y->overridable && x->fallback == y->fallback && var_same(x->var, y->var, p) &&
	       var_same(x->keep, y->keep, p) && value_same(x->value, y->value, p.a, p.b);
}

static bool
mount_same(const struct mount *x, const struct mount *y, struct pair p)
{
	return x->kind == y->kind && x->required == y->required && x->readonly == y->readonly && x->readwrite == y->readwrite &&
	       text_same(x->sharing, y->sharing) && origin_same(&x->from, &y->from, p) && value_same(x->target, y->target, p.a, p.b) &&
	       value_same(x->source, y->source, p.a, p.b) && value_same(x->id, y->id, p.a, p.b) && value_same(x->env, y->env, p.a, p.b) &&
	       value_same(x->mode, y->mode, p.a, p.b) && value_same(x->uid, y->uid, p.a, p.b) && value_same(x->gid, y->gid, p.a, p.b) &&
	       value_same(x->size, y->size, p.a, p.b);
}

static bool
run_same(const struct step *x, const struct step *y, struct pair p)
{
	if (x->exec_form != y->exec_form || x->argc != y->argc || x->nmounts != y->nmounts || x->join != y->join ||
	    !text_same(x->script_name, y->script_name) || !text_same(x->network, y->network) || !text_same(x->security, y->security))
		return false;
	for (size_t k = 0; k < x->argc; k++) {
		if (strcmp(x->argv[k], y->argv[k]) != 0)
			return false;
	}
	for (size_t k = 0; k < x->nmounts; k++) {
		if (!mount_same(&x->mounts[k], &y->mounts[k], p))
			return false;
	}
	return true;
}

static bool
copy_same(const struct step *x, const struct step *y, struct pair p)
{
	if (x->npaths != y->npaths || x->nexcludes != y->nexcludes || x->nfiles != y->nfiles || x->link != y->link ||
	    x->parents != y->parents || x->keep_git_dir != y->keep_git_dir || x->unpack != y->unpack || x->join != y->join ||
	    !origin_same(&x->from, &y->from, p) || !value_same(x->chown, y->chown, p.a, p.b) ||
	    !value_same(x->chmod, y->chmod, p.a, p.b) || !value_same(x->checksum, y->checksum, p.a, p.b))
		return false;
	for (size_t k = 0; k < x->npaths; k++) {
		if (!value_same(x->paths[k], y->paths[k], p.a, p.b))
			return false;
	}
	for (size_t k = 0; k < x->nexcludes; k++) {
		if (strcmp(x->excludes[k], y->excludes[k]) != 0)
			return false;
	}
	for (size_t k = 0; k < x->nfiles; k++) {
		if (strcmp(x->files[k].name, y->files[k].name) != 0 || !value_same(x->files[k].content, y->files[k].content, p.a, p.b))
			return false;
	}
	return true;
}

static bool
settings_same(const struct step *x, const struct step *y, struct pair p)
{
	if (x->nsettings != y->nsettings || x->nassigns != y->nassigns)
		return false;
	for (size_t k = 0; k < x->nassigns; k++) {
		if (!assign_same(x->assigns[k], y->assigns[k], p))
			return false;
	}
	for (size_t k = 0; k < x->nsettings; k++) {
		const struct setting *s = &x->settings[k], *t = &y->settings[k];

		if (strcmp(s->name, t->name) != 0 || s->same != t->same || !value_same(s->value, t->value, p.a, p.b) ||
		    !assign_same(s->assign, t->assign, p))
			return false;
	}
	return true;
}

static bool
step_same(const struct step *x, const struct step *y, struct pair p)
{
	return x->kind == y->kind && x->dead == y->dead && origin_same(&x->base, &y->base, p) && settings_same(x, y, p) &&
	       copy_same(x, y, p) && run_same(x, y, p);
}

static bool
makes_layer(const struct step *s)
{
	return !s->dead && s->kind >= STEP_WORKDIR;
}

/* Whether anything behind steps[k] of `s`, or a stage built on it, reads a variable that the step assigns:
   the shared steps assign the variables of the other stage. */
static bool
needed_later(struct graph *g, struct gstage *s, size_t k, size_t end)
{
	const struct step *step = s->steps[k];
	bool needed = false;

	for (size_t n = 0; n < step->nassigns; n++)
		needed = needed || graph_reads_behind(g, step->assigns[n]->var, s, end);
	for (size_t n = 0; n < step->nsettings; n++)
		needed = needed || (step->settings[n].assign != NULL && graph_reads_behind(g, step->settings[n].assign->var, s, end));
	return needed;
}

/* How many steps of `s` can be taken from `other`; 0 when it is not worth it. */
static size_t
shared(struct graph *g, const struct gstage *other, struct gstage *s)
{
	struct pair p = { (int)other->index, (int)s->index };
	size_t n = 0, worth = 0;

	while (n < other->nsteps && n < s->nsteps && step_same(other->steps[n], s->steps[n], p))
		n++;
	for (size_t k = 0; k < n; k++) {
		if (needed_later(g, s, k, n))
			n = k;
	}
	for (size_t k = 0; k < n; k++) {
		if (makes_layer(s->steps[k]))
			worth = k + 1;
	}
	return worth > 0 ? n : 0;
}

static uint32_t
mix(uint32_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = h * 33 ^ (unsigned char)*text;
	return h * 33;
}

/* Equal for stages whose first two steps are the same; sharing less is not worth it.  Spares most comparisons of a file
   with many stages. */
static uint32_t
beginning(const struct gstage *s)
{
	const struct step *first = s->steps[0], *next = s->nsteps > 1 ? s->steps[1] : NULL;
	uint32_t h = (uint32_t)first->base.kind;

	if (next == NULL)
		return h;
	if (first->base.stage != NULL)
		h = h * 33 ^ first->base.stage->index;
	if (first->base.image != NULL && value_is_static(first->base.image))
		h = mix(h, value_text(first->base.image));
	h = (h * 33 ^ (uint32_t)next->kind) * 33 ^ (uint32_t)next->npaths;
	for (size_t k = 0; k < next->argc; k++)
		h = mix(h, next->argv[k]);
	for (size_t k = 0; k < next->npaths; k++)
		h = value_is_static(next->paths[k]) ? mix(h, value_text(next->paths[k])) : h;
	return h;
}

unsigned
pass_share_prefix(struct graph *g, struct pass_log *log)
{
	uint32_t *begins = mem_array(NULL, uint32_t, g->nstages);
	unsigned changes = 0;

	for (size_t i = 0; i < g->nstages; i++)
		begins[i] = beginning(g->stages[i]);
	for (size_t i = 1; i < g->nstages; i++) {
		struct gstage *s = g->stages[i];

		for (size_t k = 0; s->live && s->nbase_vars == 0 && k < i; k++) {
			size_t n = begins[k] == begins[i] && g->stages[k]->live ? shared(g, g->stages[k], s) : 0;

			if (n <= s->nshared)
				continue;
			s->shares = g->stages[k];
			s->nshared = n;
		}
		if (s->shares == NULL)
			continue;
		pass_say(log, "share-prefix", s->steps[0]->line_start, s->steps[s->nshared - 1]->line_end,
		         "the same steps as those from line %u on; stage %s takes what stage %s made", (unsigned)s->shares->steps[0]->line_start,
		         s->id, s->shares->id);
		changes++;
	}
	talloc_free(begins);
	return changes;
}
