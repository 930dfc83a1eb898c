/* Which part of a plan is wanted: up to a step (--until-step), and what has to run although it is there (--from-step). */
#include <string.h>

#include "build.h"

/* The step called `id`; NULL with `e`. */
static struct plan_step *
find_step(struct build *b, const char *option, const char *id, struct rt_err *e)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t k = 0; k < b->plan.stages[i].nsteps; k++)
			if (strcmp(b->plan.stages[i].steps[k].id, id) == 0)
				return &b->plan.stages[i].steps[k];
	rt_fail_status(e, RT_USAGE, "%s: there is no step %s; --list shows them", option, id);
	return NULL;
}

int
goal_cut(struct build *b, struct build_options *o, struct rt_err *e)
{
	struct plan_step *s;

	if (o->until_step == NULL)
		return 0;
	if ((s = find_step(b, "--until-step", o->until_step, e)) == NULL)
		return -1;
	s->stage->nsteps = (size_t)(s - s->stage->steps) + 1;
	o->target = s->stage->id;
	return 0;
}

static void
run_again(struct stage_build *sb, size_t from_unit)
{
	for (size_t u = from_unit; u < sb->nunits; u++) {
		sb->units[u].again = true;
		sb->units[u].cached = false;
	}
}

/* Whether a stage has something that runs again. */
static bool
changes(const struct stage_build *sb)
{
	return sb != NULL && sb->nunits > 0 && sb->units[sb->nunits - 1].again;
}

static bool
reads_changed(const struct build *b, const struct plan_step *s)
{
	if (s->origin == FROM_STAGE && changes(build_stage(b, s->from)))
		return true;
	for (size_t m = 0; m < s->nmounts; m++)
		if (s->mounts[m].origin == FROM_STAGE && changes(build_stage(b, s->mounts[m].from)))
			return true;
	return false;
}

/* Stages come behind those they use. */
static void
spread(struct build *b)
{
	for (size_t i = 0; i < b->plan.nstages; i++) {
		struct stage_build *sb = &b->stages[i];

		if (changes(sb->base))
			run_again(sb, 0);
		for (size_t u = 0; u < sb->nunits; u++)
			for (size_t k = sb->units[u].first; !sb->units[u].again && k < sb->units[u].end; k++)
				if (reads_changed(b, &sb->plan->steps[k]))
					run_again(sb, u);
	}
}

int
goal_again(struct build *b, struct rt_err *e)
{
	const struct plan_step *s;
	struct stage_build *sb;
	size_t u = 0, index;

	if (b->o->from_step == NULL)
		return 0;
	if ((s = find_step(b, "--from-step", b->o->from_step, e)) == NULL)
		return -1;
	sb = &b->stages[s->stage->index];
	index = (size_t)(s - s->stage->steps);
	/* a layer that several steps share runs whole */
	while (u < sb->nunits && sb->units[u].end <= index)
		u++;
	run_again(sb, u);
	spread(b);
	return 0;
}
