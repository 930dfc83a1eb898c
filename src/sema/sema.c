/* unit -> graph: the graph pass, then every stage in file order.  spec/language.md, processing pipeline. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "../base/mem.h"
#include "lower.h"

struct span
lower_span(const struct lower *l, struct span at)
{
	return l->item != NULL && l->item->onbuild != NULL ? l->item->onbuild->at : at;
}

/* The reference has no better place for what is wrong with a trigger than the FROM that runs it. */
static void
place_trigger(struct lower *l, struct diag_item *item)
{
	const struct inst *from = l->stage->ast->from;

	item->where.source = l->s->g->source;
	item->where.at = from->at;
	item->line = from->line_start;
	if (item->note.text == NULL && l->item->image_trigger != NULL)
		diag_note(l->d, item, l->s->g->source, from->at, "in its ONBUILD %s", l->item->image_trigger);
	else if (item->note.text == NULL)
		diag_note(l->d, item, l->s->g->source, l->item->onbuild->at, "in this ONBUILD");
}

static bool
is_trigger(const struct lower *l)
{
	return l->item != NULL && l->item->onbuild != NULL;
}

void
lower_place(struct lower *l, size_t first)
{
	for (; first < l->d->n; first++) {
		if (is_trigger(l))
			place_trigger(l, &l->d->items[first]);
		else
			l->d->items[first].line = l->i->line_start;
	}
}

struct diag_item *
lower_error(struct lower *l, enum diag_id id, struct span at, const char *fmt, ...)
{
	struct diag_item *item;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	item = diag_add(l->d, id, l->s->g->source, is_trigger(l) ? l->stage->ast->from->at : at, "%s", text);
	talloc_free(text);
	if (is_trigger(l))
		place_trigger(l, item);
	else
		item->line = l->i->line_start;
	return item;
}

/* ---- stages ---- */

/* The last stage of a name has it as its id; the others get their number added. */
static void
stage_ids(struct sema *s)
{
	struct graph *g = s->g;
	struct map taken = { 0 };

	for (size_t k = s->nstages; k-- > 0;) {
		const char *name = s->stages[k].ast->name;

		if (name == NULL || map_get(&taken, name) != NULL)
			continue;
		g->stages[k]->id = mem_str(g->stages[k], name);
		map_put(s, &taken, name);
		map_put(s, &s->names, name)->number = k;
	}
	for (size_t k = 0; k < s->nstages; k++) {
		const char *name = s->stages[k].ast->name;
		char *id;

		if (g->stages[k]->id != NULL)
			continue;
		id = mem_printf(g->stages[k], "%s-%zu", name != NULL ? name : "stage", k);
		while (map_get(&taken, id) != NULL)
			id = mem_printf(g->stages[k], "%s-%zu", id, k);
		g->stages[k]->id = id;
		map_put(s, &taken, id);
	}
}

static void
stages_begin(struct sema *s)
{
	struct graph *g = s->g;

	s->nstages = s->u->nstages;
	s->stages = mem_array(s, struct stage_info, s->nstages);
	g->stages = mem_array(g, struct gstage *, s->nstages);
	g->nstages = s->nstages;
	for (size_t k = 0; k < s->nstages; k++) {
		const struct stage *ast = s->u->stages[k];
		struct gstage *stage = mem_new(g, struct gstage);

		stage->index = (unsigned)k;
		stage->name = ast->name;
		stage->at = ast->from->at;
		g->stages[k] = stage;
		s->stages[k] = (struct stage_info){ .ast = ast, .g = stage };
	}
	stage_ids(s);
}

static struct step *
step_new(struct sema *s, const struct inst *i)
{
	struct step *step = mem_new(s->g, struct step);
	struct span *source = mem_new(step, struct span);

	*source = i->at;
	*step = (struct step){
		.at = i->at, .line_start = i->line_start, .line_end = i->line_end, .sources = source, .nsources = 1, .unpack = -1,
	};
	return step;
}

bool
lower_inst(struct lower *l)
{
	switch (l->i->kind) {
	case INST_ARG:
		return lower_arg(l);
	case INST_RUN:
		return lower_run(l);
	case INST_COPY:
	case INST_ADD:
		return lower_copy(l);
	default:
		return lower_config(l);
	}
}

static void
stage_lower(struct sema *s, struct stage_info *stage)
{
	struct gstage *g = stage->g;
	struct diag *nowhere = g->live || s->o->all_stages ? NULL : diag_new(NULL);

	scope_begin(s, stage);
	g->steps = mem_array(g, struct step *, stage->nitems + 1);
	g->steps[g->nsteps] = step_new(s, stage->ast->from);
	g->steps[g->nsteps]->base = stage->base;
	g->steps[g->nsteps]->triggers = stage->triggers;
	g->steps[g->nsteps++]->ntriggers = stage->ntriggers;
	for (size_t k = 0; k < stage->nitems && !stage->replaced; k++) {
		const struct item *item = &stage->items[k];
		struct lower l = {
			.s = s, .stage = stage, .scope = stage->scope, .item = item, .i = item->inst,
			.d = nowhere != NULL ? nowhere : s->d, .escape = item->onbuild != NULL ? '\\' : s->u->escape,
			.step = step_new(s, item->onbuild != NULL ? item->onbuild : item->inst),
		};

		l.step->trigger = item->image_trigger;
		if (lower_inst(&l))
			g->steps[g->nsteps++] = l.step;
	}
	talloc_free(nowhere);
}

static struct graph *
graph_new(const void *ctx, const struct unit *u, const struct sema_options *o)
{
	struct graph *g = mem_new(ctx, struct graph);

	g->source = u->source;
	g->platform = o->platform;
	g->build_args = o->build_args;
	g->nbuild_args = o->nbuild_args;
	g->contexts = o->contexts;
	g->ncontexts = o->ncontexts;
	g->escape = u->escape;
	return g;
}

static void
reach(struct sema *s, enum sema_phase phase)
{
	if (s->o->reached != NULL)
		*s->o->reached = phase;
}

/* Each phase of the reference ends the build at its first error. */
static bool
graph_pass(struct sema *s)
{
	reach(s, SEMA_FROM);
	if (!globals_lower(s) || !names_from(s))
		return false;
	reach(s, SEMA_NAMES);
	if (!names_target(s))
		return false;
	for (size_t k = 0; k < s->nstages; k++)
		onbuild_items(s, &s->stages[k]);
	return names_edges(s) && names_cycles(s) && names_images(s);
}

struct graph *
sema_build(const void *ctx, const struct unit *u, const struct sema_options *o, struct diag *d)
{
	struct graph *g = graph_new(ctx, u, o);
	struct sema *s = mem_new(NULL, struct sema);
	unsigned errors = d->errors;

	s->u = u;
	s->o = o;
	s->g = g;
	s->d = d;
	stages_begin(s);
	if (graph_pass(s)) {
		reach(s, SEMA_STEPS);
		for (size_t k = 0; k < s->nstages; k++)
			stage_lower(s, &s->stages[k]);
		globals_finish(s);
		for (size_t k = 0; k < s->nstages; k++)
			globals_structural(s, s->stages[k].structural);
	}
	talloc_free(s);
	if (d->errors == errors)
		return g;
	talloc_free(g);
	return NULL;
}
