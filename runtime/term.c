/* Text for a terminal: nothing of a command's output or a Dockerfile reaches it as a control sequence (security.md S7). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "progress.h"

/* Length of the escape sequence at s (its first byte is ESC), ECMA-48 5.3, 5.4 and 5.6: CSI, strings such as the title of
   a window, the rest. */
static size_t
escape_length(const char *s, size_t n)
{
	size_t i = 2;

	if (n < 2)
		return n;
	if (s[1] == '[') {
		while (i < n && (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] < 0x40)
			i++;
		return i < n ? i + 1 : n;
	}
	if (s[1] == ']' || s[1] == 'P' || s[1] == 'X' || s[1] == '^' || s[1] == '_') {
		while (i < n && s[i] != 7 && s[i] != 27)
			i++;
		return i + 1 < n && s[i] == 27 && s[i + 1] == '\\' ? i + 2 : i < n ? i + 1 : n;
	}
	i = 1;
	while (i < n && (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] < 0x30)
		i++;
	return i < n ? i + 1 : n;
}

char *
term_line(const char *s, size_t n)
{
	struct str b = { 0 };
	char *shown;

	str_add(&b, "", 0);
	for (size_t i = 0; i < n;) {
		if (s[i] == 27) {
			i += escape_length(s + i, n - i);
			continue;
		}
		if (s[i] == '\r') {
			if (i + 1 < n)
				b.len = 0;
		} else if (s[i] == '\b') {
			b.len -= b.len > 0;
		} else if (s[i] == '\t') {
			do
				str_putc(&b, ' ');
			while (b.len % 8 != 0);
		} else if (s[i] != '\0') {
			str_putc(&b, s[i]);
		}
		i++;
	}
	if (b.s != NULL)
		b.s[b.len] = '\0';
	shown = rt_printable(b.s != NULL ? b.s : "");
	str_free(&b);
	return shown;
}

/* Columns of one character; a C library without tables for it says -1, then it is one. */
static unsigned
columns_of(uint32_t c)
{
	int w = c < 0x300 ? 1 : wcwidth((wchar_t)c);

	return w < 0 ? 1 : (unsigned)w;
}

unsigned
term_width(const char *s)
{
	unsigned n = 0;
	uint32_t c;

	for (size_t k; *s != '\0'; s += k > 0 ? k : 1) {
		k = rt_utf8((const unsigned char *)s, &c);
		n += k > 0 ? columns_of(c) : 1;
	}
	return n;
}

char *
term_cut(const char *s, unsigned columns)
{
	unsigned n = 0, dots = columns > 3 ? 3 : 0;
	size_t fit = 0, i = 0;
	uint32_t c;

	while (s[i] != '\0') {
		size_t k = rt_utf8((const unsigned char *)s + i, &c);

		n += k > 0 ? columns_of(c) : 1;
		i += k > 0 ? k : 1;
		if (n + dots <= columns)
			fit = i;
		if (n > columns)
			return rt_printf("%.*s%.*s", (int)fit, s, (int)dots, "...");
	}
	return rt_strdup(s);
}

void
term_size(unsigned *columns, unsigned *lines)
{
	const char *set = getenv("COLUMNS");
	struct winsize w = { 0 };
	long n = set != NULL ? strtol(set, NULL, 10) : 0;

	ioctl(STDERR_FILENO, TIOCGWINSZ, &w);
	*columns = w.ws_col > 0 ? w.ws_col : n > 0 && n < 10000 ? (unsigned)n : 80;
	*lines = w.ws_row > 0 ? w.ws_row : 24;
}

char *
term_title(const struct plan_step *s, unsigned columns)
{
	cleanup_free char *title = step_title(s), *shown = NULL;
	size_t n = strcspn(title, "\n");

	if (title[n] != '\0') {
		title[n] = '\0';
		shown = rt_printable(title);
		free(title);
		title = rt_printf("%s...", shown);
		return term_cut(title, columns);
	}
	shown = rt_printable(title);
	return term_cut(shown, columns);
}

char *
term_sides(const char *left, const char *right, unsigned columns)
{
	unsigned width = columns - 1 < 96 ? columns - 1 : 96, r = term_width(right), l;
	cleanup_free char *cut = term_cut(left, width > r + 1 ? width - r - 1 : 1);

	l = term_width(cut);
	return rt_printf("%s%*s%s", cut, width > l + r ? (int)(width - l - r) : 1, "", right);
}

char *
term_step(const struct plan_step *s, const char *right, unsigned columns)
{
	cleanup_free char *title = term_title(s, 200);
	cleanup_free char *left = columns < 60 ? rt_printf("%s %s %s", s->id, verb_name(s->verb), title)
	                                       : rt_printf("%-10s %-7s %5s  %s", s->id, verb_name(s->verb), s->lines, title);

	return term_sides(left, right, columns);
}
