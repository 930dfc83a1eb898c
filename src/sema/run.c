/* RUN: its form, flags and here-documents.  spec/language.md 2 and 6. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "../front/parse.h"
#include "lower.h"

char *
heredoc_chomp(const void *ctx, const struct heredoc *h)
{
	char *out = mem_dup(ctx, h->content, h->len);
	size_t n = 0;
	bool start = true;

	for (size_t i = 0; i < h->len; i++) {
		if (h->chomp && start && h->content[i] == '\t')
			continue;
		start = h->content[i] == '\n';
		out[n++] = h->content[i];
	}
	out[n] = '\0';
	return out;
}

/* The command and its here-documents put together again, for the shell to read. */
static const char *
reassemble(const void *ctx, const struct inst *i, const char *command)
{
	struct buf *text = buf_new(NULL);
	char *s;

	buf_puts(text, command);
	for (size_t k = 0; k < i->nheredocs; k++) {
		buf_putc(text, '\n');
		buf_add(text, i->heredocs[k].content, i->heredocs[k].len);
		buf_puts(text, i->heredocs[k].name);
	}
	s = mem_dup(ctx, buf_str(text), text->len);
	talloc_free(text);
	return s;
}

static void
shell_form(struct lower *l, const char **argv)
{
	const struct inst *i = l->i;
	struct step *step = l->step;
	struct heredoc h = { 0 };
	const char *command = i->nargs > 0 ? i->args[0].text.s : "";

	argv[0] = command;
	if (i->nheredocs == 0)
		return;
	if (!heredoc_word(l->s->g, command, strlen(command), &h)) {
		argv[0] = reassemble(l->s->g, i, command);
		return;
	}
	argv[0] = heredoc_chomp(l->s->g, &i->heredocs[0]);
	if (strncmp(i->heredocs[0].content, "#!", 2) == 0)
		step->script_name = i->heredocs[0].name;
}

/* A flag whose value is the default is as good as none. */
static const char *
unless(const struct inst *i, const char *name, const char *usual)
{
	const struct flag *f = inst_flag(i, name);

	return f != NULL && strcmp(f->value, usual) != 0 ? f->value : NULL;
}

bool
lower_run(struct lower *l)
{
	const struct inst *i = l->i;
	struct step *step = l->step;
	const char **argv = mem_array(l->s->g, const char *, i->nargs + 1);

	step->kind = STEP_RUN;
	step->argv = argv;
	step->network = unless(i, "network", "default");
	step->security = unless(i, "security", "sandbox");
	step->exec_form = i->form == FORM_EXEC;
	if (step->exec_form) {
		for (size_t k = 0; k < i->nargs; k++)
			argv[step->argc++] = i->args[k].text.s;
		if (step->argc == 0) {
			lower_error(l, DIAG_EMPTY_COMMAND, i->rest.at, "RUN has nothing to run");
			return false;
		}
	} else {
		shell_form(l, argv);
		step->argc = 1;
	}
	return lower_mounts(l);
}
