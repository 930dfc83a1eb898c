/* What the scanner and the grammar of the word language need; wlexer.c holds the bodies. */
#ifndef FRONT_WLEXER_H
#define FRONT_WLEXER_H

#include "../base/diag.h"
#include "ast.h"
#include "word.h"
#include "word.tab.h"

/* An operand of `${}` ends at '}', the pattern of a replacement at '/'. */
enum frame_kind { FRAME_WORD, FRAME_QUOTED, FRAME_OPERAND, FRAME_PATTERN };

enum { WORD_NESTING = 200 };

struct frame {
	enum frame_kind kind;
	bool raw;      /* escapes stay in the text: patterns and replacements */
	size_t begin;  /* where it was opened, for messages */
};

struct wlexer {
	const void *ctx;
	void *scanner;
	const struct source *source;
	const struct text *text;
	struct diag *d;
	char escape;
	bool quotes;      /* quotes are quotes (false in here-documents) */
	bool empty_name;  /* of the `${` being read */
	bool reported;
	size_t begin, end; /* the current token in the text */
	struct frame few[8], *frames;
	size_t nframes, cap;
	size_t used;          /* of `room`, which is where the scanner of a usual word works: a word costs no malloc */
	_Alignas(16) char room[3072];
	struct word_tree *result;
};

struct word_list {
	struct word_part *v;
	size_t n, cap;
};

/* lexer.c: realloc(3) that ends the process where there is no memory. */
void *lexer_alloc(void *p, size_t n);
/* Memory of the scanner. */
void *wlexer_alloc(struct wlexer *x, size_t n);
void *wlexer_realloc(struct wlexer *x, void *p, size_t n);
void wlexer_free(struct wlexer *x, void *p);
void wlexer_move(struct wlexer *x, size_t n, struct span *at);
void wlexer_keep(struct wlexer *x, size_t n, struct span *at);
int wlexer_state(const struct wlexer *x, int quoted, int unquoted);
bool wlexer_raw(const struct wlexer *x);
/* Whether `c` ends what the scanner is in. */
bool wlexer_stops(const struct wlexer *x, char c);
bool wlexer_push(struct wlexer *x, enum frame_kind kind, bool raw);
void wlexer_pop(struct wlexer *x);
/* The pattern of `${x/p/r}` has ended, the replacement begins. */
void wlexer_replacement(struct wlexer *x);
/* Bytes of the variable name at the start of `s`: digits, one special parameter, or letters, digits and '_'. */
size_t wlexer_name(const char *s, size_t len);
/* Tokens. */
int wlexer_chars(struct wlexer *x, const char *s, size_t len, DW_STYPE *value);
int wlexer_variable(struct wlexer *x, const char *s, size_t len, int token, DW_STYPE *value);
int wlexer_operator(struct wlexer *x, const char *op, DW_STYPE *value);
/* An escape or a quote-like character and its successor; returns how many bytes were used. */
size_t wlexer_escape(struct wlexer *x, const char *s, size_t len, DW_STYPE *value);
int wlexer_bad(struct wlexer *x, const char *why);
int wlexer_end(struct wlexer *x);
void wlexer_done(struct wlexer *x, struct word_list *l);

struct word_list *list_new(struct wlexer *x);
struct word_list *list_chars(struct wlexer *x, struct word_list *l, struct span at, struct chars c);
struct word_list *list_var(struct wlexer *x, struct word_list *l, struct span at, struct chars name, enum word_op op,
                           struct word_list *arg, struct word_list *repl);

int dw_lex(DW_STYPE *value, DW_LTYPE *at, void *scanner);
int dw_lex_init_extra(struct wlexer *x, void **scanner);
int dw_lex_destroy(void *scanner);
struct yy_buffer_state *dw__scan_bytes(const char *s, int len, void *scanner);
void dw_error(DW_LTYPE *at, struct wlexer *x, const char *text);

#endif
