/* COPY and ADD.  spec/language.md 2 and 6. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../front/parse.h"
#include "lower.h"

static bool
octal(const char *s)
{
	return *s != '\0' && s[strspn(s, "01234567")] == '\0' && strlen(s) < 12 && strtoul(s, NULL, 8) <= 07777;
}

/* One clause of a symbolic mode: who, then operators with their permissions. */
static size_t
clause(const char *s)
{
	size_t n = strspn(s, "ugoa"), op;

	for (op = n; s[n] != '\0' && strchr("+-=", s[n]) != NULL;) {
		n++;
		n += strspn(s + n, "rwxXstugo");
	}
	return n > op ? n : 0;
}

bool
chmod_valid(const char *mode)
{
	if (octal(mode))
		return true;
	for (size_t n; (n = clause(mode)) > 0; mode++) {
		mode += n;
		if (*mode == '\0')
			return true;
		if (*mode != ',')
			return false;
	}
	return false;
}

static bool
is_http(const char *s)
{
	return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0;
}

/* USER@HOST:PATH, as ssh and git write it. */
static bool
is_scp(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t user = strspn(s, plain), host;

	if (user == 0 || s[user] != '@')
		return false;
	host = strspn(s + user + 1, plain);
	return host > 0 && s[user + 1 + host] == ':' && s[user + 2 + host] != '\0';
}

static bool
is_git(const char *s)
{
	size_t path = strcspn(s, "?#");

	if (strncmp(s, "git://", 6) == 0 || strncmp(s, "ssh://", 6) == 0 || is_scp(s))
		return true;
	return is_http(s) && path > 4 && strncmp(s + path - 4, ".git", 4) == 0;
}

static bool
add_path(struct lower *l, const struct value **paths, const struct text *t)
{
	const struct value *v = lower_word(l, t, false);
	const char *now;

	if (v == NULL)
		return false;
	paths[l->step->npaths++] = v;
	now = value_now(l, v);
	if (l->i->kind == INST_COPY && now != NULL && (is_http(now) || is_git(now))) {
		struct diag_item *e = lower_error(l, DIAG_COPY_REMOTE, t->at, "COPY cannot fetch %s", now);

		diag_fix(l->d, e, NULL, "use ADD");
		return false;
	}
	return true;
}

/* The here-document that the word announces; in a JSON array it is empty. */
static bool
add_file(struct lower *l, struct here_file *files, const struct heredoc *word)
{
	struct here_file *file = &files[l->step->nfiles++];
	const struct heredoc *h = NULL;
	struct text t = { 0 };

	for (size_t k = 0; l->i->form != FORM_EXEC && k < l->i->nheredocs; k++) {
		if (strcmp(l->i->heredocs[k].name, word->name) == 0)
			h = &l->i->heredocs[k];
	}
	file->name = word->name;
	if (h == NULL || !word->expand) {
		file->content = value_literal(l->s->g, h != NULL ? heredoc_chomp(l->s->g, h) : "");
		return true;
	}
	t.s = heredoc_chomp(l->s->g, h);
	t.len = strlen(t.s);
	t.at = h->body;
	file->content = lower_word(l, &t, true);
	return file->content != NULL;
}

static bool
lower_words(struct lower *l)
{
	const struct inst *i = l->i;
	const struct value **paths = mem_array(l->s->g, const struct value *, i->nargs);
	struct here_file *files = mem_array(l->s->g, struct here_file, i->nargs);

	l->step->paths = paths;
	l->step->files = files;
	for (size_t k = 0; k + 1 < i->nargs; k++) {
		const struct text *t = &i->args[k].text;
		struct heredoc word = { 0 };
		bool here = heredoc_word(l->s->g, t->s, t->len, &word);

		if (!(here ? add_file(l, files, &word) : add_path(l, paths, t)))
			return false;
	}
	paths[l->step->npaths] = lower_word(l, &i->args[i->nargs - 1].text, false);
	return paths[l->step->npaths++] != NULL;
}

static bool
check_checksum(struct lower *l, const struct flag *f)
{
	struct step *step = l->step;
	const char *sum = value_now(l, step->checksum);
	const char *source = step->npaths == 2 ? value_now(l, step->paths[0]) : "";

	if (sum != NULL && sum[0] == '\0') {
		step->checksum = NULL;
		return true;
	}
	if (step->npaths + step->nfiles != 2) {
		lower_error(l, DIAG_BAD_CHECKSUM, f->at, "--checksum is for one source");
		return false;
	}
	if (source != NULL && !is_http(source) && !is_git(source)) {
		lower_error(l, DIAG_BAD_CHECKSUM, f->at, "--checksum is for a URL, and %s is a file of the context",
		            step->nfiles > 0 ? "a here-document" : source);
		return false;
	}
	if (sum != NULL && source != NULL && !is_git(source) && !digest_valid(sum)) {
		lower_error(l, DIAG_BAD_CHECKSUM, f->value_at, "\"%s\" is no digest such as sha256:...", sum);
		return false;
	}
	return true;
}

static bool
lower_one_flag(struct lower *l, const struct flag *f, const char **excludes)
{
	struct step *step = l->step;
	bool on = f->value == NULL || strcasecmp(f->value, "true") == 0;
	const char *now;

	if (strcmp(f->name, "link") == 0)
		step->link = on;
	else if (strcmp(f->name, "parents") == 0)
		step->parents = on;
	else if (strcmp(f->name, "keep-git-dir") == 0)
		step->keep_git_dir = on;
	else if (strcmp(f->name, "unpack") == 0)
		step->unpack = on;
	else if (strcmp(f->name, "exclude") == 0)
		excludes[step->nexcludes++] = f->value;
	else if (strcmp(f->name, "chown") == 0)
		return (step->chown = lower_flag(l, f)) != NULL;
	else if (strcmp(f->name, "checksum") == 0)
		return (step->checksum = lower_flag(l, f)) != NULL;
	else if (strcmp(f->name, "chmod") == 0) {
		if ((step->chmod = lower_flag(l, f)) == NULL)
			return false;
		now = value_now(l, step->chmod);
		if (now != NULL && now[0] == '\0')
			step->chmod = NULL;
		else if (now != NULL && !chmod_valid(now)) {
			lower_error(l, DIAG_BAD_CHMOD, f->value_at, "\"%s\" is no mode such as 0755 or u+x", now);
			return false;
		}
	} else if (strcmp(f->name, "from") == 0 && f->value[0] != '\0')
		return lower_origin(l, f->value, f->value_at, true, &step->from);
	return true;
}

bool
lower_copy(struct lower *l)
{
	const char **excludes = mem_array(l->s->g, const char *, l->i->nflags + 1);
	const struct flag *sum = inst_flag(l->i, "checksum");

	l->step->kind = l->i->kind == INST_COPY ? STEP_COPY : STEP_ADD;
	l->step->excludes = excludes;
	for (size_t k = 0; k < l->i->nflags; k++) {
		if (!lower_one_flag(l, &l->i->flags[k], excludes))
			return false;
	}
	if (!lower_words(l))
		return false;
	if (l->step->chown != NULL && value_is_static(l->step->chown) && value_text(l->step->chown)[0] == 0)
		l->step->chown = NULL;
	return l->step->checksum == NULL || check_checksum(l, sum);
}
