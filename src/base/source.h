/* Source text and places in it.  A span is a pair of byte offsets; lines and columns are worked out
   only when something is printed. */
#ifndef BASE_SOURCE_H
#define BASE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes [begin, end) of the source.  An empty span at 0 with `none` semantics is {0, 0}. */
struct span {
	uint32_t begin, end;
};

struct source {
	const char *name;   /* as the user wrote it, for messages */
	const char *text;   /* the whole file, NUL-terminated behind `len` bytes */
	size_t len;
	const uint32_t *lines; /* offset of the first byte of each line */
	uint32_t nlines;
};

struct position {
	uint32_t line;   /* 1-based */
	uint32_t column; /* 1-based, in characters (UTF-8 sequences; a stray byte counts as one) */
};

/* Takes `len` bytes of `text` (copied); the result is owned by `ctx`. */
struct source *source_new(const void *ctx, const char *name, const char *text, size_t len);

struct position source_position(const struct source *s, uint32_t offset);
/* The bytes of 1-based `line` without its line end; *len receives their number. */
const char *source_line(const struct source *s, uint32_t line, size_t *len);

#endif
