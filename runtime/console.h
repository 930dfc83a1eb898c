/* A shell for people in a step's root: --shell and --shell-on-failure. */
#ifndef RT_CONSOLE_H
#define RT_CONSOLE_H

#include "build.h"

/* The state of the terminal behind --console, so that it can be put back whatever happened to it in between. */
void console_save(const struct build *b);
void console_restore(const struct build *b);

/* Starts the shell of the stage in `root`: in the sandbox, with the environment, directory, user and mounts that `s` has, or the
   stage at its end when `s` is no RUN.  What people type comes from --console (else the terminal), what it prints goes there.
   `scratch`: an empty directory in the store.  *status: how the shell ended. -1 when it could not be started. */
int console_shell(struct build *b, const struct state *st, const struct plan_step *s, const char *root, const char *scratch,
                  int *status, struct rt_err *e);

/* A shell in the root of a finished stage, whose changes are thrown away.  Ends the build with its status. */
int console_visit(struct build *b, struct stage_build *sb, struct rt_err *e);

#endif
