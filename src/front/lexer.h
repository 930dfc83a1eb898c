/* What the scanner's actions need; lexer.c holds their bodies so that the rules stay readable. */
#ifndef FRONT_LEXER_H
#define FRONT_LEXER_H

#include "parse.h"

enum splitter { SPLIT_BLANKS, SPLIT_TEXT, SPLIT_PAIRS, SPLIT_HEALTH, SPLIT_NESTED };

struct lexer {
	struct parse *p;
	void *scanner, *buffer;
	const struct text *line; /* the trimmed logical line */
	struct text trimmed;
	size_t begin, end;       /* the current token in it */
	enum splitter splitter;
	enum inst_kind kind;
	unsigned depth;          /* ONBUILD inside ONBUILD */
	bool line_open;
};

#include "dockerfile.tab.h"

void *lexer_alloc(void *p, size_t n);
void lexer_move(struct lexer *x, size_t n, struct span *at);
struct text lexer_text(struct lexer *x);
/* Classifies the keyword just read and chooses how its operands are cut. */
int lexer_keyword(struct lexer *x, DF_STYPE *value);
/* Whether a flag word is the lone "--" once its quotes are gone. */
bool lexer_flags_end(const char *s, size_t len);
/* Bytes of white space in front of the operands. */
size_t lexer_operands(struct lexer *x);
/* The operands as an exec form: T_JSON, T_BAD after a report, 0 when they are none. */
int lexer_json(struct lexer *x, size_t skip, DF_STYPE *value);
/* The whole rest of the line, `skip` bytes into the token, as pairs or text. */
int lexer_whole(struct lexer *x, size_t skip, DF_STYPE *value);
void lexer_begin_line(struct lexer *x, void *scanner);
void lexer_skip(struct lexer *x, void *scanner);

#endif
