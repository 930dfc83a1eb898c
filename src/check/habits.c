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

/* The image that comes out has no HEALTHCHECK of this file. */
static void
healthcheck(struct check *c, const struct check_stage *s)
{
	const struct check_stage *p = s;

	if (!check_wants(c, DIAG_HEALTHCHECK_MISSING) || s->ast->index + 1 != c->u->nstages)
		return;
	while (p != NULL && p->used.healthcheck == NULL)
		p = p->parent;
	if (p == NULL)
		check_report(c, DIAG_HEALTHCHECK_MISSING, s->ast->from, s->ast->from->keyword_at, "nothing says how to see whether this container is well");
}

void
rules_stage_end(struct check *c, struct check_stage *s)
{
	const char *user = s->user != NULL ? s->user->args[0].text.s : "";
	size_t n = strcspn(user, ":");

	healthcheck(c, s);
	if (!check_wants(c, DIAG_LAST_USER_ROOT) || s->user == NULL || s->ast->index + 1 != c->u->nstages)
		return;
	if ((n == 4 && memcmp(user, "root", 4) == 0) || (n == 1 && *user == '0'))
		check_report(c, DIAG_LAST_USER_ROOT, s->user, s->user->args[0].text.at, "the container will run as %s", user);
}

/* ---- COPY, ADD ---- */

/* Whether ADD would unpack a file of this name. */
static bool
archive(const char *s)
{
	static const char *const ends[] = { ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lzma", ".Z", ".tlz" };
	size_t n = strlen(s);

	n -= n > 0 && (s[n - 1] == '"' || s[n - 1] == '\'');
	for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
		size_t m = strlen(ends[k]);

		if (n > m && memcmp(s + n - m, ends[k], m) == 0)
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
	bool plain;
	char last;

	if (i->nargs < 3 || n == 0 || memchr(t->s, '$', n) != NULL)
		return;
	if (n > 1 && (t->s[n - 1] == '"' || t->s[n - 1] == '\''))
		n--;
	last = t->s[n - 1];
	if (last == '/' || (last == '.' && (n == 1 || t->s[n - 2] == '/' || (t->s[n - 2] == '.' && (n == 2 || t->s[n - 3] == '/')))))
		return;
	item = check_report(c, DIAG_COPY_DIRECTORY, i, t->at, "several sources go to %s, which does not end with a slash", t->s);
	/* quotes and brackets mean that the words are not those that were meant */
	plain = i->form != FORM_EXEC && n == t->len;
	for (size_t k = 0; plain && k < i->nargs; k++)
		plain = strpbrk(i->args[k].text.s, "[]\"'\\") == NULL;
	diag_fix(c->d, item, plain ? mem_printf(c->scratch, "%s/", t->s) : NULL, "%s/", t->s);
}

static void
copy_relative(struct check *c, struct check_stage *s, const struct inst *i)
{
	const char *dest = i->args[i->nargs - 1].text.s;

	dest += *dest == '"' || *dest == '\'';
	if (isalpha((unsigned char)dest[0]) && dest[1] == ':')
		return; /* a drive of Windows */
	if (check_wants(c, DIAG_COPY_RELATIVE) && !s->workdir && *dest != '/' && *dest != '$')
		check_report(c, DIAG_COPY_RELATIVE, i, i->args[i->nargs - 1].text.at, "no WORKDIR says what %s is relative to", dest);
}

static void
copy_from(struct check *c, const struct inst *i)
{
	const struct flag *f = inst_flag(i, "from");

	if (!check_wants(c, DIAG_COPY_FROM_IMAGE) || f == NULL || f->value[strspn(f->value, "0123456789")] == '\0' || strchr(f->value, ':') != NULL)
		return;
	for (size_t k = 0; k < c->u->nstages; k++) {
		if (c->u->stages[k]->name != NULL && strcasecmp(c->u->stages[k]->name, f->value) == 0)
			return;
	}
	check_report(c, DIAG_COPY_FROM_IMAGE, i, f->value_at, "%s is no stage of this file", f->value);
}

static const char *
last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Archives that COPY puts into the image, by the name they have there. */
static void
copy_archives(struct check *c, struct check_stage *s, const struct inst *i)
{
	const struct text *dest = &i->args[i->nargs - 1].text;

	if (!check_wants(c, DIAG_ADD_ARCHIVE) || i->kind != INST_COPY || inst_flag(i, "from") != NULL)
		return;
	for (size_t k = 0; k + 1 < i->nargs; k++) {
		const struct text *t = &i->args[k].text;

		if (!archive(t->s))
			continue;
		mem_room(c->d, s->archives, s->narchives + 1, &s->archives_cap);
		s->archives[s->narchives] = (struct copied){ i, last_component(archive(dest->s) ? dest->s : t->s), t->at };
		map_put(c->d, &s->archive_names, s->archives[s->narchives].name)->number = s->narchives;
		s->narchives++;
	}
}

static bool
extracts(const struct command *cmd)
{
	static const char *const names[] = { "gunzip", "bunzip2", "unlzma", "unxz", "uncompress", "zcat", "gzcat" };

	if (strcmp(cmd->name, "tar") == 0) {
		if (cmd->n > 1 && cmd->v[1].value[0] != '-' && strpbrk(cmd->v[1].value, "x") != NULL)
			return true;
		return command_has(cmd, "-x") || command_has(cmd, "--extract") || command_has(cmd, "--get");
	}
	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		if (strcmp(cmd->name, names[k]) == 0)
			return true;
	}
	return false;
}

void
rules_extract(struct check *c, struct check_stage *s, const struct command *cmd)
{
	if (s->narchives == 0 || !extracts(cmd))
		return;
	for (size_t w = 1; w < cmd->n; w++) {
		const struct map_slot *slot = map_get(&s->archive_names, last_component(cmd->v[w].value));
		struct copied *a = slot != NULL ? &s->archives[slot->number] : NULL;
		struct diag_item *item;

		if (a == NULL || a->inst == NULL)
			continue;
		item = check_report(c, DIAG_ADD_ARCHIVE, a->inst, a->at, "%s is copied, then unpacked: ADD does both", a->name);
		diag_note(c->d, item, c->u->source, cmd->v[w].at, "unpacked here");
		a->inst = NULL; /* said once */
	}
}

/* The whole file system of another stage loses what the image config says. */
static void
copy_everything(struct check *c, const struct inst *i)
{
	const struct text *dest = &i->args[i->nargs - 1].text;

	if (!check_wants(c, DIAG_COPY_EVERYTHING) || inst_flag(i, "from") == NULL || strcmp(dest->s, "/") != 0)
		return;
	for (size_t k = 0; k + 1 < i->nargs; k++) {
		if (strcmp(i->args[k].text.s, "/") == 0)
			check_report(c, DIAG_COPY_EVERYTHING, i, i->args[k].text.at, "this copies a whole file system; FROM would start with it");
	}
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

/* Docker's own name spaces, and dividers that follow one another. */
static bool
unusual_key(const struct text *t)
{
	static const char *const reserved[] = { "com.docker.", "io.docker.", "org.dockerproject." };

	for (size_t k = 0; k < sizeof reserved / sizeof reserved[0]; k++) {
		if (strncmp(t->s, reserved[k], strlen(reserved[k])) == 0)
			return true;
	}
	return strspn(t->s, "abcdefghijklmnopqrstuvwxyz0123456789.-_/") < t->len || !islower((unsigned char)t->s[0]) ||
	       !isalnum((unsigned char)t->s[t->len - 1]) || strstr(t->s, "..") != NULL || strstr(t->s, "--") != NULL;
}

static void
label_keys(struct check *c, const struct inst *i)
{
	for (size_t k = 0; k < i->nkvs && check_wants(c, DIAG_LABEL_KEY); k++) {
		const struct text *t = &i->kvs[k].key.text;

		if (strpbrk(t->s, "$\"'") == NULL && unusual_key(t))
			check_report(c, DIAG_LABEL_KEY, i, t->at, "the label key %s is not in the usual form", t->s);
	}
}

static bool
same_flags(const struct inst *a, const struct inst *b)
{
	if (a->nflags != b->nflags)
		return false;
	for (size_t k = 0; k < a->nflags; k++) {
		const char *x = a->flags[k].value, *y = b->flags[k].value;

		if (strcmp(a->flags[k].name, b->flags[k].name) != 0 || (x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0))
			return false;
	}
	return true;
}

/* Two RUNs of one command each: whoever has chains of commands parts them on purpose. */
void
rules_join(struct check *c, struct check_stage *s, const struct inst *i, const struct shell *sh)
{
	const struct inst *above = s->single;

	s->single = sh->nsimple == 1 && i->nheredocs == 0 ? i : NULL;
	if (check_wants(c, DIAG_JOIN_RUNS) && above != NULL && s->single != NULL && above->form == i->form && same_flags(above, i))
		check_report(c, DIAG_JOIN_RUNS, i, i->keyword_at, "this RUN and the one above could be one");
}

static void
numeric_user(struct check *c, const struct inst *i)
{
	const char *user = i->args[0].text.s;
	size_t n = strcspn(user, ":");

	if (check_wants(c, DIAG_NUMERIC_USER) && memchr(user, '$', n) == NULL && strspn(user, "0123456789") < n && !(n == 4 && memcmp(user, "root", 4) == 0))
		check_report(c, DIAG_NUMERIC_USER, i, i->args[0].text.at, "the host may not know who %.*s is", (int)n, user);
}

void
rules_habit(struct check *c, struct check_stage *s, const struct inst *i)
{
	if (c->trigger != NULL)
		return;
	if (i->kind == INST_USER) {
		s->user = i;
		numeric_user(c, i);
	}
	if (i->kind == INST_ADD)
		use_copy(c, i);
	if (i->kind == INST_COPY || i->kind == INST_ADD) {
		copy_directory(c, i);
		copy_relative(c, s, i);
		copy_from(c, i);
		copy_archives(c, s, i);
		copy_everything(c, i);
	}
	if (i->kind == INST_ENV)
		env_self(c, s, i);
	if (i->kind == INST_LABEL)
		label_keys(c, i);
}
