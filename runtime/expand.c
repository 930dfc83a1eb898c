#include "expand.h"

#include <stdlib.h>
#include <string.h>

#include "pattern.h"

const char *
vars_get(const struct vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->n; i++)
		if (strcmp(vars->v[i].name, name) == 0)
			return vars->v[i].value;
	return NULL;
}

void
vars_set(struct vars *vars, const char *name, const char *value)
{
	char *copy = value != NULL ? rt_strdup(value) : NULL; /* it may be the value that goes */

	for (size_t i = 0; i < vars->n; i++)
		if (strcmp(vars->v[i].name, name) == 0) {
			free(vars->v[i].value);
			vars->v[i].value = copy;
			return;
		}
	if (vars->n == vars->cap) {
		vars->cap = vars->cap * 2 + 16;
		vars->v = rt_grow(vars->v, vars->cap * sizeof(*vars->v));
	}
	vars->v[vars->n++] = (struct var_entry){ .name = rt_strdup(name), .value = copy };
}

struct reader {
	const struct vars *vars;
	const char *p;
	unsigned depth;
	struct rt_err *e;
};

enum { DEPTH_LIMIT = 1000 };

static int reference(struct reader *r, struct str *out);

/* Up to one of `stops` (not taken) or the end. */
static int
text(struct reader *r, const char *stops, struct str *out)
{
	while (*r->p != '\0' && strchr(stops, *r->p) == NULL) {
		if (*r->p == '\\' && r->p[1] != '\0') {
			str_putc(out, r->p[1] == 'n' ? '\n' : r->p[1]);
			r->p += 2;
		} else if (r->p[0] == '$' && r->p[1] == '{') {
			r->p += 2;
			if (reference(r, out) < 0)
				return -1;
		} else {
			str_putc(out, *r->p++);
		}
	}
	return 0;
}

static const char *
string(const struct str *s)
{
	return s->s != NULL ? s->s : "";
}

static bool
take(struct reader *r, const char *token)
{
	size_t n = strlen(token);

	if (strncmp(r->p, token, n) != 0)
		return false;
	r->p += n;
	return true;
}

/* ${v#p} and relatives: `pattern` is read, for replacements the text behind it as well. */
static int
match(struct reader *r, enum pattern_op op, const char *value, struct str *out)
{
	bool replace = op == PATTERN_REPLACE || op == PATTERN_REPLACE_ALL;
	struct str pattern = { 0 }, with = { 0 };
	char *result = NULL;
	int rc = text(r, replace ? "/}" : "}", &pattern);

	if (rc == 0 && replace && *r->p == '/') {
		r->p++;
		rc = text(r, "}", &with);
	}
	if (rc == 0 && pattern_apply(&result, op, value != NULL ? value : "", string(&pattern), replace ? string(&with) : NULL) != PATTERN_OK)
		rc = rt_fail_status(r->e, RT_USAGE, "a pattern of ${ } cannot be used");
	if (rc == 0)
		str_puts(out, result);
	free(result);
	str_free(&pattern);
	str_free(&with);
	return rc;
}

/* The operators - + ? with and without colon; WORD is worked out whether or not it is wanted, as Docker does. */
static int
choose(struct reader *r, const char *value, struct str *out)
{
	bool colon = *r->p == ':', set = value != NULL && !(colon && *value == '\0');
	struct str word = { 0 };
	int rc = 0;
	char op;

	r->p += colon;
	op = *r->p++;
	rc = text(r, "}", &word);
	if (rc == 0 && op == '?' && !set)
		rc = rt_fail_status(r->e, RT_USAGE, "%s", string(&word));
	else if (rc == 0)
		str_puts(out, op == '+' ? (set ? string(&word) : "") : op == '?' || set ? (value != NULL ? value : "") : string(&word));
	str_free(&word);
	return rc;
}

static const struct {
	const char *token;
	enum pattern_op op;
} matches[] = {
	{ "##", PATTERN_PREFIX_LONG }, { "#", PATTERN_PREFIX }, { "%%", PATTERN_SUFFIX_LONG }, { "%", PATTERN_SUFFIX },
	{ "//", PATTERN_REPLACE_ALL }, { "/", PATTERN_REPLACE },
};

/* Behind "${". */
static int
reference(struct reader *r, struct str *out)
{
	size_t n = strspn(r->p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	char *name = rt_strndup(r->p, n);
	const char *value = vars_get(r->vars, name);
	int rc = -2;

	free(name);
	r->p += n;
	if (n == 0 || ++r->depth > DEPTH_LIMIT)
		return rt_fail_status(r->e, RT_USAGE, "a word with a malformed ${ }");
	for (size_t i = 0; rc == -2 && i < sizeof(matches) / sizeof(matches[0]); i++)
		if (take(r, matches[i].token))
			rc = match(r, matches[i].op, value, out);
	if (rc == -2 && *r->p != '\0' && (strchr("-+?", *r->p) != NULL || (*r->p == ':' && r->p[1] != '\0' && strchr("-+?", r->p[1]) != NULL)))
		rc = choose(r, value, out);
	if (rc == -2) {
		str_puts(out, value != NULL ? value : "");
		rc = 0;
	}
	r->depth--;
	if (rc == 0 && !take(r, "}"))
		rc = rt_fail_status(r->e, RT_USAGE, "a word with a malformed ${ }");
	return rc;
}

int
expand(const struct vars *vars, const char *template, struct str *out, struct rt_err *e)
{
	struct reader r = { .vars = vars, .p = template, .e = e };

	if (text(&r, "", out) < 0)
		return -1;
	str_add(out, "", 0);
	return 0;
}
