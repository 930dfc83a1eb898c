/* The script around the steps: header, parameters, prelude, stages, schedule, payload.  design.md "The emitted
   script", ux.md "The script". */
#include <string.h>

#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../sema/sema.h"
#include "quote.h"
#include "sh.h"

enum { TARGET_CASES = 64 };

/* In the order met; the table holds places in `v` plus one, 0 is free. */
struct var_set {
	const struct var **v;
	size_t n, cap;
	uint32_t *table;
	size_t size; /* a power of two */
};

/* The place of a variable of that name and stage in the table, or the free one where it belongs. */
static uint32_t *
place(const struct var_set *set, const struct var *v)
{
	size_t h = (size_t)v->stage * 31 + 5381;

	for (const char *c = v->name; *c != '\0'; c++)
		h = h * 33 ^ (unsigned char)*c;
	for (h = (h ^ h >> 15) & (set->size - 1); set->table[h] != 0; h = (h + 1) & (set->size - 1)) {
		const struct var *there = set->v[set->table[h] - 1];

		if (there == v || (there->stage == v->stage && strcmp(there->name, v->name) == 0))
			break;
	}
	return &set->table[h];
}

static void
collect_var(struct var_set *set, const struct var *v)
{
	if (v == NULL || var_set_has(set, v))
		return;
	if ((set->n + 1) * 2 > set->size) {
		talloc_free(set->table);
		set->size = set->size > 0 ? set->size * 2 : 16;
		set->table = mem_array(set, uint32_t, set->size);
		for (size_t i = 0; i < set->n; i++)
			*place(set, set->v[i]) = (uint32_t)i + 1;
	}
	mem_room(set, set->v, set->n + 1, &set->cap);
	set->v[set->n++] = v;
	*place(set, v) = (uint32_t)set->n;
}

static void
collect(struct var_set *set, const struct value *v)
{
	for (size_t i = 0; v != NULL && i < v->nparts; i++) {
		collect_var(set, v->parts[i].var);
		collect(set, v->parts[i].arg);
		collect(set, v->parts[i].repl);
	}
}

static void
collect_assign(struct var_set *set, const struct assign *a)
{
	collect(set, a->value);
	collect_var(set, a->fallback);
	collect_var(set, a->keep);
}

static void
collect_step(struct var_set *set, const struct step *st)
{
	collect(set, st->base.image);
	collect(set, st->base.platform);
	collect(set, st->from.image);
	for (size_t i = 0; i < st->nassigns; i++)
		collect_assign(set, st->assigns[i]);
	for (size_t i = 0; i < st->nsettings; i++)
		collect(set, st->settings[i].value);
	for (size_t i = 0; i < st->npaths; i++)
		collect(set, st->paths[i]);
	collect(set, st->chown);
	collect(set, st->chmod);
	collect(set, st->checksum);
	for (size_t i = 0; i < st->nfiles; i++)
		collect(set, st->files[i].content);
	for (size_t i = 0; i < st->nmounts; i++) {
		const struct mount *m = &st->mounts[i];
		const struct value *const values[] = { m->target, m->source, m->id, m->env, m->mode, m->uid, m->gid, m->size, m->from.image };

		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++)
			collect(set, values[k]);
	}
}

struct var_set *
var_set_new(const void *ctx, const struct graph *g)
{
	struct var_set *set = mem_new(ctx, struct var_set);

	for (size_t i = 0; i < g->nglobals; i++)
		collect_assign(set, &g->globals[i].assign);
	for (size_t i = 0; i < g->nstages; i++)
		for (size_t k = 0; g->stages[i]->live && k < g->stages[i]->nsteps; k++)
			if (!g->stages[i]->steps[k]->dead)
				collect_step(set, g->stages[i]->steps[k]);
	return set;
}

struct var_set *
var_set_step(const void *ctx, const struct graph *g, const struct step *st)
{
	struct var_set *set = mem_new(ctx, struct var_set);

	collect_step(set, st);
	/* an ARG of the same name may read the global, which reads others above it */
	for (size_t i = g->nglobals; i-- > 0;)
		if (var_set_has(set, g->globals[i].assign.var))
			collect_assign(set, &g->globals[i].assign);
	return set;
}

bool
var_set_has(const struct var_set *set, const struct var *v)
{
	return set->n > 0 && *place(set, v) != 0;
}

/* ---- header and parameters ------------------------------------------------------------------ */

static void
header_bases(struct sh *s)
{
	struct buf *line = buf_new(s->tmp);

	for (size_t i = 0; i < s->g->nstages; i++) {
		const struct gstage *st = s->g->stages[i];

		if (!st->live || st->steps[0]->base.kind != ORIGIN_IMAGE)
			continue;
		buf_putc(line, ' ');
		if (value_is_static(st->steps[0]->base.image))
			buf_puts(line, value_text(st->steps[0]->base.image));
		else
			buf_puts(line, sh_value(s, st->steps[0]->base.image));
	}
	if (line->len > 0) {
		buf_puts(s->out, "# bases   ");
		sh_comment(s->out, buf_str(line), line->len, 200);
		buf_putc(s->out, '\n');
	}
}

/* Variables that the text around the steps sets.  A caller's variable of such a name is saved first, for
   --build-arg NAME, which takes the caller's value. */
static const char *const own_names[] = { "LC_ALL", "PATH", "action", "arch", "bundle", "cache", "compiled_host", "compiled_platform",
	"context", "contexts", "dockerfile", "host", "how", "input", "layouts", "left", "locked", "machine", "match_line", "name", "newline", "number", "p",
	"parts", "planning", "platform", "rest",
	"variant", "payload", "payload_sha256", "r", "rt", "script", "self", "store", "target", "to", "user_path", "value", "word" };

static bool
is_own(const char *name)
{
	for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
		if (strcmp(own_names[i], name) == 0)
			return true;
	return false;
}

static void
save_callers(struct sh *s, const char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_own(names[i]))
			buf_printf(s->out, "unset e_%s\nif [ -n \"${%s+x}\" ]; then e_%s=$%s; fi\n", names[i], names[i], names[i], names[i]);
}

static void
header(struct sh *s, const char **names, size_t n)
{
	buf_puts(s->out, "#!/bin/sh\n# dockcc " DOCKCC_VERSION " emitted this from ");
	sh_comment(s->out, s->o->dockerfile, strlen(s->o->dockerfile), 100);
	buf_puts(s->out, "; to change it, change that and run: dockcc compile\n# source   ");
	sh_comment(s->out, s->o->dockerfile, strlen(s->o->dockerfile), 100);
	buf_printf(s->out, " sha256:%s\n", s->o->source_digest);
	header_bases(s);
	if (s->o->lock != NULL)
		buf_printf(s->out, "# lock     dockcc.lock sha256:%s\n", s->o->lock_digest);
	buf_printf(s->out, "# passes   %s  (why: dockcc compile --explain)\n", s->o->passes);
	buf_printf(s->out, "# use      sh %s [-t NAME] [-o oci:DIR] [--build-arg NAME=VALUE] [-j N] [-n] [--help]\n", s->o->script);
	buf_puts(s->out,
	         "# shellcheck disable=SC2016,SC2034,SC2250,SC2310,SC2312,SC2317\n"
	         "if [ -n \"${ZSH_VERSION-}\" ]; then emulate sh; fi\n"
	         "set -eu\n");
	save_callers(s, names, n);
	buf_puts(s->out,
	         "user_path=${PATH-}\n"
	         "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	         "LC_ALL=C\n"
	         "newline='\n'\n"
	         "IFS=\" \t$newline\"\n"
	         "export PATH LC_ALL\n"
	         "unset ENV BASH_ENV CDPATH\n"
	         "self=$0\n"
	         "# where a bundle has its files: OFFSET:DIGEST in this file, dir:DIGEST beside it\n"
	         "bundle=\n");
}

/* The arguments that the script takes: every ARG that is still there, once. */
static size_t
arguments(struct sh *s, const char ***names)
{
	size_t n = 0, cap = 0;
	const char **v = NULL;

	for (size_t i = 0; i < s->g->nglobals; i++)
		if (!s->g->globals[i].dead) {
			mem_room(s->out, v, n + 1, &cap);
			v[n++] = s->g->globals[i].assign.var->name;
		}
	for (size_t i = 0; i < s->g->nstages; i++)
		for (size_t k = 0; s->g->stages[i]->live && k < s->g->stages[i]->nsteps; k++) {
			const struct step *st = s->g->stages[i]->steps[k];

			for (size_t a = 0; !st->dead && a < st->nassigns; a++) {
				mem_room(s->out, v, n + 1, &cap);
				v[n++] = st->assigns[a]->var->name;
			}
		}
	/* the first of each name stays: lists are short */
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		bool seen = false;

		for (size_t k = 0; k < kept && !seen; k++)
			seen = strcmp(v[k], v[i]) == 0;
		if (!seen)
			v[kept++] = v[i];
	}
	*names = v;
	return kept;
}

static const char *
compile_value(const struct sh *s, const char *name)
{
	for (size_t i = s->g->nbuild_args; i-- > 0;)
		if (strcmp(s->g->build_args[i].name, name) == 0)
			return s->g->build_args[i].value;
	return NULL;
}

static bool
structural(const struct sh *s, const char *name, const struct global **global)
{
	for (size_t i = 0; i < s->g->nglobals; i++)
		if (s->g->globals[i].structural && strcmp(s->g->globals[i].assign.var->name, name) == 0) {
			*global = &s->g->globals[i];
			return true;
		}
	return false;
}

static bool
is_name(const char *s)
{
	return *s != '\0' && !(*s >= '0' && *s <= '9') && sh_is_plain(s, strlen(s)) && strpbrk(s, "./:@%+,-=") == NULL;
}

/* set_arg NAME=VALUE: one case an argument; a bare NAME takes the value of the environment. */
static void
set_arg(struct sh *s, const char **names, size_t n)
{
	const struct global *g;

	buf_puts(s->out, "# set_arg NAME=VALUE: a build argument; names that no ARG declares are ignored, as docker does\n"
	                 "set_arg() {\n  case $1 in\n");
	for (size_t i = 0; i < n; i++) {
		struct buf *given = buf_new(s->tmp), *word = buf_new(s->tmp);

		sh_given_name(given, names[i]);
		sh_word(word, names[i], strlen(names[i]));
		if (structural(s, names[i], &g)) {
			buf_printf(s->out, "    %s=*) die 64 \"$1: %s picks a stage; compile again: dockcc compile --build-arg $1\" ;;\n",
			           buf_str(word), is_name(names[i]) ? names[i] : "it");
			continue;
		}
		buf_printf(s->out, "    %s=*) %s=${1#*=} ;;\n", buf_str(word), buf_str(given));
		/* no shell lets the caller's IFS in */
		if (is_name(names[i]) && strcmp(names[i], "IFS") != 0) {
			const char *from = mem_printf(s->tmp, "%s%s", is_own(names[i]) ? "e_" : "", names[i]);

			buf_printf(s->out, "    %s) if [ -n \"${%s+x}\" ]; then %s=$%s; fi ;;\n", buf_str(word), from, buf_str(given), from);
		}
	}
	buf_puts(s->out, "    *) ;;\n  esac\n}\n\n");
}

static bool
is_platform_arg(const struct sh *s, const char *name)
{
	for (size_t i = 0; i < s->g->nglobals; i++)
		if (s->g->globals[i].builtin && strcmp(s->g->globals[i].assign.var->name, name) == 0)
			return strcmp(name, "TARGETSTAGE") != 0;
	return false;
}

/* set_platform_arg NAME=VALUE: what another platform than that of the compilation makes of BUILD... and TARGET...;
   a build argument wins. */
static void
set_platform_arg(struct sh *s, const char **names, size_t n)
{
	const struct global *g;

	buf_puts(s->out, "# set_platform_arg NAME=VALUE: the same for another platform than the compiler's; a build argument wins\n"
	                 "set_platform_arg() {\n  case $1 in\n");
	for (size_t i = 0; i < n; i++) {
		struct buf *given = buf_new(s->tmp);

		if (!is_platform_arg(s, names[i]))
			continue;
		sh_given_name(given, names[i]);
		if (structural(s, names[i], &g))
			buf_printf(s->out, "    %s=*) die 64 \"$1: %s picks a stage; compile again: dockcc compile --platform\" ;;\n", names[i], names[i]);
		else
			buf_printf(s->out, "    %s=*) if [ -z \"${%s+x}\" ]; then %s=${1#*=}; fi ;;\n", names[i], buf_str(given), buf_str(given));
	}
	buf_puts(s->out, "    *) ;;\n  esac\n}\n\n");
}

/* No variable begins with what the caller's environment holds under its name: those that are read, and those that
   the record of an ARG shows. */
static void
unset_variables(struct sh *s)
{
	struct var_set *set = mem_new(s->out, struct var_set);

	for (size_t i = 0; i < s->read->n; i++)
		collect_var(set, s->read->v[i]);
	for (size_t i = 0; i < s->g->nstages; i++)
		for (size_t k = 0; s->g->stages[i]->live && k < s->g->stages[i]->nsteps; k++) {
			const struct step *st = s->g->stages[i]->steps[k];

			for (size_t a = 0; !st->dead && a < st->nassigns; a++)
				if (st->assigns[a]->value == NULL)
					collect_var(set, st->assigns[a]->var);
		}
	for (size_t i = 0; i < set->n; i++) {
		buf_puts(s->out, i == 0 ? "unset " : " ");
		sh_var_name(s->out, set->v[i]);
	}
	if (set->n > 0)
		buf_putc(s->out, '\n');
}

static void
parameters(struct sh *s, const char **names, size_t n)
{
	struct buf *word = buf_new(s->tmp);

	buf_puts(s->out, "# ---- parameters --------------------------------------------------------------------\n");
	sh_word(word, s->o->script, strlen(s->o->script));
	buf_printf(s->out, "script=%s\n", buf_str(word));
	word = buf_new(s->tmp);
	sh_word(word, s->o->dockerfile, strlen(s->o->dockerfile));
	buf_printf(s->out, "dockerfile=%s\n", buf_str(word));
	word = buf_new(s->tmp);
	sh_word(word, s->o->context != NULL ? s->o->context : "", s->o->context != NULL ? strlen(s->o->context) : 0);
	buf_printf(s->out, "context=%s\ntarget=%s\nstore=${DOCKCC_STORE-}\n", buf_str(word), s->g->target->id);
	buf_printf(s->out, "platform=%s\n", s->g->platform != NULL ? s->g->platform : "");
	buf_puts(s->out, "contexts=");
	word = buf_new(s->tmp);
	for (size_t i = 0; i < s->g->ncontexts; i++)
		buf_printf(word, "%s=%s\n", s->g->contexts[i].name, s->g->contexts[i].location);
	sh_word(s->out, buf_str(word), word->len);
	buf_puts(s->out, "\nlocked=");
	if (s->o->lock != NULL) {
		const char *text = mem_printf(s->out, "# only these, as they were then\n%s", s->o->lock);

		sh_word(s->out, text, strlen(text));
	}
	buf_puts(s->out, "\n");
	for (size_t i = 0; i < n; i++) {
		const char *value = compile_value(s, names[i]);
		struct buf *given = buf_new(s->tmp);

		sh_given_name(given, names[i]);
		if (value == NULL) {
			buf_printf(s->out, "unset %s\n", buf_str(given));
			continue;
		}
		buf_printf(s->out, "%s=", buf_str(given));
		sh_word(s->out, value, strlen(value));
		buf_putc(s->out, '\n');
	}
	unset_variables(s);
	sh_payload_parameters(s);
	buf_putc(s->out, '\n');
	set_arg(s, names, n);
	set_platform_arg(s, names, n);
	buf_printf(s->out, "# what the defaults of BUILD... and TARGET... were compiled for\ncompiled_host=" HOST_PLATFORM "\ncompiled_platform=%s\n\n",
	           s->g->platform != NULL && strchr(s->g->platform, ',') == NULL ? s->g->platform : HOST_PLATFORM);
}

/* ---- stages ------------------------------------------------------------------------------------ */

static const char *
function_name(struct sh *s, const struct gstage *st)
{
	/* ids may hold what a function name may not */
	char *name = mem_printf(s->tmp, "stage_%s", st->id);

	for (char *p = name; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
			return mem_printf(s->tmp, "stage_%u", st->index);
	return name;
}

static void
globals(struct sh *s)
{
	size_t n = 0;

	buf_puts(s->out, "\n# ---- arguments before the first FROM --------------------------------------------------\nglobals() {\n");
	for (size_t i = 0; i < s->g->nglobals; i++) {
		const struct global *g = &s->g->globals[i];

		if (g->dead)
			continue;
		n++;
		s->temps = 0;
		s->line = g->line;
		if (!g->builtin && g->line > 0) {
			buf_printf(s->out, "  # ");
			sh_comment(s->out, s->o->dockerfile, strlen(s->o->dockerfile), 60);
			buf_printf(s->out, ":%-5u ARG ", g->line);
			sh_comment(s->out, g->assign.var->name, strlen(g->assign.var->name), 60);
			buf_putc(s->out, '\n');
		}
		sh_assign(s, &g->assign);
	}
	buf_puts(s->out, n == 0 ? "  :\n}\n" : "}\n");
}

static void
stage_function(struct sh *s, const struct gstage *st)
{
	size_t number = 0;
	const char *name = st->name != NULL ? st->name : st->id;

	buf_printf(s->out, "\n# ---- stage %u, ", st->index);
	sh_comment(s->out, name, strlen(name), 60);
	buf_printf(s->out, " %.*s\n%s() {\n  stage %s ", 60, "------------------------------------------------------------",
	           function_name(s, st), st->id);
	sh_word(s->out, name, strlen(name));
	buf_putc(s->out, '\n');
	for (size_t i = 0; i < st->nsteps; i++)
		if (!st->steps[i]->dead)
			sh_step(s, st, number++, st->steps[i]);
	buf_puts(s->out, "}\n");
}

/* Marks what `st` needs, itself included. */
static void
reach(const struct graph *g, const struct gstage *st, bool *seen)
{
	/* stages take only from stages above them: one pass downwards is enough */
	seen[st->index] = true;
	for (size_t i = st->index + 1; i-- > 0;) {
		const struct gstage *u = g->stages[i];

		if (!seen[i])
			continue;
		for (size_t k = 0; k < u->nsteps; k++) {
			const struct step *step = u->steps[k];

			if (step->dead)
				continue;
			if (step->base.kind == ORIGIN_STAGE && step->kind == STEP_FROM)
				seen[step->base.stage->index] = true;
			if (step->from.kind == ORIGIN_STAGE && step->kind == STEP_COPY)
				seen[step->from.stage->index] = true;
			for (size_t m = 0; m < step->nmounts; m++)
				if (step->mounts[m].from.kind == ORIGIN_STAGE)
					seen[step->mounts[m].from.stage->index] = true;
		}
	}
}

static void
schedule(struct sh *s)
{
	const struct graph *g = s->g;
	size_t live = 0;

	for (size_t i = 0; i < g->nstages; i++)
		live += g->stages[i]->live;
	buf_puts(s->out, "\n# ---- schedule: dockcc-rt reads the whole plan, then runs stages side by side ---------------\n"
	                 "plan() {\n  globals\n");
	if (s->o->all_stages) {
		for (size_t i = 0; i < g->nstages; i++)
			buf_printf(s->out, "  %s\n", function_name(s, g->stages[i]));
		buf_puts(s->out, "  record end\n}\n");
		return;
	}
	buf_puts(s->out, "  case $target in\n");
	for (size_t i = 0; i < g->nstages; i++) {
		bool *seen;

		if (!g->stages[i]->live || (live > TARGET_CASES && g->stages[i] != g->target))
			continue;
		seen = mem_array(s->tmp, bool, g->nstages);
		reach(g, g->stages[i], seen);
		buf_printf(s->out, "    %s)", g->stages[i]->id);
		for (size_t k = 0; k < g->nstages; k++)
			if (seen[k])
				buf_printf(s->out, "%s %s", k > 0 && buf_str(s->out)[s->out->len - 1] != ')' ? ";" : "", function_name(s, g->stages[k]));
		buf_puts(s->out, " ;;\n");
		talloc_free(seen);
	}
	buf_puts(s->out, "    *) die 64 \"this script was compiled without the stage $target: dockcc compile --target $target\" ;;\n"
	                 "  esac\n  record end\n}\n");
}

bool
emit_sh(struct buf *out, const struct graph *g, const struct emit_options *o, struct diag *d)
{
	struct sh s = { .out = out, .tmp = talloc_pool(out, 16384), .g = g, .o = o, .d = d, .indent = "  ", .read = var_set_new(out, g) };
	const char **names;
	size_t n;

	n = arguments(&s, &names);
	header(&s, names, n);
	parameters(&s, names, n);
	buf_puts(out, sh_prelude);
	globals(&s);
	for (size_t i = 0; i < g->nstages; i++)
		if (g->stages[i]->live)
			stage_function(&s, g->stages[i]);
	schedule(&s);
	sh_payload(&s);
	return true;
}
