/* What the scanner and the grammar of the shell share; shell.c holds the bodies. */
#ifndef FRONT_SLEXER_H
#define FRONT_SLEXER_H

#include "ast.h"
#include "shell.h"
#include "shell.tab.h"

/* Where the next word stands, which decides whether `if` is a keyword. */
enum shell_position { POS_COMMAND, POS_ARGUMENT, POS_FOR_NAME, POS_FOR_IN, POS_CASE_WORD, POS_CASE_IN, POS_PATTERN, POS_FUNCTION };

struct slexer {
	struct shell *sh;
	const struct text *text;
	void *scanner;
	size_t begin, end;    /* the current match */
	bool open;            /* a word has begun... */
	size_t word;          /* ...here */
	struct shell_frame {
		char close;   /* what ends it: ) } ` or " */
		bool quoted;  /* stands in double quotes */
		size_t begin;
	} frames[SHELL_NESTING + 1];
	size_t nframes;
	enum shell_position position;
	size_t depth;         /* of compound commands */
	bool condition;       /* inside [[ ]] */
	bool target;          /* the next word belongs to a redirection */
	bool deep;            /* nesting limit met */
	int here;             /* 0; 1 << and 2 <<- wait for their word */
	struct shell_here {
		const char *end;
		bool tabs;
	} *pending;
	size_t npending, next_pending, pending_cap;
};

struct span shell_span(const struct slexer *x, size_t begin, size_t end);
void slexer_move(struct slexer *x, size_t n, struct span *at);
/* Opens a word at the match unless one is open. */
void slexer_open(struct slexer *x);
/* The same and a frame that ends at `close`; false when they nest too deeply. */
bool slexer_push(struct slexer *x, char close);
/* Ends the innermost frame. */
void slexer_pop(struct slexer *x);
/* Whether the innermost frame stands in double quotes. */
bool slexer_quoted(const struct slexer *x);
char slexer_close(const struct slexer *x);
bool slexer_word_is(const struct slexer *x, const char *s);
/* The open word as a token. */
int slexer_word(struct slexer *x, DS_STYPE *value, struct span *at);
/* An operator token. */
int slexer_operator(struct slexer *x, int token);
/* One line of a here-document; true when it was the last of all. */
bool slexer_here_line(struct slexer *x, const char *s, size_t len);
int slexer_bad(struct slexer *x);

struct shell_node *node_new(struct slexer *x, enum shell_kind kind, struct span at);
struct shell_node *node_word(struct slexer *x, struct shell_node *n, struct shell_word w);
struct shell_node *node_redir(struct slexer *x, struct shell_node *n, struct shell_redir r);
struct shell_node *node_add(struct slexer *x, struct shell_node *n, enum shell_join join, struct shell_node *kid);
struct shell_node *node_join(struct slexer *x, struct shell_node *list, enum shell_join join, struct shell_node *kid);
struct shell_node *node_pipe(struct slexer *x, struct shell_node *n, struct shell_node *kid);
struct shell_node *node_simple(struct slexer *x, struct shell_node *n);

int ds_lex(DS_STYPE *value, DS_LTYPE *at, void *scanner);
int ds_lex_init_extra(struct slexer *x, void **scanner);
int ds_lex_destroy(void *scanner);
struct yy_buffer_state *ds__scan_bytes(const char *s, int len, void *scanner);
void ds_error(DS_LTYPE *at, struct slexer *x, const char *text);
void *lexer_alloc(void *p, size_t n);

#endif
