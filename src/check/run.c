/* The text of RUN for the shell grammar, and the rules on each of its commands. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../front/parse.h"
#include "../graph/graph.h"
#include "../sema/lower.h"
#include "walk.h"

static void
piece_add(const void *ctx, struct text *t, size_t *cap, uint32_t offset, uint32_t source)
{
	struct piece *map = (struct piece *)t->map;

	mem_room(ctx, map, t->npieces + 1, cap);
	map[t->npieces++] = (struct piece){ offset, source };
	t->map = map;
}

/* The command line and its here-documents as the shell gets them: spec/language.md 2, shape 2. */
static struct text
with_bodies(const void *ctx, const struct inst *i)
{
	const struct text *line = &i->args[0].text;
	struct buf *b = buf_new(ctx);
	struct text t = { .at = i->at };
	size_t cap = 0;

	for (size_t k = 0; k < line->npieces; k++)
		piece_add(ctx, &t, &cap, line->map[k].offset, line->map[k].source);
	buf_add(b, line->s, line->len);
	for (size_t k = 0; k < i->nheredocs; k++) {
		const struct heredoc *h = &i->heredocs[k];

		buf_putc(b, '\n');
		piece_add(ctx, &t, &cap, (uint32_t)b->len, h->body.begin);
		buf_add(b, h->content, h->len);
		piece_add(ctx, &t, &cap, (uint32_t)b->len, h->body.end);
		buf_puts(b, h->name);
	}
	t.s = buf_str(b);
	t.len = b->len;
	return t;
}

bool
run_text(const void *ctx, const struct inst *i, struct text *t)
{
	struct heredoc h = { 0 };

	if (i->form == FORM_EXEC || i->nargs == 0)
		return false;
	*t = i->args[0].text;
	if (i->nheredocs == 0)
		return t->npieces > 0;
	if (heredoc_word(ctx, t->s, t->len, &h)) {
		const struct heredoc *body = &i->heredocs[0];
		struct piece *map = mem_new(ctx, struct piece);

		map->source = body->body.begin;
		*t = (struct text){ .s = body->content, .len = body->len, .at = body->body, .map = map, .npieces = 1 };
		return strncmp(body->content, "#!", 2) != 0 || strstr(body->content, "sh\n") != NULL;
	}
	*t = with_bodies(ctx, i);
	return true;
}

/* A JSON array is one simple command. */
static struct shell *
exec_form(const void *ctx, const struct inst *i)
{
	struct shell *sh = mem_new(ctx, struct shell);
	struct shell_node *n = mem_new(sh, struct shell_node);

	n->words = mem_array(sh, struct shell_word, i->nargs);
	n->at = i->rest.at;
	for (size_t k = 0; k < i->nargs; k++)
		n->words[n->nwords++] = (struct shell_word){ .at = i->args[k].text.at, .raw = i->args[k].text.s, .value = i->args[k].text.s, .quoted = true };
	sh->simple = mem_array(sh, struct shell_node *, 1);
	sh->simple[sh->nsimple++] = n;
	sh->root = n;
	return sh;
}

bool
command_has(const struct command *cmd, const char *option)
{
	struct shell_node view = { .words = (struct shell_word *)(uintptr_t)cmd->v, .nwords = cmd->n };

	return shell_has_option(&view, option);
}

/* What stands in front of the command that does the work. */
static size_t
wrapper(const struct shell_node *n, size_t k)
{
	static const char *const names[] = { "sudo", "env", "exec", "command", "time", "nice", "eatmydata", "nohup", "retry" };
	const char *name = n->words[k].value, *slash = strrchr(name, '/');

	for (size_t w = 0; w < sizeof names / sizeof names[0]; w++) {
		if (strcmp(slash != NULL ? slash + 1 : name, names[w]) != 0)
			continue;
		for (k++; k < n->nwords && (n->words[k].value[0] == '-' || strchr(n->words[k].value, '=') != NULL); k++)
			;
		return k;
	}
	return k;
}

static struct command
command_of(const struct shell_node *n)
{
	struct command cmd = { .node = n, .name = "" };
	size_t k = 0, next;
	const char *slash;

	if (n->nwords == 0)
		return cmd;
	while ((next = wrapper(n, k)) != k && next < n->nwords)
		k = next;
	cmd.v = &n->words[k];
	cmd.n = n->nwords - k;
	slash = strrchr(cmd.v[0].value, '/');
	cmd.name = slash != NULL ? slash + 1 : cmd.v[0].value;
	for (k = 1; k < cmd.n && cmd.v[k].value[0] == '-'; k++)
		;
	if (k < cmd.n) {
		cmd.verb = &cmd.v[k];
		cmd.verb_at = k;
	}
	return cmd;
}

static void
pipelines(struct check *c, struct check_stage *s, const struct inst *i, const struct shell *sh)
{
	bool set = s->pipefail;

	for (size_t k = 0; k < sh->nsimple && !set; k++) {
		for (size_t w = 1; w < sh->simple[k]->nwords; w++)
			set = set || (strcmp(shell_name(sh->simple[k]), "set") == 0 && strcmp(sh->simple[k]->words[w].value, "pipefail") == 0);
	}
	if (!set && sh->npipelines > 0 && check_wants(c, DIAG_PIPEFAIL))
		check_report(c, DIAG_PIPEFAIL, i, sh->pipelines[0]->at, "only the last command of this pipeline can make the step fail");
}

static void
unclosed(struct check *c, const struct inst *i, const struct shell *sh)
{
	const char *what = sh->open == '"' || sh->open == '\'' ? "quote" : sh->open == '`' ? "backquote" : "bracket";

	if (sh->open != 0)
		check_report(c, DIAG_SHELL_SYNTAX, i, sh->where, "the %s opened here is never closed; the shell will refuse the command", what);
}

void
rules_run(struct check *c, struct check_stage *s, const struct inst *i)
{
	struct shell *sh;
	struct packages *p;
	struct text t;

	if (!s->posix || c->trigger != NULL)
		return;
	if (i->form == FORM_EXEC) {
		sh = exec_form(c->scratch, i);
	} else if (run_text(c->scratch, i, &t)) {
		sh = shell_parse(c->scratch, &t);
		scripts_add(c, s, i, &t);
	} else {
		s->single = NULL;
		return;
	}
	unclosed(c, i, sh);
	p = packages_of(c->scratch, sh);
	for (size_t k = 0; k < sh->nsimple; k++) {
		struct command cmd = command_of(sh->simple[k]);

		if (cmd.n == 0)
			continue;
		rules_command(c, s, i, &cmd);
		rules_packages(c, s, i, p, k, &cmd);
		rules_extract(c, s, &cmd);
	}
	pipelines(c, s, i, sh);
	rules_join(c, s, i, sh);
}
