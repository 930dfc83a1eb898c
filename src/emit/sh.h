/* What the parts of the shell emitter share. */
#ifndef EMIT_SH_H
#define EMIT_SH_H

#include "../graph/graph.h"
#include "emit.h"

struct sh {
	struct buf *out;
	void *tmp;           /* words of the current step; emptied behind it */
	const struct graph *g;
	const struct emit_options *o;
	struct diag *d;
	unsigned temps;      /* temporaries in use by the current step */
	uint32_t line;       /* Dockerfile line for messages of the step */
	const char *indent;
	struct var_set *read; /* variables that some dynamic value reads */
};

/* The script's name of a variable: d_NAME, d3_NAME; bytes that cannot be in a name as xHH_. */
void sh_var_name(struct buf *out, const struct var *v);
/* Name of the given build argument: b_NAME. */
void sh_given_name(struct buf *out, const char *name);

/* A value as one shell word, made in two parts: statements that hoist nested words into temporaries go to s->out now
   (one a line), the word itself is returned, owned by s->tmp. */
const char *sh_value(struct sh *s, const struct value *v);
/* The same with literal text in front, --name= and the like. */
const char *sh_value_with(struct sh *s, const char *prefix, const struct value *v);

/* var=word: the assignment of an ARG (which a build argument overrides) or an ENV. */
void sh_assign(struct sh *s, const struct assign *a);

/* One step: its comment, what has to be worked out, the record, the assignments behind it. */
void sh_step(struct sh *s, const struct gstage *stage, size_t number, const struct step *step);
/* "# Dockerfile:9   RUN ..." for the given instructions. */
void sh_step_comment(struct sh *s, const struct span *sources, size_t n);

/* Which variables are read: names of all that appear in dynamic values. */
struct var_set *var_set_new(const void *ctx, const struct graph *g);
/* What one step reads, globals and what those read included. */
struct var_set *var_set_step(const void *ctx, const struct graph *g, const struct step *st);
bool var_set_has(const struct var_set *set, const struct var *v);

/* The lines that say which runtime the script carries, among its parameters. */
void sh_payload_parameters(struct sh *s);
/* The end of the script: payloads and the calls of main. */
void sh_payload(struct sh *s);

/* The prelude, identical in every script. */
extern const char sh_prelude[];

#endif
