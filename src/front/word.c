#include <stdlib.h>
#include <string.h>

#include "../../runtime/pattern.h"
#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "word.h"

enum { RESULT_LIMIT = 1 << 20 };

struct eval {
	word_lookup_fn *lookup;
	void *arg;
	const struct source *source;
	struct diag *d;
};

static bool eval_tree(struct eval *e, struct buf *out, const struct word_tree *tree);

static bool
too_long(struct eval *e, const struct buf *out, struct span at)
{
	if (out->len <= RESULT_LIMIT)
		return false;
	diag_add(e->d, DIAG_WORD_TOO_LONG, e->source, at, "this expands to more than 1 MiB");
	return true;
}

/* ${x?text} and ${x:?text} without a value. */
static void
require(struct eval *e, const struct word_part *part, bool set, const struct buf *text)
{
	const char *why = set ? "is empty here and must not be" : "has no value here and must have one";

	diag_add(e->d, DIAG_REQUIRED_VARIABLE, e->source, part->at, "%s: %s", part->text,
	         text->len > 0 ? buf_str(text) : why);
}

static bool
match(struct eval *e, struct buf *out, const struct word_part *part, const char *value, const struct buf *pattern,
      const struct buf *repl)
{
	static const enum pattern_op ops[] = {
		[WORD_PREFIX] = PATTERN_PREFIX, [WORD_PREFIX_LONG] = PATTERN_PREFIX_LONG, [WORD_SUFFIX] = PATTERN_SUFFIX,
		[WORD_SUFFIX_LONG] = PATTERN_SUFFIX_LONG, [WORD_REPLACE] = PATTERN_REPLACE,
		[WORD_REPLACE_ALL] = PATTERN_REPLACE_ALL,
	};
	char *result;

	switch (pattern_apply(&result, ops[part->op], value, buf_str(pattern), buf_str(repl))) {
	case PATTERN_OK:
		buf_puts(out, result);
		free(result);
		return true;
	case PATTERN_INVALID:
		diag_add(e->d, DIAG_BAD_WORD, e->source, part->at,
		         "in a pattern a backslash may stand only before * ? \\ / and }");
		return false;
	case PATTERN_TOO_LARGE:
	case PATTERN_NO_MEMORY:
		break;
	}
	diag_add(e->d, DIAG_WORD_TOO_LONG, e->source, part->at, "the pattern and the value are too large to be matched");
	return false;
}

/* `arg` and `repl` are the operands, expanded already whether they are needed or not. */
static bool
apply(struct eval *e, struct buf *out, const struct word_part *part, const struct buf *arg, const struct buf *repl)
{
	const char *value = e->lookup(e->arg, part->text);
	bool set = value != NULL;
	bool filled = set && *value != '\0';

	if (!set)
		value = "";
	switch (part->op) {
	case WORD_PLAIN:
		break;
	case WORD_DEFAULT:
	case WORD_DEFAULT_NULL:
		if (!(part->op == WORD_DEFAULT ? set : filled))
			value = buf_str(arg);
		break;
	case WORD_ALT:
	case WORD_ALT_NULL:
		value = (part->op == WORD_ALT ? set : filled) ? buf_str(arg) : "";
		break;
	case WORD_REQUIRE:
	case WORD_REQUIRE_NULL:
		if (part->op == WORD_REQUIRE ? set : filled)
			break;
		require(e, part, set, arg);
		return false;
	case WORD_PREFIX:
	case WORD_PREFIX_LONG:
	case WORD_SUFFIX:
	case WORD_SUFFIX_LONG:
	case WORD_REPLACE:
	case WORD_REPLACE_ALL:
		return match(e, out, part, value, arg, repl);
	}
	buf_puts(out, value);
	return true;
}

static bool
eval_var(struct eval *e, struct buf *out, const struct word_part *part)
{
	struct buf *arg, *repl;
	bool ok;

	if (part->arg == NULL)
		return apply(e, out, part, NULL, NULL);
	arg = buf_new(NULL);
	repl = buf_new(arg);
	ok = eval_tree(e, arg, part->arg) && (part->repl == NULL || eval_tree(e, repl, part->repl)) &&
	     apply(e, out, part, arg, repl);
	talloc_free(arg);
	return ok;
}

static bool
eval_tree(struct eval *e, struct buf *out, const struct word_tree *tree)
{
	for (size_t i = 0; i < tree->nparts; i++) {
		const struct word_part *part = &tree->parts[i];

		if (!part->is_var)
			buf_add(out, part->text, part->len);
		else if (!eval_var(e, out, part))
			return false;
		if (too_long(e, out, part->at))
			return false;
	}
	return true;
}

char *
word_eval(const void *ctx, const struct word_tree *tree, word_lookup_fn *lookup, void *arg,
          const struct source *source, struct diag *d)
{
	struct eval e = { .lookup = lookup, .arg = arg, .source = source, .d = d };
	struct buf *out = buf_new(NULL);
	char *result = eval_tree(&e, out, tree) ? mem_dup(ctx, buf_str(out), out->len) : NULL;

	talloc_free(out);
	return result;
}

void
word_names(const struct word_tree *tree, void (*fn)(void *arg, const struct word_part *var), void *arg)
{
	for (size_t i = 0; tree != NULL && i < tree->nparts; i++) {
		const struct word_part *part = &tree->parts[i];

		if (!part->is_var)
			continue;
		fn(arg, part);
		word_names(part->arg, fn, arg);
		word_names(part->repl, fn, arg);
	}
}
