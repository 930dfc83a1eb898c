/* The runtime inside the script: bytes as printf formats, printable ones raw, the rest in octal. */
#include "../base/buf.h"
#include "sh.h"

enum { CHUNK = 1024 };

/* `first`: at the start of the format, where a dash would begin an option. */
static void
byte(struct buf *out, unsigned char c, bool first)
{
	/* three digits always: what follows may be a digit */
	if (c >= 0x20 && c <= 0x7e && c != '\'' && c != '\\' && c != '%' && !(first && c == '-'))
		buf_putc(out, c);
	else
		buf_printf(out, "\\%03o", c);
}

void
sh_payload(struct buf *out)
{
	buf_printf(out, "\n# ---- payload: dockcc-rt, gzip-compressed; sha256 of the program: %s\npayload() {\n", payload_sha256);
	for (size_t i = 0; i < payload_gz_len; i += CHUNK) {
		size_t n = payload_gz_len - i < CHUNK ? payload_gz_len - i : CHUNK;

		buf_puts(out, "  printf '");
		for (size_t k = 0; k < n; k++)
			byte(out, payload_gz[i + k], k == 0);
		buf_puts(out, "'\n");
	}
	buf_puts(out, "}\n");
}
