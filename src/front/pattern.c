#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../base/utf8.h"
#include "pattern.h"

/* Elements of a pattern and of a value are characters; stray bytes are kept apart from U+FFFD. */
enum { ANY = 0x200000, STAR, STRAY = 0x110000 };

/* Steps of one match; above it the pattern is refused rather than waited for. */
static const uint64_t work_limit = 1u << 30;

struct chars32 {
	uint32_t *v;
	size_t n;
};

static struct chars32
decode(const void *ctx, const char *s)
{
	size_t len = strlen(s);
	struct chars32 out = { mem_array(ctx, uint32_t, len + 1), 0 };

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t step = utf8_decode(s + i, len - i, &c);

		if (c == 0xFFFD && step == 1)
			c = STRAY + (unsigned char)s[i];
		out.v[out.n++] = c;
		i += step;
	}
	return out;
}

static void
encode(struct buf *out, const uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t c = v[i];

		if (c >= STRAY)
			buf_putc(out, (int)(c - STRAY));
		else if (c < 0x80)
			buf_putc(out, (int)c);
		else if (c < 0x800)
			buf_putc(out, (int)(0xC0 | c >> 6)), buf_putc(out, (int)(0x80 | (c & 0x3F)));
		else {
			if (c >= 0x10000)
				buf_putc(out, (int)(0xF0 | c >> 18)), buf_putc(out, (int)(0x80 | (c >> 12 & 0x3F)));
			else
				buf_putc(out, (int)(0xE0 | c >> 12));
			buf_putc(out, (int)(0x80 | (c >> 6 & 0x3F)));
			buf_putc(out, (int)(0x80 | (c & 0x3F)));
		}
	}
}

static void
reverse(struct chars32 *c)
{
	for (size_t i = 0; i + i + 1 < c->n; i++) {
		uint32_t t = c->v[i];

		c->v[i] = c->v[c->n - 1 - i];
		c->v[c->n - 1 - i] = t;
	}
}

static bool
compile(struct chars32 *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		uint32_t c = p->v[i];

		if (c == '\\') {
			if (++i == p->n || strchr("*?\\/}", (int)p->v[i]) == NULL || p->v[i] >= 0x80)
				return false;
			/* the escaped end of a pattern is that character, and wildcards are not among them */
			c = p->v[i];
		} else if (c == '*') {
			c = STAR;
		} else if (c == '?') {
			c = ANY;
		}
		p->v[n++] = c;
	}
	p->n = n;
	return true;
}

/* One character further for every state of `on` (p->n + 1 flags); false when none is left. */
static bool
advance(const struct chars32 *p, uint8_t *on, uint32_t c)
{
	bool any = false, wild = c != '\n';

	for (size_t j = p->n + 1; j-- > 0;) {
		bool stays = j < p->n && p->v[j] == STAR && on[j] && wild;
		bool comes = j > 0 && p->v[j - 1] != STAR && on[j - 1] && (p->v[j - 1] == c || (p->v[j - 1] == ANY && wild));

		on[j] = stays || comes;
	}
	for (size_t j = 0; j < p->n; j++)
		if (on[j] && p->v[j] == STAR)
			on[j + 1] = 1;
	for (size_t j = 0; j <= p->n; j++)
		any = any || on[j];
	return any;
}

/* The end of the match that begins at `start`, the nearest or the farthest; SIZE_MAX when there is none. */
static size_t
match_at(const struct chars32 *p, const struct chars32 *s, size_t start, bool far, uint8_t *on)
{
	size_t end = SIZE_MAX;

	memset(on, 0, p->n + 1);
	on[0] = 1;
	for (size_t j = 0; j < p->n && p->v[j] == STAR; j++)
		on[j + 1] = 1;
	for (size_t i = start;; i++) {
		if (on[p->n]) {
			end = i;
			if (!far)
				return end;
		}
		if (i == s->n || !advance(p, on, s->v[i]))
			return end;
	}
}

/* begins[i]: a match begins at character i.  Backwards through the value, one row at a time. */
static uint8_t *
match_begins(const void *ctx, const struct chars32 *p, const struct chars32 *s)
{
	uint8_t *begins = mem_array(ctx, uint8_t, s->n + 1);
	uint8_t *next = mem_array(ctx, uint8_t, p->n + 1), *row = mem_array(ctx, uint8_t, p->n + 1);

	for (size_t i = s->n + 1; i-- > 0;) {
		uint8_t *t;

		row[p->n] = 1;
		for (size_t j = p->n; j-- > 0;) {
			bool inside = i < s->n, wild = inside && s->v[i] != '\n';

			if (p->v[j] == STAR)
				row[j] = row[j + 1] || (wild && next[j]);
			else
				row[j] = inside && next[j + 1] && (p->v[j] == s->v[i] || (p->v[j] == ANY && wild));
		}
		begins[i] = row[0];
		t = row, row = next, next = t;
	}
	return begins;
}

static void
replace(const void *ctx, struct buf *out, const struct chars32 *p, const struct chars32 *s, const char *repl, bool all,
        uint8_t *on)
{
	uint8_t *begins = match_begins(ctx, p, s);
	size_t done = 0; /* behind the last match */

	for (size_t i = 0; i <= s->n;) {
		size_t end;

		if (!begins[i]) {
			i++;
			continue;
		}
		end = match_at(p, s, i, true, on);
		encode(out, s->v + done, i - done);
		/* an empty match that touches the one before it does not count: regexp.ReplaceAllString */
		if (end > done || i == 0)
			buf_puts(out, repl);
		done = end;
		i = end > i ? end : i + 1;
		if (!all)
			break;
	}
	encode(out, s->v + done, s->n - done);
}

static void
trim(struct buf *out, const struct chars32 *p, struct chars32 *s, bool suffix, bool far, uint8_t *on)
{
	size_t end;

	if (suffix)
		reverse(s);
	end = match_at(p, s, 0, far, on);
	if (end == SIZE_MAX)
		end = 0;
	if (suffix) {
		reverse(s);
		encode(out, s->v, s->n - end);
	} else {
		encode(out, s->v + end, s->n - end);
	}
}

enum pattern_result
pattern_apply(struct buf *out, enum word_op op, const char *value, const char *pattern, const char *repl)
{
	void *scratch = talloc_new(NULL);
	bool suffix = op == WORD_SUFFIX || op == WORD_SUFFIX_LONG;
	bool far = op == WORD_PREFIX_LONG || op == WORD_SUFFIX_LONG;
	enum pattern_result result = PATTERN_OK;
	struct chars32 p, s;
	uint8_t *on;

	if ((op == WORD_PREFIX && *pattern == '#') || (op == WORD_SUFFIX && *pattern == '%')) {
		far = true;
		pattern++;
	}
	p = decode(scratch, pattern);
	s = decode(scratch, value);
	on = mem_array(scratch, uint8_t, p.n + 1);
	if ((uint64_t)(p.n + 1) * (s.n + 1) > work_limit) {
		result = PATTERN_TOO_LARGE;
	} else if (!compile(&p)) {
		result = PATTERN_INVALID;
	} else if (op == WORD_REPLACE || op == WORD_REPLACE_ALL) {
		replace(scratch, out, &p, &s, repl, op == WORD_REPLACE_ALL, on);
	} else {
		if (suffix)
			reverse(&p);
		trim(out, &p, &s, suffix, far, on);
	}
	talloc_free(scratch);
	return result;
}
