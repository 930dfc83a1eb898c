/* A run step as run_command takes it. */
#ifndef RT_CALL_H
#define RT_CALL_H

#include "prepare.h"

struct call {
	struct list argv, env;
	char *cwd;
	struct prepared mounts;
	struct run_spec spec;    /* points into the rest */
};

/* `st` is the state before the step and has to outlive the call; `scratch` an empty directory on the store's file system, NULL
   when the step has no mounts; `out` takes the command's output. */
int call_make(struct build *b, const struct state *st, const struct plan_step *s, const char *root, const char *scratch, int out,
              struct call *c, struct rt_err *e);
/* --trace: writes to the step's output where and as whom the command runs, and what is mounted for it. */
void call_trace(const struct call *c);
void call_free(struct call *c);

#endif
