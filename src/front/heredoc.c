/* Here-documents on an instruction line: spec/language.md 2.  Words are cut as the word language cuts
   them: quotes, escapes (always the backslash) and ${...} hold blanks together. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "parse.h"

/* The end of the `${...}` whose '$' stands at s[i], or 0 when it is malformed. */
static size_t
brace_end(const char *s, size_t len, size_t i)
{
	size_t depth = 0, start = i + 2;

	if (start >= len || strchr("}:{", s[start]) != NULL)
		return 0;
	for (; i < len; i++) {
		if (s[i] == '\\' && i + 1 < len)
			i++;
		else if (s[i] == '$' && i + 1 < len && s[i + 1] == '{')
			depth++, i++;
		else if (s[i] == '}' && --depth == 0)
			return i;
	}
	return 0;
}

/* The end of the quoted part that opens at s[i], or 0 when it is never closed. */
static size_t
quote_end(const char *s, size_t len, size_t i)
{
	char quote = s[i];

	for (i++; i < len; i++) {
		if (s[i] == '\\' && quote == '"' && i + 1 < len)
			i++;
		else if (s[i] == quote)
			return i;
	}
	return 0;
}

/* One word from s[i] on; its end, or 0 when the line cannot be cut into words. A "<<" or "<<-" takes
   the blanks behind it along. */
static size_t
word_end(const char *s, size_t len, size_t i)
{
	while (i < len && !isspace((unsigned char)s[i])) {
		if (s[i] == '\\') {
			i += i + 1 < len ? 2 : 1;
		} else if (s[i] == '\'' || s[i] == '"') {
			i = quote_end(s, len, i);
			if (i == 0)
				return 0;
			i++;
		} else if (s[i] == '$' && i + 1 < len && s[i + 1] == '{') {
			i = brace_end(s, len, i);
			if (i == 0)
				return 0;
			i++;
		} else if (s[i] == '<' && i + 1 < len && s[i + 1] == '<') {
			i += 2;
			if (i < len && s[i] == '-')
				i++;
			while (i < len && isspace((unsigned char)s[i]))
				i++;
		} else {
			i++;
		}
	}
	return i;
}

/* Removes quotes and escapes from the delimiter; *quoted tells whether there were any. False when it
   is not one word. */
static bool
unquote(char *out, const char *s, size_t len, bool *quoted)
{
	size_t n = 0;

	*quoted = false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\') {
			*quoted = true;
			if (++i < len)
				out[n++] = s[i];
		} else if (s[i] == '\'' || s[i] == '"') {
			char q = s[i];

			*quoted = true;
			for (i++; i < len && s[i] != q; i++) {
				if (q == '"' && s[i] == '\\' && i + 1 < len && strchr("\"$\\", s[i + 1]) != NULL)
					i++;
				out[n++] = s[i];
			}
			if (i == len)
				return false;
		} else if (isspace((unsigned char)s[i])) {
			return false;
		} else {
			out[n++] = s[i];
		}
	}
	out[n] = '\0';
	return n > 0 || *quoted;
}

bool
heredoc_word(const void *ctx, const char *s, size_t len, struct heredoc *h)
{
	size_t i = 0;
	bool quoted;
	char *name;

	while (i < len && isdigit((unsigned char)s[i]))
		i++;
	if (len - i < 3 || s[i] != '<' || s[i + 1] != '<')
		return false;
	i += 2;
	h->chomp = s[i] == '-';
	i += h->chomp;
	while (i < len && isspace((unsigned char)s[i]))
		i++;
	if (i == len || memchr(s + i, '<', len - i) != NULL)
		return false;
	name = mem_dup(ctx, s + i, len - i);
	if (!unquote(name, s + i, len - i, &quoted))
		return false;
	h->name = name;
	h->expand = !quoted;
	return true;
}

struct heredoc *
heredoc_scan(const void *ctx, const struct text *line, size_t *n)
{
	struct heredoc *v = NULL;
	size_t cap = 0, i = 0;

	*n = 0;
	while (i < line->len) {
		size_t end;
		struct heredoc h = { 0 };

		if (isspace((unsigned char)line->s[i])) {
			i++;
			continue;
		}
		end = word_end(line->s, line->len, i);
		if (end == 0) {
			*n = 0;
			return NULL;
		}
		if (heredoc_word(ctx, line->s + i, end - i, &h)) {
			h.at = (struct span){ text_source(line, i), text_source(line, end - 1) + 1 };
			mem_room(ctx, v, *n + 1, &cap);
			v[(*n)++] = h;
		}
		i = end;
	}
	return v;
}
