/* The resolved graph as JSON: `--emit=graph`. */
#include <string.h>

#include "../base/buf.h"
#include "walk.h"

static void put_value(struct buf *out, const struct value *v);

static void
key(struct buf *out, const char *name)
{
	if (out->len > 0 && strchr("{[,", buf_str(out)[out->len - 1]) == NULL)
		buf_putc(out, ',');
	buf_printf(out, "\"%s\":", name);
}

static void
comma(struct buf *out, size_t k)
{
	if (k > 0)
		buf_putc(out, ',');
}

static void
text(struct buf *out, const char *name, const char *s)
{
	if (s == NULL)
		return;
	key(out, name);
	buf_json(out, s, strlen(s));
}

static void
flag(struct buf *out, const char *name, bool on)
{
	if (!on)
		return;
	key(out, name);
	buf_puts(out, "true");
}

/* A variable as NAME (global) or STAGE.NAME. */
static void
put_var(struct buf *out, const char *name, const struct var *v)
{
	if (v == NULL)
		return;
	text(out, name, v->name);
	if (v->stage >= 0) {
		key(out, strcmp(name, "var") == 0 ? "stage" : "of");
		buf_printf(out, "%d", v->stage);
	}
}

static void
put_part(struct buf *out, const struct value_part *p)
{
	static const char *const ops[] = { "", "-", ":-", "+", ":+", "?", ":?", "#", "##", "%", "%%", "/", "//" };

	if (p->var == NULL && !p->unset) {
		buf_json(out, p->text, p->len);
		return;
	}
	buf_putc(out, '{');
	if (p->var != NULL)
		put_var(out, "var", p->var);
	else
		text(out, "unset", p->name);
	if (p->op != WORD_PLAIN)
		text(out, "op", ops[p->op]);
	if (p->arg != NULL) {
		key(out, "arg");
		put_value(out, p->arg);
	}
	if (p->repl != NULL) {
		key(out, "repl");
		put_value(out, p->repl);
	}
	buf_putc(out, '}');
}

/* A static value is a string, another one an array of its parts. */
static void
put_value(struct buf *out, const struct value *v)
{
	if (v == NULL) {
		buf_puts(out, "null");
		return;
	}
	if (value_is_static(v)) {
		const char *s = value_text(v);

		buf_json(out, s, strlen(s));
		return;
	}
	buf_putc(out, '[');
	for (size_t i = 0; i < v->nparts; i++) {
		comma(out, i);
		put_part(out, &v->parts[i]);
	}
	buf_putc(out, ']');
}

static void
value(struct buf *out, const char *name, const struct value *v)
{
	if (v == NULL)
		return;
	key(out, name);
	put_value(out, v);
}

static void
put_origin(struct buf *out, const char *name, const struct origin *o)
{
	static const char *const kinds[] = { "context", "stage", "image", "scratch" };

	key(out, name);
	buf_printf(out, "{\"kind\":\"%s\"", kinds[o->kind]);
	if (o->stage != NULL)
		text(out, "stage", o->stage->id);
	value(out, "image", o->image);
	value(out, "platform", o->platform);
	buf_putc(out, '}');
}

static void
put_assign(struct buf *out, const struct assign *a)
{
	buf_putc(out, '{');
	put_var(out, "var", a->var);
	value(out, "value", a->value);
	flag(out, "overridable", a->overridable);
	if (a->fallback != NULL)
		text(out, "fallback", a->fallback->name);
	put_var(out, "keep", a->keep);
}

static void
put_settings(struct buf *out, const struct step *s)
{
	key(out, "settings");
	buf_putc(out, '[');
	for (size_t i = 0; i < s->nsettings; i++) {
		const struct setting *set = &s->settings[i];

		comma(out, i);
		buf_putc(out, '{');
		text(out, "name", set->name);
		value(out, "value", set->value);
		flag(out, "same", set->same);
		if (set->assign != NULL) {
			key(out, "assign");
			put_assign(out, set->assign);
			buf_putc(out, '}');
		}
		key(out, "line");
		buf_printf(out, "%u}", (unsigned)set->line);
	}
	buf_putc(out, ']');
}

static void
put_mount(struct buf *out, const struct mount *m)
{
	static const char *const kinds[] = { "bind", "cache", "tmpfs", "secret", "ssh" };

	buf_printf(out, "{\"type\":\"%s\"", kinds[m->kind]);
	value(out, "target", m->target);
	value(out, "source", m->source);
	value(out, "id", m->id);
	value(out, "env", m->env);
	if (m->kind == MOUNT_BIND || m->kind == MOUNT_CACHE)
		put_origin(out, "from", &m->from);
	text(out, "sharing", m->sharing);
	value(out, "mode", m->mode);
	value(out, "uid", m->uid);
	value(out, "gid", m->gid);
	value(out, "size", m->size);
	flag(out, "required", m->required);
	flag(out, "ro", m->readonly);
	flag(out, "rw", m->readwrite);
	buf_putc(out, '}');
}

static void
put_strings(struct buf *out, const char *name, const char *const *v, size_t n)
{
	key(out, name);
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		comma(out, i);
		buf_json(out, v[i], strlen(v[i]));
	}
	buf_putc(out, ']');
}

static void
put_run(struct buf *out, const struct step *s)
{
	if (s->exec_form)
		put_strings(out, "argv", s->argv, s->argc);
	else
		text(out, "text", s->argv[0]);
	text(out, "script", s->script_name);
	flag(out, "join", s->join);
	text(out, "network", s->network);
	text(out, "security", s->security);
	if (s->nmounts == 0)
		return;
	key(out, "mounts");
	buf_putc(out, '[');
	for (size_t i = 0; i < s->nmounts; i++) {
		comma(out, i);
		put_mount(out, &s->mounts[i]);
	}
	buf_putc(out, ']');
}

static void
put_copy(struct buf *out, const struct step *s)
{
	key(out, "paths");
	buf_putc(out, '[');
	for (size_t i = 0; i < s->npaths; i++) {
		comma(out, i);
		put_value(out, s->paths[i]);
	}
	buf_putc(out, ']');
	if (s->kind == STEP_WORKDIR)
		return;
	put_origin(out, "from", &s->from);
	value(out, "chown", s->chown);
	value(out, "chmod", s->chmod);
	value(out, "checksum", s->checksum);
	flag(out, "link", s->link);
	flag(out, "parents", s->parents);
	flag(out, "keep_git_dir", s->keep_git_dir);
	flag(out, "join", s->join);
	if (s->unpack >= 0 && s->kind == STEP_ADD) {
		key(out, "unpack");
		buf_puts(out, s->unpack > 0 ? "true" : "false");
	}
	if (s->nexcludes > 0)
		put_strings(out, "excludes", s->excludes, s->nexcludes);
	for (size_t i = 0; i < s->nfiles; i++) {
		if (i == 0) {
			key(out, "files");
			buf_putc(out, '[');
		}
		comma(out, i);
		buf_putc(out, '{');
		text(out, "name", s->files[i].name);
		value(out, "content", s->files[i].content);
		buf_puts(out, i + 1 == s->nfiles ? "}]" : "}");
	}
}

static void
put_step(struct buf *out, const struct step *s)
{
	static const char *const kinds[] = { "from", "arg", "set", "workdir", "copy", "add", "run" };

	buf_printf(out, "{\"kind\":\"%s\",\"lines\":[%u,%u]", kinds[s->kind], (unsigned)s->line_start, (unsigned)s->line_end);
	flag(out, "dead", s->dead);
	switch (s->kind) {
	case STEP_FROM:
		put_origin(out, "base", &s->base);
		if (s->ntriggers > 0)
			put_strings(out, "triggers", s->triggers, s->ntriggers);
		break;
	case STEP_ARG:
		key(out, "assigns");
		buf_putc(out, '[');
		for (size_t i = 0; i < s->nassigns; i++) {
			comma(out, i);
			put_assign(out, s->assigns[i]);
			buf_putc(out, '}');
		}
		buf_putc(out, ']');
		break;
	case STEP_SET:
		put_settings(out, s);
		break;
	case STEP_WORKDIR:
	case STEP_COPY:
	case STEP_ADD:
		put_copy(out, s);
		break;
	case STEP_RUN:
		put_run(out, s);
		break;
	}
	buf_putc(out, '}');
}

static void
put_stage(struct buf *out, const struct gstage *s)
{
	buf_printf(out, "{\"index\":%u", s->index);
	text(out, "name", s->name);
	text(out, "id", s->id);
	key(out, "live");
	buf_puts(out, s->live ? "true" : "false");
	if (s->shares != NULL) {
		text(out, "shares", s->shares->id);
		key(out, "nshared");
		buf_printf(out, "%zu", s->nshared);
	}
	key(out, "base_vars");
	buf_putc(out, '[');
	for (size_t i = 0; i < s->nbase_vars; i++) {
		comma(out, i);
		buf_json(out, s->base_vars[i]->name, strlen(s->base_vars[i]->name));
	}
	buf_putc(out, ']');
	key(out, "steps");
	buf_putc(out, '[');
	for (size_t i = 0; i < s->nsteps; i++) {
		comma(out, i);
		put_step(out, s->steps[i]);
	}
	buf_puts(out, "]}");
}

void
graph_dump(struct buf *out, const struct graph *g)
{
	buf_putc(out, '{');
	text(out, "target", g->target->id);
	key(out, "globals");
	buf_putc(out, '[');
	for (size_t i = 0; i < g->nglobals; i++) {
		comma(out, i);
		put_assign(out, &g->globals[i].assign);
		flag(out, "builtin", g->globals[i].builtin);
		flag(out, "structural", g->globals[i].structural);
		flag(out, "dead", g->globals[i].dead);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
	key(out, "stages");
	buf_putc(out, '[');
	for (size_t i = 0; i < g->nstages; i++) {
		comma(out, i);
		put_stage(out, g->stages[i]);
	}
	buf_puts(out, "]}\n");
}
