/* One step of the graph as one record of the plan: docs/dockcc-plan.5.scd. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "quote.h"
#include "sh.h"
#include "words.h"

enum { COMMENT_WIDTH = 100 };

/* The instruction's own first line in the Dockerfile, for the comment above a step. */
static void
comment_line(struct sh *s, const struct span *at)
{
	const struct source *src = s->g->source;
	struct position begin = source_position(src, at->begin), end = source_position(src, at->end > at->begin ? at->end - 1 : at->begin);
	const char *text = src->text + at->begin;
	size_t len = at->end - at->begin, first = strcspn(text, "\n");
	size_t number;

	buf_cat(s->out, s->indent, "# ", NULL);
	sh_comment(s->out, s->o->dockerfile, strlen(s->o->dockerfile), 60);
	buf_putc(s->out, ':');
	number = s->out->len;
	buf_uint(s->out, begin.line);
	if (begin.line != end.line) {
		buf_putc(s->out, '-');
		buf_uint(s->out, end.line);
	}
	do
		buf_putc(s->out, ' ');
	while (s->out->len <= number + 5);
	while (first > 0 && first < len && (text[first - 1] == '\r' || text[first - 1] == ' '))
		first--;
	sh_comment(s->out, text, first < len ? first : len, COMMENT_WIDTH);
	buf_putc(s->out, '\n');
}

void
sh_step_comment(struct sh *s, const struct span *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		comment_line(s, &sources[i]);
}

/* Collects the words of a record, so that hoisted statements come out before it. */
struct record {
	struct words to;
	struct sh *s;
	struct buf *words;
};

static void
take_text(struct words *w, const char *prefix, const char *text)
{
	struct record *r = (struct record *)w;
	struct buf *whole;

	buf_putc(r->words, ' ');
	if (*prefix == '\0') {
		sh_word(r->words, text, strlen(text));
		return;
	}
	whole = buf_new(r->words);
	buf_cat(whole, prefix, text, NULL);
	sh_word(r->words, buf_str(whole), whole->len);
}

static void
take_value(struct words *w, const char *prefix, const struct value *v)
{
	struct record *r = (struct record *)w;

	buf_putc(r->words, ' ');
	buf_puts(r->words, sh_value_with(r->s, prefix, v));
}

/* ARG: the variable gets its value first, the record says what it is. */
static void
take_assign(struct words *w, const struct assign *a)
{
	struct record *r = (struct record *)w;
	struct buf *name = buf_new(r->words);

	sh_assign(r->s, a);
	sh_var_name(name, a->var);
	take_text(w, "", a->var->name);
	buf_cat(r->words, "\"${", buf_str(name), "+=$", buf_str(name), "}\"", NULL);
}

/* The variables that one ENV sets and something reads: in two rounds when there are several, so that a value
   does not see its neighbour. */
static void
set_instruction(struct sh *s, const struct setting *v, size_t n)
{
	const char **words = mem_array(s->tmp, const char *, n);
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].assign != NULL && var_set_has(s->read, v[i].assign->var)) {
			words[i] = sh_value(s, v[i].assign->value);
			used++;
		}
	for (size_t i = 0; used > 1 && i < n; i++)
		if (words[i] != NULL) {
			buf_printf(s->out, "%st%u=%s\n", s->indent, ++s->temps, words[i]);
			words[i] = mem_printf(s->tmp, "$t%u", s->temps);
		}
	for (size_t i = 0; i < n; i++)
		if (words[i] != NULL) {
			buf_puts(s->out, s->indent);
			sh_var_name(s->out, v[i].assign->var);
			buf_cat(s->out, "=", words[i], "\n", NULL);
		}
}

static void
set_variables(struct sh *s, const struct step *st)
{
	for (size_t i = 0, end; i < st->nsettings; i = end) {
		for (end = i + 1; end < st->nsettings && st->settings[end].same; end++)
			;
		set_instruction(s, &st->settings[i], end - i);
	}
}

/* Variables of the base image that the stage reads are asked for when its name is known. */
static void
load_base(struct sh *s, const struct gstage *stage, const struct step *st)
{
	const char *ref, *platform;

	if (stage->nbase_vars == 0 || st->base.kind != ORIGIN_IMAGE)
		return;
	ref = sh_value(s, st->base.image);
	platform = st->base.platform != NULL ? sh_value(s, st->base.platform) : NULL;
	for (size_t i = 0; i < stage->nbase_vars; i++) {
		struct buf *name = buf_new(s->tmp), *shown = buf_new(s->tmp);

		sh_var_name(name, stage->base_vars[i]);
		sh_word(shown, stage->base_vars[i]->name, strlen(stage->base_vars[i]->name));
		buf_cat(s->out, s->indent, "if image_env ", ref, " ", buf_str(shown), platform != NULL ? " " : "",
		        platform != NULL ? platform : "", "; then ", buf_str(name), "=$r; else unset ", buf_str(name), "; fi\n", NULL);
	}
}

void
sh_step(struct sh *s, const struct gstage *stage, size_t number, const struct step *step)
{
	struct record r = {
		.to = { .ctx = s->tmp, .text = take_text, .value = take_value, .assign = take_assign }, .s = s, .words = buf_new(s->tmp),
	};

	s->temps = 0;
	s->line = step->line_start;
	buf_putc(s->out, '\n');
	sh_step_comment(s, step->sources, step->nsources);
	if (step->trigger != NULL) {
		buf_cat(s->out, s->indent, "#   its ONBUILD ", NULL);
		sh_comment(s->out, step->trigger, strlen(step->trigger), COMMENT_WIDTH);
		buf_putc(s->out, '\n');
	}
	step_words(&r.to, step);
	buf_cat(s->out, s->indent, "step ", stage->id, ".", NULL);
	buf_uint(s->out, number);
	buf_putc(s->out, ' ');
	buf_uint(s->out, step->line_start);
	if (step->line_end != step->line_start) {
		buf_putc(s->out, '-');
		buf_uint(s->out, step->line_end);
	}
	buf_add(s->out, buf_str(r.words), r.words->len);
	buf_putc(s->out, '\n');
	if (step->kind == STEP_SET)
		set_variables(s, step);
	if (step->kind == STEP_FROM)
		load_base(s, stage, step);
	talloc_free_children(s->tmp);
}
