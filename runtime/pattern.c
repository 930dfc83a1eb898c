#include "pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Elements of a pattern and of a value are characters; stray bytes are kept apart from U+FFFD. */
enum { ANY = 0x200000, STAR, STRAY = 0x110000 };

/* Steps of one match; above it the pattern is refused rather than waited for. */
static const uint64_t work_limit = 1u << 30;

struct chars32 {
	uint32_t *v;
	size_t n;
};

/* Where the result is put together. */
struct text {
	char *s;
	size_t n, cap;
};

static bool
add(struct text *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		size_t cap = (t->n + n + 1) * 2;
		char *p = realloc(t->s, cap);

		if (p == NULL)
			return false;
		t->s = p;
		t->cap = cap;
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = '\0';
	return true;
}

/* Length of the UTF-8 sequence at `s`, 1 for a stray byte: RFC 3629. */
static size_t
sequence(const unsigned char *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : 1;
	uint32_t c = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));

	if (n > len)
		return 1;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 1;
		c = c << 6 | (s[i] & 0x3F);
	}
	return n > 1 && (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) ? 1 : n;
}

static bool
decode(struct chars32 *out, const char *s)
{
	size_t len = strlen(s);

	*out = (struct chars32){ malloc((len + 1) * sizeof(*out->v)), 0 };
	for (size_t i = 0; out->v != NULL && i < len;) {
		const unsigned char *p = (const unsigned char *)s + i;
		size_t n = sequence(p, len - i);
		uint32_t c = n > 1 ? p[0] & (0xFFu >> (n + 1)) : p[0] < 0x80 ? p[0] : STRAY + (uint32_t)p[0];

		for (size_t k = 1; k < n; k++)
			c = c << 6 | (p[k] & 0x3F);
		out->v[out->n++] = c;
		i += n;
	}
	return out->v != NULL;
}

static bool
encode(struct text *out, const uint32_t *v, size_t n)
{
	bool good = true;

	for (size_t i = 0; good && i < n; i++) {
		uint32_t c = v[i];
		char b[4];
		size_t len = c >= STRAY || c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

		for (size_t k = len; k-- > 1; c >>= 6)
			b[k] = (char)(0x80 | (c & 0x3F));
		b[0] = (char)(len == 1 ? c & 0xFF : (0xF00u >> len & 0xFF) | c);
		good = add(out, b, len);
	}
	return good;
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
match_begins(const struct chars32 *p, const struct chars32 *s)
{
	uint8_t *begins = calloc(s->n + 1, 1), *rows = calloc(2, p->n + 1);
	uint8_t *next = rows, *row = rows + p->n + 1;

	for (size_t i = s->n + 1; begins != NULL && rows != NULL && i-- > 0;) {
		bool inside = i < s->n, wild = inside && s->v[i] != '\n';
		uint8_t *t;

		row[p->n] = 1;
		for (size_t j = p->n; j-- > 0;) {
			if (p->v[j] == STAR)
				row[j] = row[j + 1] || (wild && next[j]);
			else
				row[j] = inside && next[j + 1] && (p->v[j] == s->v[i] || (p->v[j] == ANY && wild));
		}
		begins[i] = row[0];
		t = row, row = next, next = t;
	}
	free(rows);
	return begins;
}

static bool
replace(struct text *out, const struct chars32 *p, const struct chars32 *s, const char *repl, bool all, uint8_t *on)
{
	uint8_t *begins = match_begins(p, s);
	bool good = begins != NULL;
	size_t done = 0; /* behind the last match */

	for (size_t i = 0; good && i <= s->n;) {
		size_t end;

		if (!begins[i]) {
			i++;
			continue;
		}
		end = match_at(p, s, i, true, on);
		good = encode(out, s->v + done, i - done);
		/* an empty match that touches the one before it does not count: regexp.ReplaceAllString */
		if (end > done || i == 0)
			good = good && add(out, repl, strlen(repl));
		done = end;
		i = end > i ? end : i + 1;
		if (!all)
			break;
	}
	free(begins);
	return good && encode(out, s->v + done, s->n - done);
}

static bool
trim(struct text *out, const struct chars32 *p, struct chars32 *s, bool suffix, bool far, uint8_t *on)
{
	size_t end;

	if (suffix)
		reverse(s);
	end = match_at(p, s, 0, far, on);
	if (end == SIZE_MAX)
		end = 0;
	if (!suffix)
		return encode(out, s->v + end, s->n - end);
	reverse(s);
	return encode(out, s->v, s->n - end);
}

static enum pattern_result
apply(struct text *out, enum pattern_op op, struct chars32 *s, struct chars32 *p, bool far, const char *repl)
{
	bool suffix = op == PATTERN_SUFFIX || op == PATTERN_SUFFIX_LONG, good;
	uint8_t *on;

	if ((uint64_t)(p->n + 1) * (s->n + 1) > work_limit)
		return PATTERN_TOO_LARGE;
	if (!compile(p))
		return PATTERN_INVALID;
	if ((on = malloc(p->n + 1)) == NULL)
		return PATTERN_NO_MEMORY;
	if (suffix)
		reverse(p);
	good = op == PATTERN_REPLACE || op == PATTERN_REPLACE_ALL ? replace(out, p, s, repl, op == PATTERN_REPLACE_ALL, on)
	                                                          : trim(out, p, s, suffix, far, on);
	free(on);
	return good ? PATTERN_OK : PATTERN_NO_MEMORY;
}

enum pattern_result
pattern_apply(char **out, enum pattern_op op, const char *value, const char *pattern, const char *repl)
{
	bool far = op == PATTERN_PREFIX_LONG || op == PATTERN_SUFFIX_LONG;
	enum pattern_result result = PATTERN_NO_MEMORY;
	struct chars32 p = { 0 }, s = { 0 };
	struct text text = { 0 };

	if ((op == PATTERN_PREFIX && *pattern == '#') || (op == PATTERN_SUFFIX && *pattern == '%')) {
		far = true;
		pattern++;
	}
	if (decode(&p, pattern) && decode(&s, value) && add(&text, "", 0))
		result = apply(&text, op, &s, &p, far, repl);
	free(p.v);
	free(s.v);
	if (result == PATTERN_OK)
		*out = text.s;
	else
		free(text.s);
	return result;
}
