/* Text of a Dockerfile in a Makefile.  A value that is known only when make runs is written as a small template which
   dockcc-rt works out: make has no ${v:-w}, and its two dialects have no quoting in common. */
#include <string.h>

#include "../base/buf.h"
#include "mk.h"
#include "quote.h"
#include "sh.h"

void
make_quote(struct buf *out, const char *text, size_t len)
{
	struct buf *word = buf_new(out);

	sh_word(word, text, len);
	for (size_t i = 0; i < word->len; i++) {
		if (buf_str(word)[i] == '$')
			buf_putc(out, '$');
		buf_putc(out, buf_str(word)[i]);
	}
}

bool
make_value(struct buf *out, const char *text, size_t len)
{
	if (len > 0 && (strchr(" \t", text[0]) != NULL || strchr(" \t\\", text[len - 1]) != NULL))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f || (text[i] == '\\' && i + 1 < len && strchr("#\\$", text[i + 1]) != NULL))
			return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '$')
			buf_putc(out, '$');
		if (text[i] == '#')
			buf_putc(out, '\\');
		buf_putc(out, text[i]);
	}
	return true;
}

void
mk_escape(struct buf *out, const char *text, size_t len, bool nested)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			buf_puts(out, "\\n");
			continue;
		}
		if (text[i] == '\\' || text[i] == '$' || (nested && (text[i] == '}' || text[i] == '/')))
			buf_putc(out, '\\');
		buf_putc(out, text[i]);
	}
}

/* The text of ${x?text} names the variable, as the shell's would. */
static void
require(struct buf *out, const struct value_part *p)
{
	mk_escape(out, p->name, strlen(p->name), true);
	buf_puts(out, ": ");
	if (p->arg == NULL || (value_is_static(p->arg) && *value_text(p->arg) == '\0'))
		buf_puts(out, "has no value and must have one");
	else
		mk_template(out, p->arg, true);
}

static void
reference(struct buf *out, const struct value_part *p)
{
	static const char *const ops[] = {
		[WORD_PLAIN] = "", [WORD_DEFAULT] = "-", [WORD_DEFAULT_NULL] = ":-", [WORD_ALT] = "+", [WORD_ALT_NULL] = ":+",
		[WORD_REQUIRE] = "?", [WORD_REQUIRE_NULL] = ":?", [WORD_PREFIX] = "#", [WORD_PREFIX_LONG] = "##", [WORD_SUFFIX] = "%",
		[WORD_SUFFIX_LONG] = "%%", [WORD_REPLACE] = "/", [WORD_REPLACE_ALL] = "//",
	};

	if (p->op == WORD_PLAIN && p->var == NULL)
		return;
	buf_puts(out, "${");
	if (p->var != NULL)
		sh_var_name(out, p->var);
	else
		buf_puts(out, "unset");
	buf_puts(out, ops[p->op]);
	if (p->op == WORD_REQUIRE || p->op == WORD_REQUIRE_NULL)
		require(out, p);
	else
		mk_template(out, p->arg, true);
	if (p->op == WORD_REPLACE || p->op == WORD_REPLACE_ALL) {
		buf_putc(out, '/');
		mk_template(out, p->repl, true);
	}
	buf_putc(out, '}');
}

void
mk_template(struct buf *out, const struct value *v, bool nested)
{
	for (size_t i = 0; v != NULL && i < v->nparts; i++) {
		const struct value_part *p = &v->parts[i];

		if (p->var == NULL && !p->unset)
			mk_escape(out, p->text, p->len, nested);
		else
			reference(out, p);
	}
}
