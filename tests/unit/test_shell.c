/* The shell grammar: texts against the commands they are, POSIX.1-2017 XCU 2. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "front/ast.h"
#include "front/shell.h"
#include "tap.h"

static void
put_node(struct buf *out, const struct shell_node *n)
{
	static const char *const kinds[] = { "", "pipe", "", "group", "sub", "if", "loop", "for", "case", "fn" };
	static const char *const joins[] = { "", "&&", "||", ";", "&" };
	static const char *const redirs[] = { "<", ">", ">>", "&", "<<", "<<<" };

	buf_printf(out, "%s%s%s[", joins[n->join], n->negated ? "!" : "", kinds[n->kind]);
	for (size_t k = 0; k < n->nassigns; k++)
		buf_printf(out, "%s{%s}", k > 0 ? " " : "", n->assigns[k].value);
	for (size_t k = 0; k < n->nwords; k++)
		buf_printf(out, "%s%s%s", k + n->nassigns > 0 ? " " : "", n->words[k].value, n->words[k].expands ? "*" : "");
	for (size_t k = 0; k < n->nredirs; k++)
		buf_printf(out, " %s%s", redirs[n->redirs[k].kind], n->redirs[k].target.value);
	for (size_t k = 0; k < n->nkids; k++)
		put_node(out, n->kids[k]);
	buf_putc(out, ']');
}

static struct shell *
parse(const void *ctx, const char *text)
{
	struct piece *map = mem_new(ctx, struct piece);
	struct text t = { .s = text, .len = strlen(text), .map = map, .npieces = 1 };

	return shell_parse(ctx, &t);
}

static const struct row {
	const char *text, *want;
} rows[] = {
	{ "a b c", "[a b c]" },
	{ "", "" },
	{ " \n# only a comment\n", "" },
	{ "a&&b||c;d", "[[a]&&[b]||[c];[d]]" },
	{ "a | b |& c", "pipe[[a][b][c]]" },
	{ "! a | b", "!pipe[[a][b]]" },
	{ "a & b", "[[a]&[b]]" },
	{ "a; ", "[a]" },
	{ "A=1 B=\"x y\" cmd", "[{A=1} {B=x y} cmd]" },
	{ "A=1", "[{A=1}]" },
	{ "echo A=1", "[echo A=1]" },
	{ "echo 'a b' \"c d\"e \\f g\\ h", "[echo a b c de f g h]" },
	{ "echo $x ${y:-a b} \"$z\" '$n'", "[echo $x* ${y:-a b}* $z* $n]" },
	{ "echo $(a; b \"$(c)\") `d e`", "[echo $(a; b $(c))* `d e`*]" },
	{ "echo $((1 + (2 * 3)))x", "[echo $((1 + (2 * 3)))x*]" },
	{ "x=$(case $a in b) c;; esac) y", "[{x=$(case $a in b) c;; esac)} y]" },
	{ "echo \"${x:-it's}\" a", "[echo ${x:-it's}* a]" },
	{ "a >b 2>&1 <c >>d", "[a >b &1 <c >>d]" },
	{ ">x a b", "[a b >x]" },
	{ "a # b", "[a]" },
	{ "a #b\nc", "[[a];[c]]" },
	{ "a b#c", "[a b#c]" },
	{ "a \\\n b", "[a b]" },
	{ "a\\\nb", "[ab]" },
	{ "if a; then b; elif c; then d; else e; fi", "if[[a][b]if[[c][d][e]]]" },
	{ "while a; do b; done", "loop[[a][b]]" },
	{ "until a; do b; done >x", "loop[ >x[a][b]]" },
	{ "for i in a b; do c $i; done", "for[a b[c $i*]]" },
	{ "for i\nin a\ndo b\ndone", "for[a[b]]" },
	{ "for i; do b; done", "for[[b]]" },
	{ "for i do b; done", "for[[b]]" },
	{ "case $x in a|b) c;; (d) e; esac", "case[$x*[c][e]]" },
	{ "case x in\na)\n;;\n*) b ;;\nesac", "case[x[b]]" },
	{ "(a; b) && { c; }", "[sub[[[a];[b]]]&&group[[c]]]" },
	{ "f() { a; }; f", "[fn[group[[a]]];[f]]" },
	{ "function f { a; }", "fn[[a]]" },
	{ "echo if then { }", "[echo if then { }]" },
	{ "[ -d /x ] && a", "[[[ -d /x ]]&&[a]]" },
	{ "[[ a && b < c ]] && d", "[[[[ a && b < c ]]]&&[d]]" },
	{ "a=(1 2) b", "[{a=(1 2)} b]" },
	{ "((i++)); a", "[[((i++))];[a]]" },
	{ "diff <(a) >(b)", "[diff <(a) >(b)]" },
	{ "cat <<E >x\nif ' \"\nE\nb", "[[cat <<E >x];[b]]" },
	{ "cat <<-'E' <<F\n\tx\n\tE\ny\nF\n", "[cat <<E <<F]" },
	{ "cat <<<\"a b\"", "[cat <<<a b]" },
	{ "a &&\n\nb", "[[a]&&[b]]" },
	{ "echo \"a\\$b\\c\"", "[echo a$b\\c]" },
	{ "a\r\n", "[a]" },
	/* syntax errors: what comes before is known */
	{ "a && ", "bad 1" },
	{ "a; b )", "bad 2" },
	{ "if a; then b", "bad 2" },
	{ "a | | b", "bad 1" },
	{ "a \"b", "bad 1 open \" at 2" },
	{ "a 'b", "bad 1 open ' at 2" },
	{ "a; b $(c", "bad 2 open ( at 5" },
	{ "a `b", "bad 1 open ` at 2" },
	{ "a ${b", "bad 1 open { at 2" },
};

/* A name that fits a line of TAP. */
static const char *
one_line(const void *ctx, const char *text)
{
	char *copy = mem_str(ctx, text);

	for (char *p = copy; *p != '\0'; p++)
		*p = *p == '\n' || *p == '\r' ? '/' : *p == '#' ? '%' : *p;
	return copy;
}

static void
test_row(const struct row *r)
{
	void *ctx = talloc_new(NULL);
	struct shell *sh = parse(ctx, r->text);
	struct buf *out = buf_new(ctx);

	if (sh->bad)
		buf_printf(out, "bad %zu", sh->nsimple);
	if (sh->bad && sh->open != 0)
		buf_printf(out, " open %c at %u", sh->open, (unsigned)sh->where.begin);
	if (!sh->bad && sh->root != NULL)
		put_node(out, sh->root);
	is_text(buf_str(out), r->want, one_line(ctx, r->text));
	talloc_free(ctx);
}

/* `open` 100,000 times: an answer, whatever it is, and soon. */
static void
test_deep(const char *open)
{
	void *ctx = talloc_new(NULL);
	struct buf *b = buf_new(ctx);

	for (size_t k = 0; k < 100000; k++)
		buf_puts(b, open);
	ok(parse(ctx, buf_str(b)) != NULL, "%s 100000 times", open);
	talloc_free(ctx);
}

int
main(void)
{
	static const char *const opens[] = { "(", "{ ", "$(", "${", "\"", "`", "if ", "case x in a) ", "a | ", "a && ", "a; ", "! ", "<", "f() ", "<<E ", "a=(", "[[ ", "((" };

	for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
		test_row(&rows[k]);
	for (size_t k = 0; k < sizeof opens / sizeof opens[0]; k++)
		test_deep(opens[k]);
	return tap_done();
}
