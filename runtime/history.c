/* created_by texts as the reference writes them: spec/execution.md 5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* What Go's unicode.IsPrint refuses, by ranges that hold nothing else. */
static bool
unprintable(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{ 0x80, 0xa0 }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
		{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0xe000, 0xf8ff },
		{ 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0xe007f }, { 0xf0000, 0x10ffff },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

/* A string as Go's %q shows it. */
static void
quoted(struct str *b, const char *s)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	uint32_t c;

	str_putc(b, '"');
	for (size_t n; *s != '\0'; s += n > 0 ? n : 1) {
		const char *at = strchr(from, *s);

		n = rt_utf8((const unsigned char *)s, &c);
		if (at != NULL)
			str_printf(b, "\\%c", to[at - from]);
		else if (n == 0 || c < 0x20 || c == 0x7f)
			str_printf(b, "\\x%02x", (unsigned char)*s);
		else if (unprintable(c))
			str_printf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
		else
			str_add(b, s, n);
	}
	str_putc(b, '"');
}

static void
words(struct str *b, const struct json *j, bool quote)
{
	str_putc(b, '[');
	for (size_t i = 0; j != NULL && i < j->n; i++) {
		if (i > 0)
			str_putc(b, ' ');
		if (quote)
			quoted(b, j->v[i]->s != NULL ? j->v[i]->s : "");
		else
			str_puts(b, j->v[i]->s != NULL ? j->v[i]->s : "");
	}
	str_putc(b, ']');
}

/* A duration in nanoseconds as Go's time.Duration prints it. */
static void
duration(struct str *b, int64_t ns)
{
	static const struct { int64_t unit; const char *name; } small[] = { { 1000000, "ms" }, { 1000, "\302\265s" }, { 1, "ns" } };
	char frac[16];
	int64_t unit = 1000000000, rest;
	const char *name = "s";
	int digits = 9;

	if (ns == 0) {
		str_puts(b, "\"0s\"");
		return;
	}
	str_putc(b, '"');
	if (ns >= unit) {
		if (ns >= 3600 * unit)
			str_printf(b, "%lldh", (long long)(ns / (3600 * unit)));
		if (ns >= 60 * unit)
			str_printf(b, "%lldm", (long long)(ns / (60 * unit) % 60));
		ns %= 60 * unit;
	} else {
		for (size_t i = 0; i < 3; i++, digits -= 3)
			if (ns >= small[i].unit) {
				unit = small[i].unit, name = small[i].name, digits = 6 - (int)(3 * i);
				break;
			}
	}
	str_printf(b, "%lld", (long long)(ns / unit));
	rest = ns % unit;
	if (rest != 0) {
		size_t n;

		snprintf(frac, sizeof(frac), "%0*lld", digits, (long long)rest);
		for (n = strlen(frac); n > 0 && frac[n - 1] == '0'; n--)
			frac[n - 1] = '\0';
		str_printf(b, ".%s", frac);
	}
	str_printf(b, "%s\"", name);
}

static int64_t
number(const struct json *j, const char *pointer)
{
	const struct json *v = json_at(j, pointer);

	return v != NULL && v->type == JSON_INT ? v->i : 0;
}

static void
health(struct str *b, const struct json *h)
{
	static const char *const times[] = { "/Interval", "/Timeout", "/StartPeriod", "/StartInterval" };
	int64_t retries = number(h, "/Retries");

	str_puts(b, "HEALTHCHECK &{");
	words(b, json_at(h, "/Test"), true);
	for (size_t i = 0; i < 4; i++) {
		str_putc(b, ' ');
		duration(b, number(h, times[i]));
	}
	if (retries >= 0x20 && retries < 0x7f)
		str_printf(b, " '%s%c'}", retries == '\'' || retries == '\\' ? "\\" : "", (int)retries);
	else if (retries >= 7 && retries <= 13)
		str_printf(b, " '\\%c'}", "abtnvfr"[retries - 7]);
	else
		str_printf(b, " '\\x%02x'}", (unsigned)retries);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
expose(struct str *b, const struct plan_setting *set, size_t n)
{
	struct list all = { 0 };
	struct rt_err ignored;

	for (size_t i = 0; i < n; i++)
		expose_ports(set[i].value, &all, &ignored);
	if (all.n > 0)
		qsort(all.v, all.n, sizeof(*all.v), by_text);
	str_puts(b, "EXPOSE [");
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || strcmp(all.v[i], all.v[i - 1]) != 0)
			str_printf(b, "%s%s", i > 0 ? " " : "", all.v[i]);
	str_putc(b, ']');
	list_free(&all);
}

static void
setting(struct str *b, const struct state *st, const struct plan_setting *set, size_t n)
{
	const char *name = set->name;

	if (strcmp(name, "env") == 0 || strcmp(name, "label") == 0) {
		str_puts(b, name[0] == 'e' ? "ENV" : "LABEL");
		for (size_t i = 0; i < n; i++)
			str_printf(b, " %s", set[i].value);
	} else if (strcmp(name, "volume") == 0) {
		str_puts(b, "VOLUME [");
		for (size_t i = 0; i < n; i++)
			str_printf(b, "%s%s", i > 0 ? " " : "", set[i].value);
		str_putc(b, ']');
	} else if (strcmp(name, "expose") == 0) {
		expose(b, set, n);
	} else if (strcmp(name, "user") == 0) {
		str_printf(b, "USER %s", set->value);
	} else if (strcmp(name, "stopsignal") == 0) {
		str_printf(b, "STOPSIGNAL %s", set->value);
	} else if (strcmp(name, "author") == 0) {
		str_printf(b, "MAINTAINER %s", set->value);
	} else if (strcmp(name, "shell") == 0) {
		str_puts(b, "SHELL ");
		words(b, json_at(st->config, "/config/Shell"), false);
	} else if (strcmp(name, "healthcheck") == 0) {
		health(b, json_at(st->config, "/config/Healthcheck"));
	} else {
		bool cmd = name[0] == 'c';

		str_puts(b, cmd ? "CMD " : "ENTRYPOINT ");
		words(b, json_at(st->config, cmd ? "/config/Cmd" : "/config/Entrypoint"), true);
	}
}

static void
run(struct str *b, const struct state *st, const struct plan_step *s)
{
	struct list argv = { 0 };
	size_t declared = 0;

	str_puts(b, "RUN ");
	for (size_t i = 0; i < st->nvars; i++)
		declared += st->vars[i].declared;
	if (declared > 0)
		str_printf(b, "|%zu ", declared);
	for (size_t i = 0; i < st->nvars; i++)
		if (st->vars[i].declared)
			str_printf(b, "%s=%s ", st->vars[i].name, st->vars[i].value != NULL ? st->vars[i].value : "");
	state_argv(st, s, &argv);
	for (size_t i = 0; i < argv.n; i++)
		str_printf(b, "%s%s", i > 0 ? " " : "", argv.v[i]);
	str_puts(b, " # buildkit");
	list_free(&argv);
}

static void
copy(struct str *b, const struct plan_step *s)
{
	str_puts(b, s->verb == VERB_COPY ? "COPY" : "ADD");
	if (s->parents)
		str_puts(b, " --parents");
	if (s->chown != NULL)
		str_printf(b, " --chown=%s", s->chown);
	if (s->chmod != NULL)
		str_printf(b, " --chmod=%s", s->chmod);
	for (size_t i = 0; i + 1 < s->nargs; i++)
		str_printf(b, " %s", s->args[i]);
	for (size_t i = 0; i < s->nfiles; i++)
		str_printf(b, " <<%s", s->files[i].name);
	str_printf(b, " %s # buildkit", s->args[s->nargs - 1]);
}

char *
history_text(const struct state *st, const struct plan_step *s, size_t first, size_t last)
{
	struct str b = { 0 };
	char *path;

	switch (s->verb) {
	case VERB_FROM:
		break;
	case VERB_ARG:
		str_puts(&b, "ARG");
		for (size_t i = 0; i < s->nargs; i++)
			str_printf(&b, " %s", s->args[i]);
		break;
	case VERB_SET:
		setting(&b, st, s->settings + first, last - first);
		break;
	case VERB_WORKDIR:
		path = state_workdir_path(st, s->args[0]);
		str_printf(&b, "WORKDIR %s", path);
		free(path);
		break;
	case VERB_COPY:
	case VERB_ADD:
		copy(&b, s);
		break;
	case VERB_RUN:
		run(&b, st, s);
		break;
	}
	str_add(&b, "", 0);
	return b.s;
}
