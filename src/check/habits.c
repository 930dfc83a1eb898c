/* Rules on whole instructions that BuildKit does not have: hadolint's. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../front/parse.h"
#include "../graph/graph.h"
#include "../sema/lower.h"
#include "walk.h"

/* ---- FROM, USER ---- */

void
rules_base(struct check *c, struct check_stage *s)
{
	const struct text *base = &s->ast->base.text;
	const char *slash = strrchr(base->s, '/'), *tag = strchr(slash != NULL ? slash : base->s, ':');

	if (s->parent != NULL || strcmp(base->s, "scratch") == 0 || strchr(base->s, '@') != NULL)
		return;
	if (tag == NULL && strchr(base->s, '$') == NULL && check_wants(c, DIAG_TAG_BASE))
		check_report(c, DIAG_TAG_BASE, s->ast->from, base->at, "%s has no tag", base->s);
	if (tag != NULL && strcmp(tag, ":latest") == 0 && check_wants(c, DIAG_LATEST_BASE))
		check_report(c, DIAG_LATEST_BASE, s->ast->from, base->at, "%s changes without notice", base->s);
}

void
rules_stage_end(struct check *c, struct check_stage *s)
{
	const char *user = s->user != NULL ? s->user->args[0].text.s : "";
	size_t n = strcspn(user, ":");

	if (!check_wants(c, DIAG_LAST_USER_ROOT) || s->user == NULL || s->ast->index + 1 != c->u->nstages)
		return;
	if ((n == 4 && memcmp(user, "root", 4) == 0) || (n == 1 && *user == '0'))
		check_report(c, DIAG_LAST_USER_ROOT, s->user, s->user->args[0].text.at, "the container will run as %s", user);
}

/* ---- COPY, ADD ---- */

static bool
archive(const char *s)
{
	static const char *const ends[] = { ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lzma", ".Z", ".tlz" };
	size_t n = strlen(s);

	for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
		size_t m = strlen(ends[k]);

		if (n > m && strcmp(s + n - m, ends[k]) == 0)
			return true;
	}
	return false;
}

static bool
remote(const char *s)
{
	return strstr(s, "://") != NULL || strncmp(s, "git@", 4) == 0;
}

/* Sources of which it is certain that ADD only copies them. */
static bool
plain_sources(const struct inst *i)
{
	for (size_t k = 0; k + 1 < i->nargs; k++) {
		const char *s = i->args[k].text.s;

		if (strpbrk(s, "$*?[\\") != NULL || archive(s) || remote(s) || strncmp(s, "<<", 2) == 0)
			return false;
	}
	return i->nargs > 1;
}

static void
use_copy(struct check *c, const struct inst *i)
{
	struct diag_item *item;
	bool only = true;

	if (!check_wants(c, DIAG_USE_COPY) || !plain_sources(i))
		return;
	for (size_t k = 0; k < i->nflags; k++)
		only = only && (strcmp(i->flags[k].name, "chown") == 0 || strcmp(i->flags[k].name, "chmod") == 0 || strcmp(i->flags[k].name, "link") == 0);
	if (!only)
		return;
	item = check_report(c, DIAG_USE_COPY, i, i->keyword_at, "nothing here needs what ADD can do");
	/* a local archive without a telling name would be unpacked: only names with a dot are sure */
	for (size_t k = 0; k + 1 < i->nargs; k++)
		only = only && strrchr(i->args[k].text.s, '.') != NULL && isalnum((unsigned char)strrchr(i->args[k].text.s, '.')[1]);
	diag_fix(c->d, item, only ? (islower((unsigned char)i->keyword[0]) ? "copy" : "COPY") : NULL, "COPY");
}

static void
copy_directory(struct check *c, const struct inst *i)
{
	const struct text *t = &i->args[i->nargs - 1].text;
	struct diag_item *item;
	size_t n = t->len;
	char last;

	if (i->nargs < 3 || n == 0 || memchr(t->s, '$', n) != NULL)
		return;
	if (n > 1 && (t->s[n - 1] == '"' || t->s[n - 1] == '\''))
		n--;
	last = t->s[n - 1];
	if (last == '/' || (last == '.' && (n == 1 || t->s[n - 2] == '/' || (t->s[n - 2] == '.' && (n == 2 || t->s[n - 3] == '/')))))
		return;
	item = check_report(c, DIAG_COPY_DIRECTORY, i, t->at, "several sources go to %s, which does not end with a slash", t->s);
	diag_fix(c->d, item, i->form != FORM_EXEC && n == t->len ? mem_printf(c->scratch, "%s/", t->s) : NULL, "%s/", t->s);
}

static void
copy_relative(struct check *c, struct check_stage *s, const struct inst *i)
{
	const char *dest = i->args[i->nargs - 1].text.s;

	dest += *dest == '"' || *dest == '\'';
	if (check_wants(c, DIAG_COPY_RELATIVE) && !s->workdir && *dest != '/' && *dest != '$')
		check_report(c, DIAG_COPY_RELATIVE, i, i->args[i->nargs - 1].text.at, "no WORKDIR says what %s is relative to", dest);
}

static void
copy_from(struct check *c, const struct inst *i)
{
	const struct flag *f = inst_flag(i, "from");

	if (!check_wants(c, DIAG_COPY_FROM_IMAGE) || f == NULL || f->value[strspn(f->value, "0123456789")] == '\0')
		return;
	for (size_t k = 0; k < c->u->nstages; k++) {
		if (c->u->stages[k]->name != NULL && strcasecmp(c->u->stages[k]->name, f->value) == 0)
			return;
	}
	check_report(c, DIAG_COPY_FROM_IMAGE, i, f->value_at, "%s is no stage of this file", f->value);
}

/* ---- ENV, LABEL, RUN ---- */

struct self {
	struct check *c;
	struct check_stage *s;
	const struct inst *i;
	size_t before; /* pairs that stand before the value */
};

static void
self_name(void *arg, const struct word_part *var)
{
	struct self *x = arg;
	bool declared;

	if (env_value(&x->s->env, var->text, &declared) != NULL || declared)
		return;
	for (size_t k = 0; k < x->before; k++) {
		if (strcmp(x->i->kvs[k].key.text.s, var->text) == 0)
			check_report(x->c, DIAG_ENV_SELF, x->i, var->at, "$%s is set by this ENV and not seen in it yet", var->text);
	}
}

static void
env_self(struct check *c, struct check_stage *s, const struct inst *i)
{
	for (size_t k = 1; k < i->nkvs && !i->legacy; k++) {
		struct self x = { c, s, i, k };

		if (memchr(i->kvs[k].value.text.s, '$', i->kvs[k].value.text.len) == NULL)
			continue;
		word_names(word_parse(c->scratch, c->u->source, &i->kvs[k].value.text, c->u->escape, WORD_MODE_NORMAL, diag_new(c->scratch)),
		           self_name, &x);
	}
}

static void
label_keys(struct check *c, const struct inst *i)
{
	for (size_t k = 0; k < i->nkvs && check_wants(c, DIAG_LABEL_KEY); k++) {
		const struct text *t = &i->kvs[k].key.text;
		size_t n = strspn(t->s, "abcdefghijklmnopqrstuvwxyz0123456789.-_/");

		if (strpbrk(t->s, "$\"'") == NULL && (n < t->len || !islower((unsigned char)t->s[0]) || !isalnum((unsigned char)t->s[t->len - 1])))
			check_report(c, DIAG_LABEL_KEY, i, t->at, "the label key %s is not in the usual form", t->s);
	}
}

static void
join_runs(struct check *c, struct check_stage *s, const struct inst *i)
{
	const struct inst *b = s->before;

	if (!check_wants(c, DIAG_JOIN_RUNS) || b == NULL || b->kind != INST_RUN || b->nflags + i->nflags + b->nheredocs + i->nheredocs > 0 ||
	    b->form != i->form || i->ncomments > 0)
		return;
	check_report(c, DIAG_JOIN_RUNS, i, i->keyword_at, "this RUN and the one above could be one");
}

void
rules_habit(struct check *c, struct check_stage *s, const struct inst *i)
{
	if (c->trigger != NULL)
		return;
	if (i->kind == INST_USER)
		s->user = i;
	if (i->kind == INST_ADD)
		use_copy(c, i);
	if (i->kind == INST_COPY || i->kind == INST_ADD) {
		copy_directory(c, i);
		copy_relative(c, s, i);
		copy_from(c, i);
	}
	if (i->kind == INST_ENV)
		env_self(c, s, i);
	if (i->kind == INST_LABEL)
		label_keys(c, i);
	if (i->kind == INST_RUN)
		join_runs(c, s, i);
}
