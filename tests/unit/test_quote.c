/* sh_word: `test_quote write bytes|utf8 COUNT SCRIPT WANT` makes a script that prints COUNT random strings of
   bytes 1 to 255, or of well-formed UTF-8, and a file with what it has to print; without arguments the words are checked by a reader of our own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "emit/quote.h"
#include "tap.h"

static uint64_t state = 88172645463325252u;

static unsigned
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 32);
}

/* Every byte, the ones that shells care about more often. */
static size_t
random_text(char *s, size_t cap, bool utf8)
{
	static const char hot[] = "'\"\\`$(){}[]<>|&;*?!~#=-\n\t \r%";
	size_t n = next() % cap;

	for (size_t i = 0; i < n; i++)
		if (utf8 && i + 1 < n && next() % 4 == 0) {
			s[i++] = (char)(0xC3 + next() % 16);
			s[i] = (char)(0x80 + next() % 64);
		} else {
			s[i] = next() % 2 ? hot[next() % (sizeof(hot) - 1)] : (char)(1 + next() % (utf8 ? 127 : 255));
		}
	s[n] = '\0';
	return n;
}

static int
write_files(bool utf8, unsigned long count, const char *script, const char *want)
{
	FILE *out = fopen(script, "wb"), *expected = fopen(want, "wb");
	char text[64];

	if (out == NULL || expected == NULL)
		return 1;
	for (unsigned long i = 0; i < count; i++) {
		struct buf *word = buf_new(NULL);
		size_t n = random_text(text, sizeof(text) - 1, utf8);

		sh_word(word, text, n);
		fprintf(out, "printf '%%s\\n' %s\n", buf_str(word));
		fprintf(expected, "%s\n", text);
		talloc_free(word);
	}
	return fclose(out) != 0 || fclose(expected) != 0;
}

/* What POSIX makes of one word of single quotes, escapes and plain text. */
static bool
read_back(const char *word, char *out)
{
	for (; *word != '\0'; word++) {
		if (*word == '\'') {
			for (word++; *word != '\''; word++) {
				if (*word == '\0')
					return false;
				*out++ = *word;
			}
		} else if (*word == '\\') {
			*out++ = *++word;
		} else if (strchr(" \t\n\"$`;&|<>()*?[#~%{}!", *word) != NULL && *word != '%') {
			return false;
		} else {
			*out++ = *word;
		}
	}
	*out = '\0';
	return true;
}

int
main(int argc, char **argv)
{
	char text[64], back[512];
	bool all = true;

	if (argc == 6 && strcmp(argv[1], "write") == 0)
		return write_files(strcmp(argv[2], "utf8") == 0, strtoul(argv[3], NULL, 10), argv[4], argv[5]);
	for (int i = 0; all && i < 100000; i++) {
		struct buf *word = buf_new(NULL);
		size_t n = random_text(text, sizeof(text) - 1, false);

		sh_word(word, text, n);
		all = word->len > 0 && read_back(buf_str(word), back) && strcmp(text, back) == 0;
		talloc_free(word);
	}
	ok(all, "100000 random strings are one word that reads back");
	return tap_done();
}
