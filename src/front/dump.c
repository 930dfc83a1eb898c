/* The AST as JSON, the form of `dockcc compile --emit=ast`. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../base/utf8.h"
#include "ast.h"

static void
put(struct buf *out, const char *key, const char *s, size_t len)
{
	buf_printf(out, ",\"%s\":", key);
	buf_json(out, s, len);
}

static void
put_words(struct buf *out, const struct inst *i)
{
	buf_puts(out, ",\"args\":[");
	for (size_t k = 0; k < i->nargs; k++) {
		const struct text *t = &i->args[k].text;
		size_t begin = 0, end = t->len;

		if (i->kind == INST_VOLUME)
			utf8_trim(t->s, &begin, &end);
		if (k > 0)
			buf_putc(out, ',');
		buf_json(out, t->s + begin, end - begin);
	}
	buf_putc(out, ']');
}

static void
put_form(struct buf *out, const struct inst *i)
{
	buf_printf(out, ",\"form\":\"%s\"", i->form == FORM_EXEC ? "exec" : "shell");
	put_words(out, i);
}

static void
put_pairs(struct buf *out, const struct inst *i)
{
	buf_puts(out, ",\"key_values\":[");
	for (size_t k = 0; k < i->nkvs; k++) {
		const struct key_value *kv = &i->kvs[k];

		buf_puts(out, k > 0 ? ",[" : "[");
		buf_json(out, kv->key.text.s, kv->key.text.len);
		buf_putc(out, ',');
		if (kv->has_value)
			buf_json(out, kv->value.text.s, kv->value.text.len);
		else
			buf_puts(out, "null");
		buf_putc(out, ']');
	}
	buf_putc(out, ']');
	if (i->legacy)
		buf_puts(out, ",\"legacy\":true");
}

/* ONBUILD's text; a here-document follows as newline, body, end word. */
static void
put_trigger(struct buf *out, const struct inst *i)
{
	struct buf *text = buf_new(out);

	buf_add(text, i->rest.s, i->rest.len);
	for (size_t k = 0; k < i->nheredocs; k++) {
		buf_putc(text, '\n');
		buf_add(text, i->heredocs[k].content, i->heredocs[k].len);
		buf_puts(text, i->heredocs[k].name);
	}
	buf_puts(out, ",\"args\":[");
	buf_json(out, buf_str(text), text->len);
	buf_putc(out, ']');
	talloc_free(text);
}

static void
put_heredocs(struct buf *out, const struct inst *i)
{
	if (i->nheredocs == 0 || i->kind == INST_ONBUILD || i->form == FORM_EXEC)
		return;
	buf_puts(out, ",\"heredocs\":[");
	for (size_t k = 0; k < i->nheredocs; k++) {
		const struct heredoc *h = &i->heredocs[k];

		buf_printf(out, "%s{\"expand\":%s,\"chomp\":%s", k > 0 ? "," : "", h->expand ? "true" : "false", h->chomp ? "true" : "false");
		put(out, "name", h->name, strlen(h->name));
		put(out, "content", h->content, h->len);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void
put_inst(struct buf *out, const struct inst *i)
{
	buf_printf(out, "{\"kind\":\"%s\",\"line_start\":%u,\"line_end\":%u", inst_name(i->kind), i->line_start, i->line_end);
	for (size_t k = 0; k < i->nflags; k++) {
		buf_puts(out, k == 0 ? ",\"flags\":[" : ",");
		buf_json(out, i->flags[k].raw, strlen(i->flags[k].raw));
	}
	if (i->nflags > 0)
		buf_putc(out, ']');
	switch (i->kind) {
	case INST_ARG:
	case INST_ENV:
	case INST_LABEL:
		put_pairs(out, i);
		break;
	case INST_ONBUILD:
		put_trigger(out, i);
		break;
	case INST_HEALTHCHECK:
		buf_printf(out, ",\"test\":\"%s\"", i->health_none ? "NONE" : "CMD");
		if (!i->health_none)
			put_form(out, i);
		break;
	case INST_EXPOSE:
	case INST_MAINTAINER:
	case INST_STOPSIGNAL:
	case INST_USER:
	case INST_WORKDIR:
		put_words(out, i);
		break;
	default:
		put_form(out, i);
	}
	put_heredocs(out, i);
	buf_putc(out, '}');
}

static void
put_insts(struct buf *out, const char *key, const struct inst *const *v, size_t n)
{
	buf_printf(out, ",\"%s\":[", key);
	for (size_t k = 0; k < n; k++) {
		if (k > 0)
			buf_putc(out, ',');
		put_inst(out, v[k]);
	}
	buf_putc(out, ']');
}

void
unit_dump(struct buf *out, const struct unit *u)
{
	if (!u->ok) {
		buf_printf(out, "{\"ok\":false,\"error_line\":%u}\n", u->error_line);
		return;
	}
	buf_printf(out, "{\"ok\":true,\"escape\":\"%s\",\"directives\":{", u->escape == '\\' ? "\\\\" : "`");
	for (size_t k = 0; k < u->ndirectives; k++) {
		buf_printf(out, "%s\"%s\":", k > 0 ? "," : "", u->directives[k].name);
		buf_json(out, u->directives[k].value, strlen(u->directives[k].value));
	}
	buf_putc(out, '}');
	put_insts(out, "meta_args", u->meta_args, u->nmeta_args);
	buf_puts(out, ",\"stages\":[");
	for (size_t k = 0; k < u->nstages; k++) {
		const struct stage *s = u->stages[k];

		buf_printf(out, "%s{\"line_start\":%u,\"line_end\":%u", k > 0 ? "," : "", s->from->line_start, s->from->line_end);
		put(out, "base", s->base.text.s, s->base.text.len);
		if (s->name != NULL)
			put(out, "name", s->name, strlen(s->name));
		if (s->platform != NULL)
			put(out, "platform", s->platform, strlen(s->platform));
		put_insts(out, "instructions", s->insts, s->ninsts);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}\n");
}
