/* Text for a terminal: what a command writes is shown as text, never as a command to the terminal, and fits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

static int n, failed;

static void
is(const char *what, const char *want, const char *got)
{
	bool good = strcmp(want, got) == 0;

	failed |= !good;
	printf("%sok %d - %s\n", good ? "" : "not ", ++n, what);
	if (!good)
		printf("# want %s\n# got  %s\n", want, got);
}

static void
test_lines(void)
{
	static const struct {
		const char *what, *text, *want;
	} rows[] = {
		{ "plain text", "abc", "abc" },
		{ "nothing", "", "" },
		{ "colours go", "\033[1;31mred\033[0m.", "red." },
		{ "cursor movements go", "a\033[2Jb\033[10;20Hc\033[?25l", "abc" },
		{ "a title ended by BEL", "\033]0;title\007x", "x" },
		{ "a title ended by ST", "\033]0;title\033\\x", "x" },
		{ "a title that does not end", "x\033]0;title", "x" },
		{ "a device control string", "\033P1$r\033\\x", "x" },
		{ "a sequence of two bytes", "\033cx", "x" },
		{ "a character set", "\033(0x", "x" },
		{ "an escape at the end", "x\033", "x" },
		{ "an unfinished CSI", "x\033[12;", "x" },
		{ "8-bit CSI is bytes", "\302\2332Jx", "\\xc2\\x9b2Jx" },
		{ "a progress bar", "10%\r20%\r100%", "100%" },
		{ "the CR of CRLF", "line\r", "line" },
		{ "backspaces", "ab\b\b\bc", "c" },
		{ "tabs", "a\tb", "a       b" },
		{ "other controls", "a\001b\177", "a\\x01b\\x7f" },
		{ "bytes that are no UTF-8", "a\377b", "a\\xffb" },
		{ "text that would turn the line around", "a\342\200\256b", "a\\xe2\\x80\\xaeb" },
		{ "other text", "gr\303\274n", "gr\303\274n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = term_line(rows[i].text, strlen(rows[i].text));

		is(rows[i].what, rows[i].want, got);
		free(got);
	}
}

static void
cut(const char *what, const char *text, unsigned columns, const char *want)
{
	char *got = term_cut(text, columns);

	is(what, want, got);
	free(got);
}

static void
test_cuts(void)
{
	char *line;

	cut("what fits stays", "abcdef", 6, "abcdef");
	cut("what does not is cut", "abcdefg", 6, "abc...");
	cut("characters, not bytes", "\303\274\303\274\303\274\303\274\303\274", 5, "\303\274\303\274\303\274\303\274\303\274");
	cut("never within one", "\303\274\303\274\303\274\303\274\303\274", 4, "\303\274...");
	cut("hardly any room", "abcdef", 2, "ab");
	cut("no room", "abcdef", 0, "");
	line = term_sides("left side", "right", 20);
	is("two sides", "left side     right", line);
	free(line);
	line = term_sides("a left side that is too long", "right", 20);
	is("the left one gives way", "a left sid... right", line);
	free(line);
}

static void
test_numbers(void)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} sizes[] = { { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 1949, "1.9 kB" }, { 999949, "999.9 kB" }, { 999951, "1.0 MB" },
		{ 1900000, "1.9 MB" }, { 3000000000u, "3.0 GB" }, { UINT64_MAX, "18446744.1 TB" } };
	static const struct {
		double seconds;
		const char *want;
	} times[] = { { 0, "0.0s" }, { 0.04, "0.0s" }, { 12.44, "12.4s" }, { 99.9, "99.9s" }, { 100, "1m40s" }, { 3601, "60m01s" } };
	char text[32];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		progress_size(sizes[i].bytes, text);
		is("a size", sizes[i].want, text);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		progress_time(times[i].seconds, text);
		is("a time", times[i].want, text);
	}
}

int
main(void)
{
	test_lines();
	test_cuts();
	test_numbers();
	printf("1..%d\n", n);
	return failed;
}
