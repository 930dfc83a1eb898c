/* merge-run and merge-copy: neighbours continue one layer. */
#include "pass.h"

static unsigned
merge(struct graph *g, struct pass_log *log, enum step_kind kind, const char *pass, bool (*fits)(const struct step *, const struct step *))
{
	unsigned n = 0;

	for (size_t i = 0; i < g->nstages; i++) {
		struct gstage *s = g->stages[i];
		struct step *last = s->steps[0];

		for (size_t k = 1; s->live && k < s->nsteps; k++) {
			struct step *step = s->steps[k], *before = last;

			if (step->dead)
				continue;
			last = step;
			if (step->join || step->kind != kind || before->kind != kind || pass_boundary(g, s, k) || !fits(before, step))
				continue;
			step->join = true;
			pass_say(log, pass, step->line_start, step->line_end, "continues the layer of line %u: nothing looks between them",
			         (unsigned)before->line_start);
			n++;
		}
	}
	return n;
}

/* Stages and mounts look at the end of a stage only, so no RUN of it is looked at in the middle. */
static bool
any(const struct step *a, const struct step *b)
{
	return true;
}

unsigned
pass_merge_run(struct graph *g, struct pass_log *log)
{
	return merge(g, log, STEP_RUN, "merge-run", any);
}

/* --link asks for a layer that stands for itself. */
static bool
same_origin(const struct step *a, const struct step *b)
{
	const struct origin *x = &a->from, *y = &b->from;

	return !a->link && !b->link && x->kind == y->kind && x->stage == y->stage && value_same(x->image, y->image, -2, -2);
}

unsigned
pass_merge_copy(struct graph *g, struct pass_log *log)
{
	return merge(g, log, STEP_COPY, "merge-copy", same_origin);
}
