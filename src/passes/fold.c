/* fold: words whose inputs are known become text.  An ARG may be given to the script and is not known,
   unless the graph was frozen; neither is what the base image says. */
#include <string.h>

#include "../base/mem.h"
#include "pass.h"

struct entry {
	const struct var *var;
	struct known known;
};

/* The entry of a variable is the one that its mark says, if that is its own. */
struct fold {
	struct graph *g;
	struct entry *v;
	size_t n, cap;
	unsigned changes;
};

static struct entry *
entry_of(struct fold *f, const struct var *var)
{
	return var->mark < f->n && f->v[var->mark].var == var ? &f->v[var->mark] : NULL;
}

static struct known
known_of(void *arg, const struct var *var)
{
	struct entry *e = entry_of(arg, var);

	return e != NULL ? e->known : (struct known){ KNOWN_NOT, NULL };
}

static void
set(struct fold *f, const struct var *var, struct known known)
{
	struct entry *e = entry_of(f, var);

	if (e == NULL) {
		mem_room(f, f->v, f->n + 1, &f->cap);
		((struct var *)(uintptr_t)var)->mark = (uint32_t)f->n;
		e = &f->v[f->n++];
	}
	*e = (struct entry){ var, known };
}

static void
assign(struct fold *f, const struct assign *a)
{
	struct known known = { KNOWN_NOT, NULL };

	if (a->overridable || (a->value == NULL && a->fallback != NULL)) {
		set(f, a->var, known);
		return;
	}
	if (a->value != NULL && value_is_static(a->value))
		known = (struct known){ KNOWN_TEXT, value_text(a->value) };
	else if (a->value == NULL && a->keep != NULL)
		known = known_of(f, a->keep);
	else if (a->value == NULL)
		known.state = KNOWN_UNSET;
	set(f, a->var, known);
}

static void
fold_slot(void *arg, const struct value **slot)
{
	struct fold *f = arg;
	struct fold_error e;
	const struct value *v;

	if (value_is_static(*slot) && (*slot)->nparts <= 1)
		return;
	v = value_fold(f->g, *slot, known_of, f, &e);
	if (v == NULL || value_same(v, *slot, -2, -2))
		return;
	*slot = v;
	f->changes++;
}

/* All values of one instruction are worked out before its assignments; a step is one instruction here. */
static void
fold_step(struct fold *f, struct step *s)
{
	for (size_t k = 0; k < s->nassigns; k++) {
		if (s->assigns[k]->value != NULL)
			fold_slot(f, &s->assigns[k]->value);
		assign(f, s->assigns[k]);
	}
	step_values(s, fold_slot, f);
	for (size_t k = 0; k < s->nsettings; k++) {
		if (s->settings[k].assign != NULL)
			assign(f, s->settings[k].assign);
	}
}

/* Once its readers are folded, the variable of an ENV may be of no use to the script. */
static void
drop_assigns(struct graph *g)
{
	graph_count_reads(g);
	for (size_t i = 0; i < g->nstages; i++) {
		for (size_t k = 0; k < g->stages[i]->nsteps; k++) {
			struct step *s = g->stages[i]->steps[k];

			for (size_t n = 0; n < s->nsettings; n++) {
				struct assign *a = s->settings[n].assign;

				if (a != NULL && value_is_static(a->value) && a->var->reads == 0)
					s->settings[n].assign = NULL;
			}
		}
	}
}

unsigned
pass_fold(struct graph *g, struct pass_log *log)
{
	struct fold *f = mem_new(NULL, struct fold);
	unsigned changes;

	f->g = g;
	for (size_t k = 0; k < g->nglobals; k++) {
		if (g->globals[k].assign.value != NULL)
			fold_slot(f, &g->globals[k].assign.value);
		assign(f, &g->globals[k].assign);
	}
	for (size_t i = 0; i < g->nstages; i++) {
		for (size_t k = 0; k < g->stages[i]->nsteps; k++) {
			struct step *s = g->stages[i]->steps[k];
			unsigned before = f->changes;

			fold_step(f, s);
			if (f->changes > before && g->stages[i]->live)
				pass_say(log, "fold", s->line_start, s->line_end, "what the words expand to is known and written out");
		}
	}
	changes = f->changes;
	talloc_free(f);
	drop_assigns(g);
	return changes;
}
