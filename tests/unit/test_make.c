/* Text in a Makefile: random strings of bytes 1 to 255 come back through the makes that are installed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "emit/mk.h"
#include "expand.h"
#include "tap.h"

enum { COUNT = 3000, LONGEST = 60 };

static uint64_t state = 88172645463325252u;

static unsigned
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 32);
}

/* Every byte, those that make, the shell and templates care about more often. */
static size_t
random_text(char *s, bool lines)
{
	static const char hot[] = "'\"\\`$(){}[]<>|&;*?!~#=-:@+%,/ \t$$\\\\##";
	size_t n = next() % LONGEST;

	for (size_t i = 0; i < n; i++) {
		s[i] = next() % 2 ? hot[next() % (sizeof(hot) - 1)] : (char)(1 + next() % 255);
		if (s[i] == '\n' && !lines)
			s[i] = '\\';
	}
	s[n] = '\0';
	return n;
}

static void
test_templates(void)
{
	struct vars vars = { 0 };
	bool plain = true, nested = true, chosen = true;

	for (int i = 0; i < 50000; i++) {
		char text[LONGEST + 1];
		size_t n = random_text(text, true);
		struct buf *a = buf_new(NULL), *b = buf_new(NULL);
		struct str out = { 0 }, inner = { 0 }, other = { 0 };
		struct rt_err e = { 0 };

		mk_escape(a, text, n, false);
		plain = plain && expand(&vars, buf_str(a), &out, &e) == 0 && strcmp(out.s, text) == 0;
		buf_puts(b, "${none:-");
		mk_escape(b, text, n, true);
		buf_puts(b, "}");
		nested = nested && expand(&vars, buf_str(b), &inner, &e) == 0 && strcmp(inner.s, text) == 0;
		vars_set(&vars, "some", text);
		chosen = chosen && expand(&vars, "${some}", &other, &e) == 0 && strcmp(other.s, text) == 0;
		str_free(&out);
		str_free(&inner);
		str_free(&other);
		talloc_free(a);
		talloc_free(b);
	}
	ok(plain, "50000 random strings are templates that mean themselves");
	ok(nested, "and so they are inside ${ }");
	ok(chosen, "and as values of variables");
}

static void
expands(const char *template, const char *want)
{
	struct vars vars = { 0 };
	struct str out = { 0 };
	struct rt_err e = { 0 };
	char *got;

	vars_set(&vars, "a", "one/two/one");
	vars_set(&vars, "empty", "");
	got = expand(&vars, template, &out, &e) == 0 ? out.s : e.text;
	ok(strcmp(got, want) == 0, "%s is %s", template, got);
	str_free(&out);
}

static void
test_operators(void)
{
	expands("x${a}y", "xone/two/oney");
	expands("${empty-1}${empty:-2}${none-3}", "23");
	expands("${a+1}${empty+2}${empty:+3}${none+4}", "12");
	expands("${none:-${a:-x}\\}}", "one/two/one}");
	expands("${a/one/1\\}}", "1}/two/one");
	expands("${a//one/1}${a//\\//:}", "1/two/1one:two:one");
	expands("${a#one}${a%/*}${a%%/*}${a##*/}", "/two/oneone/twooneone");
	expands("${none?none: has no value}", "none: has no value");
	expands("${a?x}${empty?x}", "one/two/one");
	expands("${empty:?empty: ${a}}", "empty: one/two/one");
	expands("${a", "a word with a malformed ${ }");
	expands("$a $ \\$\\n", "$a $ $\n");
}

/* A Makefile that prints each text, and what it has to print. */
static void
write_files(const char *makefile, const char *want, bool values)
{
	FILE *out = fopen(makefile, "wb"), *expected = fopen(want, "wb");

	if (out == NULL || expected == NULL)
		exit(1);
	fprintf(out, "e =\n");
	for (int i = 0; i < COUNT; i++) {
		char text[LONGEST + 1];
		size_t n = random_text(text, false);
		struct buf *word = buf_new(NULL);

		if (!values) {
			make_quote(word, text, n);
			fprintf(out, "t%d:\n\t@printf '%%s\\n' %s\nall: t%d\n", i, buf_str(word), i);
		} else if (make_value(word, text, n)) {
			fprintf(out, "v%d = %s\nexport x%d=$(v%d)\nt%d:\n\t@printf '%%s\\n' \"$$x%d\"\nall: t%d\n", i, buf_str(word), i, i, i, i, i);
		} else {
			talloc_free(word);
			continue;
		}
		fprintf(expected, "%s\n", text);
		talloc_free(word);
	}
	if (fclose(out) != 0 || fclose(expected) != 0)
		exit(1);
}

static void
test_make(const char *make, bool values)
{
	char dir[] = "/tmp/test_make.XXXXXX", command[512];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", make);
	if (system(command) != 0 || mkdtemp(dir) == NULL || chdir(dir) < 0)
		return;
	write_files("mk", "want", values);
	snprintf(command, sizeof(command), "unset MAKEFLAGS; %s -f mk all >got 2>err; cmp want got", make);
	ok(system(command) == 0, "%s: %s come back", make, values ? "values of variables" : "words of recipes");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (chdir("/") < 0 || system(command) != 0)
		exit(1);
}

int
main(void)
{
	test_templates();
	test_operators();
	for (int values = 0; values < 2; values++) {
		test_make("make", values);
		test_make("bmake", values);
	}
	return tap_done();
}
