/* The table of rules, their names and the -W options. */
#include <ctype.h>
#include <string.h>

#include "check.h"

/* Every row of diag.def whose group is one of these is a rule. */
static const struct check_rule rules[] = {
#define RULE(id_, name_, plain_, alias_, group_) \
	{ .id = DIAG_##id_, .name = name_, .plain = plain_, .alias = alias_, .group = group_ },
#include "rules.def"
#undef RULE
};
enum { NRULES = sizeof rules / sizeof rules[0] };

const struct check_rule *
check_rules(size_t *n)
{
	*n = NRULES;
	return rules;
}

const struct check_rule *
check_rule_of(enum diag_id id)
{
	for (size_t k = 0; k < NRULES; k++) {
		if (rules[k].id == id)
			return &rules[k];
	}
	return NULL;
}

bool
check_rule_is(const struct check_rule *r, const char *name)
{
	const char *alias = r->alias;
	size_t n = strlen(name);

	if (strcmp(r->name, name) == 0 || strcmp(r->plain, name) == 0)
		return true;
	while (alias != NULL) {
		if (n > 0 && strncmp(alias, name, n) == 0 && (alias[n] == '\0' || alias[n] == ','))
			return true;
		alias = strchr(alias, ',');
		alias = alias != NULL ? alias + 1 : NULL;
	}
	return false;
}

const struct check_rule *
check_rule_find(const char *name)
{
	for (size_t k = 0; k < NRULES; k++) {
		const struct check_rule *r = &rules[k];

		if (check_rule_is(r, name))
			return r;
	}
	return NULL;
}

bool
check_number(const char *number, enum diag_id *id)
{
	static const struct {
		const char *number;
		enum diag_id id;
	} errors[] = {
		{ "DL3011", DIAG_BAD_PORT },  { "DL3022", DIAG_STAGE_ORDER }, { "DL3023", DIAG_STAGE_CIRCLE },
		{ "DL3043", DIAG_BAD_TRIGGER }, { "DL3061", DIAG_BEFORE_FROM },
	};

	for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++) {
		if (strcmp(errors[k].number, number) == 0) {
			*id = errors[k].id;
			return true;
		}
	}
	return false;
}

static const char *
nearest(const char *name)
{
	const char *names[2 * NRULES];

	for (size_t k = 0; k < NRULES; k++) {
		names[2 * k] = rules[k].name;
		names[2 * k + 1] = rules[k].plain;
	}
	return diag_nearest(name, names, 2 * NRULES);
}

void
check_only(struct diag *d, bool own)
{
	for (size_t k = 0; k < NRULES; k++) {
		bool build = strcmp(rules[k].group, "build") == 0 || strcmp(rules[k].group, "experimental") == 0;

		if (build == own)
			d->level[rules[k].id] = DIAG_OFF;
	}
}

/* "all" turns on what is a matter of taste as well; experimental rules and a few others are asked for by name. */
static void
level_all(struct diag *d, enum diag_severity severity)
{
	for (size_t k = 0; k < NRULES; k++) {
		if (severity == DIAG_OFF || (strcmp(rules[k].group, "experimental") != 0 && strcmp(rules[k].group, "asked") != 0))
			d->level[rules[k].id] = severity;
	}
}

bool
check_level(struct diag *d, const char *option, bool *werror, const char **near)
{
	enum diag_severity severity = DIAG_WARNING;
	const struct check_rule *rule;

	*near = NULL;
	if (*option == '\0')
		return true;
	if (strcmp(option, "all") == 0 || strcmp(option, "no-all") == 0) {
		level_all(d, *option == 'a' ? DIAG_WARNING : DIAG_OFF);
		return true;
	}
	if (strcmp(option, "error") == 0 || strcmp(option, "no-error") == 0) {
		*werror = *option == 'e';
		return true;
	}
	if (strncmp(option, "error=", 6) == 0)
		severity = DIAG_ERROR, option += 6;
	else if (strncmp(option, "no-error=", 9) == 0)
		option += 9;
	else if (strncmp(option, "no-", 3) == 0)
		severity = DIAG_OFF, option += 3;
	if ((rule = check_rule_find(option)) == NULL) {
		*near = nearest(option);
		return false;
	}
	d->level[rule->id] = severity;
	return true;
}
