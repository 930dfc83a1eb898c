#include <string.h>

#include "../base/mem.h"
#include "parse.h"

/* The last piece that begins at or before byte `i`. */
static size_t
piece_of(const struct text *t, size_t i)
{
	size_t low = 0, high = t->npieces;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (t->map[mid].offset <= i)
			low = mid;
		else
			high = mid;
	}
	return low;
}

uint32_t
text_source(const struct text *t, size_t i)
{
	const struct piece *m;

	if (t->npieces == 0)
		return t->at.begin;
	m = &t->map[piece_of(t, i)];
	return m->source + (uint32_t)(i - m->offset);
}

struct text
text_slice(const void *ctx, const struct text *t, size_t begin, size_t end)
{
	struct text out = { .len = end - begin };
	size_t first, last;
	struct piece *map;
	char *s;

	if (t->npieces == 0) {
		out.s = mem_dup(ctx, t->s + begin, end - begin);
		return out;
	}
	first = piece_of(t, begin);
	last = end > begin ? piece_of(t, end - 1) : first;
	out.npieces = last - first + 1;
	/* one chunk: the map, then the bytes */
	map = mem_raw(ctx, out.npieces * sizeof(*map) + out.len + 1, "struct text");
	out.s = s = memcpy(map + out.npieces, t->s + begin, out.len);
	s[out.len] = '\0';
	for (size_t i = 0; i < out.npieces; i++) {
		map[i] = t->map[first + i];
		if (map[i].offset < begin) {
			map[i].source += (uint32_t)begin - map[i].offset;
			map[i].offset = (uint32_t)begin;
		}
		map[i].offset -= (uint32_t)begin;
	}
	out.map = map;
	out.at.begin = text_source(&out, 0);
	out.at.end = end > begin ? text_source(&out, out.len - 1) + 1 : out.at.begin;
	return out;
}
