/* Which stages and variables matter. */
#include "../base/mem.h"
#include "walk.h"

struct todo {
	struct gstage **v;
	size_t n, cap;
};

static void
want(struct todo *t, struct gstage *s)
{
	if (s == NULL || s->live)
		return;
	s->live = true;
	mem_room(t, t->v, t->n + 1, &t->cap);
	t->v[t->n++] = s;
}

void
graph_reach(struct graph *g)
{
	struct todo *t = mem_new(NULL, struct todo);

	for (size_t i = 0; i < g->nstages; i++)
		g->stages[i]->live = false;
	want(t, g->target);
	while (t->n > 0) {
		struct gstage *s = t->v[--t->n];

		for (size_t k = 0; k < s->nsteps; k++) {
			want(t, s->steps[k]->base.stage);
			want(t, s->steps[k]->from.stage);
			for (size_t m = 0; m < s->steps[k]->nmounts; m++)
				want(t, s->steps[k]->mounts[m].from.stage);
		}
	}
	talloc_free(t);
}

struct reader {
	const struct var *var;
	bool found;
};

static void
read_part(void *arg, const struct value_part *part)
{
	struct reader *r = arg;

	r->found = r->found || part->var == r->var;
}

static void
read_slot(void *arg, const struct value **slot)
{
	value_vars(*slot, read_part, arg);
}

static void
read_assign(struct reader *r, const struct assign *a)
{
	r->found = r->found || a->fallback == r->var || (a->keep == r->var && a->keep != a->var);
}

/* The variables are the graph's own; what is counted in them is nobody's business but that of passes. */
static void
count(const struct var *var, int how_often)
{
	struct var *v = (struct var *)(uintptr_t)var;

	if (v == NULL)
		return;
	v->reads = how_often == 0 ? 0 : v->reads + (uint32_t)how_often;
	v->mark = how_often == 0 ? 0 : v->mark;
}

static void
count_part(void *arg, const struct value_part *part)
{
	count(part->var, *(int *)arg);
}

static void
count_slot(void *arg, const struct value **slot)
{
	value_vars(*slot, count_part, arg);
}

void
value_count_reads(const struct value *v, int how_often)
{
	value_vars(v, count_part, &how_often);
}

void
step_count_reads(struct step *s, int how_often)
{
	step_values(s, count_slot, &how_often);
	for (size_t k = 0; k < s->nassigns; k++) {
		const struct assign *a = s->assigns[k];

		count(a->fallback, how_often);
		if (a->keep != a->var)
			count(a->keep, how_often);
		if (how_often == 0)
			count(a->var, 0);
	}
	for (size_t k = 0; k < s->nsettings && how_often == 0; k++) {
		if (s->settings[k].assign != NULL)
			count(s->settings[k].assign->var, 0);
	}
}

void
graph_count_reads(struct graph *g)
{
	for (int how_often = 0; how_often < 2; how_often++) {
		for (size_t k = 0; k < g->nglobals; k++) {
			if (how_often == 0)
				count(g->globals[k].assign.var, 0);
			if (how_often == 0 || !g->globals[k].dead)
				value_count_reads(g->globals[k].assign.value, how_often);
		}
		for (size_t i = 0; i < g->nstages; i++) {
			struct gstage *s = g->stages[i];

			for (size_t k = 0; k < s->nsteps; k++) {
				if (how_often == 0 || (s->live && !s->steps[k]->dead))
					step_count_reads(s->steps[k], how_often);
			}
		}
	}
}

bool
graph_reads_behind(struct graph *g, const struct var *var, const struct gstage *stage, size_t first)
{
	struct reader r = { .var = var };

	for (size_t i = 0; i < g->nglobals; i++) {
		if (!g->globals[i].dead)
			value_vars(g->globals[i].assign.value, read_part, &r);
	}
	for (size_t i = 0; i < g->nstages && !r.found; i++) {
		struct gstage *s = g->stages[i];

		for (size_t k = s == stage ? first : 0; s->live && k < s->nsteps; k++) {
			if (s->steps[k]->dead)
				continue;
			step_values(s->steps[k], read_slot, &r);
			for (size_t a = 0; a < s->steps[k]->nassigns; a++)
				read_assign(&r, s->steps[k]->assigns[a]);
		}
	}
	return r.found;
}
