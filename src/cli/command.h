/* One function a command; each returns the exit status. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "job.h"

int cmd_compile(const void *ctx, const struct options *o);
int cmd_build(const void *ctx, const struct options *o);
int cmd_check(const void *ctx, const struct options *o);
/* Checks one file for build and compile -W.  With `quiet` errors are left out: compiling tells them.  An exit status. */
int check_file(const void *ctx, const struct options *o, const char *path, bool quiet);
/* Puts what the script in `j` reads behind it, into the file or directory `to`. */
int bundle_make(const void *ctx, const struct job *j, const char *to, bool directory);
int cmd_fmt(const void *ctx, const struct options *o);
/* The Dockerfile that -f or the context names, and how it is shown.  False after a message. */
bool find_dockerfile(const void *ctx, const struct options *o, struct job *j);

#endif
