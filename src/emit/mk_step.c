/* The targets of a stage: each one call of dockcc-rt step, with what it needs as prerequisites. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "mk.h"
#include "quote.h"
#include "sh.h"
#include "words.h"

enum { COMMENT_WIDTH = 100 };

/* A word of a step's record, written down when it is known whether any word of the step is a template. */
struct mk_word {
	const char *prefix, *text;
	const struct value *value;
	const struct var *var;    /* behind the text: =VALUE when it is set */
};

struct collector {
	struct words to;
	struct mk_word *v;
	size_t n, cap;
	bool expand;
};

static void
collect(struct collector *c, struct mk_word w)
{
	mem_room(c->to.ctx, c->v, c->n + 1, &c->cap);
	c->v[c->n++] = w;
}

static void
take_text(struct words *w, const char *prefix, const char *text)
{
	struct collector *c = (struct collector *)w;

	c->expand = c->expand || strchr(prefix, '\n') != NULL || strchr(text, '\n') != NULL;
	collect(c, (struct mk_word){ .prefix = prefix, .text = text });
}

static void
take_value(struct words *w, const char *prefix, const struct value *v)
{
	struct collector *c = (struct collector *)w;

	if (value_is_static(v)) {
		take_text(w, prefix, value_text(v));
		return;
	}
	c->expand = true;
	collect(c, (struct mk_word){ .prefix = prefix, .value = v });
}

static void
take_assign(struct words *w, const struct assign *a)
{
	struct collector *c = (struct collector *)w;

	c->expand = true;
	collect(c, (struct mk_word){ .prefix = "", .text = a->var->name, .var = a->var });
}

static struct collector *
words_of(const struct mk *m, const struct step *st)
{
	struct collector *c = mem_new(m->out, struct collector);

	c->to = (struct words){ .ctx = c, .text = take_text, .value = take_value, .assign = take_assign };
	step_words(&c->to, st);
	return c;
}

static void
put_word(struct buf *out, const struct mk_word *w, bool expand)
{
	struct buf *text = buf_new(out);

	if (!expand) {
		buf_puts(text, w->prefix);
		buf_puts(text, w->text);
	} else {
		mk_escape(text, w->prefix, strlen(w->prefix), false);
		if (w->text != NULL)
			mk_escape(text, w->text, strlen(w->text), false);
		mk_template(text, w->value, false);
	}
	if (w->var != NULL) {
		struct buf *name = buf_new(out);

		sh_var_name(name, w->var);
		buf_printf(text, "${%s+=${%s}}", buf_str(name), buf_str(name));
	}
	buf_putc(out, ' ');
	make_quote(out, buf_str(text), text->len);
}

/* ---- variables -------------------------------------------------------------------------------------- */

/* Options in front of a step, counted for --counted. */
struct lets {
	struct buf *text;
	size_t n;
};

static void
let(struct lets *l, const char *option, const struct var *v, const struct buf *value)
{
	struct buf *whole = buf_new(l->text);

	buf_puts(whole, option);
	sh_var_name(whole, v);
	buf_putc(whole, '=');
	buf_puts(whole, buf_str(value));
	buf_putc(l->text, ' ');
	make_quote(l->text, buf_str(whole), whole->len);
	l->n++;
}

static void
name_in_list(struct buf *list, const struct var *v)
{
	if (v == NULL)
		return;
	if (list->len > 0)
		buf_putc(list, ',');
	sh_var_name(list, v);
}

/* ARG: the given value, else the default, else the global, else what the name meant before.  What was given to the
   compiler is the default of the default. */
static void
let_assign(const struct mk *m, struct lets *l, const struct assign *a)
{
	struct buf *value = buf_new(l->text), *given = buf_new(l->text);
	const char *compiled = a->overridable ? mk_compile_value(m, a->var->name) : NULL;

	sh_given_name(given, a->var->name);
	if (compiled != NULL) {
		buf_printf(value, "${%s-", buf_str(given));
		mk_escape(value, compiled, strlen(compiled), true);
		buf_putc(value, '}');
	} else if (a->value != NULL && !a->overridable) {
		mk_template(value, a->value, false);
	} else if (a->value != NULL) {
		buf_printf(value, "${%s-", buf_str(given));
		mk_template(value, a->value, true);
		buf_putc(value, '}');
	} else {
		if (a->overridable)
			buf_puts(value, buf_str(given));
		name_in_list(value, a->fallback);
		name_in_list(value, a->keep);
		let(l, "--first=", a->var, value);
		return;
	}
	let(l, "--let=", a->var, value);
}

static void
lets_of(const struct mk *m, struct lets *l, const struct gstage *stage, const struct step *st)
{
	struct var_set *read = var_set_step(l->text, m->g, st);

	for (size_t i = 0; i < m->g->nglobals; i++)
		if (!m->g->globals[i].dead && var_set_has(read, m->g->globals[i].assign.var))
			let_assign(m, l, &m->g->globals[i].assign);
	for (size_t i = 0; i < st->nassigns; i++)
		let_assign(m, l, st->assigns[i]);
	for (size_t i = 0; st->kind == STEP_SET && i < st->nsettings; i++) {
		const struct assign *a = st->settings[i].assign;
		struct buf *value = buf_new(l->text);

		if (a == NULL)
			continue;
		mk_template(value, a->value, false);
		let(l, "--set=", a->var, value);
	}
	for (size_t i = 0; st->kind == STEP_FROM && st->base.kind == ORIGIN_IMAGE && i < stage->nbase_vars; i++) {
		struct buf *name = buf_new(l->text);

		buf_puts(name, stage->base_vars[i]->name);
		let(l, "--base=", stage->base_vars[i], name);
	}
}

/* ---- build arguments ---------------------------------------------------------------------------------- */

static bool
structural(const struct mk *m, const char *name)
{
	for (size_t i = 0; i < m->g->nglobals; i++)
		if (m->g->globals[i].structural && strcmp(m->g->globals[i].assign.var->name, name) == 0)
			return true;
	return false;
}

/* Calls `fn` for every assignment that a step makes or reads through the globals. */
static void
each_assign(const struct mk *m, const struct step *st, void (*fn)(void *arg, const struct assign *a), void *arg)
{
	struct var_set *read = var_set_step(m->out, m->g, st);

	for (size_t i = 0; i < m->g->nglobals; i++)
		if (!m->g->globals[i].dead && var_set_has(read, m->g->globals[i].assign.var))
			fn(arg, &m->g->globals[i].assign);
	for (size_t i = 0; i < st->nassigns; i++)
		fn(arg, st->assigns[i]);
}

static void
note_argument(void *arg, const struct assign *a)
{
	struct mk *m = arg;
	struct mk_arg *found = NULL;
	const char *text = a->value != NULL && value_is_static(a->value) ? value_text(a->value) : NULL;
	bool none = a->value != NULL ? text == NULL : a->fallback == NULL || a->keep != NULL;

	if (!a->overridable || structural(m, a->var->name))
		return;
	if (mk_compile_value(m, a->var->name) != NULL) {
		text = mk_compile_value(m, a->var->name);
		none = false;
	}
	for (size_t i = 0; i < m->nargs && found == NULL; i++)
		if (strcmp(m->args[i].name, a->var->name) == 0)
			found = &m->args[i];
	if (found == NULL) {
		mem_room(m->out, m->args, m->nargs + 1, &m->args_cap);
		found = &m->args[m->nargs++];
		*found = (struct mk_arg){ .name = a->var->name, .shown = a->var->name };
		if (a->var->name[strspn(a->var->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")] != '\0')
			found->shown = mk_mangled(m, a->var->name);
	}
	found->none = found->none || none || (text != NULL && found->text != NULL && strcmp(text, found->text) != 0);
	if (text != NULL)
		found->text = text;
}

void
mk_arguments(struct mk *m)
{
	for (size_t i = 0; i < m->g->nstages; i++)
		for (size_t k = 0; m->g->stages[i]->live && k < m->g->stages[i]->nsteps; k++)
			if (!m->g->stages[i]->steps[k]->dead)
				each_assign(m, m->g->stages[i]->steps[k], note_argument, m);
	for (size_t i = 0; i < m->nargs; i++) {
		struct buf *scratch = buf_new(m->out);

		if (m->args[i].none || m->args[i].text == NULL || !make_value(scratch, m->args[i].text, strlen(m->args[i].text)))
			m->args[i].text = NULL;
	}
}

/* ---- targets ------------------------------------------------------------------------------------------- */

/* Steps [first, end) of a stage that one target runs, and what it needs. */
struct target {
	const struct gstage *stage;
	size_t first, end;
	size_t nlive;
	struct buf *prerequisites, *options;
	bool forced;
	struct mk *m;
};

static bool
needs_stage(const struct step *st)
{
	bool needs = st->kind == STEP_COPY && st->from.kind == ORIGIN_STAGE;

	for (size_t i = 0; i < st->nmounts; i++)
		needs = needs || st->mounts[i].from.kind == ORIGIN_STAGE;
	return needs;
}

static bool
reads_files(const struct step *st)
{
	return (st->kind == STEP_COPY || st->kind == STEP_ADD) && st->npaths > 1 &&
	       (st->from.kind == ORIGIN_CONTEXT || st->from.kind == ORIGIN_IMAGE);
}

/* Whether what the step reads is known only when variables are. */
static bool
dynamic_files(const struct step *st)
{
	bool dynamic = false;

	for (size_t i = 0; reads_files(st) && i + 1 < st->npaths; i++)
		dynamic = dynamic || !value_is_static(st->paths[i]);
	for (size_t i = 0; i < st->nmounts; i++)
		dynamic = dynamic || (st->mounts[i].kind == MOUNT_BIND && st->mounts[i].source != NULL && !value_is_static(st->mounts[i].source));
	return dynamic;
}

/* Where the target that begins with live step `first` ends. */
static size_t
target_end(const struct mk *m, const struct gstage *st, size_t first)
{
	size_t end = first + 1;

	for (; end < st->nsteps; end++) {
		const struct step *s = st->steps[end];

		if (s->dead || s->join)
			continue;
		if (!m->o->chains || needs_stage(s) || dynamic_files(s))
			return end;
	}
	return end;
}

/* The number that the last live step before `end` has. */
static size_t
number_before(const struct mk *m, const struct gstage *st, size_t end)
{
	size_t *n = m->numbers[st->index];

	if (n == NULL) {
		n = m->numbers[st->index] = mem_array(m->numbers, size_t, st->nsteps + 1);
		for (size_t i = 0; i < st->nsteps; i++)
			n[i + 1] = n[i] + !st->steps[i]->dead;
	}
	return n[end] - 1;
}

static const char *
stamp_name(const struct mk *m, const struct gstage *st, size_t end)
{
	return mem_printf(m->out, "%s.%zu", st->id, number_before(m, st, end));
}

const char *
mk_last(const struct mk *m, const struct gstage *st)
{
	return stamp_name(m, st, st->nsteps);
}

static void
need(struct target *t, const char *name)
{
	buf_printf(t->prerequisites, " $(%s_S)/%s", t->m->p, name);
}

static void
need_stage(struct target *t, const struct gstage *other)
{
	need(t, mk_last(t->m, other));
	buf_printf(t->options, " --stage=$(%s_S)/%s", t->m->p, mk_last(t->m, other));
}

static void
need_argument(void *arg, const struct assign *a)
{
	struct target *t = arg;
	const char *path = mem_printf(t->m->out, "arg/%s", mk_mangled(t->m, a->var->name));
	const char *option = mem_printf(t->m->out, " --arg=$(%s_S)/%s", t->m->p, path);

	if (!a->overridable || structural(t->m, a->var->name) || strstr(mem_printf(t->m->out, "%s ", buf_str(t->options)),
	                                                                mem_printf(t->m->out, "%s ", option)) != NULL)
		return;
	need(t, path);
	buf_puts(t->options, option);
}

/* The stamp of files that a step reads, with its rule; `suffix` tells those of one step apart. */
static void
scan(struct target *t, const struct step *st, size_t number, const char *suffix, const struct origin *from,
     const struct value *const *sources, size_t n)
{
	struct mk *m = t->m;
	const char *name = mem_printf(m->out, "files/%s.%zu%s", t->stage->id, number, suffix);
	struct collector *c = mem_new(m->out, struct collector);

	c->to = (struct words){ .ctx = c, .text = take_text, .value = take_value, .assign = take_assign };
	if (from->kind == ORIGIN_IMAGE)
		take_value(&c->to, "--from-image=", from->image);
	if (st->kind == STEP_ADD)
		take_text(&c->to, "", "--add");
	if (st->parents)
		take_text(&c->to, "", "--parents");
	for (size_t i = 0; i < st->nexcludes; i++)
		take_text(&c->to, "--exclude=", st->excludes[i]);
	take_text(&c->to, "", "--");
	for (size_t i = 0; i < n; i++)
		take_value(&c->to, "", sources[i]);
	buf_printf(m->out, "$(%s_S)/%s: %s", m->p, name, mk_force(m, name));
	if (dynamic_files(st))
		buf_printf(m->out, " $(%s_S)/%s", m->p, stamp_name(m, t->stage, t->first));
	buf_printf(m->out, "\n\t@$(%s_scan) --lines=%u%s", m->p, st->line_start, c->expand ? " --expand" : "");
	if (dynamic_files(st))
		buf_printf(m->out, " --after=$(%s_S)/%s", m->p, stamp_name(m, t->stage, t->first));
	for (size_t i = 0; i < c->n; i++)
		put_word(m->out, &c->v[i], c->expand);
	buf_putc(m->out, '\n');
	need(t, name);
}

static void
need_files(struct target *t, const struct step *st, size_t number)
{
	const struct value *root = value_literal(t->m->out, "/");

	if (reads_files(st))
		scan(t, st, number, "", &st->from, st->paths, st->npaths - 1);
	for (size_t i = 0; i < st->nmounts; i++) {
		const struct mount *mount = &st->mounts[i];
		const struct value *const *source = mount->source != NULL ? &mount->source : &root;

		if (mount->kind == MOUNT_BIND && (mount->from.kind == ORIGIN_CONTEXT || mount->from.kind == ORIGIN_IMAGE))
			scan(t, st, number, mem_printf(t->m->out, ".%zu", i + 1), &mount->from, source, 1);
	}
}

/* Prerequisites and options that one step brings. */
static void
need_step(struct target *t, const struct step *st, size_t number)
{
	if (st->kind == STEP_FROM && st->base.kind == ORIGIN_STAGE)
		need_stage(t, st->base.stage);
	t->forced = t->forced || (st->kind == STEP_FROM && st->base.kind != ORIGIN_STAGE);
	if (st->kind == STEP_COPY && st->from.kind == ORIGIN_STAGE)
		need_stage(t, st->from.stage);
	for (size_t i = 0; i < st->nmounts; i++)
		if (st->mounts[i].from.kind == ORIGIN_STAGE)
			need_stage(t, st->mounts[i].from.stage);
	each_assign(t->m, st, need_argument, t);
	need_files(t, st, number);
}

/* Steps that another stage makes as well are made there first: here they are in the store then. */
static void
need_shared(struct target *t)
{
	const struct gstage *other = t->stage->shares;

	if (other == NULL || !other->live || t->end > t->stage->nshared || t->end > other->nsteps)
		return;
	for (size_t first = 0; first < other->nsteps; first = target_end(t->m, other, first))
		if (target_end(t->m, other, first) >= t->end) {
			need(t, stamp_name(t->m, other, target_end(t->m, other, first)));
			return;
		}
}

static void
put_step(const struct target *t, const struct step *st, size_t number, bool counted)
{
	struct collector *c = words_of(t->m, st);
	struct lets l = { .text = buf_new(t->m->out) };
	struct buf *out = t->m->out;

	lets_of(t->m, &l, t->stage, st);
	buf_puts(out, " \\\n\t ");
	if (counted)
		buf_printf(out, " %zu", l.n + c->expand + 2 + c->n);
	buf_puts(out, buf_str(l.text));
	if (c->expand)
		buf_puts(out, " --expand");
	buf_printf(out, " %s.%zu %u", t->stage->id, number, st->line_start);
	if (st->line_end != st->line_start)
		buf_printf(out, "-%u", st->line_end);
	for (size_t i = 0; i < c->n; i++)
		put_word(out, &c->v[i], c->expand);
}

static bool
heavy(const struct target *t)
{
	for (size_t i = t->first; i < t->end; i++) {
		const struct step *st = t->stage->steps[i];

		if (!st->dead && st->kind != STEP_ARG && st->kind != STEP_SET && (st->kind != STEP_FROM || st->base.kind == ORIGIN_IMAGE))
			return true;
	}
	return false;
}

static void
put_target(struct target *t)
{
	struct mk *m = t->m;
	size_t number = t->first > 0 ? number_before(m, t->stage, t->first) + 1 : 0, start = number;
	struct buf *out = m->out;

	buf_putc(out, '\n');
	for (size_t i = t->first; i < t->end; i++)
		if (!t->stage->steps[i]->dead) {
			mk_comments(m, t->stage->steps[i]);
			t->nlive++;
		}
	if (t->first > 0) {
		need(t, stamp_name(m, t->stage, t->first));
		buf_printf(t->options, " --after=$(%s_S)/%s", m->p, stamp_name(m, t->stage, t->first));
	}
	for (size_t i = t->first; i < t->end; i++)
		if (!t->stage->steps[i]->dead)
			need_step(t, t->stage->steps[i], number++);
	need_shared(t);
	buf_printf(out, "$(%s_S)/%s:%s%s%s\n\t@$(%s_%s)%s%s", m->p, stamp_name(m, t->stage, t->end), buf_str(t->prerequisites),
	           t->forced ? " " : "", t->forced ? mk_force(m, stamp_name(m, t->stage, t->end)) : "", m->p, heavy(t) ? "step" : "note",
	           buf_str(t->options), t->nlive > 1 ? " --counted" : "");
	number = start;
	for (size_t i = t->first; i < t->end; i++)
		if (!t->stage->steps[i]->dead)
			put_step(t, t->stage->steps[i], number++, t->nlive > 1);
	buf_putc(out, '\n');
}

void
mk_stage(struct mk *m, const struct gstage *st)
{
	for (size_t first = 0, end; first < st->nsteps; first = end) {
		struct target t = { .stage = st, .first = first, .m = m, .prerequisites = buf_new(m->out), .options = buf_new(m->out) };

		t.end = end = target_end(m, st, first);
		if (!st->steps[first]->dead || number_before(m, st, end) != number_before(m, st, first))
			put_target(&t);
	}
}
