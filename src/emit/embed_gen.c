/* Build-time tool: embed_gen PRELUDE MACHINE=RUNTIME... -- SOURCE... writes C that holds the prelude as a string, for each
   machine the shell function that prints its runtime, and the one that writes the runtime's source files.  A runtime is
   gzip-compressed (no name and no time in its header: same input, same bytes), as printf formats with printable bytes raw
   and the rest in octal; source stays as it is, in here-documents. */
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

/* The bytes between the quotes of a C string, a new one for each line. */
static void
c_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			fputs("\\n\"\n\t\"", stdout);
		else
			printf(p[i] == '"' || p[i] == '\\' || p[i] == '?' ? "\\%c" : "%c", p[i]);
	}
}

static void
prelude(const char *path)
{
	size_t n;
	unsigned char *p = slurp(path, &n);

	fputs("const char sh_prelude[] =\n\t\"", stdout);
	c_text((char *)p, n);
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
runtime(const char *machine, size_t len, const char *path)
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
	printf("\t{ .machine = \"%.*s\", .sha256 = \"%s\", .text =\n", (int)len, machine, hex);
	for (unsigned long i = 0; i < s.total_out; i++) {
		if (i % CHUNK == 0)
			fputs("\t\"  printf '", stdout);
		payload_byte(z[i], i % CHUNK == 0);
		if (i % CHUNK == CHUNK - 1 || i + 1 == s.total_out)
			fputs("'\\n\"\n", stdout);
	}
	fputs("\t},\n", stdout);
	deflateEnd(&s);
	free(p);
	free(z);
}

/* What a here-document of every shell holds as it is: ASCII without control characters, whole lines, its end marker
   nowhere inside. */
static bool
plain(const char *p, size_t n, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] > 0x7e || ((unsigned char)p[i] < 0x20 && p[i] != '\n' && p[i] != '\t'))
			return false;
	for (const char *line = p; line < p + n; line = (const char *)memchr(line, '\n', (size_t)(p + n - line)) + 1)
		if ((size_t)(p + n - line) > len + 7 && strncmp(line, "end of ", 7) == 0 && strncmp(line + 7, name, len) == 0)
			return false;
	return n > 0 && p[n - 1] == '\n';
}

static void
source(const char *path, struct sha256 *h)
{
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	size_t n;
	char *p = (char *)slurp(path, &n);

	if (!plain(p, n, name)) {
		fprintf(stderr, "embed_gen: %s does not fit into a here-document: is it ASCII?\n", path);
		exit(1);
	}
	sha256_update(h, p, n);
	printf("\t\"\\n  source_file %s <<'end of %s'\\n\"\n\t\"", name, name);
	c_text(p, n);
	printf("end of %s\\n\"\n", name);
	free(p);
}

static void
sources(char **paths)
{
	struct sha256 h;
	char hex[65];

	sha256_init(&h);
	fputs("const struct payload payload_source = { .text =\n", stdout);
	for (; *paths != NULL; paths++)
		source(*paths, &h);
	sha256_hex(&h, hex);
	printf("\t, .sha256 = \"%s\" };\n", hex);
}

int
main(int argc, char **argv)
{
	int i = 2;

	if (argc < 3)
		return 1;
	fputs("#include <stddef.h>\n#include \"emit/emit.h\"\n#include \"emit/sh.h\"\n", stdout);
	prelude(argv[1]);
	fputs("const struct payload payloads[] = {\n", stdout);
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *eq = strchr(argv[i], '=');

		if (eq == NULL)
			return 1;
		runtime(argv[i], (size_t)(eq - argv[i]), eq + 1);
	}
	fputs("\t{ .machine = NULL },\n};\n", stdout);
	if (i == argc)
		return 1;
	sources(argv + i + 1);
	return fflush(stdout) != 0;
}
