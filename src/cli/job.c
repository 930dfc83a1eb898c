#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../runtime/sha256.h"
#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../check/check.h"
#include "../emit/emit.h"
#include "../front/ast.h"
#include "../graph/graph.h"
#include "../passes/passes.h"
#include "../sema/sema.h"
#include "context.h"
#include "file.h"
#include "image.h"
#include "lock.h"

const char *
job_form(const struct options *o)
{
	const char *out = option_value(&o->out, "");
	size_t n = strlen(out);

	return option_value(&o->emit, n > 3 && strcmp(out + n - 3, ".mk") == 0 ? "make" : "sh");
}

bool
job_color(const struct options *o)
{
	const char *when = option_value(&o->color, "auto"), *force = getenv("CLICOLOR_FORCE");

	if (strcmp(when, "always") == 0)
		return true;
	if (strcmp(when, "never") == 0 || (getenv("NO_COLOR") != NULL && *getenv("NO_COLOR") != '\0'))
		return false;
	return (force != NULL && *force != '\0' && *force != '0') || isatty(STDERR_FILENO);
}

int
job_show(const struct options *o, struct diag *d)
{
	struct buf *text = buf_new(d);
	bool color = job_color(o);

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

/* A platform, or several with commas between them, as the reference writes them; NULL when one is none. */
static const char *
platforms(const void *ctx, const char *text)
{
	struct buf *all = buf_new(ctx);

	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");
		const char *one = platform_normal(ctx, mem_dup(ctx, p, n));

		if (one == NULL)
			return NULL;
		buf_cat(all, all->len > 0 ? "," : "", one, NULL);
		p += n;
		if (*p == '\0')
			return buf_str(all);
	}
}

int
job_sema_options(const void *ctx, const struct options *o, struct sema_options *so)
{
	struct build_arg *args, *contexts;
	size_t nargs, ncontexts;
	struct named_context *named;
	struct image_search *search;
	const char *platform;

	if (!pairs(ctx, &o->build_arg, true, &args, &nargs))
		return usage("--build-arg takes NAME=VALUE%s", "");
	if (!pairs(ctx, &o->build_context, false, &contexts, &ncontexts))
		return usage("--build-context takes NAME=LOCATION%s", "");
	named = mem_array(ctx, struct named_context, ncontexts + 1);
	for (size_t i = 0; i < ncontexts; i++)
		named[i] = (struct named_context){ .name = contexts[i].name, .location = contexts[i].value };
	platform = option_value(&o->platform, NULL);
	if (platform != NULL && (platform = platforms(ctx, platform)) == NULL)
		return usage("--platform takes OS/ARCH[/VARIANT], not %s", option_value(&o->platform, NULL));
	if (platform != NULL && strchr(platform, ',') != NULL && o->command == COMMAND_COMPILE && strcmp(job_form(o), "make") == 0)
		return usage("a Makefile builds for one platform, not for %s", platform);
	search = mem_new(ctx, struct image_search);
	*search = (struct image_search){ .o = o, .contexts = named, .ncontexts = ncontexts };
	*so = (struct sema_options){
		.triggers = image_triggers, .triggers_arg = search,
		.target = option_value(&o->target, NULL), .build_args = args, .nbuild_args = nargs, .contexts = named,
		.ncontexts = ncontexts, .platform = platform, .freeze = o->freeze.n > 0,
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

/* The prefix of a Makefile's names: as asked for, else from its file name, else from its directory's. */
static const char *
make_prefix(const void *ctx, const struct job *j)
{
	const char *given = option_value(&j->o->prefix, NULL), *from = given != NULL ? given : j->script;
	size_t n = strlen(from);
	char *name, cwd[4096];

	if (given == NULL && (strcmp(from, "-") == 0 || strcasecmp(from, "Makefile") == 0 || strcmp(from, "GNUmakefile") == 0))
		from = getcwd(cwd, sizeof(cwd)) != NULL && strrchr(cwd, '/')[1] != '\0' ? strrchr(cwd, '/') + 1 : "image";
	else if (given == NULL && n > 3 && strcmp(from + n - 3, ".mk") == 0)
		from = mem_dup(ctx, from, n - 3);
	name = mem_printf(ctx, "%s%s", *from >= '0' && *from <= '9' ? "_" : "", from);
	for (char *p = name; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
			*p = '_';
	return name;
}

/* The bit of a machine's payload, 0 when this dockcc has none. */
static unsigned
machine_bit(const char *name, size_t len)
{
	for (unsigned i = 0; payloads[i].machine != NULL; i++)
		if (strlen(payloads[i].machine) == len && strncmp(payloads[i].machine, name, len) == 0)
			return 1u << i;
	return 0;
}

static int
no_machine(const char *name, size_t len)
{
	fprintf(stderr, "dockcc: --runtime=embed: this dockcc carries no dockcc-rt for %.*s, only for", (int)len, name);
	for (size_t i = 0; payloads[i].machine != NULL; i++)
		fprintf(stderr, " %s", payloads[i].machine);
	fputs("; --runtime=source goes everywhere\n", stderr);
	return EXIT_USAGE;
}

/* --runtime=path|source|embed[:MACHINE,...|:all] */
static int
runtime_option(const char *word, struct emit_options *eo)
{
	if (strcmp(word, "path") == 0 || strcmp(word, "source") == 0) {
		eo->runtime = *word == 'p' ? RUNTIME_PATH : RUNTIME_SOURCE;
		return EXIT_GOOD;
	}
	eo->runtime = RUNTIME_EMBED;
	eo->machines = strcmp(word, "embed") == 0 ? 1 : strcmp(word, "embed:all") == 0 ? ~0u : 0;
	if (eo->machines != 0)
		return EXIT_GOOD;
	if (strncmp(word, "embed:", 6) != 0)
		return usage("--runtime is embed, embed:MACHINE,..., embed:all, source or path, not %s", word);
	for (word += 6; ; word++) {
		size_t n = strcspn(word, ",");
		unsigned bit = machine_bit(word, n);

		if (bit == 0)
			return no_machine(word, n);
		eo->machines |= bit;
		word += n;
		if (*word == '\0')
			return EXIT_GOOD;
	}
}

bool
job_runs_here(const struct options *o)
{
	struct emit_options eo = { 0 };

	return runtime_option(option_value(&o->runtime, "embed"), &eo) == EXIT_GOOD && eo.runtime == RUNTIME_EMBED && (eo.machines & 1);
}

static int
emit_script(struct job *j, const char *form, const struct source *source, struct graph *g, const char *line, struct diag *d)
{
	struct sha256 h;
	char hex[65];
	struct emit_options eo = {
		.dockerfile = j->shown, .script = j->script, .source_digest = hex, .passes = line,
		.all_stages = j->all_stages,
	};
	int status = runtime_option(option_value(&j->o->runtime, "embed"), &eo);

	if (status != EXIT_GOOD)
		return status;
	/* never an absolute path of this machine: the script says where its context is when it runs elsewhere */
	eo.context = j->o->context != NULL && j->o->context[0] != '/' ? j->o->context : ".";
	if (strcmp(eo.context, "-") == 0 && context_directory() == NULL)
		eo.context = ""; /* a Dockerfile alone */
	sha256_init(&h);
	sha256_update(&h, source->text, source->len);
	sha256_hex(&h, hex);
	if (j->lock != NULL) {
		eo.lock = j->lock->text;
		eo.lock_digest = j->lock->digest;
	}
	if (strcmp(form, "make") != 0) {
		emit_sh(j->out, g, &eo, d);
		return EXIT_GOOD;
	}
	if (context_directory() != NULL)
		return usage("a Makefile needs its context as a directory, which %s is not", eo.context);
	eo.prefix = make_prefix(j->out, j);
	eo.chains = strcmp(option_value(&j->o->grain, "step"), "chain") == 0;
	if (!eo.chains && strcmp(option_value(&j->o->grain, "step"), "step") != 0)
		return usage("--grain is step or chain, not %s", option_value(&j->o->grain, ""));
	if (emit_make(j->out, g, &eo, d))
		return EXIT_GOOD;
	fputs("dockcc: a Makefile cannot hold this, a step of more than 128 KiB or a file name with a line break: use --emit=sh\n", stderr);
	return EXIT_INPUT;
}

/* `# check=...;error=true`: findings stop the build before anything is written.  BUILDKIT_DOCKERFILE_CHECK takes the
   directive's place. */
static bool
checks_pass(const void *ctx, const struct unit *u, const struct sema_options *so, struct diag *d)
{
	struct check_options co = { .sema = so, .reference = true };
	struct diag *found = diag_new(ctx);
	struct check_result r;

	for (size_t i = 0; i < so->nbuild_args; i++)
		if (strcmp(so->build_args[i].name, "BUILDKIT_DOCKERFILE_CHECK") == 0)
			co.directive = so->build_args[i].value;
	if (co.directive == NULL && strstr(u->source->text, "check") == NULL)
		return true;
	check_only(found, false);
	r = check_unit(u, &co, found);
	if (!r.error && !r.misconfigured)
		return true;
	for (size_t i = 0; i < found->n; i++) {
		struct diag_item *item = &found->items[i], *copy;

		if (!r.misconfigured && check_rule_of(item->id) == NULL)
			continue;
		copy = diag_add(d, item->id, item->where.source, item->where.at, "%s", item->where.text);
		copy->line = item->line;
	}
	return d->n == 0;
}

static int
after_parsing(const void *ctx, struct job *j, const struct source *source, struct unit *u, struct diag *d)
{
	const char *form = job_form(j->o);
	struct sema_options so;
	struct graph *g;
	struct buf *line = buf_new(ctx);
	int status = job_sema_options(ctx, j->o, &so);

	if (status != EXIT_GOOD)
		return status;
	so.all_stages = j->all_stages;
	if (j->o->locked.n > 0 && (j->lock = lock_read(ctx, lock_path(ctx, j), d)) == NULL)
		return EXIT_POLICY;
	if (!u->ok || !unit_check_bytes(u, d) || (g = sema_build(ctx, u, &so, d)) == NULL || d->errors > 0 ||
	    !checks_pass(ctx, u, &so, d)) {
		job_show(j->o, d);
		return EXIT_INPUT;
	}
	for (size_t i = 0; j->all_stages && i < g->nstages; i++)
		g->stages[i]->live = true;
	status = optimize(j, g, line);
	if (status == EXIT_GOOD && j->lock != NULL) {
		lock_check(j->lock, g, d);
		if (d->errors > 0) {
			job_show(j->o, d);
			return EXIT_POLICY;
		}
	}
	if (status == EXIT_GOOD && strcmp(form, "graph") == 0)
		graph_dump(j->out, g);
	else if (status == EXIT_GOOD)
		status = emit_script(j, form, source, g, buf_str(line), d);
	return status != EXIT_GOOD || j->silent ? status : job_show(j->o, d);
}

int
job_run(const void *ctx, struct job *j)
{
	const char *form = job_form(j->o);
	struct source *source;
	struct unit *u;
	struct diag *d = diag_new(ctx);

	if (strcmp(form, "sh") != 0 && strcmp(form, "make") != 0 && strcmp(form, "graph") != 0 && strcmp(form, "ast") != 0)
		return usage("--emit is sh, make, graph or ast, not %s", form);
	if ((source = file_read(ctx, j->dockerfile, j->shown)) == NULL)
		return EXIT_INPUT;
	u = unit_parse(ctx, source, d);
	if (strcmp(form, "ast") != 0)
		return after_parsing(ctx, j, source, u, d);
	/* a refused file has its answer too: the line at fault */
	unit_dump(j->out, u);
	return job_show(j->o, d);
}
