/* User text becomes script text only through these. security.md S1. */
#ifndef EMIT_QUOTE_H
#define EMIT_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Appends `len` bytes (no NUL among them) as exactly one shell word that expands to itself, or as part of
   one.  POSIX XCU 2.2.2: between single quotes nothing is special but the quote itself. */
void sh_word(struct buf *out, const char *text, size_t len);
/* True when the text means itself without quotes in every position of a word. */
bool sh_is_plain(const char *text, size_t len);
/* Appends text for a comment: one line, every byte outside 0x20..0x7e as \xNN, cut at `limit` columns. */
void sh_comment(struct buf *out, const char *text, size_t len, size_t limit);

#endif
