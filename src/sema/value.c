/* Words become values: every variable is bound to what it means at this place. */
#include <string.h>

#include "../base/mem.h"
#include "../front/word.h"
#include "lower.h"

static const struct value *bind(struct lower *l, const struct word_tree *tree);

static void
bind_var(struct lower *l, struct value_builder *out, const struct word_part *p)
{
	struct binding *b = scope_read(l, p->text);
	const struct var *var = b != NULL ? b->var : NULL;
	bool fixed = b != NULL && b->fixed; /* binding the operands may move `b` */
	struct value_part part = {
		.var = var,
		.unset = var == NULL,
		.name = mem_str(l->s->g, p->text),
		.op = p->op,
		.arg = p->arg != NULL ? bind(l, p->arg) : NULL,
		.repl = p->repl != NULL ? bind(l, p->repl) : NULL,
		.at = lower_span(l, p->at),
	};

	l->fixed = l->fixed || fixed;
	builder_part(out, &part);
}

static const struct value *
bind(struct lower *l, const struct word_tree *tree)
{
	struct value_builder out;

	builder_init(&out, l->s->g);
	for (size_t i = 0; i < tree->nparts; i++) {
		const struct word_part *p = &tree->parts[i];

		if (p->is_var)
			bind_var(l, &out, p);
		else
			builder_text(&out, p->text, p->len, lower_span(l, p->at));
	}
	return builder_done(&out);
}

static struct known
known_now(void *arg, const struct var *var)
{
	struct lower *l = arg;

	if (var->stage < 0 && !l->now && !l->s->o->freeze)
		return (struct known){ KNOWN_NOT, NULL };
	return scope_known(l->s, var);
}

static void
fold_report(struct lower *l, const struct fold_error *e)
{
	switch (e->why) {
	case FOLD_GOOD:
		break;
	case FOLD_REQUIRED:
		lower_error(l, DIAG_REQUIRED_VARIABLE, e->at, "%s: %s", e->name,
		            e->text[0] != '\0' ? e->text : "has no value here and must have one");
		break;
	case FOLD_PATTERN:
		lower_error(l, DIAG_BAD_WORD, e->at, "in a pattern a backslash may stand only before * ? \\ / and }");
		break;
	case FOLD_LONG:
		lower_error(l, DIAG_WORD_TOO_LONG, e->at, "this expands to more than 1 MiB");
		break;
	}
}

/* A file of a few lines can double a value with each; what all of them come to is limited as well. */
enum { EXPANDED_LIMIT = 64 << 20 };

/* Counts a folded word; false when this one is too much, after a report. */
static bool
counted(struct lower *l, const struct value *folded, struct span at)
{
	for (size_t k = 0; k < folded->nparts; k++)
		l->s->expanded += folded->parts[k].len;
	if (l->s->expanded <= EXPANDED_LIMIT)
		return true;
	lower_error(l, DIAG_WORD_TOO_LONG, at, "the words up to here expand to more than 64 MiB altogether");
	return false;
}

const struct value *
lower_word(struct lower *l, const struct text *t, bool raw)
{
	size_t first = l->d->n;
	const struct word_tree *tree = word_parse(l->s->g, l->s->g->source, t, raw ? '\\' : l->escape,
	                                          raw ? WORD_MODE_RAW : WORD_MODE_NORMAL, l->d);
	const struct value *v, *folded;
	struct fold_error e;

	lower_place(l, first);
	if (tree == NULL || l->s->expanded > EXPANDED_LIMIT)
		return NULL;
	l->fixed = false;
	v = bind(l, tree);
	folded = value_fold(l->s->g, v, known_now, l, &e);
	if (folded != NULL && folded != v && !counted(l, folded, t->at))
		return NULL;
	if (folded != NULL && l->s->o->freeze)
		return folded;
	if (folded != NULL)
		return l->fixed ? value_fold(l->s->g, v, scope_fixed, l->s, &e) : v;
	fold_report(l, &e);
	return NULL;
}

const struct value *
lower_flag(struct lower *l, const struct flag *f)
{
	struct piece map = { 0, f->value_at.begin };
	struct text t = { .s = f->value, .len = strlen(f->value), .at = f->value_at, .map = &map, .npieces = 1 };

	return lower_word(l, &t, false);
}

const char *
value_now(struct lower *l, const struct value *v)
{
	struct fold_error e;
	const struct value *folded = v != NULL ? value_fold(l->s->g, v, known_now, l, &e) : NULL;

	return folded != NULL && value_is_static(folded) ? value_text(folded) : NULL;
}

const struct flag *
inst_flag(const struct inst *i, const char *name)
{
	for (size_t k = 0; k < i->nflags; k++) {
		if (strcmp(i->flags[k].name, name) == 0)
			return &i->flags[k];
	}
	return NULL;
}
