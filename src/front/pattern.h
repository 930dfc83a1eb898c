/* The patterns of ${x#p}, ${x%p} and ${x/p/r}: `*`, `?` and backslash, nothing else; neither wildcard
   matches a newline.  spec/language.md 3.2. */
#ifndef FRONT_PATTERN_H
#define FRONT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "word.h"

struct buf;

enum pattern_result { PATTERN_OK, PATTERN_INVALID, PATTERN_TOO_LARGE };

/* Appends to `out` what the operator leaves of `value`. `repl` is used by the two replacements only. */
enum pattern_result pattern_apply(struct buf *out, enum word_op op, const char *value, const char *pattern,
                                  const char *repl);

#endif
