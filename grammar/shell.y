/* Commands of the shell: POSIX.1-2017 XCU 2.10, with the loops and functions of bash.  Simple commands are noted as they are
   reduced, so those before a syntax error are known. */
%define api.pure full
%define api.prefix {ds_}
%define api.token.prefix {T_}
%define api.location.type {struct span}
%locations
%expect 0
%parse-param { struct slexer *x }
%lex-param { void *scanner }
%initial-action { @$ = (struct span){ 0, 0 }; }

%code requires {
#include "../src/front/shell.h"

struct slexer;
}
%code {
#include "../src/front/slexer.h"

#define scanner x->scanner
#define YYLLOC_DEFAULT(out, rhs, n) \
	((out) = (n) ? (struct span){ YYRHSLOC(rhs, 1).begin, YYRHSLOC(rhs, n).end } \
	             : (struct span){ YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end })
}
%union {
	struct shell_word word;
	struct shell_redir redir;
	struct shell_node *node;
	enum shell_join join;
}
%token <word> WORD
%token NEWLINE AND OR SEMI DSEMI PIPE BACKGROUND LPAREN RPAREN
%token IN OUT APPEND DUP HERE HERE_STRING
%token BANG LBRACE RBRACE IF THEN ELSE ELIF FI DO DONE WHILE FOR CASE OF ESAC FUNCTION BAD
%type <node> list and_or pipeline bare command simple compound body else words clauses cases clause patterns for
%type <redir> redir
%type <join> sep

%%

script: blank list                          { x->sh->root = $list; }
|       blank list sep                      { x->sh->root = $list; }
|       blank
;
blank:  %empty
|       blank NEWLINE
;
sep:    SEMI blank                          { $$ = JOIN_SEQ; }
|       BACKGROUND blank                    { $$ = JOIN_BACKGROUND; }
|       NEWLINE blank                       { $$ = JOIN_SEQ; }
;
list:   and_or
|       list[l] sep and_or                  { $$ = node_join(x, $l, $sep, $and_or); }
;
and_or: pipeline
|       and_or[l] AND blank pipeline        { $$ = node_join(x, $l, JOIN_AND, $pipeline); }
|       and_or[l] OR blank pipeline         { $$ = node_join(x, $l, JOIN_OR, $pipeline); }
;
pipeline: bare
|       BANG bare                           { $$ = $bare; $$->negated = true; }
;
bare:   command
|       bare[l] PIPE blank command          { $$ = node_pipe(x, $l, $command); }
;
command: simple                             { $$ = node_simple(x, $simple); }
|       compound
|       WORD LPAREN RPAREN blank compound   { $$ = node_add(x, node_new(x, SHELL_FUNCTION, @$), JOIN_FIRST, $compound); }
|       FUNCTION WORD blank LBRACE body RBRACE { $$ = node_add(x, node_new(x, SHELL_FUNCTION, @$), JOIN_FIRST, $body); }
|       FUNCTION WORD LPAREN RPAREN blank compound { $$ = node_add(x, node_new(x, SHELL_FUNCTION, @$), JOIN_FIRST, $compound); }
;
simple: WORD                                { $$ = node_word(x, node_new(x, SHELL_SIMPLE, @$), $WORD); }
|       redir                               { $$ = node_redir(x, node_new(x, SHELL_SIMPLE, @$), $redir); }
|       simple[s] WORD                      { $$ = node_word(x, $s, $WORD); }
|       simple[s] redir                     { $$ = node_redir(x, $s, $redir); }
;
redir:  IN WORD                             { $$ = (struct shell_redir){ REDIR_IN, @$, $WORD }; }
|       OUT WORD                            { $$ = (struct shell_redir){ REDIR_OUT, @$, $WORD }; }
|       APPEND WORD                         { $$ = (struct shell_redir){ REDIR_APPEND, @$, $WORD }; }
|       DUP WORD                            { $$ = (struct shell_redir){ REDIR_DUP, @$, $WORD }; }
|       HERE WORD                           { $$ = (struct shell_redir){ REDIR_HERE, @$, $WORD }; }
|       HERE_STRING WORD                    { $$ = (struct shell_redir){ REDIR_STRING, @$, $WORD }; }
;
compound: LBRACE body RBRACE                { $$ = node_add(x, node_new(x, SHELL_GROUP, @$), JOIN_FIRST, $body); }
|       LPAREN body RPAREN                  { $$ = node_add(x, node_new(x, SHELL_SUBSHELL, @$), JOIN_FIRST, $body); }
|       IF body[c] THEN body[b] else FI     { $$ = node_add(x, node_add(x, node_add(x, node_new(x, SHELL_IF, @$), JOIN_FIRST, $c), JOIN_FIRST, $b), JOIN_FIRST, $else); }
|       WHILE body[c] DO body[b] DONE       { $$ = node_add(x, node_add(x, node_new(x, SHELL_LOOP, @$), JOIN_FIRST, $c), JOIN_FIRST, $b); }
|       for DO body DONE                    { $$ = node_add(x, $for, JOIN_FIRST, $body); $$->at = @$; }
|       CASE WORD blank OF blank cases ESAC { $$ = node_word(x, $cases, $WORD); $$->at = @$; }
|       compound[c] redir                   { $$ = node_redir(x, $c, $redir); }
;
body:   blank list                          { $$ = $list; }
|       blank list sep                      { $$ = $list; }
;
else:   %empty                              { $$ = NULL; }
|       ELSE body                           { $$ = $body; }
|       ELIF body[c] THEN body[b] else[e]   { $$ = node_add(x, node_add(x, node_add(x, node_new(x, SHELL_IF, @$), JOIN_FIRST, $c), JOIN_FIRST, $b), JOIN_FIRST, $e); }
;
for:    FOR WORD blank                      { $$ = node_new(x, SHELL_FOR, @$); }
|       FOR WORD SEMI blank                 { $$ = node_new(x, SHELL_FOR, @$); }
|       FOR WORD blank OF words sep         { $$ = $words; }
;
words:  %empty                              { $$ = node_new(x, SHELL_FOR, @$); }
|       words[w] WORD                       { $$ = node_word(x, $w, $WORD); }
;
clauses: %empty                             { $$ = node_new(x, SHELL_CASE, @$); }
|       clauses[c] clause DSEMI blank       { $$ = node_add(x, $c, JOIN_FIRST, $clause); }
;
cases:  clauses
|       clauses[c] clause                   { $$ = node_add(x, $c, JOIN_FIRST, $clause); }
;
clause: patterns RPAREN body                { $$ = $body; }
|       patterns RPAREN blank               { $$ = NULL; }
;
patterns: WORD                              { $$ = NULL; }
|       LPAREN WORD                         { $$ = NULL; }
|       patterns PIPE WORD                  { $$ = NULL; }
;
