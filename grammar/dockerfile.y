/* The Dockerfile grammar: a file is logical lines, a line is one instruction.  What stands behind a
   keyword was cut by the scanner; what it means is decided later.  Dockerfile reference; spec/language.md 1. */
%define api.pure full
%define api.prefix {df_}
%define api.token.prefix {T_}
%define api.location.type {struct span}
%define parse.error custom
%locations
%expect 0
%parse-param { struct parse *p } { struct lexer *x }
%lex-param { struct lexer *x }
%initial-action { @$ = (struct span){ 0, 0 }; }

%code requires {
#include "../src/front/parse.h"
struct lexer;
struct keyword {
	enum inst_kind kind;
	struct text text;
};
}
%code provides {
int df_token(DF_STYPE *value, DF_LTYPE *at, struct lexer *x);
}
%code {
#define df_lex df_token
static void df_error(struct span *at, struct parse *p, struct lexer *x, const char *text);
#define YYLLOC_DEFAULT(out, rhs, n) \
	((out) = (n) ? (struct span){ YYRHSLOC(rhs, 1).begin, YYRHSLOC(rhs, n).end } \
	             : (struct span){ YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end })
}

%union {
	struct text text;
	struct keyword key;
	struct words *words;
	struct flags *flags;
	struct inst *inst;
}

%token <key> LIST_KEY TEXT_KEY PAIRS_KEY HEALTHCHECK ONBUILD UNKNOWN
%token <text> FLAG WORD TEXT
%token <words> JSON PAIRS
%token EOL BAD
%type <flags> flags
%type <words> words
%type <inst> stmt list text pairs health onbuild command

%%

unit:    %empty
|        unit stmt EOL            { unit_add(p, $stmt); }
|        unit error EOL           { yyerrok; }
;
stmt:    list words               { $$ = inst_words(p, $list, FORM_SHELL, $words); }
|        list JSON                { $$ = inst_words(p, $list, FORM_EXEC, $JSON); }
|        text                     { $$ = $text; }
|        text TEXT                { $$ = inst_text(p, $text, $TEXT); }
|        text JSON                { $$ = inst_words(p, $text, FORM_EXEC, $JSON); }
|        pairs                    { $$ = $pairs; }
|        pairs PAIRS              { $$ = inst_pairs(p, $pairs, $PAIRS); }
|        health                   { $$ = $health; }
|        health WORD command      { $$ = inst_health(p, $health, $WORD, $command); }
|        onbuild                  { $$ = $onbuild; }
|        onbuild stmt             { $$ = inst_trigger(p, $onbuild, $2); }
|        UNKNOWN                  { $$ = inst_unknown(p, $UNKNOWN.text); }
;
list:    LIST_KEY flags           { $$ = inst_new(p, $1.kind, $1.text, $flags); }
;
text:    TEXT_KEY flags           { $$ = inst_new(p, $1.kind, $1.text, $flags); }
;
pairs:   PAIRS_KEY flags          { $$ = inst_new(p, $1.kind, $1.text, $flags); }
;
health:  HEALTHCHECK flags        { $$ = inst_new(p, $1.kind, $1.text, $flags); }
;
onbuild: ONBUILD flags            { $$ = inst_new(p, $1.kind, $1.text, $flags); }
;
command: %empty                   { $$ = NULL; }
|        TEXT                     { $$ = inst_text(p, inst_new(p, INST_CMD, $TEXT, NULL), $TEXT); }
|        JSON                     { $$ = inst_words(p, inst_new(p, INST_CMD, (struct text){ .s = "" }, NULL), FORM_EXEC, $JSON); }
;
flags:   %empty                   { $$ = NULL; }
|        flags FLAG               { $$ = flags_add(p, $1, $FLAG); }
;
words:   %empty                   { $$ = words_new(p); }
|        words WORD               { $$ = words_add($1, $WORD); }
;

%%

/* The scanner has already told what is wrong with a line (T_BAD); the parser only finds its end. */
static int
yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p, struct lexer *x)
{
	return 0;
}

static void
df_error(struct span *at, struct parse *p, struct lexer *x, const char *text)
{
}
