/* prune-stages and prune-args. */
#include "../base/mem.h"
#include "pass.h"

unsigned
pass_prune_stages(struct graph *g, struct pass_log *log)
{
	unsigned n = 0;

	graph_reach(g);
	for (size_t i = 0; i < g->nstages; i++) {
		struct gstage *s = g->stages[i];
		uint32_t last = s->steps[s->nsteps - 1]->line_end;

		if (s->live)
			continue;
		for (size_t k = 0; k < s->nsteps; k++)
			s->steps[k]->dead = true;
		pass_say(log, "prune-stages", s->steps[0]->line_start, last, "stage %s is dropped; %s does not need it", s->id, g->target->id);
		n++;
	}
	return n;
}

/* Of every stage the first RUN that comes behind its end, in the stages built on it; owned by `ctx`. */
static const struct step **
runs_behind(const void *ctx, const struct graph *g)
{
	const struct step **behind = mem_array(ctx, const struct step *, g->nstages);

	for (size_t i = g->nstages; i-- > 0;) {
		const struct gstage *s = g->stages[i], *below = s->steps[0]->base.stage;
		const struct step *run = behind[i];

		for (size_t k = s->nsteps; k-- > 1;) {
			if (s->steps[k]->kind == STEP_RUN && !s->steps[k]->dead)
				run = s->steps[k];
		}
		if (s->live && below != NULL && run != NULL)
			behind[below->index] = run;
	}
	return behind;
}

/* The working out of a default that may fail is part of the build; it is kept. */
static bool
arg_unused(const struct step *s)
{
	for (size_t k = 0; k < s->nassigns; k++) {
		if (value_may_fail(s->assigns[k]->value) || s->assigns[k]->var->reads > 0)
			return false;
	}
	return true;
}

/* `run` is the first RUN behind the stage, NULL: none. */
static unsigned
prune_stage(struct gstage *s, const struct step *run, struct pass_log *log)
{
	unsigned n = 0;

	for (size_t k = s->nsteps; k-- > 1;) {
		struct step *step = s->steps[k];

		if (step->dead)
			continue;
		if (step->kind == STEP_RUN)
			run = step;
		if (step->kind != STEP_ARG || !arg_unused(step))
			continue;
		if (run != NULL) {
			pass_say(log, "prune-args", step->line_start, step->line_end,
			         "the ARG is kept: nothing expands it, but the RUN of line %u has it in its environment", (unsigned)run->line_start);
			continue;
		}
		step->dead = true;
		step_count_reads(step, -1);
		pass_say(log, "prune-args", step->line_start, step->line_end,
		         "the ARG is dropped, and its line in the history: nothing reads it");
		n++;
	}
	return n;
}

/* Readers stand behind what they read, so going backwards needs no second round.  A RUN's entry in the
   history lists the ARGs it saw; those are kept. */
unsigned
pass_prune_args(struct graph *g, struct pass_log *log)
{
	const struct step **behind = runs_behind(NULL, g);
	unsigned n = 0;

	graph_count_reads(g);
	for (size_t i = g->nstages; i-- > 0;) {
		if (g->stages[i]->live)
			n += prune_stage(g->stages[i], behind[i], log);
	}
	talloc_free(behind);
	for (size_t k = g->nglobals; k-- > 0;) {
		struct global *global = &g->globals[k];

		if (global->dead || global->structural || value_may_fail(global->assign.value))
			continue;
		value_count_reads(global->assign.value, -1);
		global->dead = global->assign.var->reads == 0;
		if (!global->dead) {
			value_count_reads(global->assign.value, 1);
			continue;
		}
		if (global->line > 0)
			pass_say(log, "prune-args", global->line, global->line, "the global ARG %s is dropped: nothing reads it",
			         global->assign.var->name);
		n++;
	}
	return n;
}
