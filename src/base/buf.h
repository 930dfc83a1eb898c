/* A growing byte string, the one way text is built: emitters, dumps, diagnostics. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* always NUL-terminated once something was added; a talloc child of the buf */
	size_t len, cap;
};

struct buf *buf_new(const void *ctx);
void buf_putc(struct buf *b, int c);
void buf_puts(struct buf *b, const char *s);
void buf_add(struct buf *b, const char *s, size_t len);
/* Strings one after the other, up to a NULL: most lines need no more, and it costs a fifth of buf_printf. */
void buf_cat(struct buf *b, ...) __attribute__((sentinel));
void buf_uint(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends `len` bytes as a JSON string with its quotes.  RFC 8259 section 7; control characters and
   everything above U+007E are written as \u escapes; each byte that is not valid UTF-8 becomes
   U+FFFD, as Go's encoder does. */
void buf_json(struct buf *b, const char *s, size_t len);

/* The bytes as a string owned by the buf, never NULL. */
const char *buf_str(const struct buf *b);

#endif
