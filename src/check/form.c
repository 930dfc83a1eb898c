/* Rules on the text alone: what the reference finds while it reads and parses. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "walk.h"

/* All blank lines of one instruction as one finding; the fix takes them out. */
static void
empty_continuation(struct check *c, const struct gap *g)
{
	const char *text = c->u->source->text;
	struct diag_item *item;
	char *kept = mem_array(c->scratch, char, g->at.end - g->at.begin + 1);
	size_t n = 0;

	for (uint32_t at = g->at.begin; at < g->at.end;) {
		const char *eol = memchr(text + at, '\n', g->at.end - at);
		uint32_t end = eol != NULL ? (uint32_t)(eol - text) + 1 : g->at.end;
		bool blank = true;

		for (uint32_t k = at; k < end && blank; k++)
			blank = isspace((unsigned char)text[k]);
		if (!blank) {
			memcpy(kept + n, text + at, end - at);
			n += end - at;
		}
		at = end;
	}
	item = check_report(c, DIAG_EMPTY_CONTINUATION, NULL, g->at, "a blank line inside a continued instruction");
	item->line = g->line;
	diag_fix(c->d, item, kept, "delete it");
}

void
rules_read(struct check *c)
{
	for (size_t k = 0; k < c->u->ngaps; k++)
		empty_continuation(c, &c->u->gaps[k]);
}

static bool
all_upper(const char *s)
{
	for (; *s != '\0'; s++) {
		if (islower((unsigned char)*s))
			return false;
	}
	return true;
}

static bool
all_lower(const char *s)
{
	for (; *s != '\0'; s++) {
		if (isupper((unsigned char)*s))
			return false;
	}
	return true;
}

static void
from_form(struct check *c, const struct stage *s)
{
	const struct inst *i = s->from;
	const char *as = i->nargs >= 3 ? i->args[1].text.s : NULL;
	struct diag_item *item;

	if (as == NULL)
		return;
	if (i->nargs == 3 && !all_lower(s->name_raw)) {
		item = check_report(c, DIAG_STAGE_NAME_CASING, i, s->name_at, "the stage name %s has capital letters", s->name_raw);
		diag_fix(c->d, item, NULL, "%s", s->name);
	}
	if (all_lower(i->keyword) ? !all_lower(as) : all_upper(i->keyword) && !all_upper(as)) {
		item = check_report(c, DIAG_FROM_AS_CASING, i, s->as_at, "%s and %s are not in the same case", i->keyword, as);
		diag_fix(c->d, item, all_lower(i->keyword) ? "as" : "AS", "%s", all_lower(i->keyword) ? "as" : "AS");
	}
}

static void
maintainer(struct check *c, const struct inst *i)
{
	struct diag_item *item = check_report(c, DIAG_MAINTAINER_OLD, i, i->keyword_at, "MAINTAINER is out of use");
	const char *who = i->nargs > 0 ? i->args[0].text.s : "", *begin;
	size_t n = strlen(who);
	bool quoted = n >= 2 && who[0] == '"' && who[n - 1] == '"' && memchr(who + 1, '"', n - 2) == NULL;

	item->where.at = i->keyword_at;
	begin = i->keyword[0] == 'm' ? "label" : "LABEL";
	diag_fix(c->d, item, NULL, quoted ? "%s org.opencontainers.image.authors=%s" : "%s org.opencontainers.image.authors=\"%s\"", begin, who);
}

/* A definition comment begins with the name it is about. */
static void
description(struct check *c, const struct inst *i, const struct stage *s)
{
	const char *last, *want = s != NULL ? s->name : NULL;
	size_t n;

	if (i->ncomments == 0 || (s != NULL && s->name == NULL))
		return;
	last = i->comments[i->ncomments - 1].text;
	n = strcspn(last, " ");
	for (size_t k = 0; s == NULL && k < i->nkvs; k++) {
		const struct text *key = &i->kvs[k].key.text;

		if (key->len == n && memcmp(key->s, last, n) == 0)
			return;
		want = key->s;
	}
	if (want == NULL || (s != NULL && strlen(want) == n && memcmp(want, last, n) == 0))
		return;
	check_report(c, DIAG_DEFINITION_COMMENT, i, i->comments[i->ncomments - 1].at,
	             "this comment is taken for the description of %s and does not begin with that name", want);
}

void
rules_parse(struct check *c, const struct inst *i, const struct stage *s)
{
	if (s != NULL)
		from_form(c, s);
	if (i->kind == INST_MAINTAINER)
		maintainer(c, i);
	if (i->kind == INST_ARG || s != NULL)
		description(c, i, s);
}
