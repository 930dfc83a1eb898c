/* The second phase: what can be said about one instruction by itself.  spec/language.md 1.5, 6, 9;
   the first error of an instruction is the one that is reported. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "parse.h"

enum flag_type { FLAG_STRING, FLAG_BOOL, FLAG_LIST };

static const struct flag_row {
	enum inst_kind kind;
	const char *name;
	enum flag_type type;
} flag_rows[] = {
	{ INST_FROM, "platform", FLAG_STRING },
	{ INST_RUN, "mount", FLAG_LIST }, { INST_RUN, "network", FLAG_STRING },
	{ INST_RUN, "security", FLAG_STRING }, { INST_RUN, "device", FLAG_LIST },
	{ INST_COPY, "from", FLAG_STRING }, { INST_COPY, "chown", FLAG_STRING }, { INST_COPY, "chmod", FLAG_STRING },
	{ INST_COPY, "link", FLAG_BOOL }, { INST_COPY, "parents", FLAG_BOOL }, { INST_COPY, "exclude", FLAG_LIST },
	{ INST_ADD, "chown", FLAG_STRING }, { INST_ADD, "chmod", FLAG_STRING }, { INST_ADD, "link", FLAG_BOOL },
	{ INST_ADD, "keep-git-dir", FLAG_BOOL }, { INST_ADD, "checksum", FLAG_STRING }, { INST_ADD, "unpack", FLAG_BOOL },
	{ INST_ADD, "exclude", FLAG_LIST },
	{ INST_HEALTHCHECK, "interval", FLAG_STRING }, { INST_HEALTHCHECK, "timeout", FLAG_STRING },
	{ INST_HEALTHCHECK, "start-period", FLAG_STRING }, { INST_HEALTHCHECK, "start-interval", FLAG_STRING },
	{ INST_HEALTHCHECK, "retries", FLAG_STRING },
};
enum { FLAG_ROWS = sizeof flag_rows / sizeof flag_rows[0] };

#define FAIL(p, i, id, at, ...) (parse_error((p), PHASE_INSTRUCTION, (i)->line_start, DIAG_##id, (at), __VA_ARGS__), false)

static bool
unknown_flag(struct parse *p, const struct inst *i, const struct flag *f)
{
	const char *names[FLAG_ROWS] = { 0 }, *near;
	struct diag_item *item;
	size_t n = 0;

	for (size_t k = 0; k < FLAG_ROWS; k++) {
		if (flag_rows[k].kind == i->kind)
			names[n++] = flag_rows[k].name;
	}
	item = parse_error(p, PHASE_INSTRUCTION, i->line_start, DIAG_UNKNOWN_FLAG, f->at, "%s has no flag --%s", inst_name(i->kind), f->name);
	near = diag_nearest(f->name, names, n);
	if (near != NULL)
		diag_fix(p->d, item, NULL, "--%s", near);
	return false;
}

static bool
inst_check_flags(struct parse *p, const struct inst *i)
{
	for (size_t k = 0; k < i->nflags; k++) {
		const struct flag *f = &i->flags[k];
		const struct flag_row *row = NULL;

		for (size_t r = 0; r < FLAG_ROWS; r++) {
			if (flag_rows[r].kind == i->kind && strcmp(flag_rows[r].name, f->name) == 0)
				row = &flag_rows[r];
		}
		if (row == NULL)
			return unknown_flag(p, i, f);
		for (size_t other = 0; other < k && row->type != FLAG_LIST; other++) {
			if (strcmp(i->flags[other].name, f->name) == 0)
				return FAIL(p, i, DUPLICATE_FLAG, f->at, "--%s is given twice", f->name);
		}
		if (row->type != FLAG_BOOL && f->value == NULL)
			return FAIL(p, i, FLAG_VALUE, f->at, "--%s needs a value", f->name);
		if (row->type == FLAG_BOOL && f->value != NULL && strcasecmp(f->value, "true") != 0 && strcasecmp(f->value, "false") != 0)
			return FAIL(p, i, FLAG_VALUE, f->at, "--%s is true or false, not \"%s\"", f->name, f->value);
	}
	return true;
}

static bool
count(struct parse *p, const struct inst *i, bool good, const char *wanted)
{
	return good || FAIL(p, i, ARGUMENT_COUNT, i->keyword_at, "%s needs %s", inst_name(i->kind), wanted);
}

/* A field "from=" of a mount that holds a variable; the record is CSV. */
static bool
mount_from_variable(const char *value)
{
	for (const char *s = value; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, ",");
		const char *dollar;

		s += *s == '"';
		if (strncasecmp(s, "from=", 5) == 0 && (dollar = memchr(s, '$', n)) != NULL &&
		    (isalnum((unsigned char)dollar[1]) || (dollar[1] != '\0' && strchr("{_@*#?-$!", dollar[1]) != NULL)))
			return true;
		s = strchr(s, ',');
		if (s != NULL)
			s++;
	}
	return false;
}

static bool
one_of(const char *word, const char *a, const char *b, const char *c)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0 || (c != NULL && strcmp(word, c) == 0);
}

static bool
check_run(struct parse *p, const struct inst *i)
{
	for (size_t k = 0; k < i->nflags; k++) {
		const struct flag *f = &i->flags[k];

		if (strcmp(f->name, "network") == 0 && !one_of(f->value, "default", "none", "host"))
			return FAIL(p, i, RUN_FLAG, f->value_at, "--network is default, none or host, not \"%s\"", f->value);
		if (strcmp(f->name, "security") == 0 && !one_of(f->value, "sandbox", "insecure", NULL))
			return FAIL(p, i, RUN_FLAG, f->value_at, "--security is sandbox or insecure, not \"%s\"", f->value);
		if (strcmp(f->name, "mount") == 0 && mount_from_variable(f->value))
			return FAIL(p, i, VARIABLE_IN_FROM, f->value_at, "from= in a mount cannot hold a variable");
	}
	return true;
}

static bool
check_copy(struct parse *p, const struct inst *i)
{
	struct heredoc h;

	if (!count(p, i, i->nargs >= 2, "a source and a destination"))
		return false;
	if (heredoc_word(p->u, i->args[i->nargs - 1].text.s, i->args[i->nargs - 1].text.len, &h))
		return FAIL(p, i, HEREDOC_DEST, i->args[i->nargs - 1].text.at, "a here-document cannot be the destination");
	return true;
}

static bool
check_pairs(struct parse *p, const struct inst *i)
{
	if (!count(p, i, i->nkvs > 0, "at least one argument"))
		return false;
	for (size_t k = 0; k < i->nkvs; k++) {
		if (i->kvs[k].key.text.len == 0)
			return FAIL(p, i, EMPTY_KEY, i->kvs[k].at, "there is no name before the '='");
	}
	return true;
}

/* Go's time.ParseDuration, and Docker's rule that a duration is 0 or at least one millisecond. */
static bool
duration_good(const char *s)
{
	static const struct { const char *name; double ns; } units[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 6e10 }, { "h", 3.6e12 },
	};
	double total = 0;
	bool minus = *s == '-';

	if (*s == '\0')
		return true;
	s += *s == '-' || *s == '+';
	if (strcmp(s, "0") == 0)
		return true;
	if (*s == '\0')
		return false;
	while (*s != '\0') {
		size_t whole = strspn(s, "0123456789"), fraction = 0, unit, best = 0;
		double scale = 0;

		if (s[whole] == '.')
			fraction = 1 + strspn(s + whole + 1, "0123456789");
		if (whole + (fraction > 1) == 0)
			return false;
		unit = strcspn(s + whole + fraction, ".0123456789");
		for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
			if (strlen(units[k].name) == unit && strncmp(s + whole + fraction, units[k].name, unit) == 0)
				best = unit, scale = units[k].ns;
		}
		if (best == 0)
			return false;
		total += strtod(s, NULL) * scale;
		s += whole + fraction + unit;
	}
	return total < 9.3e18 && (total < 1 || (!minus && total >= 1e6));
}

static bool
check_health(struct parse *p, const struct inst *i)
{
	const char *type = i->rest.s;

	if (!count(p, i, i->rest.len > 0, "NONE or CMD"))
		return false;
	if (i->health_none)
		return i->nargs == 0 || FAIL(p, i, HEALTHCHECK, i->rest.at, "NONE takes no arguments");
	if (!inst_check_flags(p, i))
		return false;
	if (strcasecmp(type, "cmd") != 0)
		return FAIL(p, i, HEALTHCHECK, i->rest.at, "a health check is NONE or CMD, not %s", type);
	if (i->nargs == 0)
		return FAIL(p, i, HEALTHCHECK, i->rest.at, "the command of the health check is missing");
	for (size_t k = 0; k < i->nflags; k++) {
		const struct flag *f = &i->flags[k];
		char *end;
		long n;

		if (strcmp(f->name, "retries") != 0) {
			if (!duration_good(f->value))
				return FAIL(p, i, HEALTHCHECK, f->value_at, "\"%s\" is no duration such as 30s or 1m30s", f->value);
			continue;
		}
		n = strtol(f->value, &end, 10);
		if (f->value[0] != '\0' && (*end != '\0' || isspace((unsigned char)f->value[0]) || n < 0 || n > 2147483647))
			return FAIL(p, i, HEALTHCHECK, f->value_at, "--retries is a number from 0 up, not \"%s\"", f->value);
	}
	return true;
}

static bool
check_onbuild(struct parse *p, const struct inst *i)
{
	enum inst_kind inner;

	if (!count(p, i, i->trigger != NULL, "an instruction"))
		return false;
	inner = i->trigger->kind;
	if (inner == INST_ONBUILD || inner == INST_FROM || inner == INST_MAINTAINER)
		return FAIL(p, i, BAD_TRIGGER, i->trigger->keyword_at, "ONBUILD cannot hold %s", inst_name(inner));
	return true;
}

static bool
check_from(struct parse *p, const struct inst *i)
{
	const char *name;

	if (i->nargs == 1)
		return true;
	if (i->nargs != 3 || strcasecmp(i->args[1].text.s, "as") != 0)
		return FAIL(p, i, FROM_WORDS, i->nargs > 1 ? i->args[1].text.at : i->keyword_at, "FROM takes IMAGE or IMAGE AS NAME");
	name = i->args[2].text.s;
	if (!isalpha((unsigned char)name[0]) || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0')
		return FAIL(p, i, STAGE_NAME, i->args[2].text.at, "\"%s\" cannot be the name of a stage", name);
	return true;
}

static bool
check_volume(struct parse *p, const struct inst *i)
{
	if (!count(p, i, i->nargs > 0, "at least one path"))
		return false;
	for (size_t k = 0; k < i->nargs; k++) {
		if (i->args[k].text.s[strspn(i->args[k].text.s, " \t\n\v\f\r")] == '\0')
			return FAIL(p, i, EMPTY_VOLUME, i->args[k].text.at, "the path of a volume is empty");
	}
	return true;
}

static bool
unknown_instruction(struct parse *p, const struct inst *i)
{
	const char *names[INST_COUNT], *near;
	struct diag_item *item = parse_error(p, PHASE_INSTRUCTION, i->line_start, DIAG_UNKNOWN_INSTRUCTION, i->keyword_at,
		*i->keyword != '\0' ? "unknown instruction %s" : "there is no instruction that this line could continue%s", i->keyword);

	for (unsigned k = 0; k < INST_COUNT; k++)
		names[k] = inst_name((enum inst_kind)k);
	near = diag_nearest(i->keyword, names, INST_COUNT);
	if (near != NULL)
		diag_fix(p->d, item, near, "%s", near);
	else if (*i->keyword != '\0' && p->u->nstages > 0)
		diag_note(p->d, item, NULL, i->keyword_at, "if it belongs to the instruction above, the line above must end with %c", p->u->escape);
	return false;
}

bool
inst_check(struct parse *p, struct inst *i)
{
	/* flags come first, except where none are looked at or the count is judged before them */
	if (i->kind == INST_COUNT)
		return unknown_instruction(p, i);
	if (i->kind != INST_ARG && i->kind != INST_STOPSIGNAL && i->kind != INST_HEALTHCHECK && !inst_check_flags(p, i))
		return false;
	switch (i->kind) {
	case INST_ADD:
	case INST_COPY:
		return check_copy(p, i);
	case INST_ARG:
	case INST_ENV:
	case INST_LABEL:
		return check_pairs(p, i);
	case INST_EXPOSE:
		return count(p, i, i->nargs > 0, "at least one port");
	case INST_FROM:
		return check_from(p, i);
	case INST_HEALTHCHECK:
		return check_health(p, i);
	case INST_MAINTAINER:
	case INST_STOPSIGNAL:
	case INST_USER:
	case INST_WORKDIR:
		return count(p, i, i->nargs == 1, "exactly one argument");
	case INST_ONBUILD:
		return check_onbuild(p, i);
	case INST_RUN:
		return check_run(p, i);
	case INST_SHELL:
		if (i->nargs == 0)
			return FAIL(p, i, SHELL_FORM, i->keyword_at, "SHELL needs a JSON array with at least one word");
		return i->form == FORM_EXEC || FAIL(p, i, SHELL_FORM, i->rest.at, "SHELL needs a JSON array such as [\"/bin/sh\", \"-c\"]");
	case INST_VOLUME:
		return check_volume(p, i);
	case INST_CMD:
	case INST_ENTRYPOINT:
	case INST_COUNT:
		break;
	}
	return true;
}
