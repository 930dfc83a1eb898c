/* Contexts that are no directories: a tar or a Dockerfile on standard input, a tar file, a URL, a git repository. */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include "options.h"

/* The directory of a context that was fetched for us, NULL: the context is what the command line says. */
const char *context_directory(void);
/* The Dockerfile that was all of such a context, NULL: it is a file of the directory. */
const char *context_lone(void);
/* The path of a file in a fetched context, its links followed inside only; NULL after a message. */
const char *context_file(const void *ctx, const char *name);
/* When the context has to be fetched first, becomes the program that does that and then runs this command again.  EXIT_GOOD: it
   has not, or was; otherwise an exit status after a message. */
int context_enter(const void *ctx, const struct options *o);

#endif
