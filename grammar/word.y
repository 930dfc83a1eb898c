/* One word of a Dockerfile: text and references, spec/language.md 3.2.  The scanner has dealt with quotes
   and escapes; `${}` nests. */
%define api.pure full
%define api.prefix {dw_}
%define api.token.prefix {T_}
%define api.location.type {struct span}
%locations
%expect 0
%parse-param { struct wlexer *x }
%lex-param { void *scanner }
%initial-action { @$ = (struct span){ 0, 0 }; }

%code requires {
#include "../src/front/word.h"

struct wlexer;
struct word_list;
}
%code {
#include "../src/front/wlexer.h"

#define scanner x->scanner
#define YYLLOC_DEFAULT(out, rhs, n) \
	((out) = (n) ? (struct span){ YYRHSLOC(rhs, 1).begin, YYRHSLOC(rhs, n).end } \
	             : (struct span){ YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end })
}
%union {
	struct chars { const char *s; size_t len; } chars;
	enum word_op op;
	struct word_list *list;
}
%token <chars> CHARS VAR OPEN
%token <op> OP REPL
%token CLOSE SLASH BAD
%type <list> parts

%%

word:   parts                                      { wlexer_done(x, $parts); }
;
parts:  %empty                                     { $$ = list_new(x); }
|       parts CHARS                                { $$ = list_chars(x, $1, @CHARS, $CHARS); }
|       parts VAR                                  { $$ = list_var(x, $1, @VAR, $VAR, WORD_PLAIN, NULL, NULL); }
|       parts OPEN CLOSE                           { $$ = list_var(x, $1, @OPEN, $OPEN, WORD_PLAIN, NULL, NULL); }
|       parts OPEN OP parts[arg] CLOSE             { $$ = list_var(x, $1, @OPEN, $OPEN, $OP, $arg, NULL); }
|       parts OPEN REPL parts[arg] SLASH parts[repl] CLOSE { $$ = list_var(x, $1, @OPEN, $OPEN, $REPL, $arg, $repl); }
;
