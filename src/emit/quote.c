#include "quote.h"

#include <string.h>

#include "../base/buf.h"

bool
sh_is_plain(const char *text, size_t len)
{
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("_./:@%+,-", c) != NULL) || (c == '=' && i > 0)))
			return false;
	}
	return true;
}

void
sh_word(struct buf *out, const char *text, size_t len)
{
	if (sh_is_plain(text, len)) {
		buf_add(out, text, len);
		return;
	}
	buf_putc(out, '\'');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, text[i]);
	}
	buf_putc(out, '\'');
}

void
sh_comment(struct buf *out, const char *text, size_t len, size_t limit)
{
	size_t column = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (column >= limit) {
			buf_puts(out, "...");
			return;
		}
		if (c == '\t') {
			buf_putc(out, ' ');
			column++;
		} else if (c >= 0x20 && c <= 0x7e) {
			size_t run = 1;

			while (i + run < len && column + run < limit && text[i + run] >= 0x20 && text[i + run] <= 0x7e)
				run++;
			buf_add(out, text + i, run);
			column += run;
			i += run - 1;
		} else {
			buf_printf(out, "\\x%02x", c);
			column += 4;
		}
	}
}
