/* The graph pass: FROM words, stages, named contexts, the target, circles.  spec/language.md 5. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "lower.h"

enum { LITTLE_NAME = 200 };

static struct lower
from_lower(struct sema *s, struct stage_info *stage, const struct item *item)
{
	return (struct lower){
		.s = s, .stage = stage, .scope = &s->global, .item = item, .i = stage->ast->from, .d = s->d, .escape = s->u->escape,
		.now = true,
	};
}

/* The named context that goes by `name`, compared as buildx does. */
static const char *
context_find(const struct sema *s, const char *name)
{
	const char *found = NULL;
	void *tmp = talloc_new(NULL);

	name = reference_familiar(tmp, name);
	for (size_t k = 0; k < s->o->ncontexts && found == NULL; k++) {
		if (strcmp(reference_familiar(tmp, s->o->contexts[k].name), name) == 0)
			found = s->o->contexts[k].name;
	}
	talloc_free(tmp);
	return found;
}

/* The last stage of the file that is called `name` in any case. */
static struct stage_info *
stage_find(struct sema *s, const char *name)
{
	char *lower = mem_str(NULL, name);
	const struct map_slot *slot;

	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	slot = map_get(&s->names, lower);
	talloc_free(lower);
	return slot != NULL ? &s->stages[slot->number] : NULL;
}

static const char *
stage_near(struct sema *s, const char *name)
{
	const char **names = mem_array(NULL, const char *, s->nstages), *near;

	for (size_t k = 0; k < s->nstages; k++)
		names[k] = s->stages[k].ast->name;
	near = diag_nearest(name, names, s->nstages);
	talloc_free(names);
	return near;
}

/* What FROM takes: an earlier stage, a named context, nothing, or an image. */
static void
from_resolve(struct sema *s, struct stage_info *stage, const struct value *word)
{
	const char *now = stage->base_now, *context;
	struct origin *o = &stage->base;

	context = stage->ast->name != NULL ? context_find(s, stage->ast->name) : NULL;
	if (context != NULL) {
		stage->replaced = true;
		o->kind = ORIGIN_IMAGE;
		o->image = value_literal(s->g, context);
		return;
	}
	for (size_t k = stage->ast->index; k-- > 0;) {
		if (s->stages[k].ast->name != NULL && strcmp(s->stages[k].ast->name, now) == 0) {
			o->kind = ORIGIN_STAGE;
			o->stage = s->stages[k].g;
			stage->structural = word;
			return;
		}
	}
	o->kind = ORIGIN_IMAGE;
	o->image = word;
	if ((context = context_find(s, now)) != NULL) {
		o->image = value_literal(s->g, context);
		stage->structural = word;
	} else if (strcmp(now, "scratch") == 0) {
		o->kind = ORIGIN_SCRATCH;
		o->image = NULL;
		stage->structural = word;
	}
}

static bool
from_platform(struct lower *l)
{
	const struct stage *ast = l->stage->ast;
	const struct flag *f = inst_flag(l->i, "platform");
	const struct value *v;
	const char *now;

	if (ast->platform == NULL || f == NULL)
		return true;
	if ((v = lower_flag(l, f)) == NULL)
		return false;
	now = value_now(l, v);
	if (now == NULL || !platform_valid(now)) {
		lower_error(l, DIAG_BAD_PLATFORM, f->value_at, "\"%s\" is no platform such as linux/amd64", now != NULL ? now : "");
		return false;
	}
	l->stage->base.platform = v;
	return true;
}

static bool
from_lower_words(struct lower *l)
{
	const struct value *word = lower_word(l, &l->stage->ast->base.text, false);
	struct diag_item *e;

	if (word == NULL)
		return false;
	l->stage->base_now = value_now(l, word);
	if (l->stage->base_now == NULL || l->stage->base_now[0] == '\0') {
		e = lower_error(l, DIAG_EMPTY_BASE, l->stage->ast->base.text.at, "%s is empty here: there is no image to start from",
		                l->stage->ast->base.text.s);
		diag_fix(l->d, e, NULL, "give the ARG a default, or compile with --build-arg");
		return false;
	}
	if (!from_platform(l))
		return false;
	from_resolve(l->s, l->stage, word);
	return true;
}

bool
names_from(struct sema *s)
{
	bool good = true;

	for (size_t k = 0; k < s->nstages; k++) {
		struct item item = { .inst = s->stages[k].ast->from };
		struct lower l = from_lower(s, &s->stages[k], &item);

		good = from_lower_words(&l) && good;
	}
	return good;
}

bool
names_target(struct sema *s)
{
	const char *target = s->o->target, *near;
	struct stage_info *stage = &s->stages[s->nstages - 1];
	struct diag_item *e;

	if (target != NULL && target[0] != '\0')
		stage = stage_find(s, target);
	if (stage == NULL) {
		e = diag_add(s->d, DIAG_UNKNOWN_TARGET, s->g->source, (struct span){ 0, 0 }, "there is no stage called \"%s\"", target);
		e->line = 0;
		if ((near = stage_near(s, target)) != NULL)
			diag_fix(s->d, e, NULL, "--target=%s", near);
		return false;
	}
	s->g->target = stage->g;
	return true;
}

/* ---- edges ---- */

/* True when `name` is a number as Go's Atoi reads it. */
static bool
integer(const char *name, long *n)
{
	char *end;

	errno = 0;
	if (name[strspn(name, "+-0123456789")] != '\0')
		return false;
	*n = strtol(name, &end, 10);
	return end != name && *end == '\0' && errno == 0;
}

static void
edge_add(struct sema *s, struct stage_info *from, struct stage_info *to, struct span at, uint32_t line)
{
	if (to == NULL)
		return;
	mem_room(s->g, from->edges, from->nedges + 1, &from->cap_edges);
	from->edges[from->nedges++] = (struct edge){ to, at, line };
}

/* A --from that word expansion would change holds a variable, which is not allowed. */
static bool
copy_from_literal(struct lower *l, const struct flag *f)
{
	if (strchr(f->value, '$') == NULL || f->value[strcspn(f->value, "$") + 1] == '\0')
		return true;
	lower_error(l, DIAG_VARIABLE_IN_FROM, f->value_at, "--from names a stage or image literally; %s is not expanded", f->value);
	return false;
}

static bool
copy_edge(struct lower *l)
{
	struct sema *s = l->s;
	const struct flag *f = inst_flag(l->i, "from");
	struct stage_info *to;
	long n;

	if (f == NULL || f->value[0] == '\0')
		return true;
	if (!copy_from_literal(l, f))
		return false;
	if (integer(f->value, &n)) {
		if (n < 0 || (size_t)n >= s->nstages) {
			lower_error(l, DIAG_UNKNOWN_STAGE, f->value_at, "there is no stage %s; the file has %zu, counted from 0", f->value,
			            s->nstages);
			return false;
		}
		to = &s->stages[n];
	} else {
		to = stage_find(s, f->value);
	}
	edge_add(s, l->stage, to, lower_span(l, f->value_at), l->i->line_start);
	return true;
}

bool
names_edges(struct sema *s)
{
	bool good = true;

	for (size_t k = 0; k < s->nstages; k++) {
		struct stage_info *stage = &s->stages[k];

		if (stage->base.kind == ORIGIN_STAGE)
			edge_add(s, stage, &s->stages[stage->base.stage->index], stage->ast->base.text.at, stage->ast->from->line_start);
		for (size_t n = 0; n < stage->nitems; n++) {
			struct lower l = from_lower(s, stage, &stage->items[n]);

			l.i = stage->items[n].inst;
			if (l.i->kind == INST_COPY)
				good = copy_edge(&l) && good;
			for (size_t f = 0; l.i->kind == INST_RUN && f < l.i->nflags; f++) {
				char *from = strcmp(l.i->flags[f].name, "mount") == 0 ? mount_from(s->g, l.i->flags[f].value) : NULL;

				if (from != NULL && from[0] != '\0')
					edge_add(s, stage, stage_find(s, from), lower_span(&l, l.i->flags[f].value_at), l.i->line_start);
			}
		}
	}
	return good;
}

static bool
visit(struct sema *s, struct stage_info *stage)
{
	enum { NEW, OPEN, DONE };

	stage->mark = OPEN;
	for (size_t k = 0; k < stage->nedges; k++) {
		struct edge *e = &stage->edges[k];

		if (e->to->mark == OPEN) {
			struct diag_item *item = diag_add(s->d, DIAG_STAGE_CIRCLE, s->g->source, e->at, e->to == stage
				? "stage %s needs itself" : "stage %s needs a stage that needs it", e->to->g->id);

			item->line = e->line;
			return false;
		}
		if (e->to->mark == NEW && !visit(s, e->to))
			return false;
	}
	stage->mark = DONE;
	return true;
}

bool
names_cycles(struct sema *s)
{
	for (size_t k = 0; k < s->nstages; k++) {
		if (s->stages[k].mark == 0 && !visit(s, &s->stages[k]))
			return false;
	}
	return true;
}

/* Marks what the target needs, and looks at the names of the images of those stages. */
static void
reach(struct stage_info *stage)
{
	if (stage->g->live)
		return;
	stage->g->live = true;
	for (size_t k = 0; k < stage->nedges; k++)
		reach(stage->edges[k].to);
}

static bool
image_check(struct lower *l)
{
	struct stage_info *stage = l->stage;
	struct span at = stage->ast->base.text.at;
	const char *now = stage->base_now;
	struct stage_info *lower_case;
	struct diag_item *e;

	if (stage->base.kind != ORIGIN_IMAGE || stage->replaced || stage->structural != NULL || reference_valid(now))
		return true;
	e = lower_error(l, DIAG_BAD_REFERENCE, at, "\"%s\" is no image reference", now);
	lower_case = stage_find(l->s, now);
	if (lower_case != NULL && lower_case->ast->index < stage->ast->index)
		diag_fix(l->d, e, lower_case->ast->name, "%s", lower_case->ast->name);
	return false;
}

bool
names_images(struct sema *s)
{
	bool good = true;

	reach(&s->stages[s->g->target->index]);
	for (size_t k = 0; s->o->all_stages && k < s->nstages; k++)
		reach(&s->stages[k]);
	for (size_t k = 0; k < s->nstages; k++) {
		struct item item = { .inst = s->stages[k].ast->from };
		struct lower l = from_lower(s, &s->stages[k], &item);

		if (!s->stages[k].g->live)
			continue;
		good = image_check(&l) && good;
		if (s->stages[k].bad_image_trigger != NULL) {
			lower_error(&l, DIAG_BAD_TRIGGER, s->stages[k].ast->base.text.at, "an ONBUILD of %s is no instruction: %s",
			            s->stages[k].base_now, s->stages[k].bad_image_trigger);
			good = false;
		}
		if (s->stages[k].bad_trigger != NULL) {
			struct diag_item *e = lower_error(&l, DIAG_BAD_TRIGGER, s->stages[k].ast->base.text.at,
				"the ONBUILD of stage %s is no instruction", s->stages[k].base.stage->id);

			diag_note(s->d, e, s->g->source, s->stages[k].bad_trigger->at, "it stands here");
			good = false;
		}
	}
	return good;
}

/* ---- COPY --from and mounts, when their instruction is lowered ---- */

static bool
stage_origin(struct lower *l, const char *name, struct span at, struct stage_info *to, struct origin *out)
{
	if (to->ast->index >= l->stage->ast->index) {
		struct diag_item *e = lower_error(l, DIAG_STAGE_ORDER, at, "stage %s comes later than this instruction", name);

		diag_note(l->d, e, l->s->g->source, to->ast->from->at, "it begins here");
		return false;
	}
	out->kind = ORIGIN_STAGE;
	out->stage = to->g;
	return true;
}

/* Whether `name` is a slip of the stage name `near` rather than an image: a bare word that no FROM of
   the file uses and that is not the other with something added (alpine, alpine2). */
static bool
slip(struct sema *s, const char *name, const char *near)
{
	size_t n = strlen(name), m = strlen(near), common = n < m ? n : m;

	if (strpbrk(name, "/:@.") != NULL || strncasecmp(name, near, common) == 0)
		return false;
	for (size_t k = 0; k < s->nstages; k++) {
		const char *base = s->stages[k].base_now;

		if (base != NULL && strncmp(base, name, n) == 0 && (base[n] == '\0' || base[n] == ':' || base[n] == '@'))
			return false;
	}
	return true;
}

bool
lower_origin(struct lower *l, const char *name, struct span at, bool index, struct origin *out)
{
	struct sema *s = l->s;
	struct stage_info *to;
	const char *context, *near;
	struct diag_item *e;
	long n;

	if (index && integer(name, &n))
		return n >= 0 && (size_t)n < s->nstages && stage_origin(l, name, at, &s->stages[n], out);
	if ((to = stage_find(s, name)) != NULL)
		return stage_origin(l, name, at, to, out);
	out->kind = ORIGIN_IMAGE;
	if ((context = context_find(s, name)) != NULL) {
		out->image = value_literal(s->g, context);
		return true;
	}
	if (strcmp(name, "scratch") == 0) {
		out->kind = ORIGIN_SCRATCH;
		return true;
	}
	near = stage_near(s, name);
	if (near != NULL && slip(s, name, near)) {
		e = lower_error(l, DIAG_UNKNOWN_STAGE, at, "no stage or context is called \"%s\"", name);
		diag_fix(l->d, e, near, "%s", near);
		diag_note(l->d, e, NULL, at, "taken for an image it would be docker.io/library/%.*s; write that in full if you mean it",
		          LITTLE_NAME, name);
		return false;
	}
	if (!reference_valid(name)) {
		lower_error(l, DIAG_BAD_REFERENCE, at, "\"%s\" is no stage, no context and no image reference", name);
		return false;
	}
	out->image = value_literal(s->g, name);
	return true;
}
