/* What a Makefile writes into the directory that is its build context, stamps and image, must not become part of the
   next image: --hide=PATH. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "path.h"

/* The path in an --output, for OCI:PATH and dest=PATH; any other text is a path itself. */
static char *
path_in(const char *spec)
{
	static const char *const shorts[] = { "oci:", "oci-archive:", "docker:", "docker-archive:", "tar:", "local:" };
	const char *dest = strstr(spec, "dest=");

	for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
		if (strncmp(spec, shorts[i], strlen(shorts[i])) == 0)
			return rt_strdup(spec + strlen(shorts[i]));
	if (strstr(spec, "type=") != NULL && dest != NULL)
		return rt_strndup(dest + 5, strcspn(dest + 5, ","));
	return rt_strdup(spec);
}

static void
pattern(struct str *text, const char *path)
{
	str_puts(text, "\n/");
	for (; *path != '\0'; path++) {
		if (strchr("*?[]\\", *path) != NULL)
			str_putc(text, '\\');
		str_putc(text, *path);
	}
	str_putc(text, '\n');
}

void
hidden_patterns(const struct build_options *o, struct str *text)
{
	char cwd[PATH_MAX], context[PATH_MAX];
	size_t n;

	if (o->hidden.n == 0 || getcwd(cwd, sizeof(cwd)) == NULL || realpath(o->context, context) == NULL)
		return;
	n = strcmp(context, "/") == 0 ? 0 : strlen(context);
	for (size_t i = 0; i < o->hidden.n; i++) {
		cleanup_free char *path = path_in(o->hidden.v[i]), *joined = NULL;

		if (*path == '\0' || strchr(path, '\n') != NULL)
			continue;
		joined = *path == '/' ? path_clean(path) : path_join(cwd, path);
		if (strncmp(joined, context, n) == 0 && joined[n] == '/' && joined[n + 1] != '\0')
			pattern(text, joined + n + 1);
	}
}
