#include <string.h>

#include "mem.h"
#include "source.h"
#include "utf8.h"

struct source *
source_new(const void *ctx, const char *name, const char *text, size_t len)
{
	struct source *s = mem_new(ctx, struct source);
	uint32_t *lines = NULL, n = 0;
	size_t cap = 0;

	s->name = mem_str(s, name);
	s->text = mem_dup(s, text, len);
	s->len = len;
	for (size_t at = 0; at < len || n == 0;) {
		const char *end = memchr(s->text + at, '\n', len - at);

		mem_room(s, lines, n + 1, &cap);
		lines[n++] = (uint32_t)at;
		if (end == NULL)
			break;
		at = (size_t)(end - s->text) + 1;
	}
	/* a byte order mark is no part of the first line */
	if (len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
		lines[0] = 3;
	s->lines = lines;
	s->nlines = n;
	return s;
}

struct position
source_position(const struct source *s, uint32_t offset)
{
	uint32_t low = 0, high = s->nlines;
	struct position p = { .column = 1 };

	if (offset > s->len)
		offset = (uint32_t)s->len;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (s->lines[mid] <= offset)
			low = mid;
		else
			high = mid;
	}
	p.line = low + 1;
	for (uint32_t at = s->lines[low]; at < offset; p.column++) {
		uint32_t c;

		at += (uint32_t)utf8_decode(s->text + at, s->len - at, &c);
	}
	return p;
}

const char *
source_line(const struct source *s, uint32_t line, size_t *len)
{
	size_t begin, end;

	*len = 0;
	if (line == 0 || line > s->nlines)
		return "";
	begin = s->lines[line - 1];
	end = line < s->nlines ? s->lines[line] : s->len;
	while (end > begin && (s->text[end - 1] == '\n' || s->text[end - 1] == '\r'))
		end--;
	*len = end - begin;
	return s->text + begin;
}
