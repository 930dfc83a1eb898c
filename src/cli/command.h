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
int cmd_lock(const void *ctx, const struct options *o);
/* The Dockerfile that -f or the context names, and how it is shown.  False after a message. */
bool find_dockerfile(const void *ctx, const struct options *o, struct job *j);

/* build.c.  Compiles to a script in memory, *fd, that the shell can read once; the exit status. */
int compile_script(const void *ctx, struct job *j, int *fd);
/* What the script is to be told; `results`: see options_for_script. */
void script_arguments(const void *ctx, const struct options *o, const struct job *j, bool results, struct string_list *out);
/* Becomes the shell that runs the script in `fd`. */
void run_shell(int fd, const struct string_list *arguments) __attribute__((noreturn));
/* verify.c: builds at -O0 and then runs the script in `wanted`, which compares; the exit status. */
int build_verified(const void *ctx, const struct options *o, struct job *j, int wanted);

#endif
