/* UTF-8, RFC 3629: decoding that never fails and the white space of Unicode. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the first character of `len` > 0 bytes into *c and returns its length in bytes; a byte that
   begins no valid sequence is U+FFFD of length 1, as in Go's utf8.DecodeRune. */
size_t utf8_decode(const char *s, size_t len, uint32_t *c);

/* White space in the sense of Go's unicode.IsSpace. */
bool utf8_space(uint32_t c);

/* The columns a character takes on a terminal: 0 when it joins the one before it, 2 for the wide ones of East Asia and
   emoji, else 1.  Unicode 15, UAX 11, by whole blocks. */
unsigned utf8_width(uint32_t c);

/* Drops white space from both ends of [*begin, *end) of `s`. */
void utf8_trim(const char *s, size_t *begin, size_t *end);

#endif
