/* Ignore files and --exclude (language.md 7): the last pattern that matches a path, or a directory above
   it, decides. */
#include "copy.h"
#include "glob.h"
#include "path.h"

#include <string.h>

struct rule {
	struct glob *glob;
	bool exception; /* `!` */
};

struct ignore {
	struct rule *rules;
	size_t n;
	bool exceptions; /* some rule is one */
};

static void
trim(const char **s, size_t *n)
{
	static const char blanks[] = " \t\r\n\v\f";

	while (*n > 0 && strchr(blanks, **s) != NULL)
		++*s, --*n;
	while (*n > 0 && strchr(blanks, (*s)[*n - 1]) != NULL)
		--*n;
}

/* One pattern as written.  An empty one is no pattern. */
static int
add_rule(struct ignore *ig, const char *s, size_t n, struct rt_err *e)
{
	cleanup_free char *text = NULL, *clean = NULL;
	struct rule r = { .exception = false };

	if (memchr(s, '\0', n) != NULL)
		return rt_fail(e, 0, "a pattern holds a NUL byte");
	trim(&s, &n);
	if (n == 0)
		return 0;
	if (*s == '!') {
		r.exception = true;
		s++, n--;
		trim(&s, &n);
		if (n == 0)
			return rt_fail(e, 0, "\"!\" alone is no pattern");
	}
	text = rt_strndup(s, n);
	clean = path_clean(text);
	r.glob = glob_compile(clean[0] == '/' && clean[1] != '\0' ? clean + 1 : clean, GLOB_IGNORE);
	if (r.glob == NULL)
		return rt_fail(e, 0, "malformed pattern \"%s\"", text);
	ig->rules = rt_grow(ig->rules, (ig->n + 1) * sizeof(*ig->rules));
	ig->rules[ig->n++] = r;
	ig->exceptions |= r.exception;
	return 0;
}

struct ignore *
ignore_parse(const char *text, size_t len, struct rt_err *e)
{
	struct ignore *ig = rt_alloc(sizeof(*ig));
	const char *p = text, *end = text + len;

	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	for (size_t line = 1; p < end; line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (eol == NULL)
			eol = end;
		if (*p != '#' && add_rule(ig, p, (size_t)(eol - p), e) < 0) {
			rt_prefix(e, "line %zu", line);
			ignore_free(ig);
			return NULL;
		}
		p = eol < end ? eol + 1 : end;
	}
	return ig;
}

struct ignore *
ignore_patterns(const struct list *patterns, struct rt_err *e)
{
	struct ignore *ig = rt_alloc(sizeof(*ig));

	for (size_t i = 0; i < patterns->n; i++) {
		if (add_rule(ig, patterns->v[i], strlen(patterns->v[i]), e) < 0) {
			ignore_free(ig);
			return NULL;
		}
	}
	return ig;
}

void
ignore_free(struct ignore *ig)
{
	if (ig == NULL)
		return;
	for (size_t i = 0; i < ig->n; i++)
		glob_free(ig->rules[i].glob);
	rt_free_ptr(&ig->rules);
	rt_free_ptr(&ig);
}

bool
ignore_match(const struct ignore *ig, const char *path)
{
	bool ignored = false;

	for (size_t i = 0; i < ig->n; i++) {
		const struct rule *r = &ig->rules[i];

		/* a rule that could not change the answer need not be run */
		if (r->exception == ignored && (glob_run(r->glob, path) & (GLOB_HERE | GLOB_ABOVE)) != 0)
			ignored = !ignored;
	}
	return ignored;
}

bool
ignore_may_reinclude(const struct ignore *ig, const char *path)
{
	if (!ig->exceptions)
		return false;
	for (size_t i = 0; i < ig->n; i++)
		if (ig->rules[i].exception && (glob_run(ig->rules[i].glob, path) & GLOB_BELOW) != 0)
			return true;
	return false;
}
