/* The exec form: a JSON array of strings with the strictness of Go's encoding/json.  RFC 8259;
   spec/language.md 1.6.  Other values are recognised only to tell "not JSON" from "not strings". */
#include <stdint.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../base/utf8.h"
#include "parse.h"

enum { DEPTH_LIMIT = 200 };

struct json {
	const char *s, *end;
	unsigned depth;
};

static void
skip_blanks(struct json *j)
{
	while (j->s < j->end && (*j->s == ' ' || *j->s == '\t' || *j->s == '\n' || *j->s == '\r'))
		j->s++;
}

static bool
hex4(struct json *j, uint32_t *c)
{
	*c = 0;
	for (int i = 0; i < 4; i++, j->s++) {
		int d;

		if (j->s >= j->end)
			return false;
		d = *j->s >= '0' && *j->s <= '9' ? *j->s - '0' : (*j->s | 32) >= 'a' && (*j->s | 32) <= 'f' ? (*j->s | 32) - 'a' + 10 : -1;
		if (d < 0)
			return false;
		*c = *c << 4 | (uint32_t)d;
	}
	return true;
}

static void
put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(b, (int)c);
	} else if (c < 0x800) {
		buf_putc(b, (int)(0xc0 | c >> 6));
		buf_putc(b, (int)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_putc(b, (int)(0xe0 | c >> 12));
		buf_putc(b, (int)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(b, (int)(0x80 | (c & 0x3f)));
	} else {
		buf_putc(b, (int)(0xf0 | c >> 18));
		buf_putc(b, (int)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(b, (int)(0x80 | (c >> 6 & 0x3f)));
		buf_putc(b, (int)(0x80 | (c & 0x3f)));
	}
}

/* The escape behind a backslash; a lone surrogate becomes U+FFFD. */
static bool
escape(struct json *j, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *k;
	uint32_t c, low;

	if (j->s >= j->end)
		return false;
	if (*j->s != 'u') {
		k = memchr(from, *j->s++, sizeof from - 1);
		if (k == NULL)
			return false;
		buf_putc(out, to[k - from]);
		return true;
	}
	j->s++;
	if (!hex4(j, &c))
		return false;
	if (c >= 0xd800 && c < 0xe000) {
		struct json ahead = *j;

		if (c < 0xdc00 && j->end - j->s >= 6 && j->s[0] == '\\' && j->s[1] == 'u' &&
		    (ahead.s += 2, hex4(&ahead, &low)) && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			*j = ahead;
		} else {
			c = 0xfffd;
		}
	}
	put_utf8(out, c);
	return true;
}

static bool
string(struct json *j, struct buf *out)
{
	for (j->s++; j->s < j->end && *j->s != '"';) {
		uint32_t c;
		size_t n;

		if ((unsigned char)*j->s < 0x20)
			return false;
		if (*j->s == '\\') {
			j->s++;
			if (!escape(j, out))
				return false;
			continue;
		}
		n = utf8_decode(j->s, (size_t)(j->end - j->s), &c);
		if (c == 0xfffd && n == 1)
			put_utf8(out, c);
		else
			buf_add(out, j->s, n);
		j->s += n;
	}
	if (j->s >= j->end)
		return false;
	j->s++;
	return true;
}

static bool
digits(struct json *j)
{
	const char *s = j->s;

	while (j->s < j->end && *j->s >= '0' && *j->s <= '9')
		j->s++;
	return j->s > s;
}

static bool
number(struct json *j)
{
	if (*j->s == '-')
		j->s++;
	if (j->s < j->end && *j->s == '0')
		j->s++;
	else if (!digits(j))
		return false;
	if (j->s < j->end && *j->s == '.') {
		j->s++;
		if (!digits(j))
			return false;
	}
	if (j->s < j->end && (*j->s | 32) == 'e') {
		j->s++;
		if (j->s < j->end && (*j->s == '+' || *j->s == '-'))
			j->s++;
		return digits(j);
	}
	return true;
}

static bool value(struct json *j, struct buf *scratch);

static bool
container(struct json *j, struct buf *scratch, char close)
{
	if (++j->depth > DEPTH_LIMIT)
		return false;
	j->s++;
	skip_blanks(j);
	if (j->s < j->end && *j->s == close) {
		j->s++, j->depth--;
		return true;
	}
	for (;;) {
		skip_blanks(j);
		if (close == '}') {
			if (j->s >= j->end || *j->s != '"' || !string(j, scratch))
				return false;
			skip_blanks(j);
			if (j->s >= j->end || *j->s++ != ':')
				return false;
		}
		if (!value(j, scratch))
			return false;
		skip_blanks(j);
		if (j->s >= j->end)
			return false;
		if (*j->s == close) {
			j->s++, j->depth--;
			return true;
		}
		if (*j->s++ != ',')
			return false;
	}
}

static bool
literal(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->s) < n || memcmp(j->s, word, n) != 0)
		return false;
	j->s += n;
	return true;
}

static bool
value(struct json *j, struct buf *scratch)
{
	skip_blanks(j);
	if (j->s >= j->end)
		return false;
	switch (*j->s) {
	case '"': return string(j, scratch);
	case '[': return container(j, scratch, ']');
	case '{': return container(j, scratch, '}');
	case 't': return literal(j, "true");
	case 'f': return literal(j, "false");
	case 'n': return literal(j, "null");
	default: return number(j);
	}
}

enum json_result
json_array(const void *ctx, const struct text *t, struct words *words)
{
	struct json j = { .s = t->s, .end = t->s + t->len, .depth = 1 };
	struct buf *scratch = buf_new(ctx);
	bool strings = true;
	struct span odd = { 0, 0 };
	size_t n = words->n;

	j.s++;
	skip_blanks(&j);
	while (j.s < j.end && !(words->n == n && strings && *j.s == ']')) {
		const char *begin = j.s;
		size_t start = scratch->len;

		strings = strings && *j.s == '"';
		if (!value(&j, scratch))
			goto not_json;
		if (!strings && odd.end == 0)
			odd = text_slice(ctx, t, (size_t)(begin - t->s), (size_t)(j.s - t->s)).at;
		if (strings) {
			struct text w = text_slice(ctx, t, (size_t)(begin - t->s), (size_t)(j.s - t->s));

			w.len = scratch->len - start;
			w.s = mem_dup(ctx, buf_str(scratch) + start, w.len);
			words_add(words, w);
		}
		skip_blanks(&j);
		if (j.s >= j.end || (*j.s != ',' && *j.s != ']'))
			goto not_json;
		if (*j.s == ']')
			break;
		j.s++;
		skip_blanks(&j);
		if (j.s < j.end && *j.s == ']')
			goto not_json;
	}
	if (j.s >= j.end)
		goto not_json;
	j.s++;
	skip_blanks(&j);
	if (j.s < j.end)
		goto not_json;
	talloc_free(scratch);
	if (!strings)
		words->rest.at = odd;
	return strings ? JSON_STRINGS : JSON_OTHER;
not_json:
	words->n = n;
	talloc_free(scratch);
	return JSON_NOT;
}
