/* What the parts of the Makefile emitter share. */
#ifndef EMIT_MK_H
#define EMIT_MK_H

#include "../graph/graph.h"
#include "emit.h"

struct mk_arg {
	const char *name;         /* of the ARG */
	const char *shown;        /* name of the variable in the Makefile without prefix */
	const char *text;         /* default when it is one text that a variable can hold, NULL: (default) */
	bool none;                /* some ARG of that name makes `text` not the default */
};

struct mk {
	struct buf *out;
	const struct graph *g;
	const struct emit_options *o;
	struct diag *d;
	const char *p;            /* prefix of all names */
	struct buf *forces;       /* names of what makes targets out of date, see mk_force */
	struct mk_arg *args;      /* build arguments that steps read */
	size_t nargs, args_cap;
	size_t **numbers;         /* by stage, once they are asked for: how many live steps stand in front of each step */
};

/* ---- mk_value.c: text in its three places --------------------------------------------------------- */

/* One word of a recipe: quoted for the shell, `$` doubled for make.  No NUL and no line feed: a recipe cannot hold one,
   mk_escape writes it as \n. */
void make_quote(struct buf *out, const char *text, size_t len);
/* The right side of NAME = TEXT.  False, with nothing written, for what the two makes read differently or not at all. */
bool make_value(struct buf *out, const char *text, size_t len);
/* Text as a template of dockcc-rt step --expand; `nested`: inside ${ }. */
void mk_escape(struct buf *out, const char *text, size_t len, bool nested);
/* A value as such a template. */
void mk_template(struct buf *out, const struct value *v, bool nested);

/* A prerequisite that has the target of this name looked at in every run.  Each has its own: bmake without -j lets only the
   first user of a name be out of date when it was made in the current second. */
const char *mk_force(struct mk *m, const char *target);

/* ---- mk_step.c ------------------------------------------------------------------------------------- */

/* The targets of one stage. */
void mk_stage(struct mk *m, const struct gstage *st);
/* Name of the stamp that the stage ends with, without directory. */
const char *mk_last(const struct mk *m, const struct gstage *st);
/* Notes the build arguments that live steps read. */
void mk_arguments(struct mk *m);
const char *mk_compile_value(const struct mk *m, const char *name);
/* The name as part of a path or of an environment variable. */
const char *mk_mangled(const struct mk *m, const char *name);
/* "# Dockerfile:9   RUN ..." */
void mk_comments(struct mk *m, const struct step *st);

#endif
