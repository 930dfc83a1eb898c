/* Build-time tool: embed_gen PRELUDE RUNTIME writes C that holds the prelude as a string and the shell function that
   prints the runtime: gzip-compressed (no name and no time in its header: same input, same bytes), as printf formats
   with printable bytes raw and the rest in octal. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../../runtime/sha256.h"

enum { CHUNK = 1024 }; /* bytes a printf */

static unsigned char *
slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	unsigned char *p = NULL;
	size_t n = 0;

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	do {
		p = realloc(p, n + 65536);
		*len = fread(p + n, 1, 65536, f);
		n += *len;
	} while (*len > 0);
	*len = n;
	fclose(f);
	return p;
}

static void
prelude(const char *path)
{
	size_t n;
	unsigned char *p = slurp(path, &n);

	fputs("const char sh_prelude[] =\n\t\"", stdout);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			fputs("\\n\"\n\t\"", stdout);
		else
			printf(p[i] == '"' || p[i] == '\\' ? "\\%c" : "%c", p[i]);
	}
	fputs("\";\n", stdout);
	free(p);
}

/* One byte of a printf format inside single quotes, inside a C string.  Three octal digits always, since a digit may
   follow; a dash is plain except where an option would begin. */
static void
payload_byte(unsigned char c, bool first)
{
	if (c == '"')
		fputs("\\\"", stdout);
	else if (c == '?') /* no trigraphs */
		fputs("\\?", stdout);
	else if (c >= 0x20 && c <= 0x7e && c != '\'' && c != '\\' && c != '%' && !(first && c == '-'))
		putchar(c);
	else
		printf("\\\\%03o", c);
}

static void
runtime(const char *path)
{
	size_t n;
	unsigned char *p = slurp(path, &n), *z = malloc(n + 4096);
	z_stream s = { .next_in = p, .avail_in = (uInt)n, .next_out = z, .avail_out = (uInt)n + 4096 };
	char hex[65];
	struct sha256 h;

	if (deflateInit2(&s, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK || deflate(&s, Z_FINISH) != Z_STREAM_END)
		exit(1);
	sha256_init(&h);
	sha256_update(&h, p, n);
	sha256_hex(&h, hex);
	printf("const char payload_sha256[] = \"%s\";\nconst char sh_payload[] =\n", hex);
	for (unsigned long i = 0; i < s.total_out; i++) {
		if (i % CHUNK == 0)
			fputs("\t\"  printf '", stdout);
		payload_byte(z[i], i % CHUNK == 0);
		if (i % CHUNK == CHUNK - 1 || i + 1 == s.total_out)
			fputs("'\\n\"\n", stdout);
	}
	fputs("\t\"\";\nconst size_t sh_payload_len = sizeof(sh_payload) - 1;\n", stdout);
	deflateEnd(&s);
	free(p);
	free(z);
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 1;
	fputs("#include <stddef.h>\n#include \"emit/emit.h\"\n#include \"emit/sh.h\"\n", stdout);
	prelude(argv[1]);
	runtime(argv[2]);
	return fflush(stdout) != 0;
}
