/* batch-config: neighbouring instructions that only change the config become one step. */
#include "../base/mem.h"
#include "pass.h"

struct clash {
	const struct step *first;
	bool found;
};

static void
clash_part(void *arg, const struct value_part *part)
{
	struct clash *c = arg;

	for (size_t k = 0; k < c->first->nsettings; k++) {
		const struct assign *a = c->first->settings[k].assign;

		c->found = c->found || (a != NULL && a->var == part->var);
	}
}

static void
clash_slot(void *arg, const struct value **slot)
{
	value_vars(*slot, clash_part, arg);
}

/* The values of one step are worked out together, so what reads a variable that the first assigns must wait. */
static bool
independent(const struct step *first, struct step *next)
{
	struct clash c = { .first = first };

	step_values(next, clash_slot, &c);
	return !c.found;
}

static void
absorb(struct step *s, struct step *next)
{
	size_t n = s->nsettings + next->nsettings, sources = s->nsources + next->nsources;
	struct span *spans = mem_array(s, struct span, sources);

	s->settings = talloc_realloc(s, s->settings, struct setting, (unsigned)n);
	for (size_t k = 0; k < next->nsettings; k++)
		s->settings[s->nsettings + k] = next->settings[k];
	s->nsettings = n;
	for (size_t k = 0; k < sources; k++)
		spans[k] = k < s->nsources ? s->sources[k] : next->sources[k - s->nsources];
	s->sources = spans;
	s->nsources = sources;
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
	unsigned n = 0;

	for (size_t i = 0; i < g->nstages; i++) {
		struct gstage *s = g->stages[i];

		for (size_t k = 1; s->live && k < s->nsteps; k++) {
			struct step *first = s->steps[k];
			unsigned joined = 0;

			if (first->kind != STEP_SET || first->dead)
				continue;
			for (; k + 1 < s->nsteps; k++) {
				struct step *next = s->steps[k + 1];

				if (next->dead)
					continue;
				if (next->kind != STEP_SET || !independent(first, next))
					break;
				absorb(first, next);
				joined++;
			}
			if (joined > 0)
				pass_say(log, "batch-config", first->line_start, first->line_end, "%u instructions become one call", joined + 1);
			n += joined;
		}
	}
	return n;
}
