/* JSON (RFC 8259) from hostile hands: read, look up, change, write again. */
#ifndef RT_JSON_H
#define RT_JSON_H

#include "rt.h"

enum {
	JSON_MAX_DEPTH = 64,
	JSON_MAX_BYTES = 16 << 20,
	JSON_MAX_VALUES = 1000000,
};

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* One value.  Strings are the decoded bytes, without NUL inside and NUL-terminated; a number that is not an int64
   (fraction, exponent) keeps its text.  Members keep the order of the document. */
struct json {
	enum json_type type;
	char *key;        /* name within the object that holds it, else NULL */
	char *s;          /* JSON_STRING, JSON_NUMBER */
	int64_t i;        /* JSON_INT; JSON_BOOL: 0 or 1 */
	struct json **v;  /* JSON_ARRAY, JSON_OBJECT */
	size_t n, cap;
};

/* Parses a whole document; `what` names it.  NULL with `e` (RT_DIGEST) for what is not JSON, too deep, too large, has
   a key twice, an integer outside int64 or a NUL in a string. */
struct json *json_parse(const char *text, size_t len, const char *what, struct rt_err *e);
void json_free(struct json *j);

/* The value at a pointer such as "/config/Env/0" (RFC 6901 without ~), or NULL. `j` may be NULL. */
struct json *json_at(const struct json *j, const char *pointer);
/* The same, but it must be there and be a `type`: else NULL with `e`, which names `what` and the pointer. */
struct json *json_need(const struct json *j, const char *pointer, enum json_type type, const char *what, struct rt_err *e);
/* The string at the pointer; NULL when it is absent or something else. */
const char *json_string_at(const struct json *j, const char *pointer);

struct json *json_new(enum json_type type);
struct json *json_new_string(const char *s);
struct json *json_new_int(int64_t i);
/* Puts `value` (now owned by `object`) under `key`, in place of what is there; returns `value`. */
struct json *json_set(struct json *object, const char *key, struct json *value);
void json_set_string(struct json *object, const char *key, const char *s);
void json_remove(struct json *object, const char *key);
/* Appends to an array; returns `value`. */
struct json *json_push(struct json *array, struct json *value);
struct json *json_copy(const struct json *j);

/* Appends the canonical text: keys sorted by bytes, no blanks. */
void json_write(const struct json *j, struct str *out);

#endif
