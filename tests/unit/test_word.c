/* The word language: expansions and refusals, spec/language.md 3.2. */
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/mem.h"
#include "front/ast.h"
#include "front/word.h"
#include "tap.h"

static const char *
lookup(void *arg, const char *name)
{
	static const char *const env[][2] = {
		{ "GREET", "good day" }, { "EMPTY", "" }, { "FILE", "/srv/www/index.html.gz" }, { "HASH", "#x" },
		{ "LINES", "one\ntwo" }, { "ACC", "d\xc3\xa9j\xc3\xa0" }, { "BYTES", "\xff\xfe" }, { "LA", "la la la" },
	};

	for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
		if (strcmp(env[i][0], name) == 0)
			return env[i][1];
	return NULL;
}

/* The expansion of `word`, or the diagnostic's name in angle brackets. */
static char *
expand(const void *ctx, const char *word, char escape, enum word_mode mode)
{
	struct source *source = source_new(ctx, "Dockerfile", word, strlen(word));
	struct piece map = { 0, 0 };
	struct text text = { .s = word, .len = strlen(word), .at = { 0, (uint32_t)strlen(word) }, .map = &map, .npieces = 1 };
	struct diag *d = diag_new(ctx);
	struct word_tree *tree = word_parse(ctx, source, &text, escape, mode, d);
	char *result = tree != NULL ? word_eval(ctx, tree, lookup, NULL, source, d) : NULL;

	if (result != NULL)
		return result;
	return d->errors == 1 ? mem_printf(ctx, "<%s>", diag_name(d->items[0].id)) : mem_printf(ctx, "<%u errors>", d->errors);
}

static void
rows(void)
{
	static const char *const table[][2] = {
		{ "plain", "plain" }, { "", "" }, { "$GREET!", "good day!" }, { "${GREET}s", "good days" },
		{ "'$GREET'", "$GREET" }, { "\"$GREET\"", "good day" }, { "\\$GREET", "$GREET" }, { "a\\", "a" },
		{ "\"a\\q\\\"\"", "a\\q\"" }, { "x\"a\"'b'y", "xaby" }, { "$", "$" }, { "$,", "$," }, { "$$x", "x" }, { "$7up", "up" },
		{ "${NONE-a}", "a" }, { "${EMPTY-a}", "" }, { "${EMPTY:-a}", "a" }, { "${GREET+a}", "a" }, { "${NONE+a}", "" },
		{ "${EMPTY:+a}", "" }, { "${NONE:-${NONE:-${GREET}}}", "good day" }, { "${NONE:-\"a } b\"}", "a } b" },
		{ "${NONE:-'}'}", "}" }, { "\"${NONE:-\"x y\"}\"", "x y" }, { "${NONE:-a\\}b}", "a}b" }, { "${-x}", "<bad-word>" },
		{ "${+x}", "" }, { "${FILE#*/}", "srv/www/index.html.gz" }, { "${FILE##*/}", "index.html.gz" },
		{ "${FILE%.*}", "/srv/www/index.html" }, { "${FILE%%.*}", "/srv/www/index" }, { "${FILE%\"%\".*}", "/srv/www/index" },
		{ "${FILE#${HASH}}", "/srv/www/index.html.gz" }, { "${HASH#\"#\"x}", "#x" }, { "${FILE/w/W}", "/srv/Www/index.html.gz" },
		{ "${FILE//w/}", "/srv//index.html.gz" }, { "${FILE//\\//:}", ":srv:www:index.html.gz" }, { "${LA//a/o}", "lo lo lo" },
		{ "${LA/l*/x}", "x" }, { "${LA//?a /x}", "xxla" }, { "${LINES/o*o/x}", "one\ntwo" }, { "${LINES#*e}", "\ntwo" },
		{ "${LINES%?wo}", "one\n" }, { "${ACC#d?}", "j\xc3\xa0" }, { "${ACC%?}", "d\xc3\xa9j" }, { "${BYTES#?}", "\xfe" },
		{ "${GREET//$NONE/-}", "-g-o-o-d- -d-a-y-" }, { "${GREET//*/x}", "x" }, { "${GREET/[gd]/x}", "good day" },
		{ "${GREET#\\o}", "<bad-word>" }, { "${GREET/\\*/x}", "good day" }, { "$\xc3\x89t\xc3\xa9.", "." },
		{ "${GREET:?no}", "good day" }, { "${NONE:?no}", "<required-variable>" }, { "${EMPTY:?}", "<required-variable>" },
		{ "${EMPTY?}", "" }, { "${GREET:-${NONE?x}}", "<required-variable>" }, { "\"open", "<bad-word>" }, { "'open", "<bad-word>" },
		{ "${GREET", "<bad-word>" }, { "${GREET:-x", "<bad-word>" }, { "${GREET/x}", "<bad-word>" }, { "${}", "<bad-word>" },
		{ "${:-x}", "<bad-word>" }, { "${{x}}", "<bad-word>" }, { "${GREET^}", "<bad-word>" }, { "${GREET:=x}", "<bad-word>" },
	};
	void *ctx = talloc_new(NULL);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *got = expand(ctx, table[i][0], '\\', WORD_MODE_NORMAL);

		if (!ok(strcmp(got, table[i][1]) == 0, "word %zu: %s", i, table[i][0]))
			printf("# got %s, want %s\n", got, table[i][1]);
	}
	talloc_free(ctx);
}

static void
modes(void)
{
	void *ctx = talloc_new(NULL);

	ok(strcmp(expand(ctx, "`$GREET\\x", '`', WORD_MODE_NORMAL), "$GREET\\x") == 0, "backtick as the escape");
	ok(strcmp(expand(ctx, "'$GREET' \"\\$x\\q", '\\', WORD_MODE_RAW), "'good day' \"$xq") == 0, "here-document text");
	ok(strcmp(expand(ctx, "${NONE:-\"q\"}", '`', WORD_MODE_RAW), "\"q\"") == 0, "quotes in a here-document's ${}");
	talloc_free(ctx);
}

static void
limits(void)
{
	void *ctx = talloc_new(NULL);
	struct buf *deep = buf_new(ctx), *good = buf_new(ctx), *wide = buf_new(ctx);

	for (int i = 0; i < 100000; i++)
		buf_puts(deep, "${x:-");
	ok(strcmp(expand(ctx, buf_str(deep), '\\', WORD_MODE_NORMAL), "<nested-too-deep>") == 0, "100000 levels are refused");
	for (int i = 0; i < 199; i++)
		buf_puts(good, "${NONE:-");
	buf_puts(good, "x");
	for (int i = 0; i < 199; i++)
		buf_puts(good, "}");
	ok(strcmp(expand(ctx, buf_str(good), '\\', WORD_MODE_NORMAL), "x") == 0, "199 levels are read");
	for (int i = 0; i < 200000; i++)
		buf_puts(wide, "$GREET");
	ok(strcmp(expand(ctx, buf_str(wide), '\\', WORD_MODE_NORMAL), "<word-too-long>") == 0, "over 1 MiB is refused");
	talloc_free(ctx);
}

int
main(void)
{
	rows();
	modes();
	limits();
	return tap_done();
}
