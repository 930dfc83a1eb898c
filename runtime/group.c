/* The words of one step on the command line of `dockcc-rt step`: the variables that it changes and its record. */
#include <stdlib.h>
#include <string.h>

#include "step.h"

struct lets {
	struct list after;        /* NAME=VALUE, assigned when the step's words are known */
	bool expand;
};

static char *
split(const char *pair, const char **value)
{
	const char *eq = strchr(pair, '=');

	*value = eq != NULL ? eq + 1 : "";
	return rt_strndup(pair, eq != NULL ? (size_t)(eq - pair) : strlen(pair));
}

/* NAME=TEMPLATE: to a variable now, or to `later` for the end of the step. */
static int
let(struct part *c, const char *pair, struct list *later, struct rt_err *e)
{
	const char *template;
	char *name = split(pair, &template);
	struct str value = { 0 };
	int rc = expand(&c->vars, template, &value, e);

	if (rc == 0 && later == NULL) {
		vars_set(&c->vars, name, value.s);
	} else if (rc == 0) {
		char *done = rt_printf("%s=%s", name, value.s);

		list_add(later, done);
		free(done);
	}
	str_free(&value);
	free(name);
	return rc;
}

/* NAME=A,B,C: the value of the first of them that is set, else NAME becomes unset. */
static void
first_of(struct part *c, const char *pair)
{
	const char *names, *value = NULL;
	char *name = split(pair, &names), *rest = rt_strdup(names), *all = rest, *one;

	while (value == NULL && (one = strsep(&rest, ",")) != NULL)
		value = vars_get(&c->vars, one);
	vars_set(&c->vars, name, value);
	free(all);
	free(name);
}

static int
leading(struct part *c, const char *const *words, size_t n, size_t *at, struct lets *l, struct list *base, struct rt_err *e)
{
	for (; *at < n && strncmp(words[*at], "--", 2) == 0; (*at)++) {
		const char *w = words[*at];

		if (strcmp(w, "--expand") == 0)
			l->expand = true;
		else if (strncmp(w, "--first=", 8) == 0)
			first_of(c, w + 8);
		else if (strncmp(w, "--base=", 7) == 0)
			list_add(base, w + 7);
		else if (strncmp(w, "--let=", 6) == 0 || strncmp(w, "--set=", 6) == 0) {
			if (let(c, w + 6, w[2] == 's' ? &l->after : NULL, e) < 0)
				return -1;
		} else
			return rt_fail_status(e, RT_USAGE, "step does not know %s", w);
	}
	return 0;
}

/* Where in the Dockerfile, before the words are worked out. */
static const char *
lines_of(const char *const *words, size_t n)
{
	size_t i = 0;

	while (i < n && strncmp(words[i], "--", 2) == 0)
		i++;
	return i + 1 < n ? words[i + 1] : "-";
}

int
group_step(struct part *c, const char *const *words, size_t n, struct plan_step *s, struct list *base, struct rt_err *e)
{
	struct lets l = { 0 };
	const char **done = rt_alloc((n + 1) * sizeof(*done)); /* lives as long as the step */
	size_t at = 0, k = 0;

	if (leading(c, words, n, &at, &l, base, e) < 0)
		return rt_prefix(e, "%s:%s", c->o.dockerfile, lines_of(words, n));
	for (; at < n; at++, k++) {
		struct str text = { 0 };

		done[k] = words[at];
		if (!l.expand || k < 3)
			continue;
		if (expand(&c->vars, words[at], &text, e) < 0)
			return rt_prefix(e, "%s:%s", c->o.dockerfile, lines_of(words, n));
		done[k] = text.s;
	}
	if (plan_step(s, done, k, e) < 0)
		return -1;
	for (size_t i = 0; i < l.after.n; i++) {
		const char *value;
		char *name = split(l.after.v[i], &value);

		vars_set(&c->vars, name, value);
		free(name);
	}
	list_free(&l.after);
	return 0;
}
