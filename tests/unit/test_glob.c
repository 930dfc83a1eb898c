/* Wildcards: Go's path.Match, and no pattern that takes forever. */
#include "../../runtime/copy.h"
#include "../../runtime/glob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct row {
	const char *pattern, *name;
	int want; /* glob_match */
};

/* After the documentation of Go's path.Match. */
static const struct row rows[] = {
	{ "abc", "abc", 1 }, { "abc", "ab", 0 }, { "abc", "abcd", 0 }, { "", "", 1 }, { "", "a", 0 },
	{ "*", "", 1 }, { "*", "abc", 1 }, { "*c", "abc", 1 }, { "a*", "a", 1 }, { "a*", "abc", 1 }, { "a*", "ab/c", 0 },
	{ "a*/b", "abc/b", 1 }, { "a*/b", "a/c/b", 0 }, { "*/*", "a/b", 1 }, { "*/*", "a", 0 }, { "*/*", "a/b/c", 0 },
	{ "a*b*c*d*e*", "axbxcxdxe", 1 }, { "a*b*c*d*e*/f", "axbxcxdxexxx/f", 1 }, { "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", 0 },
	{ "a*b?c*x", "abxbbxdbxebxczzx", 1 }, { "a*b?c*x", "abxbbxdbxebxczzy", 0 },
	{ "**", "ab", 1 }, { "**", "a/b", 0 }, { "a**b", "axxb", 1 }, { "**/b", "a/b", 1 }, { "**/b", "b", 0 },
	{ "?", "a", 1 }, { "?", "", 0 }, { "?", "/", 0 }, { "a?b", "a\xc3\xbc" "b", 1 }, { "a?b", "a\xff" "b", 1 },
	{ "a??b", "a\xc3\xbc" "b", 0 }, { "a\xff*", "a\xff\xfe", 1 }, { "\xff", "\xef\xbf\xbd", 0 },
	{ "?", ".", 1 }, { "*", ".hidden", 1 }, { "*", "a\nb", 1 }, { "*", "-rf", 1 },
	{ "ab[c]", "abc", 1 }, { "ab[b-d]", "abc", 1 }, { "ab[e-g]", "abc", 0 }, { "ab[^c]", "abc", 0 }, { "ab[^e-g]", "abc", 1 },
	{ "a[^a]b", "a\xe2\x98\xba" "b", 1 }, { "a[^a][^a]b", "a\xe2\x98\xba" "b", 0 }, { "[a-z]", "\xc3\xa4", 0 },
	{ "[\xc3\xa0-\xc3\xbf]", "\xc3\xa4", 1 }, { "[!a]", "!", 1 }, { "[!a]", "b", 0 }, { "arr[[]0].txt", "arr[0].txt", 1 },
	{ "[\\]a]", "]", 1 }, { "[\\-]", "-", 1 }, { "[x\\-]", "-", 1 }, { "[x\\-]", "z", 0 },
	{ "a\\*b", "a*b", 1 }, { "a\\*b", "axb", 0 }, { "\\a", "a", 1 }, { "\\\\", "\\", 1 }, { "a]", "a]", 1 },
	{ "[]a]", "]", -1 }, { "[-]", "-", -1 }, { "[x-]", "x", -1 }, { "[-x]", "x", -1 }, { "[", "a", -1 }, { "[^", "a", -1 },
	{ "[^bc", "a", -1 }, { "a[", "ab", -1 }, { "a[", "x", -1 }, { "\\", "a", -1 }, { "[\\", "a", -1 }, { "[a-b-c]", "a", -1 },
};

struct word {
	const char *word;
	bool want;
};

static const struct word words[] = {
	{ "plain", false }, { "a*", true }, { "a?", true }, { "a[b]", true }, { "a\\*", false }, { "a\\\\*", true }, { "a\\", false },
	{ "", false }, { "a]", false },
};

static unsigned count, failed;

static void
check(bool good, const char *what, const char *a, const char *b)
{
	printf("%sok %u - %s %s %s\n", good ? "" : "not ", ++count, what, a, b);
	failed += !good;
}

/* Many stars against a long name that does not match: the set of places stays small. */
static void
check_speed(enum glob_kind kind, const char *star)
{
	char *pattern = rt_alloc(4 * 500), *name = rt_alloc(20001);
	clock_t start = clock();
	struct glob *g;
	unsigned result;

	for (unsigned i = 0; i < 500; i++)
		strcat(strcat(pattern, "a"), star);
	strcat(pattern, "b");
	memset(name, 'a', 20000);
	g = glob_compile(pattern, kind);
	result = glob_run(g, name);
	check((result & GLOB_HERE) == 0 && clock() - start < 10 * CLOCKS_PER_SEC, "500 times", star, "in 20000 characters");
	glob_free(g);
	free(pattern);
	free(name);
}

int
main(void)
{
	const size_t nrows = sizeof(rows) / sizeof(*rows), nwords = sizeof(words) / sizeof(*words);

	printf("1..%zu\n", nrows + nwords + 2);
	for (size_t i = 0; i < nrows; i++) {
		char *name = rt_printable(rows[i].name), *pattern = rt_printable(rows[i].pattern);

		check(glob_match(rows[i].pattern, rows[i].name) == rows[i].want, "match", pattern, name);
		free(name);
		free(pattern);
	}
	for (size_t i = 0; i < nwords; i++)
		check(glob_has_wildcard(words[i].word) == words[i].want, "wildcard in", words[i].word, "");
	check_speed(GLOB_PATH, "*");
	check_speed(GLOB_IGNORE, "**");
	return failed != 0;
}
