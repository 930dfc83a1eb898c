#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "check.h"

/* Rules that are silent unless asked for: spec/checks.md. */
static bool
is_experimental(enum diag_id id)
{
	return id == DIAG_InvalidDefinitionDescription;
}

static bool
listed(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0 || strcmp(*names, "all") == 0)
			return true;
	return false;
}

/* The names between commas, blanks around them gone. */
static const char **
split(const void *ctx, const char *s, size_t len)
{
	const char **v = NULL;
	size_t n = 0, cap = 0, i = 0;

	while (i <= len) {
		size_t end = i, next;

		while (end < len && s[end] != ',')
			end++;
		next = end + 1;
		while (i < end && (s[i] == ' ' || s[i] == '\t'))
			i++;
		while (end > i && (s[end - 1] == ' ' || s[end - 1] == '\t'))
			end--;
		mem_room(ctx, v, n + 2, &cap);
		v[n++] = mem_dup(ctx, s + i, end - i);
		v[n] = NULL;
		i = next;
	}
	return v;
}

static bool
boolean(const char *s, size_t len, bool *out)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" }, *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < 6; i++) {
		if (strlen(yes[i]) == len && memcmp(yes[i], s, len) == 0)
			return *out = true, true;
		if (strlen(no[i]) == len && memcmp(no[i], s, len) == 0)
			return *out = false, true;
	}
	return false;
}

static size_t
trim(const char **s, size_t len)
{
	while (len > 0 && (**s == ' ' || **s == '\t'))
		(*s)++, len--;
	while (len > 0 && ((*s)[len - 1] == ' ' || (*s)[len - 1] == '\t'))
		len--;
	return len;
}

/* key=value[;key=value], at most three parts; what is wrong, NULL when nothing is. */
static const char *
parse(const void *ctx, const char *text, struct check_config *c)
{
	for (int parts = 0;; parts++) {
		size_t len = strcspn(text, ";"), key, value_len;
		const char *name = text, *eq = memchr(text, '=', len), *value;

		if (parts == 3)
			return "it has more than three parts";
		if (eq == NULL)
			return "a part has no '='";
		key = trim(&name, (size_t)(eq - text));
		value = eq + 1;
		value_len = trim(&value, len - (size_t)(eq + 1 - text));
		if (key == 4 && strncasecmp(name, "skip", 4) == 0)
			c->skip = split(ctx, value, value_len);
		else if (key == 12 && strncasecmp(name, "experimental", 12) == 0)
			c->experimental = split(ctx, value, value_len);
		else if (key != 5 || strncasecmp(name, "error", 5) != 0)
			return "it knows skip, error and experimental";
		else if (!boolean(value, value_len, &c->error))
			return "error is true or false";
		if (text[len] == '\0')
			return NULL;
		text += len + 1;
	}
}

bool
check_configure(const void *ctx, const struct unit *u, const char *instead, struct check_config *c, struct diag *d)
{
	*c = (struct check_config){ 0 };
	for (size_t i = 0; i < u->ndirectives; i++) {
		const struct directive *dir = &u->directives[i];
		const char *why;

		if (strcmp(dir->name, "check") != 0 && instead == NULL)
			continue;
		/* the directive's value ends at its first blank */
		why = parse(ctx, instead != NULL ? instead : mem_dup(ctx, dir->value, strcspn(dir->value, " \t")), c);
		if (why != NULL) {
			diag_add(d, DIAG_BAD_CHECK, u->source, dir->value_at, "the check directive cannot be understood: %s", why)->line = 0;
			return false;
		}
		return true;
	}
	return true;
}

/* A comment `check=skip=...` directly above the instruction speaks for it alone. */
static bool
silenced_here(const struct check *k, const struct inst *i, const char *name)
{
	for (size_t n = 0; i != NULL && n < i->ncomments; n++) {
		struct check_config c = { 0 };
		bool found;
		void *scratch;

		if (strncmp(i->comments[n].text, "check=", 6) != 0)
			continue;
		scratch = talloc_new(NULL);
		found = parse(scratch, i->comments[n].text + 6, &c) == NULL && listed(c.skip, name);
		talloc_free(scratch);
		if (found)
			return true;
	}
	return false;
}

static bool
said(const struct diag *d, enum diag_id id, uint32_t line)
{
	for (size_t i = d->n; i-- > 0;)
		if (d->items[i].id == id && d->items[i].line == line)
			return true;
	return false;
}

/* When the reference reports a rule: while it reads lines and instructions, when it puts stages together, or when it
   carries instructions out. */
static bool
reached(const struct check *k, enum diag_id id, const struct inst *i)
{
	switch (id) {
	case DIAG_NoEmptyContinuation:
		return true;
	case DIAG_MaintainerDeprecated:
	case DIAG_FromAsCasing:
	case DIAG_StageNameCasing:
		return k->reach > CHECK_LINES || i->line_start < k->line;
	case DIAG_InvalidDefaultArgInFrom:
	case DIAG_UndefinedArgInFrom:
	case DIAG_DuplicateStageName:
	case DIAG_ReservedStageName:
	case DIAG_RedundantTargetPlatform:
	case DIAG_FromPlatformFlagConstDisallowed:
	case DIAG_ConsistentInstructionCasing:
	case DIAG_InvalidDefinitionDescription:
		return k->reach > CHECK_LINES;
	default:
		return k->reach == CHECK_STAGES && i->line_start < k->line;
	}
}

struct diag_item *
check_say(struct check *k, enum diag_id id, const struct inst *i, uint32_t line, struct span at, const char *fmt, ...)
{
	const char *name = diag_name(id);
	static struct diag_item unheard;
	struct diag_item *item;
	va_list args;
	char *text;

	unheard = (struct diag_item){ 0 };
	if (is_experimental(id) ? !listed(k->c->experimental, name) : listed(k->c->skip, name) || silenced_here(k, i, name))
		return &unheard;
	if (!reached(k, id, i) || said(k->d, id, line))
		return &unheard;
	va_start(args, fmt);
	text = talloc_vasprintf(NULL, fmt, args);
	va_end(args);
	item = diag_add(k->d, id, k->u->source, at, "%s", text);
	item->line = line;
	talloc_free(text);
	return item;
}

void
check_unit(const struct unit *u, const struct check_config *c, enum check_reach reach, uint32_t line, struct diag *d)
{
	struct check k = { .u = u, .c = c, .d = d, .reach = reach, .line = line };

	check_syntax(&k);
	check_variables(&k);
}
