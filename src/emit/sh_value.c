/* Words of the Dockerfile as words of the shell.  Literals are single-quoted, references double-quoted, nested
   words hoisted into temporaries, since shells disagree about quotes inside "${a:-'b'}". */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "quote.h"
#include "sh.h"

static void
name_bytes(struct buf *out, const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		char c = *p;

		/* an underscore that could be taken for the start of a code is written as one: the mapping is one to one */
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c == '_' && p[1] != 'x'))
			buf_putc(out, c);
		else
			buf_printf(out, "_x%02X_", (unsigned char)c);
	}
}

void
sh_var_name(struct buf *out, const struct var *v)
{
	if (v->stage < 0) {
		buf_puts(out, "d_");
	} else {
		buf_putc(out, 'd');
		buf_uint(out, (unsigned)v->stage);
		buf_putc(out, '_');
	}
	name_bytes(out, v->name);
}

void
sh_given_name(struct buf *out, const char *name)
{
	buf_puts(out, "b_");
	name_bytes(out, name);
}

static const char *
var_text(struct sh *s, const struct value_part *p)
{
	struct buf *b = buf_new(s->tmp);

	if (p->var != NULL)
		sh_var_name(b, p->var);
	else
		buf_puts(b, "never"); /* unset by the prelude */
	return buf_str(b);
}

/* Puts a word into a fresh temporary and returns the temporary's name. */
static const char *
hoist(struct sh *s, const struct value *v)
{
	const char *word = v != NULL && v->nparts > 0 ? sh_value(s, v) : "''";
	const char *name = mem_printf(s->tmp, "t%u", ++s->temps);

	buf_printf(s->out, "%s%s=%s\n", s->indent, name, word);
	return name;
}

/* ${x?text}: checked before the step. */
static void
require(struct sh *s, const struct value_part *p)
{
	const char *name = var_text(s, p), *text = hoist(s, p->arg);
	bool null = p->op == WORD_REQUIRE_NULL;
	struct buf *shown = buf_new(s->tmp);

	sh_word(shown, p->name, strlen(p->name));
	if (p->var == NULL)
		buf_printf(s->out, "%srequire '' %u %s \"$%s\"\n", s->indent, s->line, buf_str(shown), text);
	else
		buf_printf(s->out, "%srequire \"${%s%s+x}\" %u %s \"$%s\"\n", s->indent, name, null ? ":" : "", s->line,
		           buf_str(shown), text);
}

/* The operators that POSIX lacks, or that shells do differently: dockcc-rt does them, the result is in r. */
static void
match(struct sh *s, struct buf *word, const struct value_part *p)
{
	static const char *const ops[] = {
		[WORD_PREFIX] = "prefix", [WORD_PREFIX_LONG] = "prefix-long", [WORD_SUFFIX] = "suffix",
		[WORD_SUFFIX_LONG] = "suffix-long", [WORD_REPLACE] = "replace", [WORD_REPLACE_ALL] = "replace-all",
	};
	const char *pattern = hoist(s, p->arg), *repl = p->repl != NULL ? hoist(s, p->repl) : NULL;
	unsigned t;

	buf_printf(s->out, "%smatch %u %s \"${%s-}\" \"$%s\"", s->indent, s->line, ops[p->op], var_text(s, p), pattern);
	if (repl != NULL)
		buf_printf(s->out, " \"$%s\"", repl);
	t = ++s->temps;
	buf_printf(s->out, "\n%st%u=$r\n", s->indent, t);
	buf_printf(word, "\"$t%u\"", t);
}

static void
reference(struct sh *s, struct buf *word, const struct value_part *p)
{
	static const char *const ops[] = { [WORD_DEFAULT] = "-", [WORD_DEFAULT_NULL] = ":-", [WORD_ALT] = "+", [WORD_ALT_NULL] = ":+" };

	switch (p->op) {
	case WORD_PLAIN:
		if (p->var != NULL)
			buf_cat(word, "\"${", var_text(s, p), "-}\"", NULL);
		return;
	case WORD_DEFAULT:
	case WORD_DEFAULT_NULL:
	case WORD_ALT:
	case WORD_ALT_NULL:
		if (value_is_static(p->arg) && sh_is_plain(value_text(p->arg), strlen(value_text(p->arg))))
			buf_printf(word, "\"${%s%s%s}\"", var_text(s, p), ops[p->op], value_text(p->arg));
		else
			buf_printf(word, "\"${%s%s$%s}\"", var_text(s, p), ops[p->op], hoist(s, p->arg));
		return;
	case WORD_REQUIRE:
	case WORD_REQUIRE_NULL:
		require(s, p);
		if (p->var != NULL)
			buf_cat(word, "\"${", var_text(s, p), "-}\"", NULL);
		return;
	case WORD_PREFIX:
	case WORD_PREFIX_LONG:
	case WORD_SUFFIX:
	case WORD_SUFFIX_LONG:
	case WORD_REPLACE:
	case WORD_REPLACE_ALL:
		match(s, word, p);
		return;
	}
}

const char *
sh_value_with(struct sh *s, const char *prefix, const struct value *v)
{
	struct buf *word = buf_new(s->tmp);

	if (v == NULL || v->nparts == 0) {
		sh_word(word, prefix, strlen(prefix));
		return buf_str(word);
	}
	buf_puts(word, prefix);
	for (size_t i = 0; i < v->nparts; i++) {
		const struct value_part *p = &v->parts[i];

		if (p->var == NULL && !p->unset) {
			if (p->len > 0 || v->nparts == 1)
				sh_word(word, p->text, p->len);
		} else {
			reference(s, word, p);
		}
	}
	return word->len > 0 ? buf_str(word) : "''";
}

const char *
sh_value(struct sh *s, const struct value *v)
{
	return sh_value_with(s, "", v);
}

/* One branch of the choice where a variable without a default gets its value from. */
static void
branch(struct sh *s, bool *open, const char *from, const char *to)
{
	buf_printf(s->out, "%s%s [ -n \"${%s+x}\" ]; then %s=$%s\n", s->indent, *open ? "elif" : "if", from, to, from);
	*open = true;
}

/* Statements for `var`: the build argument, else the default, else the global, else what the name meant before. */
void
sh_assign(struct sh *s, const struct assign *a)
{
	struct buf *var = buf_new(s->tmp), *given = buf_new(s->tmp), *other = buf_new(s->tmp);
	const char *word;
	bool open = false;

	sh_var_name(var, a->var);
	sh_given_name(given, a->var->name);
	if (a->value != NULL) {
		word = sh_value(s, a->value);
		if (!a->overridable)
			buf_cat(s->out, s->indent, buf_str(var), "=", word, "\n", NULL);
		else if (value_is_static(a->value) && sh_is_plain(value_text(a->value), strlen(value_text(a->value))))
			buf_cat(s->out, s->indent, buf_str(var), "=\"${", buf_str(given), "-", word, "}\"\n", NULL);
		else
			buf_printf(s->out, "%s%s=%s\n%s%s=\"${%s-$%s}\"\n", s->indent, buf_str(var), word, s->indent, buf_str(var),
			           buf_str(given), buf_str(var));
		return;
	}
	if (a->overridable)
		branch(s, &open, buf_str(given), buf_str(var));
	if (a->fallback != NULL) {
		sh_var_name(other, a->fallback);
		branch(s, &open, buf_str(other), buf_str(var));
	}
	if (a->keep != NULL) {
		other = buf_new(s->tmp);
		sh_var_name(other, a->keep);
		if (strcmp(buf_str(other), buf_str(var)) != 0)
			branch(s, &open, buf_str(other), buf_str(var));
	}
	if (open)
		buf_printf(s->out, "%sfi\n", s->indent);
}
