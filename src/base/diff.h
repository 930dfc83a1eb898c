/* What changed in a text. */
#ifndef BASE_DIFF_H
#define BASE_DIFF_H

#include <stddef.h>

struct buf;

/* Appends the unified diff of two texts, as patch -p1 reads it; nothing when they are equal.  Scratch hangs on `out`. */
void diff_unified(struct buf *out, const char *name, const char *before, size_t nbefore, const char *after, size_t nafter);

#endif
