#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../runtime/sha256.h"
#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../emit/emit.h"
#include "../front/ast.h"
#include "../graph/graph.h"
#include "../passes/passes.h"
#include "../sema/sema.h"
#include "file.h"

bool
use_color(const struct options *o)
{
	const char *when = option_value(&o->color, "auto"), *force = getenv("CLICOLOR_FORCE");

	if (strcmp(when, "always") == 0)
		return true;
	if (strcmp(when, "never") == 0 || (getenv("NO_COLOR") != NULL && *getenv("NO_COLOR") != '\0'))
		return false;
	return (force != NULL && *force != '\0' && *force != '0') || isatty(STDERR_FILENO);
}

static int
show(const struct options *o, struct diag *d)
{
	struct buf *text = buf_new(d);
	bool color = use_color(o);

	diag_sort(d);
	for (size_t i = 0; i < d->n; i++)
		diag_render(text, &d->items[i], color);
	file_write_fd(STDERR_FILENO, buf_str(text), text->len);
	return d->errors > 0 ? EXIT_INPUT : EXIT_GOOD;
}

static int
usage(const char *fmt, const char *what)
{
	fprintf(stderr, "dockcc: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

/* NAME=VALUE pairs; a build argument without '=' takes the environment's value, as docker build does. */
static bool
pairs(const void *ctx, const struct string_list *l, bool environment, struct build_arg **out, size_t *n)
{
	*out = mem_array(ctx, struct build_arg, l->n + 1);
	*n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const char *eq = strchr(l->v[i], '='), *value = eq != NULL ? eq + 1 : environment ? getenv(l->v[i]) : NULL;

		if (eq == l->v[i] || (eq == NULL && !environment))
			return false;
		if (value == NULL)
			continue;
		(*out)[(*n)++] = (struct build_arg){
			.name = eq != NULL ? mem_dup(ctx, l->v[i], (size_t)(eq - l->v[i])) : l->v[i], .value = value,
		};
	}
	return true;
}

int
sema_options(const void *ctx, const struct options *o, struct sema_options *so)
{
	struct build_arg *args, *contexts;
	size_t nargs, ncontexts;
	struct named_context *named;

	if (!pairs(ctx, &o->build_arg, true, &args, &nargs))
		return usage("--build-arg takes NAME=VALUE%s", "");
	if (!pairs(ctx, &o->build_context, false, &contexts, &ncontexts))
		return usage("--build-context takes NAME=LOCATION%s", "");
	named = mem_array(ctx, struct named_context, ncontexts + 1);
	for (size_t i = 0; i < ncontexts; i++)
		named[i] = (struct named_context){ .name = contexts[i].name, .location = contexts[i].value };
	*so = (struct sema_options){
		.target = option_value(&o->target, NULL), .build_args = args, .nbuild_args = nargs, .contexts = named,
		.ncontexts = ncontexts, .platform = option_value(&o->platform, NULL), .freeze = o->freeze.n > 0,
	};
	return EXIT_GOOD;
}

static bool
known_passes(const struct string_list *l, const char **bad)
{
	for (size_t i = 0; i < l->n; i++) {
		bool found = false;

		for (size_t k = 0; k < npasses; k++)
			found = found || strcmp(passes[k].name, l->v[i]) == 0;
		*bad = l->v[i];
		if (!found)
			return false;
	}
	return true;
}

/* Runs the passes; `line` becomes "-O1  fold 3  merge-run 1". */
static int
optimize(struct job *j, struct graph *g, struct buf *line)
{
	const char *level = option_value(&j->o->level, "1"), *bad = NULL;
	unsigned *counts = mem_array(line, unsigned, npasses);
	struct pass_log log = { .text = j->o->explain.n > 0 ? buf_new(line) : NULL };

	if (strlen(level) != 1 || *level < '0' || *level > '2')
		return usage("-O takes 0, 1 or 2, not %s", level);
	if (!known_passes(&j->o->pass, &bad) || !known_passes(&j->o->no_pass, &bad))
		return usage("there is no pass %s; --explain lists them", bad);
	passes_run(g, (unsigned)(*level - '0'), j->o->pass.v, j->o->no_pass.v, counts, &log);
	buf_printf(line, "-O%s", level);
	for (size_t i = 0; i < npasses; i++)
		if (counts[i] > 0)
			buf_printf(line, "  %s %u", passes[i].name, counts[i]);
	if (log.text != NULL)
		file_write_fd(STDERR_FILENO, buf_str(log.text), log.text->len);
	return EXIT_GOOD;
}

static int
emit_script(struct job *j, const struct source *source, struct graph *g, const char *line, struct diag *d)
{
	const char *kind = option_value(&j->o->runtime, "embed");
	struct sha256 h;
	char hex[65];
	struct emit_options eo = {
		.dockerfile = j->shown, .script = j->script, .source_digest = hex, .passes = line,
		.runtime = strcmp(kind, "path") == 0 ? RUNTIME_PATH : RUNTIME_EMBED,
	};

	if (strcmp(kind, "path") != 0 && strcmp(kind, "embed") != 0)
		return usage("--runtime is embed or path, not %s", kind);
	/* never an absolute path of this machine: the script says where its context is when it runs elsewhere */
	eo.context = j->o->context != NULL && j->o->context[0] != '/' && strcmp(j->o->context, "-") != 0 ? j->o->context : ".";
	sha256_init(&h);
	sha256_update(&h, source->text, source->len);
	sha256_hex(&h, hex);
	emit_sh(j->out, g, &eo, d);
	return EXIT_GOOD;
}

static int
after_parsing(const void *ctx, struct job *j, const struct source *source, struct unit *u, struct diag *d)
{
	const char *form = option_value(&j->o->emit, "sh");
	struct sema_options so;
	struct graph *g;
	struct buf *line = buf_new(ctx);
	int status = sema_options(ctx, j->o, &so);

	if (status != EXIT_GOOD)
		return status;
	if (!u->ok || !unit_check_bytes(u, d) || (g = sema_build(ctx, u, &so, d)) == NULL || d->errors > 0)
		return show(j->o, d) == EXIT_GOOD ? EXIT_INPUT : EXIT_INPUT;
	status = optimize(j, g, line);
	if (status == EXIT_GOOD && strcmp(form, "graph") == 0)
		graph_dump(j->out, g);
	else if (status == EXIT_GOOD)
		status = emit_script(j, source, g, buf_str(line), d);
	return status != EXIT_GOOD ? status : show(j->o, d);
}

int
job_run(const void *ctx, struct job *j)
{
	const char *form = option_value(&j->o->emit, "sh");
	struct source *source;
	struct unit *u;
	struct diag *d = diag_new(ctx);

	if (strcmp(form, "sh") != 0 && strcmp(form, "graph") != 0 && strcmp(form, "ast") != 0)
		return usage("--emit is sh, graph or ast, not %s", form);
	if ((source = file_read(ctx, j->dockerfile, j->shown)) == NULL)
		return EXIT_INPUT;
	u = unit_parse(ctx, source, d);
	if (strcmp(form, "ast") != 0)
		return after_parsing(ctx, j, source, u, d);
	if (u->ok)
		unit_dump(j->out, u);
	return show(j->o, d);
}
