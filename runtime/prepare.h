/* RUN --mount: from what the plan says to what run_command mounts.  spec/execution.md 3. */
#ifndef RT_PREPARE_H
#define RT_PREPARE_H

#include "build.h"

struct prepared {
	struct run_mount *v;
	size_t n;
	struct list owned;      /* strings that the mounts point at */
	int locks[64];          /* of cache mounts, held while the command runs */
	size_t nlocks;
	struct str *secrets;    /* wiped on release */
	size_t nsecrets;
};

/* Fills `m` for one run step; adds the variables of secrets and SSH_AUTH_SOCK to `env`.  `scratch` is an empty
   directory on the store's file system. */
int prepare_mounts(struct build *b, const struct state *st, const struct plan_step *s, const char *scratch,
                   struct prepared *m, struct list *env, struct rt_err *e);
void prepare_release(struct prepared *m);

#endif
