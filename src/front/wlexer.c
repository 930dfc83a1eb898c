#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../base/mem.h"
#include "../base/utf8.h"
#include "parse.h"
#include "wlexer.h"

static struct span
place(const struct wlexer *x, size_t begin, size_t end)
{
	struct span at = { text_source(x->text, begin), 0 };

	at.end = end > begin ? text_source(x->text, end - 1) + 1 : at.begin;
	return at;
}

void
wlexer_move(struct wlexer *x, size_t n, struct span *at)
{
	x->begin = x->end;
	x->end += n;
	*at = place(x, x->begin, x->end);
}

void
wlexer_keep(struct wlexer *x, size_t n, struct span *at)
{
	x->end = x->begin + n;
	*at = place(x, x->begin, x->end);
}

static const struct frame *
top(const struct wlexer *x)
{
	return &x->frames[x->nframes - 1];
}

int
wlexer_state(const struct wlexer *x, int quoted, int unquoted)
{
	return top(x)->kind == FRAME_QUOTED ? quoted : unquoted;
}

bool
wlexer_raw(const struct wlexer *x)
{
	return top(x)->raw;
}

bool
wlexer_stops(const struct wlexer *x, char c)
{
	return (c == '}' && top(x)->kind == FRAME_OPERAND) || (c == '/' && top(x)->kind == FRAME_PATTERN);
}

bool
wlexer_push(struct wlexer *x, enum frame_kind kind, bool raw)
{
	if (x->nframes > WORD_NESTING) {
		x->reported = true;
		diag_add(x->d, DIAG_NESTED_TOO_DEEP, x->source, place(x, x->begin, x->end),
		         "quotes and ${} nest deeper than %d levels here", WORD_NESTING);
		return false;
	}
	if (x->nframes == x->cap) {
		struct frame *more = mem_array(x->ctx, struct frame, x->cap * 2);

		x->frames = memcpy(more, x->frames, x->cap * sizeof(*more));
		x->cap *= 2;
	}
	x->frames[x->nframes++] = (struct frame){ .kind = kind, .raw = raw, .begin = x->begin };
	return true;
}

void
wlexer_pop(struct wlexer *x)
{
	x->nframes--;
}

void
wlexer_replacement(struct wlexer *x)
{
	x->frames[x->nframes - 1].kind = FRAME_OPERAND;
}

/* Letters as the reference's Unicode tables have them, near enough: everything from U+00AA that is not
   punctuation, a symbol or a space of the common blocks. */
static bool
letter(uint32_t c)
{
	if (c < 0x80)
		return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9');
	if (c < 0xC0)
		return c == 0xAA || c == 0xB5 || c == 0xBA;
	if (c == 0xD7 || c == 0xF7 || c == 0xFFFD)
		return false;
	return !(c >= 0x2000 && c <= 0x206F) && !(c >= 0x20A0 && c <= 0x20CF) && !(c >= 0x2190 && c <= 0x2BFF) &&
	       !(c >= 0x3000 && c <= 0x3004) && !(c >= 0x3008 && c <= 0x3020) && !(c >= 0xE000 && c <= 0xF8FF) &&
	       !(c >= 0xFE10 && c <= 0xFE6F) && !(c >= 0xFF01 && c <= 0xFF0F) && !(c >= 0x1F000 && c <= 0x1FAFF) &&
	       !utf8_space(c);
}

size_t
wlexer_name(const char *s, size_t len)
{
	size_t n = 0;

	if (len == 0)
		return 0;
	if (s[0] >= '0' && s[0] <= '9') {
		while (n < len && s[n] >= '0' && s[n] <= '9')
			n++;
		return n;
	}
	if (strchr("@*#?-$!", s[0]) != NULL && s[0] != '\0')
		return 1;
	while (n < len) {
		uint32_t c;
		size_t step = utf8_decode(s + n, len - n, &c);

		if (!letter(c))
			break;
		n += step;
	}
	return n;
}

int
wlexer_chars(struct wlexer *x, const char *s, size_t len, DW_STYPE *value)
{
	value->chars = (struct chars){ mem_dup(x->ctx, s, len), len };
	return T_CHARS;
}

int
wlexer_variable(struct wlexer *x, const char *s, size_t len, int token, DW_STYPE *value)
{
	wlexer_chars(x, s, len, value);
	x->empty_name = len == 0;
	return token;
}

int
wlexer_operator(struct wlexer *x, const char *op, DW_STYPE *value)
{
	struct frame *f = &x->frames[x->nframes - 1];
	bool null = op[0] == ':';

	switch (op[null ? 1 : 0]) {
	case '-': value->op = null ? WORD_DEFAULT_NULL : WORD_DEFAULT; return T_OP;
	case '+': value->op = null ? WORD_ALT_NULL : WORD_ALT; return T_OP;
	case '?': value->op = null ? WORD_REQUIRE_NULL : WORD_REQUIRE; return T_OP;
	case '#': value->op = WORD_PREFIX; f->raw = true; return T_OP;
	case '%': value->op = WORD_SUFFIX; f->raw = true; return T_OP;
	default:
		value->op = op[1] == '/' ? WORD_REPLACE_ALL : WORD_REPLACE;
		f->raw = true;
		f->kind = FRAME_PATTERN;
		return T_REPL;
	}
}

size_t
wlexer_escape(struct wlexer *x, const char *s, size_t len, DW_STYPE *value)
{
	bool quoted = top(x)->kind == FRAME_QUOTED;
	bool taken = len == 2 && (!quoted || s[1] == '"' || s[1] == '$' || s[1] == x->escape);

	if (s[0] != x->escape) {
		wlexer_chars(x, s, 1, value);
		return 1;
	}
	/* an escape as the very last character is dropped, unless escapes are kept */
	if (len == 1) {
		wlexer_chars(x, s, top(x)->raw ? 1 : 0, value);
		return 1;
	}
	if (taken) {
		wlexer_chars(x, top(x)->raw ? s : s + 1, top(x)->raw ? 2 : 1, value);
		return 2;
	}
	/* in double quotes it stands for itself; where escapes are kept the reference writes it twice */
	wlexer_chars(x, top(x)->raw ? (char[]){ s[0], s[0] } : s, top(x)->raw ? 2 : 1, value);
	return 1;
}

int
wlexer_bad(struct wlexer *x, const char *why)
{
	if (!x->reported)
		diag_add(x->d, DIAG_BAD_WORD, x->source, place(x, x->begin, x->end), "%s", why);
	x->reported = true;
	return T_BAD;
}

int
wlexer_end(struct wlexer *x)
{
	const struct frame *f = top(x);

	if (f->kind == FRAME_WORD)
		return T_YYEOF;
	x->begin = f->begin;
	x->end = f->kind == FRAME_QUOTED ? f->begin + 1 : f->begin + 2;
	return wlexer_bad(x, f->kind == FRAME_QUOTED ? "the double quote opened here is never closed"
	                     : f->kind == FRAME_PATTERN ? "the replacement ${name/pattern/text} begun here has no second /"
	                                                : "the ${ opened here has no }");
}

struct word_list *
list_new(struct wlexer *x)
{
	return mem_new(x->ctx, struct word_list);
}

struct word_list *
list_chars(struct wlexer *x, struct word_list *l, struct span at, struct chars c)
{
	struct word_part *last = l->n > 0 ? &l->v[l->n - 1] : NULL;
	char *s;

	if (last != NULL && !last->is_var) {
		s = talloc_realloc_size(x->ctx, (char *)(uintptr_t)last->text, last->len + c.len + 1);
		memcpy(s + last->len, c.s, c.len);
		last->len += c.len;
		s[last->len] = '\0';
		last->text = s;
		last->at.end = at.end;
		return l;
	}
	mem_room(x->ctx, l->v, l->n + 1, &l->cap);
	l->v[l->n++] = (struct word_part){ .at = at, .text = c.s, .len = c.len };
	return l;
}

static struct word_tree *
tree_of(struct wlexer *x, struct word_list *l)
{
	struct word_tree *t = mem_new(x->ctx, struct word_tree);

	*t = (struct word_tree){ .parts = l->v, .nparts = l->n };
	return t;
}

/* `##` is `#` with a pattern whose text begins with '#': take it off where that is plain to see. */
static enum word_op
longest(enum word_op op, struct word_list *arg)
{
	struct word_part *first = arg->v;
	char c = op == WORD_PREFIX ? '#' : '%';

	if ((op != WORD_PREFIX && op != WORD_SUFFIX) || arg->n == 0 || first->is_var || first->len == 0 ||
	    first->text[0] != c)
		return op;
	first->text++;
	first->len--;
	return op == WORD_PREFIX ? WORD_PREFIX_LONG : WORD_SUFFIX_LONG;
}

struct word_list *
list_var(struct wlexer *x, struct word_list *l, struct span at, struct chars name, enum word_op op,
         struct word_list *arg, struct word_list *repl)
{
	struct word_part part = { .is_var = true, .at = at, .text = name.s, .len = name.len, .op = op };

	if (arg != NULL) {
		part.op = longest(op, arg);
		part.arg = tree_of(x, arg);
	}
	if (repl != NULL)
		part.repl = tree_of(x, repl);
	mem_room(x->ctx, l->v, l->n + 1, &l->cap);
	l->v[l->n++] = part;
	return l;
}

void
wlexer_done(struct wlexer *x, struct word_list *l)
{
	x->result = tree_of(x, l);
}

void
dw_error(DW_LTYPE *at, struct wlexer *x, const char *text)
{
	if (!x->reported)
		wlexer_bad(x, "this is not a word that can be expanded");
}

void *
wlexer_alloc(struct wlexer *x, size_t n)
{
	void *p = x->room + x->used;

	n = (n + 15) & ~(size_t)15;
	if (n > sizeof(x->room) - x->used)
		return lexer_alloc(NULL, n);
	x->used += n;
	return p;
}

static bool
in_room(const struct wlexer *x, const void *p)
{
	return (uintptr_t)p - (uintptr_t)x->room < sizeof(x->room);
}

void *
wlexer_realloc(struct wlexer *x, void *p, size_t n)
{
	size_t old;

	if (p == NULL || !in_room(x, p))
		return p == NULL ? wlexer_alloc(x, n) : lexer_alloc(p, n);
	old = (size_t)(x->room + x->used - (char *)p); /* at most */
	return memcpy(lexer_alloc(NULL, n), p, old < n ? old : n);
}

void
wlexer_free(struct wlexer *x, void *p)
{
	if (!in_room(x, p))
		free(p);
}

/* A word without any special character is one literal; most are. */
static struct word_tree *
plain(const void *ctx, const struct text *text)
{
	struct word_tree *t = mem_new(ctx, struct word_tree);
	struct word_part *part;

	if (text->len == 0)
		return t;
	part = mem_new(ctx, struct word_part);
	*part = (struct word_part){ .at = text->at, .text = mem_dup(ctx, text->s, text->len), .len = text->len };
	*t = (struct word_tree){ .parts = part, .nparts = 1 };
	return t;
}

static struct word_tree *
scan(const void *ctx, const struct source *source, const struct text *text, char escape, enum word_mode mode, struct diag *d)
{
	struct wlexer x = {
		.ctx = ctx, .source = source, .text = text, .d = d,
		.escape = mode == WORD_MODE_RAW ? '\\' : escape,
		.quotes = mode == WORD_MODE_NORMAL,
		.nframes = 1, .cap = sizeof(x.few) / sizeof(x.few[0]),
	};
	struct word_tree *result;

	x.frames = x.few;
	dw_lex_init_extra(&x, &x.scanner);
	dw__scan_bytes(text->s, (int)text->len, x.scanner);
	result = dw_parse(&x) == 0 && !x.reported ? x.result : NULL;
	dw_lex_destroy(x.scanner);
	return result;
}

struct word_tree *
word_parse(const void *ctx, const struct source *source, const struct text *text, char escape, enum word_mode mode,
           struct diag *d)
{
	if (strcspn(text->s, "$'\"\\`") == text->len)
		return plain(ctx, text);
	return scan(ctx, source, text, escape, mode, d);
}
