#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../base/utf8.h"
#include "lexer.h"

int df_lex_init_extra(struct lexer *x, void **scanner);
int df_lex(DF_STYPE *value, DF_LTYPE *at, void *scanner);
int df_lex_destroy(void *scanner);

static const struct keyword_row {
	const char *name;
	enum inst_kind kind;
	int token;
	enum splitter splitter;
} keywords[] = {
	{ "ADD", INST_ADD, T_LIST_KEY, SPLIT_BLANKS },
	{ "ARG", INST_ARG, T_PAIRS_KEY, SPLIT_PAIRS },
	{ "CMD", INST_CMD, T_TEXT_KEY, SPLIT_TEXT },
	{ "COPY", INST_COPY, T_LIST_KEY, SPLIT_BLANKS },
	{ "ENTRYPOINT", INST_ENTRYPOINT, T_TEXT_KEY, SPLIT_TEXT },
	{ "ENV", INST_ENV, T_PAIRS_KEY, SPLIT_PAIRS },
	{ "EXPOSE", INST_EXPOSE, T_LIST_KEY, SPLIT_BLANKS },
	{ "FROM", INST_FROM, T_LIST_KEY, SPLIT_BLANKS },
	{ "HEALTHCHECK", INST_HEALTHCHECK, T_HEALTHCHECK, SPLIT_HEALTH },
	{ "LABEL", INST_LABEL, T_PAIRS_KEY, SPLIT_PAIRS },
	{ "MAINTAINER", INST_MAINTAINER, T_TEXT_KEY, SPLIT_TEXT },
	{ "ONBUILD", INST_ONBUILD, T_ONBUILD, SPLIT_NESTED },
	{ "RUN", INST_RUN, T_TEXT_KEY, SPLIT_TEXT },
	{ "SHELL", INST_SHELL, T_TEXT_KEY, SPLIT_TEXT },
	{ "STOPSIGNAL", INST_STOPSIGNAL, T_TEXT_KEY, SPLIT_TEXT },
	{ "USER", INST_USER, T_TEXT_KEY, SPLIT_TEXT },
	{ "VOLUME", INST_VOLUME, T_LIST_KEY, SPLIT_BLANKS },
	{ "WORKDIR", INST_WORKDIR, T_TEXT_KEY, SPLIT_TEXT },
};

enum { ROOM = 100 }; /* bytes of AST that a byte of Dockerfile makes, about */

void *
lexer_alloc(void *p, size_t n)
{
	p = realloc(p, n);
	if (p == NULL) {
		fputs("dockcc: out of memory\n", stderr);
		abort();
	}
	return p;
}

void
lexer_move(struct lexer *x, size_t n, struct span *at)
{
	x->begin = x->end;
	x->end += n;
	at->begin = text_source(x->line, x->begin);
	at->end = text_source(x->line, x->end - 1) + 1;
}

struct text
lexer_text(struct lexer *x)
{
	return text_slice(x->p->u, x->line, x->begin, x->end);
}

int
lexer_keyword(struct lexer *x, DF_STYPE *value)
{
	size_t len = x->end - x->begin;

	value->key.text = lexer_text(x);
	value->key.kind = INST_COUNT;
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0] && x->depth < 3; i++) {
		if (strlen(keywords[i].name) == len && strncasecmp(keywords[i].name, value->key.text.s, len) == 0) {
			value->key.kind = x->kind = keywords[i].kind;
			x->splitter = keywords[i].splitter;
			x->depth += keywords[i].kind == INST_ONBUILD;
			return keywords[i].token;
		}
	}
	return T_UNKNOWN;
}

bool
lexer_flags_end(const char *s, size_t len)
{
	for (size_t i = 2; i < len; i++) {
		if (s[i] != '\'' && s[i] != '"' && !(s[i] == '\\' && i + 1 == len))
			return false;
	}
	return true;
}

size_t
lexer_operands(struct lexer *x)
{
	size_t begin = x->begin, end = x->end;

	utf8_trim(x->line->s, &begin, &end);
	return begin - x->begin;
}

/* The instructions that try the exec form first: spec/language.md 1.5. */
static bool
takes_json(enum inst_kind kind)
{
	return kind == INST_RUN || kind == INST_CMD || kind == INST_ENTRYPOINT || kind == INST_SHELL || kind == INST_COPY ||
	       kind == INST_ADD || kind == INST_VOLUME || kind == INST_HEALTHCHECK;
}

/* Words of ENV, LABEL and ARG: quotes hold blanks together and stay, as does the escape character,
   which takes the next character along.  Section 1.8. */
static struct words *
split_pairs(struct lexer *x, const struct text *t)
{
	struct words *w = words_new(x->p);
	char escape = x->p->u->escape, quote = 0;
	size_t i = 0, start = 0, drop = 0;
	bool open = false;

	while (i < t->len) {
		uint32_t c;
		size_t n = utf8_decode(t->s + i, t->len - i, &c);

		if (!open && utf8_space(c)) {
			i += n;
			continue;
		}
		if (!open)
			open = true, start = i;
		if (quote == 0 && utf8_space(c)) {
			words_add(w, text_slice(x->p->u, t, start, i));
			open = false;
		} else if (t->s[i] == escape && quote != '\'') {
			if (i + 1 == t->len)
				drop = 1;
			else
				i += n, n = utf8_decode(t->s + i, t->len - i, &c);
		} else if (quote == 0 && (c == '\'' || c == '"')) {
			quote = (char)c;
		} else if (quote != 0 && c == (uint32_t)quote) {
			quote = 0;
		}
		i += n;
	}
	if (open && t->len - drop > start)
		words_add(w, text_slice(x->p->u, t, start, t->len - drop));
	return w;
}

int
lexer_json(struct lexer *x, size_t skip, DF_STYPE *value)
{
	struct text t;
	struct words *w;

	if (x->begin + skip >= x->end || x->line->s[x->begin + skip] != '[' || !takes_json(x->kind) ||
	    (x->kind == INST_HEALTHCHECK && x->splitter == SPLIT_HEALTH && skip + x->begin != x->begin))
		return 0;
	t = text_slice(x->p->u, x->line, x->begin + skip, x->end);
	w = words_new(x->p);
	w->rest = t;
	switch (json_array(x->p->u, &t, w)) {
	case JSON_STRINGS:
		value->words = w;
		return T_JSON;
	case JSON_OTHER:
		parse_error(x->p, PHASE_LEXICAL, x->p->line.line_start, DIAG_JSON_NOT_STRINGS, w->rest.at,
		            "every element of the array must be a string");
		return T_BAD;
	case JSON_NOT:
		break;
	}
	return 0;
}

int
lexer_whole(struct lexer *x, size_t skip, DF_STYPE *value)
{
	struct text t = text_slice(x->p->u, x->line, x->begin + skip, x->end);

	if (x->splitter == SPLIT_PAIRS) {
		value->words = split_pairs(x, &t);
		value->words->rest = t;
		return T_PAIRS;
	}
	value->text = t;
	return T_TEXT;
}

/* The parser's tokens: those of one logical line after the other. */
int
df_token(DF_STYPE *value, DF_LTYPE *at, struct lexer *x)
{
	for (;;) {
		size_t begin = 0, end;
		int token;

		if (x->line_open || x->buffer != NULL) {
			token = df_lex(value, at, x->scanner);
			if (token != 0)
				return token;
		}
		if (!line_next(x->p))
			return 0;
		end = x->p->line.text.len;
		utf8_trim(x->p->line.text.s, &begin, &end);
		x->trimmed = text_slice(x->p->u, &x->p->line.text, begin, end);
		x->trimmed.s = mem_array(x->p->u, char, x->trimmed.len + 2);
		memcpy((char *)x->trimmed.s, x->p->line.text.s + begin, x->trimmed.len);
		x->line = &x->trimmed;
		x->begin = x->end = 0;
		x->depth = 0;
		x->line_open = true;
		lexer_begin_line(x, x->scanner);
		if (x->trimmed.len == 0) { /* a continuation mark alone before the end of the file */
			value->key = (struct keyword){ .kind = INST_COUNT, .text = x->trimmed };
			*at = x->p->line.text.at;
			return T_UNKNOWN;
		}
	}
}

struct unit *
unit_parse(const void *ctx, const struct source *source, struct diag *d)
{
	struct unit *u = mem_pooled(ctx, struct unit, source->len * ROOM);
	struct parse p = { .u = u, .d = d, .source = source };
	struct lexer x = { .p = &p };

	u->source = source;
	u->escape = '\\';
	df_lex_init_extra(&x, &x.scanner);
	df_parse(&p, &x);
	df_lex_destroy(x.scanner);
	unit_finish(&p);
	u->ok = !p.bad[0] && !p.bad[1];
	u->lexical_error = p.bad[PHASE_LEXICAL];
	u->error_line = p.bad[PHASE_LEXICAL] ? p.first[PHASE_LEXICAL] : p.first[PHASE_INSTRUCTION];
	return u;
}

bool
unit_check_bytes(const struct unit *u, struct diag *d)
{
	const char *nul = memchr(u->source->text, '\0', u->source->len);
	uint32_t at;

	if (nul == NULL)
		return true;
	at = (uint32_t)(nul - u->source->text);
	diag_add(d, DIAG_NUL_BYTE, u->source, (struct span){ at, at + 1 }, "the file holds a NUL byte");
	return false;
}

struct inst *
unit_parse_trigger(const void *ctx, const char *text, struct diag *d)
{
	char *file = mem_printf(ctx, "FROM scratch\n%s\n", text);
	struct source *source = source_new(ctx, "ONBUILD trigger", file, strlen(file));
	struct unit *u = unit_parse(ctx, source, d);

	if (!u->ok || u->nstages != 1 || u->stages[0]->ninsts != 1)
		return NULL;
	return (struct inst *)u->stages[0]->insts[0];
}
