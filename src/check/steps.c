/* Rules on the steps of a stage, with the values its variables have there. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../../runtime/copy.h"
#include "../../runtime/path.h"
#include "../base/mem.h"
#include "../front/parse.h"
#include "../graph/graph.h"
#include "../sema/lower.h"
#include "walk.h"

static const char *
expand(struct check *c, struct check_stage *s, const struct text *t, const struct inst *i)
{
	const char *value = env_expand(c, &s->env, t, false, DIAG_UNDEFINED_VAR, i);

	if (value == NULL)
		check_fails(c, i);
	return value;
}

/* ---- ENV, LABEL, ARG ---- */

/* A whole word of `name`, words being parted by '_'. */
static bool
has_word(const char *name, const char *const *words, size_t n)
{
	while (*name != '\0') {
		size_t len = strcspn(name, "_");

		for (size_t k = 0; k < n; k++) {
			if (strlen(words[k]) == len && strncasecmp(words[k], name, len) == 0)
				return true;
		}
		name += len + (name[len] == '_');
	}
	return false;
}

static void
secret(struct check *c, const struct inst *i, const char *name, struct span at)
{
	static const char *const words[] = {
		"apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
	};
	static const char *const harmless[] = { "public", "file", "version" };

	if (name != NULL && has_word(name, words, sizeof words / sizeof words[0]) && !has_word(name, harmless, 3))
		check_report(c, DIAG_SECRETS_IN_ENV, i, at, "%s looks like a secret and stays readable in the image", name);
}

/* KEY VALUE as KEY=VALUE: quoted when that means the same, which it does for values without quotes and escapes. */
static void
legacy(struct check *c, const struct inst *i)
{
	const struct key_value *kv = &i->kvs[0];
	const char *value = kv->value.text.s;
	struct diag_item *item = check_report(c, DIAG_LEGACY_KEY_VALUE, i, i->rest.at, "%s is in the old form %s VALUE", inst_name(i->kind),
	                                      kv->key.text.s);
	bool simple = i->rest.npieces == 1 && strpbrk(value, "\"'\\`") == NULL && strpbrk(kv->key.text.s, "\"'\\`$") == NULL;
	bool blanks = value[strcspn(value, " \t\v\f\r")] != '\0';

	if (simple)
		diag_fix(c->d, item, mem_printf(c->scratch, blanks ? "%s=\"%s\"" : "%s=%s", kv->key.text.s, value), blanks ? "%s=\"%s\"" : "%s=%s",
		         kv->key.text.s, value);
	else
		diag_fix(c->d, item, NULL, "%s=...", kv->key.text.s);
}

static void
env_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	const char **names = mem_array(c->scratch, const char *, i->nkvs), **values = mem_array(c->scratch, const char *, i->nkvs);

	for (size_t k = 0; k < i->nkvs; k++) {
		names[k] = expand(c, s, &i->kvs[k].key.text, i);
		values[k] = expand(c, s, &i->kvs[k].value.text, i);
	}
	if (i->legacy)
		legacy(c, i);
	for (size_t k = 0; k < i->nkvs && i->kind == INST_ENV; k++) {
		secret(c, i, names[k], i->kvs[k].key.text.at);
		if (names[k] != NULL)
			env_set(c, &s->env, names[k], values[k] != NULL ? values[k] : "");
	}
}

static void
arg_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	for (size_t k = 0; k < i->nkvs; k++) {
		const struct key_value *kv = &i->kvs[k];
		const char *value = env_given(c, kv->key.text.s);
		bool declared;

		secret(c, i, kv->key.text.s, kv->key.text.at);
		if (value == NULL)
			value = kv->has_value ? expand(c, s, &kv->value.text, i) : env_value(&c->globals, kv->key.text.s, &declared);
		env_set(c, &s->env, kv->key.text.s, value);
	}
}

/* ---- COPY, ADD, RUN ---- */

/* Whether some line of the ignore file takes something back. */
static bool
has_exceptions(const struct check_options *o)
{
	for (size_t k = 0; k < o->ignore_len; k++) {
		if (o->ignore[k] == '!' && (k == 0 || o->ignore[k - 1] == '\n' || o->ignore[k - 1] == ' ' || o->ignore[k - 1] == '\t'))
			return true;
	}
	return false;
}

/* A pattern for everything: only such a one leaves out the context itself. */
static bool
ignores_all(const struct check_options *o)
{
	static const char *const all[] = { "*", "**", "**/*" };
	const char *s = o->ignore, *end = s + o->ignore_len;

	for (const char *eol; s < end; s = eol + 1) {
		if ((eol = memchr(s, '\n', (size_t)(end - s))) == NULL)
			eol = end;
		for (size_t k = 0; k < 3; k++) {
			size_t n = (size_t)(eol - s);

			n -= n > 0 && s[n - 1] == '\r';
			if (strlen(all[k]) == n && memcmp(s, all[k], n) == 0)
				return true;
		}
	}
	return false;
}

/* The reference says nothing when the file has exceptions; without its answer being asked for, a path that none can
   reach is certain. */
static void
ignored_source(struct check *c, const struct inst *i, const struct word *w, const char *source)
{
	const char *path;
	char *clean;
	bool root, out;

	if (c->ignore == NULL || source == NULL || strstr(source, "://") != NULL || strncmp(source, "git@", 4) == 0)
		return;
	clean = path_clean(source);
	path = clean[0] == '/' ? clean + 1 : clean;
	root = strcmp(path, ".") == 0 || *path == '\0';
	out = root ? ignores_all(c->o) : ignore_match(c->ignore, path);
	if (out && has_exceptions(c->o))
		out = !c->o->reference && !root && !ignore_may_reinclude(c->ignore, path);
	if (out) {
		struct diag_item *item = check_report(c, DIAG_COPY_IGNORED, i, w->text.at, "%s leaves %s out of the context", c->o->ignore_name, source);

		diag_fix(c->d, item, NULL, "add !%s to %s", path, c->o->ignore_name);
	}
	free(clean);
}

static void
here_document(struct check *c, struct check_stage *s, const struct inst *i, const struct heredoc *h)
{
	struct piece map = { 0, h->body.begin };
	struct text t = { .s = h->content, .len = h->len, .at = h->body, .map = &map, .npieces = 1 };

	if (h->expand)
		env_expand(c, &s->env, &t, true, DIAG_UNDEFINED_VAR, i);
}

static void
copy_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	const struct flag *from = inst_flag(i, "from");

	for (size_t k = 0; k < i->nflags; k++) {
		const struct flag *f = &i->flags[k];

		if (f->value != NULL && (strcmp(f->name, "chown") == 0 || strcmp(f->name, "chmod") == 0 || strcmp(f->name, "checksum") == 0))
			env_expand_flag(c, &s->env, f, DIAG_UNDEFINED_VAR, i);
	}
	for (size_t k = 0; k < i->nargs; k++) {
		struct heredoc h;
		const char *word;

		if (heredoc_word(c->scratch, i->args[k].text.s, i->args[k].text.len, &h))
			continue;
		word = expand(c, s, &i->args[k].text, i);
		if (k + 1 < i->nargs && (from == NULL || *from->value == '\0'))
			ignored_source(c, i, &i->args[k], word);
	}
	for (size_t k = 0; i->form != FORM_EXEC && k < i->nheredocs; k++)
		here_document(c, s, i, &i->heredocs[k]);
}

static void
run_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	for (size_t k = 0; k < i->nflags; k++) {
		char **fields;
		size_t n;

		if (strcmp(i->flags[k].name, "mount") != 0 || !csv_fields(c->scratch, i->flags[k].value, &fields, &n))
			continue;
		for (size_t m = 0; m < n; m++) {
			const char *equals = strchr(fields[m], '=');
			struct text t = { .s = equals != NULL ? equals + 1 : "", .at = i->flags[k].value_at };

			t.len = strlen(t.s);
			if (memchr(t.s, '$', t.len) != NULL)
				env_expand(c, &s->env, &t, false, DIAG_UNDEFINED_VAR, i);
		}
	}
}

/* ---- the config ---- */

static void
once(struct check *c, const struct inst *i, const struct inst **before)
{
	if (*before != NULL) {
		struct diag_item *item = check_report(c, DIAG_MULTIPLE_INSTRUCTIONS, *before, (*before)->at,
			"this %s has no effect: there is another one below", inst_name(i->kind));

		diag_note(c->d, item, c->u->source, i->keyword_at, "this one counts");
	}
	*before = i;
}

static void
command_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	once(c, i, i->kind == INST_CMD ? &s->used.cmd : &s->used.entrypoint);
	if (i->form != FORM_EXEC && !s->shell)
		check_report(c, DIAG_JSON_ARGS, i, i->nargs > 0 ? i->args[0].text.at : i->keyword_at, "the shell around this %s gets the signals, not the program",
		             inst_name(i->kind));
}

/* A word may expand to several ports. */
static void
expose_word(struct check *c, const struct inst *i, const struct word *w, char *ports)
{
	char *port;

	while ((port = strsep(&ports, " \t\n\v\f\r")) != NULL) {
		char *proto = strrchr(port, '/');
		size_t number = proto != NULL ? (size_t)(proto - port) : strlen(port);
		struct diag_item *item;
		bool capital = false;

		if (*port == '\0')
			continue;
		for (char *p = proto; p != NULL && *p != '\0'; p++)
			capital = capital || isupper((unsigned char)*p);
		if (memchr(port + strspn(port, ":"), ':', number - strspn(port, ":")) != NULL)
			check_report(c, DIAG_EXPOSE_FORMAT, i, w->text.at, "%s: only the port of the container counts here", port);
		if (!capital)
			continue;
		item = check_report(c, DIAG_EXPOSE_PROTO, i, w->text.at, "the protocol of %s has capital letters", port);
		for (char *p = proto; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		if (memchr(w->text.s, '$', w->text.len) == NULL && strlen(port) == w->text.len)
			diag_fix(c->d, item, port, "%s", port);
	}
}

static void
expose_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	for (size_t k = 0; k < i->nargs; k++) {
		/* here the reference does not look at names */
		const char *ports = env_expand(c, &s->env, &i->args[k].text, false, DIAG_UNDEFINED_VAR, NULL);

		if (ports != NULL)
			expose_word(c, i, &i->args[k], mem_str(c->scratch, ports));
	}
}

static void
workdir_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	const char *path = expand(c, s, &i->args[0].text, i);

	if (!s->workdir && path != NULL && *path != '/')
		check_report(c, DIAG_WORKDIR_RELATIVE, i, i->args[0].text.at, "the directory \"%s\" depends on where the base image starts", path);
	s->workdir = true;
}

static void
words_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	for (size_t k = 0; k < i->nargs; k++) {
		const char *value;

		if ((value = expand(c, s, &i->args[k].text, i)) != NULL && *value == '\0' && i->kind == INST_VOLUME)
			check_fails(c, i);
	}
}

/* cmd and PowerShell have another grammar. */
static void
shell_step(struct check_stage *s, const struct inst *i)
{
	static const char *const known[] = { "sh", "bash", "ash", "dash", "ksh", "mksh", "zsh", "busybox" };
	const char *name = i->args[0].text.s, *slash = strrchr(name, '/');

	s->shell = true;
	s->posix = s->pipefail = false;
	for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
		if (strcmp(known[k], slash != NULL ? slash + 1 : name) == 0) {
			s->posix = true;
			s->shell_name = known[k];
		}
	}
	for (size_t k = 1; k < i->nargs; k++)
		s->pipefail = s->pipefail || strstr(i->args[k].text.s, "pipefail") != NULL;
}

void
rules_step(struct check *c, struct check_stage *s, const struct inst *i)
{
	rules_habit(c, s, i);
	if (i->kind != INST_RUN)
		s->single = NULL;
	switch (i->kind) {
	case INST_ENV:
	case INST_LABEL:
		env_step(c, s, i);
		break;
	case INST_ARG:
		arg_step(c, s, i);
		break;
	case INST_COPY:
	case INST_ADD:
		copy_step(c, s, i);
		break;
	case INST_RUN:
		run_step(c, s, i);
		rules_run(c, s, i);
		break;
	case INST_CMD:
	case INST_ENTRYPOINT:
		command_step(c, s, i);
		break;
	case INST_HEALTHCHECK:
		once(c, i, &s->used.healthcheck);
		break;
	case INST_EXPOSE:
		expose_step(c, s, i);
		break;
	case INST_WORKDIR:
		workdir_step(c, s, i);
		break;
	case INST_USER:
	case INST_STOPSIGNAL:
	case INST_VOLUME:
		words_step(c, s, i);
		break;
	case INST_SHELL:
		shell_step(s, i);
		break;
	case INST_MAINTAINER:
	case INST_ONBUILD:
	case INST_FROM:
	case INST_COUNT:
		break;
	}
}
