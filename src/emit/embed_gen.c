/* Build-time tool: embed_gen PRELUDE RUNTIME writes C that holds the prelude as a string and the runtime
   gzip-compressed, with its sha256.  The gzip header carries no name and no time: same input, same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../../runtime/sha256.h"

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
	printf("const char payload_sha256[] = \"%s\";\nconst size_t payload_gz_len = %lu;\nconst unsigned char payload_gz[] = {", hex,
	       s.total_out);
	for (unsigned long i = 0; i < s.total_out; i++)
		printf("%s%u,", i % 24 == 0 ? "\n" : "", z[i]);
	fputs("\n};\n", stdout);
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
