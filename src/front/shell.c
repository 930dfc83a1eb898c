/* Scanner state of the shell grammar: words, keywords by position, here-documents. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "parse.h"
#include "slexer.h"

struct span
shell_span(const struct slexer *x, size_t begin, size_t end)
{
	struct span at = { text_source(x->text, begin), 0 };

	at.end = end > begin ? text_source(x->text, end - 1) + 1 : at.begin;
	return at;
}

void
slexer_move(struct slexer *x, size_t n, struct span *at)
{
	x->begin = x->end;
	x->end += n;
	*at = shell_span(x, x->begin, x->end);
}

void
slexer_open(struct slexer *x)
{
	if (!x->open)
		x->word = x->begin;
	x->open = true;
}

bool
slexer_quoted(const struct slexer *x)
{
	return x->nframes > 0 && x->frames[x->nframes - 1].quoted;
}

bool
slexer_push(struct slexer *x, char close)
{
	bool quoted = x->nframes > 0 && (x->frames[x->nframes - 1].close == '"' || (x->frames[x->nframes - 1].close == '}' && slexer_quoted(x)));

	slexer_open(x);
	if (x->nframes == SHELL_NESTING) {
		x->deep = true;
		return false;
	}
	x->frames[x->nframes++] = (struct shell_frame){ .close = close, .quoted = quoted && close == '}', .begin = x->begin };
	return true;
}

void
slexer_pop(struct slexer *x)
{
	x->nframes--;
}

char
slexer_close(const struct slexer *x)
{
	return x->nframes > 0 ? x->frames[x->nframes - 1].close : 0;
}

bool
slexer_word_is(const struct slexer *x, const char *s)
{
	size_t n = strlen(s);

	return x->open && x->begin - x->word > n && memcmp(x->text->s + x->begin - n, s, n) == 0;
}

int
slexer_bad(struct slexer *x)
{
	struct shell *sh = x->sh;

	bool sure = !x->deep; /* `case` in a substitution is guessed at */

	for (size_t k = 0; k < x->nframes; k++)
		sure = sure && x->frames[k].close != 'e';
	if (!sh->bad && x->nframes > 0 && sure) {
		sh->open = x->frames[0].close == ')' ? '(' : x->frames[0].close == '}' ? '{' : x->frames[0].close;
		sh->where = shell_span(x, x->frames[0].begin, x->frames[0].begin + 1);
	} else if (!sh->bad) {
		sh->where = shell_span(x, x->begin, x->end);
	}
	sh->bad = true;
	return T_BAD;
}

void
ds_error(DS_LTYPE *at, struct slexer *x, const char *text)
{
	(void)text;
	if (!x->sh->bad)
		x->sh->where = *at;
	x->sh->bad = true;
}

/* The word without its quotes and escapes; what is substituted stays as it is. */
static struct shell_word
word_make(struct slexer *x, size_t begin, size_t end)
{
	const char *s = x->text->s;
	char *value = mem_array(x->sh, char, end - begin + 1), quote = 0;
	struct shell_word w = { .at = shell_span(x, begin, end), .raw = mem_dup(x->sh, s + begin, end - begin), .value = value };

	for (size_t i = begin; i < end; i++) {
		if (quote == 0 ? s[i] == '\'' || s[i] == '"' : s[i] == quote) {
			quote = quote == 0 ? s[i] : 0;
			w.quoted = true;
			continue;
		}
		if (s[i] == '\\' && quote != '\'' && i + 1 < end && (quote == 0 || strchr("$`\"\\\n", s[i + 1]) != NULL)) {
			i++;
			if (s[i] != '\n')
				*value++ = s[i];
			continue;
		}
		w.expands = w.expands || (quote != '\'' && (s[i] == '`' || (s[i] == '$' && i + 1 < end && s[i + 1] != '\'')));
		*value++ = s[i];
	}
	return w;
}

static const struct keyword {
	const char *name;
	int token;
	enum shell_position next;
	int depth;
} keywords[] = {
	{ "if", T_IF, POS_COMMAND, 1 }, { "then", T_THEN, POS_COMMAND, 0 }, { "else", T_ELSE, POS_COMMAND, 0 },
	{ "elif", T_ELIF, POS_COMMAND, 0 }, { "fi", T_FI, POS_COMMAND, -1 }, { "do", T_DO, POS_COMMAND, 0 },
	{ "done", T_DONE, POS_COMMAND, -1 }, { "while", T_WHILE, POS_COMMAND, 1 }, { "until", T_WHILE, POS_COMMAND, 1 },
	{ "for", T_FOR, POS_FOR_NAME, 1 }, { "select", T_FOR, POS_FOR_NAME, 1 }, { "case", T_CASE, POS_CASE_WORD, 1 },
	{ "esac", T_ESAC, POS_COMMAND, -1 }, { "{", T_LBRACE, POS_COMMAND, 1 }, { "}", T_RBRACE, POS_COMMAND, -1 },
	{ "!", T_BANG, POS_COMMAND, 0 }, { "function", T_FUNCTION, POS_FUNCTION, 0 },
};

static int
nest(struct slexer *x, int step, int token)
{
	if (step < 0)
		x->depth -= x->depth > 0;
	else
		x->depth += (size_t)step;
	if (x->depth <= SHELL_NESTING)
		return token;
	x->deep = true;
	return slexer_bad(x);
}

static int
command_word(struct slexer *x, const char *raw)
{
	for (size_t k = 0; k < sizeof keywords / sizeof keywords[0]; k++) {
		if (strcmp(keywords[k].name, raw) != 0)
			continue;
		x->position = keywords[k].next;
		return nest(x, keywords[k].depth, keywords[k].token);
	}
	x->condition = strcmp(raw, "[[") == 0;
	x->position = POS_ARGUMENT;
	return T_WORD;
}

/* The token of a word where the scanner stands. */
static int
classify(struct slexer *x, const char *raw)
{
	switch (x->position) {
	case POS_COMMAND:
		return command_word(x, raw);
	case POS_FOR_NAME:
		x->position = POS_FOR_IN;
		break;
	case POS_FOR_IN:
		if (strcmp(raw, "do") == 0)
			return command_word(x, raw);
		x->position = POS_ARGUMENT;
		return strcmp(raw, "in") == 0 ? T_OF : T_WORD;
	case POS_CASE_WORD:
		x->position = POS_CASE_IN;
		break;
	case POS_CASE_IN:
		x->position = POS_PATTERN;
		return strcmp(raw, "in") == 0 ? T_OF : T_WORD;
	case POS_PATTERN:
		return strcmp(raw, "esac") == 0 ? command_word(x, raw) : T_WORD;
	case POS_FUNCTION:
		x->position = POS_COMMAND;
		break;
	case POS_ARGUMENT:
		if (strcmp(raw, "]]") == 0)
			x->condition = false;
		break;
	}
	return T_WORD;
}

int
slexer_word(struct slexer *x, DS_STYPE *value, struct span *at)
{
	value->word = word_make(x, x->word, x->end);
	*at = value->word.at;
	x->open = false;
	if (x->here != 0) {
		mem_room(x->sh, x->pending, x->npending + 1, &x->pending_cap);
		x->pending[x->npending++] = (struct shell_here){ .end = value->word.value, .tabs = x->here == 2 };
	}
	x->here = 0;
	if (x->target) {
		x->target = false;
		return T_WORD;
	}
	return classify(x, value->word.raw);
}

int
slexer_operator(struct slexer *x, int token)
{
	bool pattern = x->position == POS_PATTERN;

	switch (token) {
	case T_IN:
	case T_OUT:
	case T_APPEND:
	case T_DUP:
	case T_HERE:
	case T_HERE_STRING:
		x->target = true;
		return token;
	case T_DSEMI:
		x->position = POS_PATTERN;
		return token;
	case T_NEWLINE:
		if (x->position != POS_FOR_IN && x->position != POS_CASE_IN && !pattern)
			x->position = POS_COMMAND;
		return token;
	case T_LPAREN:
	case T_RPAREN:
		if (pattern) {
			x->position = token == T_RPAREN ? POS_COMMAND : POS_PATTERN;
			return token;
		}
		x->position = POS_COMMAND;
		return nest(x, token == T_LPAREN ? 1 : -1, token);
	default:
		if (!pattern)
			x->position = POS_COMMAND;
		return token;
	}
}

bool
slexer_here_line(struct slexer *x, const char *s, size_t len)
{
	const struct shell_here *h = &x->pending[x->next_pending];

	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		len--;
	while (h->tabs && len > 0 && *s == '\t')
		s++, len--;
	if (strlen(h->end) != len || memcmp(h->end, s, len) != 0 || ++x->next_pending < x->npending)
		return false;
	x->npending = x->next_pending = 0;
	return true;
}

struct shell *
shell_parse(const void *ctx, const struct text *t)
{
	struct shell *sh = mem_new(ctx, struct shell);
	struct slexer x = { .sh = sh, .text = t };

	if (t->len == 0)
		return sh;
	ds_lex_init_extra(&x, &x.scanner);
	ds__scan_bytes(t->s, (int)t->len, x.scanner);
	if (ds_parse(&x) != 0)
		sh->root = NULL;
	ds_lex_destroy(x.scanner);
	return sh;
}

const char *
shell_name(const struct shell_node *simple)
{
	const char *name = simple->nwords > 0 ? simple->words[0].value : "", *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

bool
shell_has_option(const struct shell_node *simple, const char *option)
{
	size_t n = strlen(option);
	bool letter = n == 2 && option[0] == '-' && option[1] != '-';

	for (size_t k = 1; k < simple->nwords; k++) {
		const char *w = simple->words[k].value;

		if (strcmp(w, option) == 0 || (n > 2 && strncmp(w, option, n) == 0 && w[n] == '='))
			return true;
		if (letter && w[0] == '-' && w[1] != '-' && strchr(w + 1, option[1]) != NULL)
			return true;
	}
	return false;
}
