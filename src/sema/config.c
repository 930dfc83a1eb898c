/* Instructions that only change the image config: settings named as in dockcc-plan(5). */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../base/utf8.h"
#include "lower.h"

static struct setting *
setting_add(struct lower *l, const char *name, const struct value *value)
{
	struct step *step = l->step;
	struct setting *set;

	step->settings = talloc_realloc(step, step->settings, struct setting, (unsigned)step->nsettings + 1);
	set = &step->settings[step->nsettings];
	*set = (struct setting){ .name = name, .value = value, .same = step->nsettings > 0, .line = l->step->line_start };
	step->nsettings++;
	return set;
}

static bool
setting_text(struct lower *l, const char *name, const char *text)
{
	setting_add(l, name, value_literal(l->s->g, text));
	return true;
}

/* The words of an exec form as a JSON array. */
static const char *
json_words(struct lower *l)
{
	struct buf *b = buf_new(l->s->g);

	buf_putc(b, '[');
	for (size_t k = 0; k < l->i->nargs; k++) {
		if (k > 0)
			buf_putc(b, ',');
		buf_json(b, l->i->args[k].text.s, l->i->args[k].text.len);
	}
	buf_putc(b, ']');
	return buf_str(b);
}

static bool
lower_command(struct lower *l, const char *exec, const char *shell)
{
	if (l->i->form == FORM_EXEC)
		return setting_text(l, exec, json_words(l));
	return setting_text(l, shell, l->i->nargs > 0 ? l->i->args[0].text.s : "");
}

/* ---- ENV, LABEL ---- */

/* The key of ENV says which variable is assigned, so it cannot wait for the script. */
static const char *
env_key(struct lower *l, const struct key_value *kv, const struct value *key)
{
	const char *name = value_now(l, key);
	struct diag_item *e;

	if (name == NULL) {
		e = lower_error(l, DIAG_UNDECIDED, kv->key.text.at, "the name %s depends on values that the script may be given",
		                kv->key.text.s);
		diag_fix(l->d, e, NULL, "write the name out, or compile with --freeze");
	}
	return name;
}

static const struct value *
pair(struct lower *l, const struct key_value *kv, const struct value *key, const struct value *value)
{
	struct value_builder b;

	builder_init(&b, l->s->g);
	builder_value(&b, key);
	builder_text(&b, "=", 1, kv->at);
	builder_value(&b, value);
	return builder_done(&b);
}

static bool
lower_label(struct lower *l)
{
	for (size_t k = 0; k < l->i->nkvs; k++) {
		const struct key_value *kv = &l->i->kvs[k];
		const struct value *key = lower_word(l, &kv->key.text, false);
		const struct value *value = key != NULL ? lower_word(l, &kv->value.text, false) : NULL;

		if (value == NULL)
			return false;
		setting_add(l, "label", pair(l, kv, key, value));
	}
	return true;
}

/* All values are worked out before the first assignment. */
static bool
lower_env(struct lower *l)
{
	const struct inst *i = l->i;
	struct graph *g = l->s->g;
	const char **names = mem_array(g, const char *, i->nkvs);
	struct known *known = mem_array(g, struct known, i->nkvs);
	const struct value *value;

	for (size_t k = 0; k < i->nkvs; k++) {
		const struct key_value *kv = &i->kvs[k];
		const struct value *key = lower_word(l, &kv->key.text, false);

		value = key != NULL ? lower_word(l, &kv->value.text, false) : NULL;
		if (value == NULL || (names[k] = env_key(l, kv, key)) == NULL)
			return false;
		known[k].text = value_now(l, value);
		known[k].state = known[k].text != NULL ? KNOWN_TEXT : KNOWN_NOT;
		setting_add(l, "env", pair(l, kv, value_literal(g, names[k]), value))->assign = mem_new(g, struct assign);
		l->step->settings[k].assign->value = value;
	}
	for (size_t k = 0; k < i->nkvs; k++)
		l->step->settings[k].assign->var = scope_assign(l->s, l->scope, names[k], known[k]);
	return true;
}

/* ---- EXPOSE, VOLUME, USER, STOPSIGNAL, WORKDIR ---- */

static int
by_text(const void *a, const void *b)
{
	const struct text *x = *(const struct text *const *)a, *y = *(const struct text *const *)b;
	int order = strcmp(x->s, y->s);

	return order != 0 ? order : x < y ? -1 : x > y;
}

/* Blanks in an expanded word part it into several ports. */
static bool
check_ports(struct lower *l, struct span at, const char *words)
{
	char *copy = mem_str(NULL, words), *rest = copy, *word;
	bool good = true;

	while ((word = strsep(&rest, " \t\n\v\f\r")) != NULL) {
		if (*word == '\0' || port_valid(word))
			continue;
		lower_error(l, DIAG_BAD_PORT, at, "\"%s\" is no port such as 80, 8000-8010 or 53/udp", word);
		good = false;
	}
	talloc_free(copy);
	return good;
}

static bool
lower_expose(struct lower *l)
{
	const struct inst *i = l->i;
	const struct text **sorted = mem_array(l->s->g, const struct text *, i->nargs);
	bool good = true;

	for (size_t k = 0; k < i->nargs; k++)
		sorted[k] = &i->args[k].text;
	qsort(sorted, i->nargs, sizeof *sorted, by_text);
	for (size_t k = 0; k < i->nargs; k++) {
		const struct value *v = lower_word(l, sorted[k], false);
		const char *now = v != NULL ? value_now(l, v) : NULL;

		if (v == NULL || (now != NULL && !check_ports(l, sorted[k]->at, now)))
			good = false;
		else
			setting_add(l, "expose", v);
	}
	return good;
}

static bool
lower_volume(struct lower *l)
{
	for (size_t k = 0; k < l->i->nargs; k++) {
		const struct text *t = &l->i->args[k].text;
		size_t begin = 0, end = t->len;
		struct text trimmed = *t;
		const struct value *v;

		utf8_trim(t->s, &begin, &end);
		if (begin > 0 || end < t->len)
			trimmed = (struct text){ .s = mem_dup(l->s->g, t->s + begin, end - begin), .len = end - begin, .at = t->at };
		if ((v = lower_word(l, &trimmed, false)) == NULL)
			return false;
		setting_add(l, "volume", v);
	}
	return true;
}

static bool
lower_signal(struct lower *l)
{
	const struct value *v = lower_word(l, &l->i->args[0].text, false);
	const char *now = v != NULL ? value_now(l, v) : NULL;

	if (v == NULL)
		return false;
	if (now != NULL && !signal_valid(now)) {
		lower_error(l, DIAG_BAD_SIGNAL, l->i->args[0].text.at, "\"%s\" is no signal", now);
		return false;
	}
	setting_add(l, "stopsignal", v);
	return true;
}

static bool
lower_user(struct lower *l)
{
	const struct value *v = lower_word(l, &l->i->args[0].text, false);

	return v != NULL && setting_add(l, "user", v) != NULL;
}

static bool
lower_workdir(struct lower *l)
{
	const struct value **paths = mem_array(l->s->g, const struct value *, 1);

	l->step->kind = STEP_WORKDIR;
	l->step->paths = paths;
	l->step->npaths = 1;
	return (paths[0] = lower_word(l, &l->i->args[0].text, false)) != NULL;
}

bool
lower_config(struct lower *l)
{
	const struct inst *i = l->i;

	l->step->kind = STEP_SET;
	switch (i->kind) {
	case INST_CMD:
		return lower_command(l, "cmd", "cmd-shell");
	case INST_ENTRYPOINT:
		return lower_command(l, "entrypoint", "entrypoint-shell");
	case INST_ENV:
		return lower_env(l);
	case INST_EXPOSE:
		return lower_expose(l);
	case INST_HEALTHCHECK:
		return setting_text(l, "healthcheck", health_json(l->s->g, i));
	case INST_LABEL:
		return lower_label(l);
	case INST_MAINTAINER:
		return setting_text(l, "author", i->args[0].text.s);
	case INST_ONBUILD:
		return setting_text(l, "onbuild", onbuild_text(l->s->g, i));
	case INST_SHELL:
		return setting_text(l, "shell", json_words(l));
	case INST_STOPSIGNAL:
		return lower_signal(l);
	case INST_USER:
		return lower_user(l);
	case INST_VOLUME:
		return lower_volume(l);
	case INST_WORKDIR:
		return lower_workdir(l);
	case INST_ADD:
	case INST_ARG:
	case INST_COPY:
	case INST_FROM:
	case INST_RUN:
	case INST_COUNT:
		break;
	}
	return false;
}
