/* Names get their meaning: unit -> graph. */
#ifndef SEMA_SEMA_H
#define SEMA_SEMA_H

#include "../graph/graph.h"

struct diag;
struct unit;

/* The phases of which each ends the work at its errors. */
enum sema_phase { SEMA_FROM, SEMA_NAMES, SEMA_STEPS, SEMA_DONE };

struct sema_options {
	const char *target;               /* NULL: last stage */
	const struct build_arg *build_args; /* given to compile: defaults of the script */
	size_t nbuild_args;
	const struct named_context *contexts;
	size_t ncontexts;
	const char *platform;             /* NULL: linux/amd64 of this build of dockcc */
	bool freeze;                      /* everything known is static */
	bool all_stages;                  /* judge also the stages that the target does not need: check */
	enum sema_phase *reached;         /* NULL, or where the phase in which it ends is put */
};

/* Resolves names, scopes and bases and lowers every stage.  All stages are lowered; those the target does
   not reach have live == false and their dispatch errors are not reported (spec/language.md, pipeline).
   NULL after reports to `d`.  The graph is owned by `ctx`, refers to the unit. */
struct graph *sema_build(const void *ctx, const struct unit *u, const struct sema_options *o, struct diag *d);

#endif
