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

bool
graph_reads(struct graph *g, const struct var *var)
{
	return graph_reads_behind(g, var, NULL, 0);
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
