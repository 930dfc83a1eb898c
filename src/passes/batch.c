/* batch-config: neighbouring instructions that only change the config become one step. */
#include <string.h>

#include "../base/mem.h"
#include "pass.h"

/* What is joined so far; the variables that it assigns carry its number. */
struct batch {
	struct step *first;
	struct span *sources;
	size_t settings_cap, sources_cap;
	uint32_t number;
	bool clash;
};

static void
assigned(const struct batch *b, const struct step *s)
{
	for (size_t k = 0; k < s->nsettings; k++) {
		if (s->settings[k].assign != NULL)
			((struct var *)(uintptr_t)s->settings[k].assign->var)->mark = b->number;
	}
}

static void
clash_part(void *arg, const struct value_part *part)
{
	struct batch *b = arg;

	b->clash = b->clash || (part->var != NULL && part->var->mark == b->number);
}

static void
clash_slot(void *arg, const struct value **slot)
{
	value_vars(*slot, clash_part, arg);
}

/* The values of one step are worked out together, so what reads a variable that the first assigns must wait. */
static bool
independent(struct batch *b, struct step *next)
{
	b->clash = false;
	step_values(next, clash_slot, b);
	return !b->clash;
}

static void
absorb(struct batch *b, struct step *next)
{
	struct step *s = b->first;
	size_t settings = s->nsettings + next->nsettings, sources = s->nsources + next->nsources;

	if (b->sources == NULL) {
		/* room for itself first: what grows from here on is counted */
		b->settings_cap = s->nsettings;
		mem_room(s, b->sources, s->nsources, &b->sources_cap);
		memcpy(b->sources, s->sources, s->nsources * sizeof *b->sources);
	}
	mem_room(s, s->settings, settings, &b->settings_cap);
	mem_room(s, b->sources, sources, &b->sources_cap);
	memcpy(&s->settings[s->nsettings], next->settings, next->nsettings * sizeof *s->settings);
	memcpy(&b->sources[s->nsources], next->sources, next->nsources * sizeof *b->sources);
	s->nsettings = settings;
	s->sources = b->sources;
	s->nsources = sources;
	assigned(b, next);
	if (next->at.begin < s->at.begin)
		s->at.begin = next->at.begin;
	if (next->at.end > s->at.end)
		s->at.end = next->at.end;
	if (next->line_start < s->line_start)
		s->line_start = next->line_start;
	if (next->line_end > s->line_end)
		s->line_end = next->line_end;
	next->dead = true;
}

unsigned
pass_batch_config(struct graph *g, struct pass_log *log)
{
	uint32_t batches = 0;
	unsigned n = 0;

	graph_count_reads(g);
	for (size_t i = 0; i < g->nstages; i++) {
		struct gstage *s = g->stages[i];

		for (size_t k = 1; s->live && k < s->nsteps; k++) {
			struct step *first = s->steps[k];
			struct batch b = { .first = first, .number = ++batches };
			unsigned joined = 0;

			if (first->kind != STEP_SET || first->dead)
				continue;
			assigned(&b, first);
			for (; k + 1 < s->nsteps; k++) {
				struct step *next = s->steps[k + 1];

				if (next->dead)
					continue;
				if (next->kind != STEP_SET || !independent(&b, next))
					break;
				absorb(&b, next);
				joined++;
			}
			if (joined > 0)
				pass_say(log, "batch-config", first->line_start, first->line_end, "%u instructions become one call", joined + 1);
			n += joined;
		}
	}
	return n;
}
