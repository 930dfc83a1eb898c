/* Who is silenced: the check directive, its build argument, and comments above an instruction.  spec/checks.md,
   "Configuration"; hadolint README, "Ignoring Rules". */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "walk.h"

static char *
trimmed(const void *ctx, const char *s, size_t n)
{
	while (n > 0 && isspace((unsigned char)*s))
		s++, n--;
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	return mem_dup(ctx, s, n);
}

static void
names_split(const void *ctx, struct rule_set *set, const char *list)
{
	size_t cap = 0;

	*set = (struct rule_set){ 0 };
	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		mem_room(ctx, set->names, set->n + 1, &cap);
		set->names[set->n] = trimmed(ctx, list, n);
		set->all = set->all || strcmp(set->names[set->n], "all") == 0;
		set->n++;
		list += n + (list[n] == ',');
	}
}

/* Go's strconv.ParseBool. */
static bool
boolean(const char *s, bool *value)
{
	static const char *const words[] = { "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False" };

	for (size_t k = 0; k < 12; k++) {
		if (strcmp(s, words[k]) == 0) {
			*value = k < 6;
			return true;
		}
	}
	return false;
}

/* NULL, or what is wrong with it. */
static const char *
config_parse(const void *ctx, struct config *out, const char *text)
{
	for (unsigned part = 0; *text != '\0' || part == 0; part++) {
		size_t n = part < 2 ? strcspn(text, ";") : strlen(text), equals = strcspn(text, "=");
		char *key, *value;

		if (equals >= n)
			return mem_printf(ctx, "\"%.*s\" has no '='", (int)(n < 80 ? n : 80), text);
		key = trimmed(ctx, text, equals);
		value = trimmed(ctx, text + equals + 1, n - equals - 1);
		if (strcmp(key, "skip") == 0)
			names_split(ctx, &out->skip, value);
		else if (strcmp(key, "experimental") == 0)
			names_split(ctx, &out->experimental, value);
		else if (strcmp(key, "error") != 0)
			return mem_printf(ctx, "there is no \"%s\"; skip, error and experimental are known", key);
		else if (!boolean(value, &out->error))
			return mem_printf(ctx, "error is true or false, not \"%s\"", value);
		text += n + (text[n] == ';');
	}
	return NULL;
}

/* The name and the value of a directive line; false: the line is none. */
static bool
directive_line(const char *s, const char *end, struct span *name, struct span *value)
{
	const char *p = s, *from = s;

	if (p == end || *p != '#')
		return false;
	for (p++; p < end && isspace((unsigned char)*p); p++)
		;
	name->begin = (uint32_t)(p - from);
	while (p < end && isalnum((unsigned char)*p))
		p++;
	name->end = (uint32_t)(p - from);
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (name->end == name->begin || isdigit((unsigned char)s[name->begin]) || p == end || *p != '=')
		return false;
	for (p++; p < end && isspace((unsigned char)*p); p++)
		;
	value->begin = (uint32_t)(p - from);
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	value->end = (uint32_t)(end - from);
	return end > p;
}

/* The reference looks for this directive by itself: only at the start of a line, up to the first blank of the value,
   and a first line `#!` does not count. */
static const char *
directive_value(struct check *c, struct span *at)
{
	const struct source *src = c->u->source;
	const char *s = src->text, *end = src->text + src->len, *eol;
	struct span name, value;

	if (src->len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	if (strncmp(s, "#!", 2) == 0)
		s += strcspn(s, "\n") + (s[strcspn(s, "\n")] == '\n');
	for (; s < end; s = eol + 1) {
		if ((eol = memchr(s, '\n', (size_t)(end - s))) == NULL)
			eol = end;
		if (!directive_line(s, eol, &name, &value))
			return NULL;
		if (name.end - name.begin == 5 && strncasecmp(s + name.begin, "check", 5) == 0) {
			at->begin = (uint32_t)(s - src->text) + value.begin;
			at->end = (uint32_t)(s - src->text) + value.end;
			return mem_dup(c->scratch, s + value.begin, strcspn(mem_dup(c->scratch, s + value.begin, value.end - value.begin), " "));
		}
		if (!((name.end - name.begin == 6 && (strncasecmp(s + name.begin, "syntax", 6) == 0 || strncasecmp(s + name.begin, "escape", 6) == 0))))
			return NULL;
	}
	return NULL;
}

bool
rule_in(const struct rule_set *set, const struct check_rule *rule)
{
	for (size_t k = 0; k < set->n && !set->all; k++) {
		if (check_rule_is(rule, set->names[k]))
			return true;
	}
	return set->all;
}

/* The list of `# hadolint ignore=DL3008,SC2046`, or of the global form; false: the comment is none. */
static bool
hadolint_list(const void *ctx, const char *text, bool global, struct rule_set *set)
{
	static const char word[] = "hadolint", all[] = "global";
	const char *list;

	if (strncmp(text, word, sizeof word - 1) != 0)
		return false;
	text += sizeof word - 1;
	text += strspn(text, " \t");
	if ((strncmp(text, all, sizeof all - 1) == 0) != global || (list = strstr(text, "ignore=")) == NULL)
		return false;
	list += 7;
	names_split(ctx, set, mem_dup(ctx, list, strcspn(list, " \t#")));
	set->all = false;
	return true;
}

static bool
hadolint_ignores(const void *ctx, const char *text, const struct check_rule *rule)
{
	struct rule_set set;

	return hadolint_list(ctx, text, false, &set) && rule_in(&set, rule);
}

/* `# check=skip=RULE` above one instruction: BuildKit 0.27.  The first of them counts. */
static bool
comment_config(const void *ctx, const char *text, struct config *out)
{
	*out = (struct config){ 0 };
	if (strncmp(text, "check", 5) != 0)
		return false;
	text += 5 + strspn(text + 5, " \t");
	if (*text != '=')
		return false;
	text += 1 + strspn(text + 1, " \t");
	return config_parse(ctx, out, mem_dup(ctx, text, strcspn(text, " "))) == NULL;
}

/* What the comments above an instruction say in BuildKit's notation. */
static struct config
inst_config(const void *ctx, const struct inst *i)
{
	struct config one = { 0 };

	for (size_t k = 0; i != NULL && k < i->ncomments; k++) {
		if (comment_config(ctx, i->comments[k].text, &one))
			break;
	}
	return one;
}

bool
config_ignored(const struct check *c, const struct check_rule *rule, const struct inst *i)
{
	struct config one;

	if (i == NULL || i->ncomments == 0)
		return false;
	for (size_t k = 0; k < i->ncomments && !(c->o->reference && strcmp(rule->group, "build") == 0); k++) {
		if (hadolint_ignores(c->scratch, i->comments[k].text, rule))
			return true;
	}
	one = inst_config(c->scratch, i);
	return rule_in(&one.skip, rule);
}

static bool
named(const struct rule_set *set, const char *code)
{
	for (size_t k = 0; k < set->n; k++) {
		if (strcmp(set->names[k], code) == 0)
			return true;
	}
	return set->all;
}

bool
config_ignored_code(const struct check *c, const char *code, const struct inst *i)
{
	struct config one = inst_config(c->scratch, i);

	if (named(&c->config.skip, code) || named(&c->hadolint, code) || named(&one.skip, code))
		return true;
	for (size_t k = 0; i != NULL && k < i->ncomments; k++) {
		struct rule_set set;

		if (hadolint_list(c->scratch, i->comments[k].text, false, &set) && named(&set, code))
			return true;
	}
	return false;
}

/* `# hadolint global ignore=` above the first instruction. */
static void
global_ignores(struct check *c)
{
	const struct unit *u = c->u;
	const struct inst *first = u->nmeta_args > 0 ? u->meta_args[0] : u->nstages > 0 ? u->stages[0]->from : NULL;

	for (size_t k = 0; first != NULL && k < first->ncomments; k++)
		hadolint_list(c->d, first->comments[k].text, true, &c->hadolint);
}

bool
config_asked(const struct check *c, const struct check_rule *rule, const struct inst *i)
{
	struct config one = inst_config(c->scratch, i);

	return rule_in(&one.experimental, rule);
}

bool
config_read(struct check *c)
{
	struct span at = { 0, 0 };
	const char *text = c->o->directive, *why;
	struct diag_item *item;

	global_ignores(c);
	if (text == NULL)
		text = directive_value(c, &at);
	if (text == NULL || (why = config_parse(c->d, &c->config, text)) == NULL)
		return true;
	item = diag_add(c->d, DIAG_BAD_CHECK_DIRECTIVE, c->u->source, at, "%s: %s",
	                c->o->directive != NULL ? "BUILDKIT_DOCKERFILE_CHECK" : "check", why);
	if (c->o->directive != NULL)
		item->line = 0;
	return false;
}
