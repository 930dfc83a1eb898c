/* Rules that need nothing but the syntax tree: spec/checks.md. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "check.h"

static bool
has(const char *s, int (*is)(int))
{
	for (; *s != '\0'; s++)
		if (is((unsigned char)*s))
			return true;
	return false;
}

static bool
all_lower(const char *s)
{
	return !has(s, isupper);
}

static bool
all_upper(const char *s)
{
	return !has(s, islower);
}

static const char *
source_text(const struct check *k, struct span at)
{
	return mem_dup(k->d, k->u->source->text + at.begin, at.end - at.begin);
}

static void
stage_names(struct check *k, const struct stage *s)
{
	const struct inst *from = s->from;
	uint32_t line = from->line_start;
	const char *as;

	if (s->name == NULL)
		return;
	if (has(s->name_raw, isupper)) {
		struct diag_item *item = check_say(k, DIAG_StageNameCasing, from, line, s->name_at,
			"the stage name %s has capital letters; it is known as %s", s->name_raw, s->name);

		diag_fix(k->d, item, s->name, "%s", s->name);
	}
	as = source_text(k, s->as_at);
	if ((all_lower(from->keyword) && !all_lower(as)) || (all_upper(from->keyword) && !all_upper(as)))
		diag_fix(k->d, check_say(k, DIAG_FromAsCasing, from, line, s->as_at, "%s and %s are written in different cases", from->keyword, as),
		         all_lower(from->keyword) ? "as" : "AS", "%s", all_lower(from->keyword) ? "as" : "AS");
	if (strcmp(s->name, "scratch") == 0 || strcmp(s->name, "context") == 0)
		check_say(k, DIAG_ReservedStageName, from, line, s->name_at, "%s means something else already", s->name);
	for (size_t i = 0; i < s->index; i++)
		if (k->u->stages[i]->name != NULL && strcmp(k->u->stages[i]->name, s->name) == 0) {
			struct diag_item *item = check_say(k, DIAG_DuplicateStageName, from, line, s->name_at, "a second stage called %s", s->name);

			diag_note(k->d, item, k->u->source, k->u->stages[i]->name_at, "the first is here");
			break;
		}
}

static void
casing(struct check *k, const struct inst *i, bool lower)
{
	size_t n = strlen(i->keyword);
	char *fix;

	if (lower ? all_lower(i->keyword) : all_upper(i->keyword))
		return;
	fix = mem_dup(k->d, i->keyword, n);
	for (size_t c = 0; c < n; c++)
		fix[c] = (char)(lower ? tolower((unsigned char)fix[c]) : toupper((unsigned char)fix[c]));
	diag_fix(k->d, check_say(k, DIAG_ConsistentInstructionCasing, i, i->line_start, i->keyword_at,
	                         "most keywords of this file are in %s case, %s is not", lower ? "lower" : "upper", i->keyword),
	         fix, "%s", fix);
}

static void
consistent_casing(struct check *k)
{
	size_t lower = 0, upper = 0;

	for (size_t s = 0; s < k->u->nstages; s++)
		for (size_t n = 0; n <= k->u->stages[s]->ninsts; n++) {
			const struct inst *i = n == 0 ? k->u->stages[s]->from : k->u->stages[s]->insts[n - 1];

			lower += all_lower(i->keyword);
			upper += all_upper(i->keyword);
		}
	for (size_t s = 0; s < k->u->nstages; s++)
		for (size_t n = 0; n <= k->u->stages[s]->ninsts; n++)
			casing(k, n == 0 ? k->u->stages[s]->from : k->u->stages[s]->insts[n - 1], lower > upper);
}

static void
empty_continuation(struct check *k, const struct inst *i)
{
	if (i->blank_in_continuation)
		check_say(k, DIAG_NoEmptyContinuation, i, i->line_end, i->keyword_at, "a blank line inside a continued instruction");
}

/* The words of `name` between underscores, one of which is a secret's and none says that it only is about one. */
static bool
secret_name(const char *name)
{
	static const char *const words[] = { "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd",
		"secret", "token" };
	static const char *const harmless[] = { "public", "file", "version" };
	bool secret = false;

	while (true) {
		size_t n = strcspn(name, "_");

		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			if (strlen(harmless[i]) == n && strncasecmp(name, harmless[i], n) == 0)
				return false;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			secret = secret || (strlen(words[i]) == n && strncasecmp(name, words[i], n) == 0);
		if (name[n] == '\0')
			return secret;
		name += n + 1;
	}
}

static void
secrets(struct check *k, const struct inst *i)
{
	for (size_t n = 0; n < i->nkvs; n++)
		if (secret_name(i->kvs[n].key.text.s)) {
			struct diag_item *item = check_say(k, DIAG_SecretsUsedInArgOrEnv, i, i->line_start, i->kvs[n].at,
				"%s looks like a secret, and the image's history keeps it", i->kvs[n].key.text.s);

			diag_fix(k->d, item, NULL, "RUN --mount=type=secret,id=...");
			return;
		}
}

/* What an instruction shows by itself. */
static void
one(struct check *k, const struct inst *i)
{
	empty_continuation(k, i);
	switch (i->kind) {
	case INST_MAINTAINER:
		diag_fix(k->d, check_say(k, DIAG_MaintainerDeprecated, i, i->line_start, i->keyword_at, "MAINTAINER is a label by now"), NULL,
		         "LABEL org.opencontainers.image.authors=\"%s\"", i->nargs > 0 ? i->args[0].text.s : "");
		break;
	case INST_ENV:
	case INST_LABEL:
		if (i->legacy)
			check_say(k, DIAG_LegacyKeyValueFormat, i, i->line_start, i->at, "the old form, %s KEY VALUE; write KEY=VALUE", inst_name(i->kind));
		if (i->kind == INST_ENV)
			secrets(k, i);
		break;
	case INST_ARG:
		secrets(k, i);
		break;
	default:
		break;
	}
}

/* The earlier of two that only count once loses. */
static void
only_one(struct check *k, const struct stage *s, enum inst_kind kind)
{
	const struct inst *last = NULL;

	for (size_t n = 0; n < s->ninsts; n++) {
		const struct inst *i = s->insts[n];

		if (i->kind != kind)
			continue;
		if (last != NULL) {
			struct diag_item *item = check_say(k, DIAG_MultipleInstructionsDisallowed, last, last->line_start, last->keyword_at,
				"a later %s of this stage takes the place of this one", inst_name(kind));

			diag_note(k->d, item, k->u->source, i->keyword_at, "the one that counts");
		}
		last = i;
	}
}

/* The stage of this file that FROM names, NULL for an image. */
static const struct stage *
parent(const struct check *k, const struct stage *s)
{
	for (size_t i = s->index; i-- > 0;)
		if (k->u->stages[i]->name != NULL && strcmp(k->u->stages[i]->name, s->base.text.s) == 0)
			return k->u->stages[i];
	return NULL;
}

static bool
chain_has(const struct check *k, const struct stage *s, enum inst_kind kind)
{
	for (; s != NULL; s = parent(k, s))
		for (size_t n = 0; n < s->ninsts; n++)
			if (s->insts[n]->kind == kind)
				return true;
	return false;
}

static void
json_args(struct check *k, const struct stage *s)
{
	bool shell = chain_has(k, parent(k, s), INST_SHELL);

	for (size_t n = 0; n < s->ninsts; n++) {
		const struct inst *i = s->insts[n];

		shell = shell || i->kind == INST_SHELL;
		if (!shell && (i->kind == INST_CMD || i->kind == INST_ENTRYPOINT) && i->form == FORM_SHELL)
			check_say(k, DIAG_JSONArgsRecommended, i, i->line_start, i->at,
			          "%s in the shell form runs below a shell that takes the signals", inst_name(i->kind));
	}
}

/* A comment above ARG or a named FROM that is a description begins with the name. */
static void
description(struct check *k, const struct inst *i, const char *name)
{
	const struct comment *c = i->ncomments > 0 ? &i->comments[i->ncomments - 1] : NULL;
	size_t n = strlen(name);

	if (c == NULL || (strncmp(c->text, name, n) == 0 && c->text[n] == ' '))
		return;
	check_say(k, DIAG_InvalidDefinitionDescription, i, i->line_start, i->at, "the comment above does not begin with %s", name);
}

static void
descriptions(struct check *k, const struct inst *i)
{
	if (i->kind == INST_ARG && i->nkvs > 0)
		description(k, i, i->kvs[0].key.text.s);
}

void
check_syntax(struct check *k)
{
	for (size_t n = 0; n < k->u->nmeta_args; n++) {
		empty_continuation(k, k->u->meta_args[n]);
		descriptions(k, k->u->meta_args[n]);
	}
	for (size_t n = 0; n < k->u->nstages; n++) {
		const struct stage *s = k->u->stages[n];

		stage_names(k, s);
		empty_continuation(k, s->from);
		if (s->name != NULL)
			description(k, s->from, s->name_raw);
		for (size_t m = 0; m < s->ninsts; m++) {
			one(k, s->insts[m]);
			descriptions(k, s->insts[m]);
		}
		only_one(k, s, INST_CMD);
		only_one(k, s, INST_ENTRYPOINT);
		only_one(k, s, INST_HEALTHCHECK);
		json_args(k, s);
	}
	consistent_casing(k);
}
