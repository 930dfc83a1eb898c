/* One step of the graph as one record of the plan: docs/dockcc-plan.5.scd. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "quote.h"
#include "sh.h"

enum { COMMENT_WIDTH = 100 };

/* The instruction's own first line in the Dockerfile, for the comment above a step. */
static void
comment_line(struct sh *s, const struct span *at)
{
	const struct source *src = s->g->source;
	struct position begin = source_position(src, at->begin), end = source_position(src, at->end > at->begin ? at->end - 1 : at->begin);
	const char *text = src->text + at->begin;
	size_t len = at->end - at->begin, first = strcspn(text, "\n");
	char lines[48];

	if (begin.line == end.line)
		snprintf(lines, sizeof(lines), "%u", begin.line);
	else
		snprintf(lines, sizeof(lines), "%u-%u", begin.line, end.line);
	buf_printf(s->out, "%s# ", s->indent);
	sh_comment(s->out, s->o->dockerfile, strlen(s->o->dockerfile), 60);
	buf_printf(s->out, ":%-5s ", lines);
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
	struct sh *s;
	struct buf *words;
};

static void
word(struct record *r, const char *w)
{
	buf_putc(r->words, ' ');
	buf_puts(r->words, w);
}

static void
literal(struct record *r, const char *prefix, const char *text)
{
	const char *whole = mem_printf(r->words, "%s%s", prefix, text);

	buf_putc(r->words, ' ');
	sh_word(r->words, whole, strlen(whole));
}

static void
option(struct record *r, const char *name, const struct value *v)
{
	const char *prefix;

	if (v == NULL)
		return;
	prefix = mem_printf(r->words, "--%s=", name);
	word(r, sh_value_with(r->s, prefix, v));
}

static void
origin(struct record *r, const struct origin *o, bool context_default)
{
	switch (o->kind) {
	case ORIGIN_CONTEXT:
		break;
	case ORIGIN_STAGE:
		literal(r, "--from=", o->stage->id);
		break;
	case ORIGIN_IMAGE:
		option(r, "from-image", o->image);
		break;
	case ORIGIN_SCRATCH:
		if (context_default)
			word(r, "--from-scratch");
		break;
	}
}

static void
from(struct record *r, const struct step *st)
{
	word(r, "from");
	switch (st->base.kind) {
	case ORIGIN_STAGE:
		word(r, "--stage");
		literal(r, "", st->base.stage->id);
		break;
	case ORIGIN_IMAGE:
		option(r, "platform", st->base.platform);
		word(r, "--");
		word(r, sh_value(r->s, st->base.image));
		break;
	case ORIGIN_CONTEXT:
	case ORIGIN_SCRATCH:
		word(r, "--scratch scratch");
		break;
	}
}

/* ARG: the variables get their values first, the record says what they are. */
static void
arg(struct record *r, const struct step *st)
{
	word(r, "arg --");
	for (size_t i = 0; i < st->nassigns; i++) {
		struct buf *name = buf_new(r->words);

		sh_assign(r->s, st->assigns[i]);
		sh_var_name(name, st->assigns[i]->var);
		literal(r, "", st->assigns[i]->var->name);
		buf_printf(r->words, "\"${%s+=$%s}\"", buf_str(name), buf_str(name));
	}
}

static void
set(struct record *r, const struct step *st)
{
	word(r, "set");
	for (size_t i = 0; i < st->nsettings; i++) {
		const struct setting *o = &st->settings[i];

		option(r, o->same ? "and" : o->name, o->value != NULL ? o->value : value_literal(r->words, ""));
	}
}

/* The variables that one ENV sets and something reads: in two rounds when there are several, so that a value
   does not see its neighbour. */
static void
set_instruction(struct sh *s, const struct setting *v, size_t n)
{
	const char **words = mem_array(s->out, const char *, n);
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].assign != NULL && var_set_has(s->read, v[i].assign->var)) {
			words[i] = sh_value(s, v[i].assign->value);
			used++;
		}
	for (size_t i = 0; used > 1 && i < n; i++)
		if (words[i] != NULL) {
			buf_printf(s->out, "%st%u=%s\n", s->indent, ++s->temps, words[i]);
			words[i] = mem_printf(s->out, "$t%u", s->temps);
		}
	for (size_t i = 0; i < n; i++)
		if (words[i] != NULL) {
			buf_puts(s->out, s->indent);
			sh_var_name(s->out, v[i].assign->var);
			buf_printf(s->out, "=%s\n", words[i]);
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

static void
copy(struct record *r, const struct step *st)
{
	word(r, st->kind == STEP_ADD ? "add" : "copy");
	if (st->join)
		word(r, "--join");
	origin(r, &st->from, true);
	option(r, "chown", st->chown);
	option(r, "chmod", st->chmod);
	option(r, "checksum", st->checksum);
	if (st->link)
		word(r, "--link");
	if (st->parents)
		word(r, "--parents");
	if (st->keep_git_dir)
		word(r, "--keep-git-dir");
	if (st->unpack >= 0)
		word(r, st->unpack != 0 ? "--unpack=true" : "--unpack=false");
	for (size_t i = 0; i < st->nexcludes; i++)
		literal(r, "--exclude=", st->excludes[i]);
	for (size_t i = 0; i < st->nfiles; i++) {
		literal(r, "--heredoc=", st->files[i].name);
		option(r, "data", st->files[i].content);
	}
	word(r, "--");
	for (size_t i = 0; i < st->npaths; i++)
		word(r, sh_value(r->s, st->paths[i]));
}

static void
mount(struct record *r, const struct mount *m)
{
	static const char *const kinds[] = { [MOUNT_BIND] = "bind", [MOUNT_CACHE] = "cache", [MOUNT_TMPFS] = "tmpfs",
		[MOUNT_SECRET] = "secret", [MOUNT_SSH] = "ssh" };

	literal(r, "--mount=", kinds[m->kind]);
	option(r, "target", m->target);
	option(r, "source", m->source);
	origin(r, &m->from, m->kind == MOUNT_BIND);
	option(r, "id", m->id);
	if (m->sharing != NULL)
		literal(r, "--sharing=", m->sharing);
	option(r, "mode", m->mode);
	option(r, "uid", m->uid);
	option(r, "gid", m->gid);
	option(r, "size", m->size);
	option(r, "env", m->env);
	if (m->required)
		word(r, "--required");
	if (m->readonly)
		word(r, "--ro");
	if (m->readwrite)
		word(r, "--rw");
}

static void
run(struct record *r, const struct step *st)
{
	word(r, "run");
	if (st->join)
		word(r, "--join");
	if (st->exec_form)
		word(r, "--exec");
	if (st->network != NULL)
		literal(r, "--network=", st->network);
	if (st->security != NULL)
		literal(r, "--security=", st->security);
	if (st->script_name != NULL)
		literal(r, "--script=", st->script_name);
	for (size_t i = 0; i < st->nmounts; i++)
		mount(r, &st->mounts[i]);
	word(r, "--");
	for (size_t i = 0; i < st->argc; i++)
		literal(r, "", st->argv[i]);
}

/* Variables of the base image that the stage reads are asked for when its name is known. */
static void
load_base(struct sh *s, const struct gstage *stage, const struct step *st)
{
	const char *ref;

	if (stage->nbase_vars == 0 || st->base.kind != ORIGIN_IMAGE)
		return;
	ref = sh_value(s, st->base.image);
	for (size_t i = 0; i < stage->nbase_vars; i++) {
		struct buf *name = buf_new(s->out), *shown = buf_new(s->out);

		sh_var_name(name, stage->base_vars[i]);
		sh_word(shown, stage->base_vars[i]->name, strlen(stage->base_vars[i]->name));
		buf_printf(s->out, "%sif image_env %s %s; then %s=$r; else unset %s; fi\n", s->indent, ref, buf_str(shown), buf_str(name),
		           buf_str(name));
	}
}

void
sh_step(struct sh *s, const struct gstage *stage, size_t number, const struct step *step)
{
	struct record r = { .s = s, .words = buf_new(s->out) };

	s->temps = 0;
	s->line = step->line_start;
	buf_putc(s->out, '\n');
	sh_step_comment(s, step->sources, step->nsources);
	switch (step->kind) {
	case STEP_FROM: from(&r, step); break;
	case STEP_ARG: arg(&r, step); break;
	case STEP_SET: set(&r, step); break;
	case STEP_WORKDIR:
		word(&r, "workdir --");
		word(&r, sh_value(s, step->paths[0]));
		break;
	case STEP_COPY:
	case STEP_ADD: copy(&r, step); break;
	case STEP_RUN: run(&r, step); break;
	}
	buf_printf(s->out, "%sstep %s.%zu %u", s->indent, stage->id, number, step->line_start);
	if (step->line_end != step->line_start)
		buf_printf(s->out, "-%u", step->line_end);
	buf_add(s->out, buf_str(r.words), r.words->len);
	buf_putc(s->out, '\n');
	if (step->kind == STEP_SET)
		set_variables(s, step);
	if (step->kind == STEP_FROM)
		load_base(s, stage, step);
}
