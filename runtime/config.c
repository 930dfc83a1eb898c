/* Metadata instructions and the config fields they write: spec/execution.md 5. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "state.h"

static struct json *
object(struct json *parent, const char *key)
{
	char *pointer = rt_printf("/%s", key);
	struct json *j = json_at(parent, pointer);

	free(pointer);
	return j != NULL && j->type == JSON_OBJECT ? j : json_set(parent, key, json_new(JSON_OBJECT));
}

/* Splits KEY=VALUE; the key is malloc'd. */
static char *
key_of(const char *pair, const char **value)
{
	const char *eq = strchr(pair, '=');

	*value = eq != NULL ? eq + 1 : "";
	return eq != NULL ? rt_strndup(pair, (size_t)(eq - pair)) : rt_strdup(pair);
}

static int
port_number(const char **s, unsigned *out)
{
	unsigned long n = 0;
	const char *p = *s;

	if (!isdigit((unsigned char)*p))
		return -1;
	while (isdigit((unsigned char)*p) && n <= 65535)
		n = n * 10 + (unsigned long)(*p++ - '0');
	*s = p;
	*out = (unsigned)n;
	return n <= 65535 ? 0 : -1;
}

static int
one_port(char *word, struct list *out, struct rt_err *e)
{
	char *slash = strchr(word, '/'), *colon;
	const char *proto = "tcp", *p;
	unsigned first, last;

	if (slash != NULL)
		*slash = '\0';
	for (char *c = slash; c != NULL && c[1] != '\0'; c++)
		c[1] = (char)tolower((unsigned char)c[1]);
	if (slash != NULL && slash[1] != '\0')
		proto = slash + 1;
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 && strcmp(proto, "sctp") != 0)
		return rt_fail_status(e, RT_USAGE, "EXPOSE: there is no protocol %s", proto);
	/* [ip:][hostport:]port: what stands before the last colon does not reach the image */
	colon = strrchr(word, ':');
	p = colon != NULL ? colon + 1 : word;
	if (port_number(&p, &first) < 0)
		return rt_fail_status(e, RT_USAGE, "EXPOSE: %s is no port", word);
	last = first;
	if (*p == '-') {
		p++;
		if (port_number(&p, &last) < 0)
			return rt_fail_status(e, RT_USAGE, "EXPOSE: %s is no range of ports", word);
	}
	if (*p != '\0' || last < first)
		return rt_fail_status(e, RT_USAGE, "EXPOSE: %s is no port or range of ports", word);
	for (unsigned n = first; n <= last; n++) {
		char text[32];

		snprintf(text, sizeof(text), "%u/%s", n, proto);
		list_add(out, text);
	}
	return 0;
}

int
expose_ports(const char *spec, struct list *out, struct rt_err *e)
{
	char *copy = rt_strdup(spec), *rest = copy, *word;
	int status = 0;

	while (status == 0 && (word = strtok_r(rest, " \t\r\n\v\f", &rest)) != NULL)
		status = one_port(word, out, e);
	free(copy);
	return status;
}

static int
apply_expose(struct json *config, const struct plan_setting *set, size_t n, struct rt_err *e)
{
	struct json *ports = object(config, "ExposedPorts");
	struct list all = { 0 };
	int status = 0;

	for (size_t i = 0; status == 0 && i < n; i++)
		status = expose_ports(set[i].value, &all, e);
	for (size_t i = 0; i < all.n; i++)
		json_set(ports, all.v[i], json_new(JSON_OBJECT));
	list_free(&all);
	return status;
}

/* An array of strings that the compiler wrote. */
static struct json *
array(const char *text, struct rt_err *e)
{
	struct json *j = json_parse(text, strlen(text), "the plan", e);

	if (j != NULL && j->type != JSON_ARRAY) {
		rt_fail_status(e, RT_USAGE, "%s is no JSON array", text);
		json_free(j);
		return NULL;
	}
	return j;
}

static void
put_array(struct json *config, const char *key, struct json *j)
{
	if (j->n == 0) {
		json_remove(config, key);
		json_free(j);
	} else {
		json_set(config, key, j);
	}
}

static struct json *
shell_form(const struct state *st, const char *text)
{
	struct json *j = json_new(JSON_ARRAY);
	struct list shell = { 0 };

	state_shell(st, &shell);
	for (size_t i = 0; i < shell.n; i++)
		json_push(j, json_new_string(shell.v[i]));
	json_push(j, json_new_string(text));
	list_free(&shell);
	return j;
}

static int
apply_command(struct state *st, struct json *config, const struct plan_setting *set, struct rt_err *e)
{
	bool shell = strstr(set->name, "-shell") != NULL, cmd = set->name[0] == 'c';
	struct json *j = shell ? shell_form(st, set->value) : array(set->value, e);

	if (j == NULL)
		return -1;
	put_array(config, cmd ? "Cmd" : "Entrypoint", j);
	if (cmd) {
		st->cmd_here = true;
		json_set(config, "ArgsEscaped", json_new(JSON_BOOL))->i = 1;
	} else if (!st->cmd_here) {
		json_remove(config, "Cmd");
	}
	return 0;
}

/* A signal number above zero or a name with or without SIG: spec/language.md 6 STOPSIGNAL. */
static bool
good_signal(const char *s)
{
	static const char *const names[] = { "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO",
		"IOT", "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
		"TTIN", "TTOU", "UNUSED", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ" };
	size_t digits = strspn(s, "0123456789");
	long min = 0, max = 0;

	if (digits > 0 && s[digits] == '\0')
		return s[strspn(s, "0")] != '\0';
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(s, names[i]) == 0)
			return true;
	if (strncasecmp(s, "RTMIN", 5) == 0)
		return s[5] == '\0' || (s[5] == '+' && (min = strtol(s + 6, NULL, 10)) > 0 && min <= 15);
	if (strncasecmp(s, "RTMAX", 5) == 0)
		return s[5] == '\0' || (s[5] == '-' && (max = strtol(s + 6, NULL, 10)) > 0 && max <= 14);
	return false;
}

static int
apply_health(struct json *config, const char *value, struct rt_err *e)
{
	struct json *j;

	if (strcmp(value, "none") == 0) {
		j = json_new(JSON_OBJECT);
		json_push(json_set(j, "Test", json_new(JSON_ARRAY)), json_new_string("NONE"));
	} else if ((j = json_parse(value, strlen(value), "the plan", e)) == NULL) {
		return -1;
	}
	json_set(config, "Healthcheck", j);
	return 0;
}

int
config_apply(struct state *st, const struct plan_setting *set, size_t n, const char *step, struct rt_err *e)
{
	struct json *config = object(st->config, "config"), *j;
	const char *name = set->name, *value;

	if (strcmp(name, "env") == 0) {
		for (size_t i = 0; i < n; i++) {
			char *key = key_of(set[i].value, &value);

			state_set(st, key, value);
			free(key);
		}
	} else if (strcmp(name, "label") == 0) {
		for (size_t i = 0; i < n; i++)
			state_label(st, set[i].value);
	} else if (strcmp(name, "expose") == 0) {
		if (apply_expose(config, set, n, e) < 0)
			return rt_prefix(e, "step %s", step);
	} else if (strcmp(name, "volume") == 0) {
		for (size_t i = 0; i < n; i++)
			json_set(object(config, "Volumes"), set[i].value, json_new(JSON_OBJECT));
	} else if (strcmp(name, "user") == 0) {
		json_set_string(config, "User", set->value);
	} else if (strcmp(name, "stopsignal") == 0) {
		if (!good_signal(set->value))
			return rt_fail_status(e, RT_USAGE, "step %s: STOPSIGNAL: %s is no signal", step, set->value);
		json_set_string(config, "StopSignal", set->value);
	} else if (strcmp(name, "shell") == 0) {
		if ((j = array(set->value, e)) == NULL)
			return -1;
		json_set(config, "Shell", j);
	} else if (strcmp(name, "author") == 0) {
		json_set_string(st->config, "author", set->value);
	} else if (strcmp(name, "onbuild") == 0) {
		j = json_at(config, "/OnBuild");
		json_push(j != NULL ? j : json_set(config, "OnBuild", json_new(JSON_ARRAY)), json_new_string(set->value));
	} else if (strcmp(name, "healthcheck") == 0) {
		return apply_health(config, set->value, e);
	} else {
		return apply_command(st, config, set, e);
	}
	return 0;
}
