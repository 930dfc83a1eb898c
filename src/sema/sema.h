/* Names get their meaning: unit -> graph. */
#ifndef SEMA_SEMA_H
#define SEMA_SEMA_H

#include "../graph/graph.h"

struct diag;
struct unit;

/* The phases of which each ends the work at its errors. */
enum sema_phase { SEMA_FROM, SEMA_NAMES, SEMA_STEPS, SEMA_DONE };

/* The ONBUILD triggers of an image that is at hand, each as its config holds it; NULL with *n = 0 when it has none or
   is not at hand.  They hang on `ctx`. */
typedef const char *const *sema_triggers_fn(void *arg, const void *ctx, const char *ref, const char *platform, size_t *n);

struct sema_options {
	const char *target;               /* NULL: last stage */
	const struct build_arg *build_args; /* given to compile: defaults of the script */
	size_t nbuild_args;
	const struct named_context *contexts;
	size_t ncontexts;
	const char *platform;             /* normal; several with commas between them: the script takes one after the other; NULL: the host's */
	sema_triggers_fn *triggers;       /* NULL: no image is looked at */
	void *triggers_arg;
	bool freeze;                      /* everything known is static */
	bool all_stages;                  /* judge also the stages that the target does not need: check */
	enum sema_phase *reached;         /* NULL, or where the phase in which it ends is put */
};

/* Resolves names, scopes and bases and lowers every stage.  All stages are lowered; those the target does
   not reach have live == false and their dispatch errors are not reported (spec/language.md, pipeline).
   NULL after reports to `d`.  The graph is owned by `ctx`, refers to the unit. */
struct graph *sema_build(const void *ctx, const struct unit *u, const struct sema_options *o, struct diag *d);

/* The platform that dockcc itself was built for. */
#if defined __aarch64__
#define HOST_PLATFORM "linux/arm64"
#else
#define HOST_PLATFORM "linux/amd64"
#endif

/* OS/ARCH[/VARIANT] as the reference writes it: arm64 is linux/arm64, linux/x86_64 linux/amd64, linux/arm linux/arm/v7.
   NULL when it is none. */
char *platform_normal(const void *ctx, const char *platform);
/* The name under which buildx looks up a named context: without docker.io, library and a tag latest. */
char *reference_familiar(const void *ctx, const char *ref);

#endif
