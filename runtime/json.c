#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct parser {
	const char *s;
	size_t len, at;
	size_t values;
	const char *what;
	struct rt_err *e;
};

static struct json *
bad(struct parser *p, const char *why)
{
	rt_fail_status(p->e, RT_DIGEST, "%s: byte %zu: %s", p->what, p->at, why);
	return NULL;
}

static int
peek(const struct parser *p)
{
	return p->at < p->len ? (unsigned char)p->s[p->at] : -1;
}

static int
peek_token(struct parser *p)
{
	while (p->at < p->len && memchr(" \t\r\n", p->s[p->at], 4) != NULL)
		p->at++;
	return peek(p);
}

struct json *
json_new(enum json_type type)
{
	struct json *j = rt_alloc(sizeof(*j));

	j->type = type;
	return j;
}

void
json_free(struct json *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < j->n; i++)
		json_free(j->v[i]);
	free(j->v);
	free(j->key);
	free(j->s);
	free(j);
}

/* ---- scalars ----------------------------------------------------------------------------------- */

static int
hex4(struct parser *p, uint32_t *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++, p->at++) {
		int c = peek(p);

		if (c >= '0' && c <= '9')
			*code = *code << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			*code = *code << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return 0;
}

static void
put_utf8(struct str *b, uint32_t c)
{
	if (c < 0x80) {
		str_putc(b, (int)c);
	} else if (c < 0x800) {
		str_putc(b, (int)(0xc0 | c >> 6));
		str_putc(b, (int)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		str_putc(b, (int)(0xe0 | c >> 12));
		str_putc(b, (int)(0x80 | (c >> 6 & 0x3f)));
		str_putc(b, (int)(0x80 | (c & 0x3f)));
	} else {
		str_putc(b, (int)(0xf0 | c >> 18));
		str_putc(b, (int)(0x80 | (c >> 12 & 0x3f)));
		str_putc(b, (int)(0x80 | (c >> 6 & 0x3f)));
		str_putc(b, (int)(0x80 | (c & 0x3f)));
	}
}

/* Behind "\u".  A half surrogate becomes U+FFFD, as in the JSON reader of the container tools. */
static const char *
unicode_escape(struct parser *p, struct str *b)
{
	uint32_t c, low;
	size_t back;

	if (hex4(p, &c) < 0)
		return "\\u is not followed by four hexadecimal digits";
	if (c == 0)
		return "a string holds a NUL";
	if (c >= 0xd800 && c < 0xdc00 && p->len - p->at >= 6 && memcmp(p->s + p->at, "\\u", 2) == 0) {
		back = p->at;
		p->at += 2;
		if (hex4(p, &low) == 0 && low >= 0xdc00 && low < 0xe000)
			c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
		else
			p->at = back;
	}
	put_utf8(b, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return NULL;
}

static const char *
escape(struct parser *p, struct str *b)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = peek(p);
	const char *hit;

	p->at++;
	if (c == 'u')
		return unicode_escape(p, b);
	hit = c > 0 ? strchr(from, c) : NULL;
	if (hit == NULL)
		return "unknown escape in a string";
	str_putc(b, to[hit - from]);
	return NULL;
}

/* At the opening quote; malloc'd text or NULL. */
static char *
string(struct parser *p)
{
	struct str b = { 0 };
	const char *why = NULL;

	str_add(&b, "", 0);
	for (p->at++; why == NULL;) {
		size_t n = 0;

		while (p->at + n < p->len && (unsigned char)p->s[p->at + n] >= 0x20 && p->s[p->at + n] != '"' &&
		       p->s[p->at + n] != '\\')
			n++;
		str_add(&b, p->s + p->at, n);
		p->at += n;
		if (peek(p) == '"') {
			p->at++;
			return rt_grow(b.s, b.len + 1);
		}
		if (peek(p) == '\\') {
			p->at++;
			why = escape(p, &b);
		} else {
			why = p->at < p->len ? "a control character in a string" : "the document ends within a string";
		}
	}
	bad(p, why);
	str_free(&b);
	return NULL;
}

static size_t
digits(struct parser *p)
{
	size_t n = 0;

	for (; peek(p) >= '0' && peek(p) <= '9'; n++)
		p->at++;
	return n;
}

static struct json *
number(struct parser *p)
{
	size_t from = p->at;
	bool whole = true;
	struct json *j;
	char *text;

	if (peek(p) == '-')
		p->at++;
	if (peek(p) == '0')
		p->at++;
	else if (digits(p) == 0)
		return bad(p, "not a JSON value");
	if (peek(p) == '.') {
		whole = false;
		p->at++;
		if (digits(p) == 0)
			return bad(p, "a number ends in its point");
	}
	if (peek(p) == 'e' || peek(p) == 'E') {
		whole = false;
		p->at++;
		if (peek(p) == '+' || peek(p) == '-')
			p->at++;
		if (digits(p) == 0)
			return bad(p, "a number without digits in its exponent");
	}
	text = rt_strndup(p->s + from, p->at - from);
	j = json_new(whole ? JSON_INT : JSON_NUMBER);
	if (!whole) {
		j->s = text;
		return j;
	}
	errno = 0;
	j->i = strtoll(text, NULL, 10);
	free(text);
	if (errno != 0) {
		json_free(j);
		return bad(p, "an integer does not fit 64 bits");
	}
	return j;
}

/* ---- structure --------------------------------------------------------------------------------- */

static struct json *
append(struct json *to, struct json *value)
{
	if (to->n == to->cap) {
		to->cap = to->cap < 4 ? 4 : to->cap * 2;
		to->v = rt_grow(to->v, to->cap * sizeof(struct json *));
	}
	to->v[to->n++] = value;
	return value;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* The members in key order, malloc'd. */
static struct json **
sorted(const struct json *j)
{
	struct json **v = rt_alloc((j->n + 1) * sizeof(*v));

	if (j->n > 0)
		memcpy(v, j->v, j->n * sizeof(*v));
	qsort(v, j->n, sizeof(*v), by_key);
	return v;
}

static bool
keys_differ(const struct json *j)
{
	struct json **v = sorted(j);
	bool ok = true;

	for (size_t i = 1; i < j->n; i++)
		ok = ok && strcmp(v[i - 1]->key, v[i]->key) != 0;
	free(v);
	return ok;
}

static struct json *value(struct parser *p, int depth);

/* One element, with its key in an object, and the comma or bracket behind it.  1: more follows. */
static int
element(struct parser *p, struct json *in, int close, int depth)
{
	char *key = NULL;
	struct json *j;

	if (close == '}') {
		if (peek_token(p) != '"')
			return bad(p, "expected a key in quotes") == NULL ? -1 : 0;
		key = string(p);
		if (key == NULL)
			return -1;
		if (peek_token(p) != ':') {
			free(key);
			bad(p, "expected ':' behind a key");
			return -1;
		}
		p->at++;
	}
	j = value(p, depth + 1);
	if (j == NULL) {
		free(key);
		return -1;
	}
	j->key = key;
	append(in, j);
	if (peek_token(p) == ',') {
		p->at++;
		return 1;
	}
	if (peek(p) == close) {
		p->at++;
		return 0;
	}
	bad(p, p->at < p->len ? "expected ',' or the closing bracket" : "the document ends within a list");
	return -1;
}

static struct json *
container(struct parser *p, enum json_type type, int depth)
{
	int close = type == JSON_ARRAY ? ']' : '}', more = 1;
	struct json *j;

	if (depth >= JSON_MAX_DEPTH)
		return bad(p, "nested deeper than 64 levels");
	j = json_new(type);
	p->at++;
	if (peek_token(p) == close) {
		p->at++;
		return j;
	}
	while (more == 1) {
		size_t before = j->n;

		more = element(p, j, close, depth);
		if (j->n == before)
			more = -1;
	}
	if (more == 0 && type == JSON_OBJECT && !keys_differ(j)) {
		bad(p, "an object has the same key twice");
		more = -1;
	}
	if (more < 0) {
		json_free(j);
		return NULL;
	}
	return j;
}

static struct json *
word(struct parser *p, const char *text, enum json_type type, int64_t i)
{
	struct json *j;
	size_t n = strlen(text);

	if (p->len - p->at < n || memcmp(p->s + p->at, text, n) != 0)
		return bad(p, "not a JSON value");
	p->at += n;
	j = json_new(type);
	j->i = i;
	return j;
}

static struct json *
value(struct parser *p, int depth)
{
	struct json *j;

	if (++p->values > JSON_MAX_VALUES)
		return bad(p, "more than 1000000 values");
	switch (peek_token(p)) {
	case -1:
		return bad(p, "the document ends where a value should be");
	case '{':
		return container(p, JSON_OBJECT, depth);
	case '[':
		return container(p, JSON_ARRAY, depth);
	case '"':
		j = json_new(JSON_STRING);
		j->s = string(p);
		if (j->s != NULL)
			return j;
		json_free(j);
		return NULL;
	case 't':
		return word(p, "true", JSON_BOOL, 1);
	case 'f':
		return word(p, "false", JSON_BOOL, 0);
	case 'n':
		return word(p, "null", JSON_NULL, 0);
	default:
		return number(p);
	}
}

struct json *
json_parse(const char *text, size_t len, const char *what, struct rt_err *e)
{
	struct parser p = { .s = text, .len = len, .what = what, .e = e };
	struct json *j;

	if (len > JSON_MAX_BYTES)
		return bad(&p, "larger than 16 MiB");
	j = value(&p, 0);
	if (j != NULL && peek_token(&p) != -1) {
		json_free(j);
		return bad(&p, "something follows the document");
	}
	return j;
}

/* ---- looking up -------------------------------------------------------------------------------- */

static struct json *
child(const struct json *j, const char *name, size_t len)
{
	size_t index = 0;

	if (j->type == JSON_OBJECT) {
		for (size_t i = 0; i < j->n; i++)
			if (strncmp(j->v[i]->key, name, len) == 0 && j->v[i]->key[len] == '\0')
				return j->v[i];
		return NULL;
	}
	if (j->type != JSON_ARRAY || len == 0 || len > 9)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		index = index * 10 + (size_t)(name[i] - '0');
	}
	return index < j->n ? j->v[index] : NULL;
}

struct json *
json_at(const struct json *j, const char *pointer)
{
	while (j != NULL && *pointer == '/') {
		size_t n = strcspn(++pointer, "/");

		j = child(j, pointer, n);
		pointer += n;
	}
	return (struct json *)(uintptr_t)j;
}

struct json *
json_need(const struct json *j, const char *pointer, enum json_type type, const char *what, struct rt_err *e)
{
	static const char *const names[] = { "null", "a boolean", "an integer", "a number", "a string", "a list", "an object" };
	struct json *found = json_at(j, pointer);

	if (found != NULL && found->type == type)
		return found;
	rt_fail_status(e, RT_DIGEST, "%s: %s is %s%s", what, *pointer != '\0' ? pointer : "the document",
	               found == NULL ? "missing, want " : "not ", names[type]);
	return NULL;
}

const char *
json_string_at(const struct json *j, const char *pointer)
{
	const struct json *found = json_at(j, pointer);

	return found != NULL && found->type == JSON_STRING ? found->s : NULL;
}

/* ---- building ---------------------------------------------------------------------------------- */

struct json *
json_new_string(const char *s)
{
	struct json *j = json_new(JSON_STRING);

	j->s = rt_strdup(s);
	return j;
}

struct json *
json_new_int(int64_t i)
{
	struct json *j = json_new(JSON_INT);

	j->i = i;
	return j;
}

struct json *
json_set(struct json *object, const char *key, struct json *val)
{
	free(val->key);
	val->key = rt_strdup(key);
	for (size_t i = 0; i < object->n; i++) {
		if (strcmp(object->v[i]->key, key) == 0) {
			json_free(object->v[i]);
			object->v[i] = val;
			return val;
		}
	}
	return append(object, val);
}

void
json_set_string(struct json *object, const char *key, const char *s)
{
	json_set(object, key, json_new_string(s));
}

void
json_remove(struct json *object, const char *key)
{
	for (size_t i = 0; i < object->n; i++) {
		if (strcmp(object->v[i]->key, key) == 0) {
			json_free(object->v[i]);
			memmove(object->v + i, object->v + i + 1, (--object->n - i) * sizeof(*object->v));
			return;
		}
	}
}

struct json *
json_push(struct json *array, struct json *val)
{
	return append(array, val);
}

struct json *
json_copy(const struct json *j)
{
	struct json *c = json_new(j->type);

	c->i = j->i;
	c->key = j->key != NULL ? rt_strdup(j->key) : NULL;
	c->s = j->s != NULL ? rt_strdup(j->s) : NULL;
	for (size_t i = 0; i < j->n; i++)
		append(c, json_copy(j->v[i]));
	return c;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void
write_string(const char *s, struct str *out)
{
	str_putc(out, '"');
	while (*s != '\0') {
		size_t n = 0;

		while ((unsigned char)s[n] >= 0x20 && s[n] != '"' && s[n] != '\\' && s[n] != 0x7f)
			n++;
		str_add(out, s, n);
		s += n;
		if (*s == '\0')
			break;
		if (*s == '"' || *s == '\\')
			str_printf(out, "\\%c", *s);
		else if (*s == '\n' || *s == '\t' || *s == '\r')
			str_puts(out, *s == '\n' ? "\\n" : *s == '\t' ? "\\t" : "\\r");
		else
			str_printf(out, "\\u%04x", (unsigned char)*s);
		s++;
	}
	str_putc(out, '"');
}

static void
write_list(const struct json *j, struct str *out)
{
	bool object = j->type == JSON_OBJECT;
	struct json **v = object ? sorted(j) : j->v;

	str_putc(out, object ? '{' : '[');
	for (size_t i = 0; i < j->n; i++) {
		if (i > 0)
			str_putc(out, ',');
		if (object) {
			write_string(v[i]->key, out);
			str_putc(out, ':');
		}
		json_write(v[i], out);
	}
	str_putc(out, object ? '}' : ']');
	if (object)
		free(v);
}

void
json_write(const struct json *j, struct str *out)
{
	switch (j->type) {
	case JSON_NULL:
		str_puts(out, "null");
		break;
	case JSON_BOOL:
		str_puts(out, j->i != 0 ? "true" : "false");
		break;
	case JSON_INT:
		str_printf(out, "%lld", (long long)j->i);
		break;
	case JSON_NUMBER:
		str_puts(out, j->s);
		break;
	case JSON_STRING:
		write_string(j->s, out);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		write_list(j, out);
		break;
	}
}
