/* Partial evaluation of values.  spec/language.md 3.2: operands are expanded whether they are used or not. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "walk.h"

enum { LONGEST = 1 << 20 }; /* bytes of a value */

struct folder {
	const void *ctx;
	known_fn *fn;
	void *arg;
	struct fold_error *error;
};

static bool
fail(struct folder *f, enum fold_failure why, const struct value_part *p, const struct value *text)
{
	*f->error = (struct fold_error){ .why = why, .at = p->at, .name = p->name, .text = value_text(text) };
	return false;
}

/* The part with its operands folded, for the script to work out. */
static bool
keep(struct value_builder *out, const struct value_part *p, const struct value *arg, const struct value *repl)
{
	struct value_part part = *p;

	part.arg = arg;
	part.repl = repl;
	builder_part(out, &part);
	return true;
}

static bool
fold_pattern(struct folder *f, struct value_builder *out, const struct value_part *p, struct known known,
             const struct value *arg, const struct value *repl)
{
	bool ready = known.state != KNOWN_NOT && value_is_static(repl);
	struct buf *text;
	enum word_match r;

	if (!value_is_static(arg))
		return keep(out, p, arg, repl);
	text = buf_new(f->ctx);
	r = word_match(text, p->op, ready && known.text != NULL ? known.text : "", value_text(arg),
	                  ready ? value_text(repl) : "");
	if (r == WORD_MATCH_OK && ready)
		builder_text(out, buf_str(text), text->len, p->at);
	talloc_free(text);
	if (r != WORD_MATCH_OK)
		return fail(f, r == WORD_MATCH_INVALID ? FOLD_PATTERN : FOLD_LONG, p, NULL);
	return ready || keep(out, p, arg, repl);
}

static const struct value *fold(struct folder *f, const struct value *v);

static bool
fold_part(struct folder *f, struct value_builder *out, const struct value_part *p)
{
	const struct value *arg = NULL, *repl = NULL;
	struct known known = { KNOWN_UNSET, NULL };
	bool set, filled;

	if (p->var == NULL && !p->unset) {
		builder_part(out, p);
		return true;
	}
	if (p->arg != NULL && (arg = fold(f, p->arg)) == NULL)
		return false;
	if (p->repl != NULL && (repl = fold(f, p->repl)) == NULL)
		return false;
	if (!p->unset)
		known = f->fn(f->arg, p->var);
	if (p->op >= WORD_PREFIX)
		return fold_pattern(f, out, p, known, arg, repl);
	if (known.state == KNOWN_NOT)
		return keep(out, p, arg, repl);
	set = known.state == KNOWN_TEXT;
	filled = set && known.text[0] != '\0';
	if ((p->op == WORD_REQUIRE && !set) || (p->op == WORD_REQUIRE_NULL && !filled))
		return fail(f, FOLD_REQUIRED, p, value_is_static(arg) ? arg : NULL);
	if (value_may_fail(arg))
		return keep(out, p, arg, repl);
	switch (p->op) {
	case WORD_DEFAULT:
	case WORD_DEFAULT_NULL:
		if (!(p->op == WORD_DEFAULT ? set : filled)) {
			builder_value(out, arg);
			return true;
		}
		break;
	case WORD_ALT:
	case WORD_ALT_NULL:
		if (p->op == WORD_ALT ? set : filled)
			builder_value(out, arg);
		return true;
	default:
		break;
	}
	if (set)
		builder_text(out, known.text, strlen(known.text), p->at);
	return true;
}

static const struct value *
fold(struct folder *f, const struct value *v)
{
	struct value_builder out;

	if (value_is_static(v) && strlen(value_text(v)) <= LONGEST)
		return v;
	builder_init(&out, f->ctx);
	for (size_t i = 0; i < v->nparts; i++) {
		bool good = fold_part(f, &out, &v->parts[i]);

		if (good && out.len > LONGEST)
			good = fail(f, FOLD_LONG, &v->parts[i], NULL);
		if (!good) {
			builder_drop(&out);
			return NULL;
		}
	}
	return builder_done(&out);
}

const struct value *
value_fold(const void *ctx, const struct value *v, known_fn *fn, void *arg, struct fold_error *error)
{
	struct folder f = { .ctx = ctx, .fn = fn, .arg = arg, .error = error };

	*error = (struct fold_error){ .why = FOLD_GOOD };
	return fold(&f, v);
}
