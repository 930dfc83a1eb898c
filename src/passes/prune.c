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

/* The first RUN that sees what stands before steps[from] of `s`: in the stage or in one built on it. */
static const struct step *
run_after(const struct graph *g, const struct gstage *s, size_t from)
{
	const struct step *run = NULL;

	for (size_t k = from; k < s->nsteps; k++) {
		if (s->steps[k]->kind == STEP_RUN && !s->steps[k]->dead)
			return s->steps[k];
	}
	for (size_t i = s->index + 1; i < g->nstages && run == NULL; i++) {
		if (g->stages[i]->live && g->stages[i]->steps[0]->base.stage == s)
			run = run_after(g, g->stages[i], 1);
	}
	return run;
}

/* The working out of a default that may fail is part of the build; it is kept. */
static bool
arg_unused(struct graph *g, const struct step *s)
{
	for (size_t k = 0; k < s->nassigns; k++) {
		if (value_may_fail(s->assigns[k]->value) || graph_reads(g, s->assigns[k]->var))
			return false;
	}
	return true;
}

static unsigned
prune_stage(struct graph *g, struct gstage *s, struct pass_log *log)
{
	unsigned n = 0;

	for (size_t k = s->nsteps; k-- > 1;) {
		struct step *step = s->steps[k];
		const struct step *run;

		if (step->kind != STEP_ARG || step->dead || !arg_unused(g, step))
			continue;
		run = run_after(g, s, k + 1);
		if (run != NULL) {
			pass_say(log, "prune-args", step->line_start, step->line_end,
			         "the ARG is kept: nothing expands it, but the RUN of line %u has it in its environment", (unsigned)run->line_start);
			continue;
		}
		step->dead = true;
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
	unsigned n = 0;

	for (size_t i = g->nstages; i-- > 0;) {
		if (g->stages[i]->live)
			n += prune_stage(g, g->stages[i], log);
	}
	for (size_t k = g->nglobals; k-- > 0;) {
		struct global *global = &g->globals[k];

		if (global->dead || global->structural || value_may_fail(global->assign.value))
			continue;
		global->dead = true;
		if (graph_reads(g, global->assign.var)) {
			global->dead = false;
			continue;
		}
		if (global->line > 0)
			pass_say(log, "prune-args", global->line, global->line, "the global ARG %s is dropped: nothing reads it",
			         global->assign.var->name);
		n++;
	}
	return n;
}
