#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "utf8.h"

struct buf *
buf_new(const void *ctx)
{
	return mem_new(ctx, struct buf);
}

static char *
room(struct buf *b, size_t n)
{
	if (b->len + n + 1 > b->cap)
		mem_room(b, b->data, b->len + n + 1, &b->cap);
	return b->data + b->len;
}

void
buf_add(struct buf *b, const char *s, size_t len)
{
	memcpy(room(b, len), s, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_putc(struct buf *b, int c)
{
	char *at = room(b, 1);

	at[0] = (char)c;
	at[1] = '\0';
	b->len++;
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_cat(struct buf *b, ...)
{
	const char *s;
	va_list ap;

	va_start(ap, b);
	while ((s = va_arg(ap, const char *)) != NULL)
		buf_add(b, s, strlen(s));
	va_end(ap);
}

void
buf_uint(struct buf *b, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t left;
	va_list ap;
	int n;

	room(b, 100);
	left = b->cap - b->len;
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, left, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n >= left) {
		va_start(ap, fmt);
		vsnprintf(room(b, (size_t)n), (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->len += n > 0 ? (size_t)n : 0;
}

static void
json_rune(struct buf *b, uint32_t c)
{
	if (c >= 0x10000)
		buf_printf(b, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
		           (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	else
		buf_printf(b, "\\u%04x", (unsigned)c);
}

void
buf_json(struct buf *b, const char *s, size_t len)
{
	size_t i = 0;

	buf_putc(b, '"');
	while (i < len) {
		uint32_t c;
		size_t plain = i;

		while (plain < len && s[plain] >= ' ' && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\')
			plain++;
		buf_add(b, s + i, plain - i);
		i = plain;
		if (i == len)
			break;
		i += utf8_decode(s + i, len - i, &c);
		switch (c) {
		case '"': buf_puts(b, "\\\""); break;
		case '\\': buf_puts(b, "\\\\"); break;
		case '\n': buf_puts(b, "\\n"); break;
		case '\t': buf_puts(b, "\\t"); break;
		case '\r': buf_puts(b, "\\r"); break;
		default: json_rune(b, c);
		}
	}
	buf_putc(b, '"');
}

const char *
buf_str(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}
