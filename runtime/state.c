#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "path.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static const char epoch_zero[] = "1970-01-01T00:00:00Z";

static struct state_var *
find(const struct state *st, const char *name, size_t len)
{
	for (size_t i = 0; i < st->nvars; i++)
		if (strncmp(st->vars[i].name, name, len) == 0 && st->vars[i].name[len] == '\0')
			return &st->vars[i];
	return NULL;
}

static struct state_var *
need(struct state *st, const char *name, size_t len)
{
	struct state_var *v = find(st, name, len);

	if (v != NULL)
		return v;
	if (st->nvars == st->cap) {
		st->cap = st->cap * 2 + 16;
		st->vars = rt_grow(st->vars, st->cap * sizeof(*st->vars));
	}
	v = &st->vars[st->nvars++];
	*v = (struct state_var){ .name = rt_strndup(name, len) };
	return v;
}

static void
assign(struct state *st, const char *name, size_t len, const char *value)
{
	struct state_var *v = need(st, name, len);

	free(v->value);
	v->value = rt_strdup(value);
}

const char *
state_get(const struct state *st, const char *name)
{
	const struct state_var *v = find(st, name, strlen(name));

	return v != NULL ? v->value : NULL;
}

static struct json *
section(struct state *st, const char *key, enum json_type type)
{
	char *pointer = rt_printf("/%s", key);
	struct json *j = json_at(st->config, pointer);

	free(pointer);
	return j != NULL && j->type == type ? j : json_set(st->config, key, json_new(type));
}

/* ENV: into the environment and into config.Env, in place when the name is there. */
void
state_set(struct state *st, const char *name, const char *value)
{
	struct json *config = section(st, "config", JSON_OBJECT), *env = json_at(config, "/Env");
	char *pair = rt_printf("%s=%s", name, value);
	size_t n = strlen(name);

	assign(st, name, n, value);
	if (env == NULL || env->type != JSON_ARRAY)
		env = json_set(config, "Env", json_new(JSON_ARRAY));
	for (size_t i = 0; i < env->n; i++) {
		struct json *old = env->v[i];

		if (old->type == JSON_STRING && strncmp(old->s, name, n) == 0 && (old->s[n] == '=' || old->s[n] == '\0')) {
			free(old->s);
			old->s = pair;
			return;
		}
	}
	json_push(env, json_new_string(pair));
	free(pair);
}

/* A stage whose environment lacks PATH gets one: spec/language.md 4.6. */
static void
start(struct state *st)
{
	if (state_get(st, "PATH") == NULL)
		state_set(st, "PATH", default_path);
	if (st->created == NULL)
		st->created = rt_strdup(epoch_zero);
}

void
state_scratch(struct state *st, const char *os, const char *arch, const char *variant)
{
	*st = (struct state){ .config = json_new(JSON_OBJECT), .scratch = true };
	json_set_string(st->config, "os", os);
	json_set_string(st->config, "architecture", arch);
	if (variant != NULL && *variant != '\0')
		json_set_string(st->config, "variant", variant);
	json_set_string(section(st, "config", JSON_OBJECT), "WorkingDir", "/");
	start(st);
}

int
state_image(struct state *st, const char *config, size_t len, const char *what, struct rt_err *e)
{
	struct json *env;

	*st = (struct state){ .config = json_parse(config, len, what, e) };
	if (st->config == NULL)
		return -1;
	if (st->config->type != JSON_OBJECT)
		return rt_fail_status(e, RT_DIGEST, "%s: its config is no JSON object", what);
	env = json_at(st->config, "/config/Env");
	for (size_t i = 0; env != NULL && i < env->n; i++) {
		const char *pair = env->v[i]->s, *eq = pair != NULL ? strchr(pair, '=') : NULL;

		if (eq != NULL)
			assign(st, pair, (size_t)(eq - pair), eq + 1);
	}
	json_remove(section(st, "config", JSON_OBJECT), "OnBuild");
	start(st);
	return 0;
}

void
state_inherit(struct state *st, const struct state *parent)
{
	*st = (struct state){ .config = json_copy(parent->config), .scratch = parent->scratch };
	for (size_t i = 0; i < parent->nvars; i++) {
		const struct state_var *v = &parent->vars[i];

		if (v->value != NULL)
			assign(st, v->name, strlen(v->name), v->value);
	}
	st->created = rt_strdup(parent->created);
	json_remove(section(st, "config", JSON_OBJECT), "OnBuild");
	start(st);
}

void
state_copy(struct state *st, const struct state *from)
{
	*st = (struct state){ .config = json_copy(from->config), .cmd_here = from->cmd_here, .scratch = from->scratch };
	for (size_t i = 0; i < from->nvars; i++) {
		struct state_var *v = need(st, from->vars[i].name, strlen(from->vars[i].name));

		v->value = from->vars[i].value != NULL ? rt_strdup(from->vars[i].value) : NULL;
		v->declared = from->vars[i].declared;
	}
	st->created = rt_strdup(from->created);
}

void
state_free(struct state *st)
{
	for (size_t i = 0; i < st->nvars; i++) {
		free(st->vars[i].name);
		free(st->vars[i].value);
	}
	free(st->vars);
	free(st->created);
	json_free(st->config);
	*st = (struct state){ 0 };
}

void
state_env(const struct state *st, struct list *out)
{
	for (size_t i = 0; i < st->nvars; i++)
		if (st->vars[i].value != NULL) {
			char *pair = rt_printf("%s=%s", st->vars[i].name, st->vars[i].value);

			list_add(out, pair);
			free(pair);
		}
}

const char *
state_user(const struct state *st)
{
	const char *user = json_string_at(st->config, "/config/User");

	return user != NULL && *user != '\0' ? user : NULL;
}

const char *
state_workdir(const struct state *st)
{
	const char *dir = json_string_at(st->config, "/config/WorkingDir");

	return dir != NULL && *dir != '\0' ? dir : "/";
}

void
state_shell(const struct state *st, struct list *out)
{
	const struct json *shell = json_at(st->config, "/config/Shell");

	for (size_t i = 0; shell != NULL && shell->type == JSON_ARRAY && i < shell->n; i++)
		if (shell->v[i]->type == JSON_STRING)
			list_add(out, shell->v[i]->s);
	if (out->n == 0) {
		list_add(out, "/bin/sh");
		list_add(out, "-c");
	}
}

/* Absolute paths stay as they were written: spec/language.md 6, WORKDIR path. */
char *
state_workdir_path(const struct state *st, const char *path)
{
	if (*path == '\0')
		return rt_strdup(state_workdir(st));
	return *path == '/' ? rt_strdup(path) : path_join(state_workdir(st), path);
}

void
state_argv(const struct state *st, const struct plan_step *s, struct list *out)
{
	if (s->exec) {
		for (size_t i = 0; i < s->nargs; i++)
			list_add(out, s->args[i]);
		return;
	}
	state_shell(st, out);
	if (s->script != NULL) {
		char *path = rt_printf("/dev/pipes/%s", s->script);

		list_add(out, path);
		free(path);
	} else {
		list_add(out, s->nargs > 0 ? s->args[0] : "");
	}
}

static void
history_add(struct state *st, char *text, bool empty)
{
	struct json *history = section(st, "history", JSON_ARRAY);
	struct json *entry = json_push(history, json_new(JSON_OBJECT));

	json_set_string(entry, "created", st->created);
	json_set_string(entry, "created_by", text);
	json_set_string(entry, "comment", "buildkit.dockerfile.v0");
	if (empty) {
		struct json *yes = json_set(entry, "empty_layer", json_new(JSON_BOOL));

		yes->i = 1;
	}
	free(text);
}

/* A joined step continues the layer of the one before, whose entry then has none of its own. */
static void
history_join(struct state *st)
{
	struct json *history = section(st, "history", JSON_ARRAY);

	for (size_t i = history->n; i-- > 0;) {
		struct json *entry = history->v[i];

		if (json_at(entry, "/empty_layer") != NULL)
			continue;
		json_set(entry, "empty_layer", json_new(JSON_BOOL))->i = 1;
		return;
	}
}

static void
apply_arg(struct state *st, const char *word)
{
	const char *eq = strchr(word, '=');
	size_t n = eq != NULL ? (size_t)(eq - word) : strlen(word);

	need(st, word, n)->declared = true;
	if (eq != NULL)
		assign(st, word, n, eq + 1);
}

/* The instructions of a `set` step, one history entry each. */
static int
apply_settings(struct state *st, const struct plan_step *s, struct rt_err *e)
{
	for (size_t i = 0, next; i < s->nsettings; i = next) {
		for (next = i + 1; next < s->nsettings && s->settings[next].same; next++)
			;
		if (config_apply(st, &s->settings[i], next - i, s->id, e) < 0)
			return -1;
		if (strcmp(s->settings[i].name, "onbuild") != 0)
			history_add(st, history_text(st, s, i, next), true);
	}
	return 0;
}

bool
state_layer(const struct state *st, const struct plan_step *s)
{
	char *path;
	bool root;

	switch (s->verb) {
	case VERB_COPY:
	case VERB_ADD:
	case VERB_RUN:
		return true;
	case VERB_WORKDIR:
		path = state_workdir_path(st, s->args[0]);
		root = strcmp(path, "/") == 0;
		free(path);
		return !root;
	case VERB_FROM:
	case VERB_ARG:
	case VERB_SET:
		break;
	}
	return false;
}

int
state_apply(struct state *st, const struct plan_step *s, struct rt_err *e)
{
	char *path;

	switch (s->verb) {
	case VERB_FROM:
		return 0;
	case VERB_ARG:
		for (size_t i = 0; i < s->nargs; i++)
			apply_arg(st, s->args[i]);
		history_add(st, history_text(st, s, 0, 0), true);
		return 0;
	case VERB_SET:
		return apply_settings(st, s, e);
	case VERB_WORKDIR:
		path = state_workdir_path(st, s->args[0]);
		history_add(st, history_text(st, s, 0, 0), strcmp(path, "/") == 0); /* the path joins the old directory */
		json_set_string(section(st, "config", JSON_OBJECT), "WorkingDir", path);
		free(path);
		return 0;
	case VERB_COPY:
	case VERB_ADD:
	case VERB_RUN:
		if (s->join)
			history_join(st);
		history_add(st, history_text(st, s, 0, 0), false);
		st->scratch = false;
		return 0;
	}
	return 0;
}

void
state_label(struct state *st, const char *pair)
{
	struct json *config = section(st, "config", JSON_OBJECT), *labels = json_at(config, "/Labels");
	const char *eq = strchr(pair, '=');
	char *key = rt_strndup(pair, eq != NULL ? (size_t)(eq - pair) : strlen(pair));

	if (labels == NULL || labels->type != JSON_OBJECT)
		labels = json_set(config, "Labels", json_new(JSON_OBJECT));
	json_set_string(labels, key, eq != NULL ? eq + 1 : "");
	free(key);
}
