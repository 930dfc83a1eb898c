/* The Makefile around the steps: header, parameters, stages, the targets for people.  ux.md "The Makefile".
   Written in what GNU make and bmake have in common; where they differ it asks the shell. */
#include <string.h>

#include "../../runtime/sha256.h"
#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "mk.h"
#include "quote.h"
#include "sh.h"

/* A comment must not end in a backslash, which would make the next line a part of it. */
static void
comment(struct buf *out, const char *text, size_t len, size_t limit)
{
	struct buf *line = buf_new(out);

	sh_comment(line, text, len, limit);
	buf_puts(out, buf_str(line));
	if (line->len > 0 && buf_str(line)[line->len - 1] == '\\')
		buf_puts(out, " ...");
}

static void
text_comment(struct buf *out, const char *text, size_t limit)
{
	comment(out, text, strlen(text), limit);
}

static void
first_line(const struct mk *m, const struct span *at, const char **text, size_t *len)
{
	*text = m->g->source->text + at->begin;
	*len = 0;
	while (*len < at->end - at->begin && (*text)[*len] != '\n' && (*text)[*len] != '\r')
		++*len;
}

void
mk_comments(struct mk *m, const struct step *st)
{
	for (size_t i = 0; i < st->nsources; i++) {
		const struct span *at = &st->sources[i];
		struct position begin = source_position(m->g->source, at->begin);
		struct position end = source_position(m->g->source, at->end > at->begin ? at->end - 1 : at->begin);
		const char *text, *lines = begin.line == end.line ? mem_printf(m->out, "%u", begin.line)
		                                                  : mem_printf(m->out, "%u-%u", begin.line, end.line);
		size_t len;

		first_line(m, at, &text, &len);
		buf_puts(m->out, "# ");
		text_comment(m->out, m->o->dockerfile, 60);
		buf_printf(m->out, ":%-5s ", lines);
		comment(m->out, text, len, 100);
		buf_putc(m->out, '\n');
	}
}

const char *
mk_compile_value(const struct mk *m, const char *name)
{
	for (size_t i = m->g->nbuild_args; i-- > 0;)
		if (strcmp(m->g->build_args[i].name, name) == 0)
			return m->g->build_args[i].value;
	return NULL;
}

const char *
mk_mangled(const struct mk *m, const char *name)
{
	struct buf *b = buf_new(m->out);

	sh_given_name(b, name);
	return buf_str(b) + 2;
}

const char *
mk_force(struct mk *m, const char *target)
{
	char *name = mem_printf(m->out, "%s-now.%s", m->p, target);

	for (char *p = name; *p != '\0'; p++)
		if (*p == '/')
			*p = '.';
	buf_printf(m->forces, " %s", name);
	return name;
}

/* ---- header and parameters -------------------------------------------------------------------------------- */

static void
header(struct mk *m)
{
	buf_puts(m->out, "# dockcc " DOCKCC_VERSION " emitted this from ");
	text_comment(m->out, m->o->dockerfile, 100);
	buf_puts(m->out, "; to change it, change that and run: dockcc compile --emit=make\n# source   ");
	text_comment(m->out, m->o->dockerfile, 100);
	buf_printf(m->out, " sha256:%s\n# passes   %s  (why: dockcc compile --explain)\n", m->o->source_digest, m->o->passes);
	buf_printf(m->out, "# names    begin with %s: safe to include, where image, help, list, graph and clean are %s-image and so on\n",
	           m->p, m->p);
	buf_puts(m->out, "# use      make [-j N] [NAME=VALUE...] image; make help; GNU make 4 or bmake\n");
	buf_printf(m->out, "\n# ---- where it runs ------------------------------------------------------------------\n"
	           "# empty when make was called with this file: GNU make counts files, bmake knows who includes\n"
	           "%s_t != case '$(words $(MAKEFILE_LIST))$(.INCLUDEDFROMFILE:D2)' in ''|1) ;; *) echo %s-;; esac\n"
	           "# the helper: on the PATH, else beside this file\n"
	           "%s_found != command -v dockcc-rt || echo '$(dir $(lastword $(MAKEFILE_LIST)))$(.PARSEDIR)/dockcc-rt'\n"
	           "DOCKCC_RT ?= $(%s_found)\n"
	           "# in front of every heavy step: DOCKCC_LAUNCH='dockcc-rt launch srun -n1'\n"
	           "DOCKCC_LAUNCH ?=\n", m->p, m->p, m->p, m->p);
}

/* A parameter goes by its bare name, or by that with the prefix where the file is included, and reaches the recipes through
   the environment: no quoting is right for every value in both makes. */
static void
parameter(struct mk *m, const char *shown, const char *text, const char *env)
{
	buf_printf(m->out, "$(%s_t)%s =%s%s\n%s_%s ?= $($(%s_t)%s)\nexport %s_%s=$(%s_%s)\n",
	            m->p, shown, *text != '\0' ? " " : "", text, m->p, shown, m->p, shown,
	           m->p, env, m->p, shown);
}

/* The name of a setting, out of the way of build arguments. */
static const char *
setting(struct mk *m, const char *name)
{
	for (size_t i = 0; i < m->nargs; i++)
		if (strcmp(m->args[i].shown, name) == 0)
			return mem_printf(m->out, "DOCKCC_%s", name);
	return name;
}

/* Bare names that mean something to make or the shell. */
static bool
taken(const char *name)
{
	static const char *const names[] = { "SHELL", "PATH", "HOME", "IFS", "ENV", "CDPATH", "MFLAGS", "PWD", "VPATH", "SUFFIXES" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "MAKE", 4) == 0 || strncmp(name, "DOCKCC_", 7) == 0 || name[0] == '.';
}

static void
argument(struct mk *m, const struct mk_arg *a)
{
	struct buf *text = buf_new(m->out);

	if (a->text != NULL)
		make_value(text, a->text, strlen(a->text));
	else
		buf_puts(text, "(default)");
	if (!taken(a->shown)) {
		parameter(m, a->shown, buf_str(text), mem_printf(m->out, "arg_%s", mk_mangled(m, a->name)));
		return;
	}
	buf_printf(m->out, "%s_%s ?= %s\nexport %s_arg_%s=$(%s_%s)\n", m->p, a->shown,
	           buf_str(text), m->p, mk_mangled(m, a->name), m->p, a->shown);
}

/* Arguments that mean something to the helper itself. */
static bool
special(const char *name)
{
	static const char *const names[] = {
		"SOURCE_DATE_EPOCH", "BUILDKIT_SANDBOX_HOSTNAME", "BUILDKIT_CACHE_MOUNT_NS", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
		"NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
contexts(struct mk *m)
{
	for (size_t i = 0; i < m->g->ncontexts; i++) {
		const char *option = mem_printf(m->out, "--build-context=%s=%s", m->g->contexts[i].name, m->g->contexts[i].location);

		buf_putc(m->out, ' ');
		make_quote(m->out, option, strlen(option));
	}
}

/* The entries of the lock file, and with an empty one that nothing else may be used. */
static void
locked(struct mk *m)
{
	if (m->o->lock == NULL)
		return;
	buf_puts(m->out, " --locked=");
	for (const char *p = m->o->lock; *p != '\0'; p = strchr(p, '\n') + 1) {
		const char *option = mem_printf(m->out, "--locked=%.*s", (int)strcspn(p, "\n"), p);

		buf_putc(m->out, ' ');
		make_quote(m->out, option, strlen(option));
	}
}

static void
parameters(struct mk *m, const char *digest)
{
	const char *dockerfile = mem_printf(m->out, "--dockerfile=%s", m->o->dockerfile);
	const char *context = m->o->context != NULL ? m->o->context : ".";
	struct buf *text = buf_new(m->out);

	buf_puts(m->out, "\n# ---- settings -----------------------------------------------------------------------\n");
	parameter(m, setting(m, "OUTPUT"), mem_printf(m->out, "oci:%s.oci", m->p), "set_output");
	parameter(m, setting(m, "TAG"), "", "set_tag");
	if (!make_value(text, context, strlen(context)))
		text = buf_new(m->out);
	parameter(m, setting(m, "CONTEXT"), buf_str(text), "set_context");
	parameter(m, setting(m, "STORE"), "$(DOCKCC_STORE)", "set_store");
	buf_printf(m->out, "# words for dockcc-rt: --secret=id=ID,src=FILE --ssh=ID --add-host=NAME:IP; behind make clean --no-cache\n"
	           "%s_FLAGS ?=\n# what is done is noted here; the name changes with what is below\n%s_S ?= .dockcc/%s-%.8s\n",
	           m->p, m->p, m->p, digest);
	if (m->nargs > 0)
		buf_puts(m->out, "\n# ---- build arguments; (default): what the Dockerfile says ---------------------------------\n");
	for (size_t i = 0; i < m->nargs; i++)
		argument(m, &m->args[i]);
	buf_printf(m->out, "\n# what this file writes is no part of the build context\n"
	           "%s_hide = --hide=.dockcc --hide=$(%s_S) --hide=\"$$%s_set_output\"\n"
	           "%s_all = --store=\"$$%s_set_store\" --context=\"$$%s_set_context\" $(%s_hide) ", m->p, m->p, m->p, m->p, m->p, m->p, m->p);
	make_quote(m->out, dockerfile, strlen(dockerfile));
	contexts(m);
	locked(m);
	for (size_t i = 0; i < m->nargs; i++)
		if (special(m->args[i].name))
			buf_printf(m->out, " --build-arg=%s=\"$$%s_arg_%s\"", m->args[i].name, m->p, mk_mangled(m, m->args[i].name));
	buf_printf(m->out, " $(%s_FLAGS)\n%s_step = $(DOCKCC_LAUNCH) $(DOCKCC_RT) step $(%s_all) --stamp=$@\n"
	           "%s_note = $(DOCKCC_RT) step $(%s_all) --stamp=$@\n%s_scan = $(DOCKCC_RT) scan $(%s_all) --stamp=$@\n",
	           m->p, m->p, m->p, m->p, m->p, m->p, m->p);
}

/* ---- targets -------------------------------------------------------------------------------------------------- */

static void
argument_targets(struct mk *m)
{
	if (m->nargs > 0)
		buf_puts(m->out, "\n# ---- a stamp for each argument, moved when its value changes ------------------------------\n");
	for (size_t i = 0; i < m->nargs; i++) {
		const char *mangled = mk_mangled(m, m->args[i].name);
		const char *option = mem_printf(m->out, "--arg=%s=", m->args[i].name);

		buf_printf(m->out, "$(%s_S)/arg/%s: %s\n\t@$(DOCKCC_RT) scan --stamp=$@ ", m->p, mangled,
		           mk_force(m, mem_printf(m->out, "arg/%s", mangled)));
		make_quote(m->out, option, strlen(option));
		buf_printf(m->out, "\"$$%s_arg_%s\"\n", m->p, mangled);
	}
}

static void
stages(struct mk *m)
{
	for (size_t i = 0; i < m->g->nstages; i++) {
		const struct gstage *st = m->g->stages[i];

		if (!st->live)
			continue;
		buf_printf(m->out, "\n# ---- stage %u, ", st->index);
		text_comment(m->out, st->name != NULL ? st->name : st->id, 60);
		buf_printf(m->out, " ------------------------------------------------------------\n%s-stage-%s: $(%s_S)/%s\n",
		           m->p, st->id, m->p, mk_last(m, st));
		mk_stage(m, st);
	}
}

static void
say(struct mk *m, const char *text)
{
	buf_puts(m->out, " \\\n\t  ");
	make_quote(m->out, text, strlen(text));
}

static void
help(struct mk *m)
{
	struct buf *names = buf_new(m->out);

	for (size_t i = 0; i < m->nargs; i++)
		buf_printf(names, " %s=%s", m->args[i].shown,
		           m->args[i].text != NULL && sh_is_plain(m->args[i].text, strlen(m->args[i].text)) ? m->args[i].text : "...");
	buf_printf(m->out, "\n$(%s_t)help:\n\t@printf '%%s\\n'", m->p);
	say(m, mem_printf(m->out, "make [-j N] [NAME=VALUE...] image   builds the image into %s=oci:%s.oci", setting(m, "OUTPUT"), m->p));
	say(m, "make list                           the steps");
	say(m, "make graph                          the stages for dot");
	say(m, "make clean                          forgets what was done; the store keeps the layers");
	say(m, mem_printf(m->out, "make %s-stage-NAME                 builds one stage only", m->p));
	say(m, mem_printf(m->out, "settings: %s= %s= %s= %s= %s_FLAGS= DOCKCC_RT= DOCKCC_LAUNCH=",
	                  setting(m, "OUTPUT"), setting(m, "TAG"), setting(m, "CONTEXT"),
	                  setting(m, "STORE"), m->p));
	if (names->len > 0) {
		struct buf *shown = buf_new(m->out);

		sh_comment(shown, buf_str(names), names->len, 2000);
		say(m, mem_printf(m->out, "arguments:%s", buf_str(shown)));
	}
	buf_putc(m->out, '\n');
}

static void
list(struct mk *m)
{
	buf_printf(m->out, "\n$(%s_t)list:\n\t@printf '%%-12s %%5s  %%s\\n'", m->p);
	for (size_t i = 0; i < m->g->nstages; i++) {
		const struct gstage *st = m->g->stages[i];
		size_t number = 0;

		for (size_t k = 0; st->live && k < st->nsteps; k++) {
			const struct step *s = st->steps[k];
			struct buf *shown = buf_new(m->out);
			const char *text;
			size_t len;

			if (s->dead)
				continue;
			if (s->nsources > 0) {
				first_line(m, &s->sources[0], &text, &len);
				sh_comment(shown, text, len, 100);
			}
			buf_printf(m->out, " \\\n\t  %s.%zu %u ", st->id, number++, s->line_start);
			make_quote(m->out, buf_str(shown), shown->len);
		}
	}
	buf_putc(m->out, '\n');
}

static void
edge(struct mk *m, const struct gstage *to, const struct origin *o)
{
	if (o->kind == ORIGIN_STAGE)
		say(m, mem_printf(m->out, "  \"%s\" -> \"%s\"", o->stage->id, to->id));
}

static void
graph(struct mk *m)
{
	buf_printf(m->out, "\n$(%s_t)graph:\n\t@printf '%%s\\n'", m->p);
	say(m, "digraph image {");
	for (size_t i = 0; i < m->g->nstages; i++) {
		const struct gstage *st = m->g->stages[i];

		if (!st->live)
			continue;
		say(m, mem_printf(m->out, "  \"%s\"", st->id));
		for (size_t k = 0; k < st->nsteps; k++) {
			const struct step *s = st->steps[k];

			if (s->dead)
				continue;
			if (s->kind == STEP_FROM)
				edge(m, st, &s->base);
			if (s->kind == STEP_COPY)
				edge(m, st, &s->from);
			for (size_t n = 0; n < s->nmounts; n++)
				edge(m, st, &s->mounts[n].from);
		}
	}
	say(m, "}");
	buf_putc(m->out, '\n');
}

static void
people(struct mk *m)
{
	buf_puts(m->out, "\n# ---- for people ---------------------------------------------------------------------\n");
	help(m);
	list(m);
	graph(m);
	buf_printf(m->out, "\n$(%s_t)clean:\n\trm -rf $(%s_S)\n"
	           "\n# not there, so that what depends on them is looked at in every run\n%s:\n.PHONY:%s", m->p, m->p,
	           buf_str(m->forces) + 1, buf_str(m->forces));
	for (size_t i = 0; i < m->g->nstages; i++)
		if (m->g->stages[i]->live)
			buf_printf(m->out, " %s-stage-%s", m->p, m->g->stages[i]->id);
	buf_printf(m->out, "\n# bmake works here, whether or not there is a directory obj\n$(%s_t).OBJDIR: .", m->p);
	buf_printf(m->out, "\n.PHONY: $(%s_t)image $(%s_t)help $(%s_t)list $(%s_t)graph $(%s_t)clean\n", m->p, m->p, m->p, m->p, m->p);
}

/* A recipe is one argument of the shell: Linux's limit is 128 KiB. */
static bool
recipes_fit(const struct mk *m)
{
	const char *p = buf_str(m->out);
	size_t len = 0;

	for (; *p != '\0'; p++) {
		len = *p == '\n' && (p[1] != '\t' || p[-1] != '\\') ? 0 : len + 1;
		if (len > 128 * 1024 - 512)
			return false;
	}
	return true;
}

/* Everything from the image on; the digest of it names the directory of stamps. */
static void
body(struct mk *m)
{
	buf_printf(m->out, "\n# ---- the image ----------------------------------------------------------------------\n"
	           "$(%s_t)image: $(%s_S)/image\n$(%s_S)/image: $(%s_S)/%s %s\n"
	           "\t@$(DOCKCC_RT) export $(%s_all) --stamp=$@ --stage=$(%s_S)/%s \\\n"
	           "\t  --output=\"$$%s_set_output\" --tag=\"$$%s_set_tag\"\n",
	           m->p, m->p, m->p, m->p, mk_last(m, m->g->target), mk_force(m, "image"), m->p, m->p, mk_last(m, m->g->target), m->p, m->p);
	argument_targets(m);
	stages(m);
	people(m);
}

/* A line break in a name would end the line that holds it. */
static bool
names_fit(const struct mk *m)
{
	bool fit = strchr(m->o->dockerfile, '\n') == NULL;

	for (size_t i = 0; i < m->g->ncontexts; i++)
		fit = fit && strchr(m->g->contexts[i].name, '\n') == NULL && strchr(m->g->contexts[i].location, '\n') == NULL;
	return fit;
}

bool
emit_make(struct buf *out, const struct graph *g, const struct emit_options *o, struct diag *d)
{
	struct buf *targets = buf_new(out);
	struct mk m = { .out = targets, .g = g, .o = o, .d = d, .p = o->prefix, .forces = buf_new(out),
	                .numbers = mem_array(out, size_t *, g->nstages) };
	struct sha256 h;
	char digest[65];

	mk_arguments(&m);
	body(&m);
	sha256_init(&h);
	sha256_update(&h, buf_str(targets), targets->len);
	sha256_hex(&h, digest);
	m.out = out;
	header(&m);
	parameters(&m, digest);
	buf_add(out, buf_str(targets), targets->len);
	if (recipes_fit(&m) && names_fit(&m))
		return true;
	out->len = 0;
	return false;
}
