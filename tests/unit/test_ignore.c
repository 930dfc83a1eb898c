/* The ignore language, one row or more a rule (language.md 7). */
#include "../../runtime/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tree[] = { "-x", ".h", "a", "ab", "b.txt", "d/.h", "d/a", "d/b.txt", "d/e/a", "d/e/c.md", "m.md",
	"x y", "x/d/a" };

struct row {
	const char *rule, *text;
	const char *ignored; /* which of the tree, separated by `|`; NULL: malformed */
};

static const struct row rows[] = {
	{ "nothing", "", "" },
	{ "anchored at the root, whole path", "a\n", "a" },
	{ "no newline at the end", "a", "a" },
	{ "CRLF lines", "a\r\nm.md\r\n", "a|m.md" },
	{ "byte order mark on line 1", "\xef\xbb\xbf" "a\n", "a" },
	{ "comment", "#a\na\n", "a" },
	{ "no comment behind a blank", " #a\n", "" },
	{ "blanks around are trimmed", " \t a \t\n", "a" },
	{ "blanks inside are kept", "x y\n", "x y" },
	{ "empty lines", "\n\n  \na\n", "a" },
	{ "one leading slash", "/a\n", "a" },
	{ "only one", "//a\n", "a" },
	{ "trailing slash", "d/e/\n", "d/e/a|d/e/c.md" },
	{ "cleaned", "./d//x/../e/.\n", "d/e/a|d/e/c.md" },
	{ "dot", ".\n", "" },
	{ "slash", "/\n", "" },
	{ "above the root", "..\n../a\n", "" },
	{ "above the root, rooted", "/../a\n", "a" },
	{ "star", "*.md\n", "m.md" },
	{ "star matches dot files", "*h\n", ".h" },
	{ "star does not cross", "d/*a\n", "d/a" },
	{ "star inside", "d/*/a\n", "d/e/a" },
	{ "star alone", "*\n", "-x|.h|a|ab|b.txt|d/.h|d/a|d/b.txt|d/e/a|d/e/c.md|m.md|x y|x/d/a" },
	{ "question mark", "a?\n", "ab" },
	{ "question mark is no slash", "d?a\n", "" },
	{ "set", "[am].md\n", "m.md" },
	{ "range", "[a-c]b\n", "ab" },
	{ "negated set", "[^a]/d\n", "x/d/a" },
	{ "leading minus", "-x\n", "-x" },
	{ "escaped star", "\\*\n", "" },
	{ "escaped dot", "m\\.md\n", "m.md" },
	{ "escaped letter is none", "\\a\n", "" },
	{ "a dot is a dot", "m?md\n*.txt\nmxmd\n", "m.md|b.txt" },
	{ "special to regular expressions", "(a)\na|b\na+\n{a}\n^a\na$\n", "" },
	{ "any depth", "**/a\n", "a|d/a|d/e/a|x/d/a" },
	{ "any depth, directory", "**/d\n", "d/.h|d/a|d/b.txt|d/e/a|d/e/c.md|x/d/a" },
	{ "any depth with a star", "**/*.txt\n", "b.txt|d/b.txt" },
	{ "suffix at a path boundary only", "**/b\n", "" },
	{ "in between, none to many", "d/**/a\n", "d/a|d/e/a" },
	{ "all below", "d/**\n", "d/.h|d/a|d/b.txt|d/e/a|d/e/c.md" },
	{ "all", "**\n", "-x|.h|a|ab|b.txt|d/.h|d/a|d/b.txt|d/e/a|d/e/c.md|m.md|x y|x/d/a" },
	{ "all, with a slash", "**/\n", "-x|.h|a|ab|b.txt|d/.h|d/a|d/b.txt|d/e/a|d/e/c.md|m.md|x y|x/d/a" },
	{ "any end", "**.md\n", "d/e/c.md|m.md" },
	{ "twice", "**/d/**/a\n", "d/a|d/e/a|x/d/a" },
	{ "a directory takes all below", "d\n", "d/.h|d/a|d/b.txt|d/e/a|d/e/c.md" },
	{ "exception below a directory", "d\n!d/e/a\n", "d/.h|d/a|d/b.txt|d/e/c.md" },
	{ "exception of a directory", "*\n!d/e\n", "-x|.h|a|ab|b.txt|d/.h|d/a|d/b.txt|m.md|x y|x/d/a" },
	{ "exception too early", "!a\na\n", "a" },
	{ "the last one decides", "d\n!d/e\nd/e/a\n", "d/.h|d/a|d/b.txt|d/e/a" },
	{ "blanks behind the mark", "d\n!  d/a\n", "d/.h|d/b.txt|d/e/a|d/e/c.md" },
	{ "exception with a slash", "d\n!/d/a\n", "d/.h|d/b.txt|d/e/a|d/e/c.md" },
	{ "exception with any depth", "**\n!**/c.md\n", "-x|.h|a|ab|b.txt|d/.h|d/a|d/b.txt|d/e/a|m.md|x y|x/d/a" },
	{ "mark alone", "a\n!\n", NULL },
	{ "mark and blanks", "! \n", NULL },
	{ "unfinished set", "[\n", NULL },
	{ "empty set", "a[]\n", NULL },
	{ "unfinished escape", "a\\\n", NULL },
	{ "unfinished set behind an exception", "!a[\n", NULL },
};

static unsigned count, failed;

static void
check(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++count, what);
	failed += !good;
}

static bool
in_list(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p != '\0'; p += strcspn(p, "|"), p += *p == '|')
		if (strcspn(p, "|") == n && strncmp(p, name, n) == 0)
			return true;
	return false;
}

static bool
row_holds(const struct row *r)
{
	struct rt_err e = { 0 };
	struct ignore *ig = ignore_parse(r->text, strlen(r->text), &e);
	bool good = true;

	if (ig == NULL || r->ignored == NULL) {
		good = ig == NULL && r->ignored == NULL && strncmp(e.text, "line ", 5) == 0;
		ignore_free(ig);
		return good;
	}
	for (size_t i = 0; i < sizeof(tree) / sizeof(*tree); i++) {
		bool want = in_list(r->ignored, tree[i]);

		if (ignore_match(ig, tree[i]) != want) {
			printf("# %s: wanted %d\n", tree[i], want);
			good = false;
		}
		/* what is re-included can be found by walking */
		for (const char *slash = strchr(tree[i], '/'); !want && slash != NULL; slash = strchr(slash + 1, '/')) {
			char dir[64];

			snprintf(dir, sizeof(dir), "%.*s", (int)(slash - tree[i]), tree[i]);
			if (ignore_match(ig, dir) && !ignore_may_reinclude(ig, dir)) {
				printf("# %s: not walked\n", dir);
				good = false;
			}
		}
	}
	ignore_free(ig);
	return good;
}

/* Directories that need not be walked. */
static void
check_walk(const char *text, const char *dir, bool want)
{
	struct rt_err e = { 0 };
	struct ignore *ig = ignore_parse(text, strlen(text), &e);
	char what[128];

	snprintf(what, sizeof(what), "%s is %s for %.20s", dir, want ? "walked" : "not walked", text);
	for (char *p = what; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	check(ignore_may_reinclude(ig, dir) == want, what);
	ignore_free(ig);
}

static void
check_list(void)
{
	char *patterns[] = { (char[]){ "*" }, (char[]){ "!a" }, NULL };
	const struct list list = { .v = patterns, .n = 2 };
	struct rt_err e = { 0 };
	struct ignore *ig = ignore_patterns(&list, &e);

	check(ig != NULL && !ignore_match(ig, "a") && ignore_match(ig, "b"), "patterns as a list");
	ignore_free(ig);
	ig = ignore_parse("a\0b\n", 4, &e);
	check(ig == NULL, "a NUL is refused");
	ig = ignore_parse("a\nb\n[\n", 6, &e);
	check(ig == NULL && strstr(e.text, "line 3") != NULL, "the line is named");
}

int
main(void)
{
	const size_t nrows = sizeof(rows) / sizeof(*rows);

	printf("1..%zu\n", nrows + 9);
	for (size_t i = 0; i < nrows; i++)
		check(row_holds(&rows[i]), rows[i].rule);
	check_walk("d\n", "d", false);
	check_walk("d\n!x\n", "d", false);
	check_walk("d\n!d/e/a\n", "d", true);
	check_walk("d\n!d/e/a\n", "d/b", false);
	check_walk("*\n!**/a\n", "x", true);
	check_walk("*\n!x/*/a\n", "x/d", true);
	check_list();
	return failed != 0;
}
