/* What compile and build share: from the options to the text of the result. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "options.h"

struct buf;
struct sema_options;

struct job {
	const struct options *o;
	const char *dockerfile; /* path that is read */
	const char *shown;      /* as messages and the script name it */
	const char *script;     /* what the script calls itself */
	struct buf *out;
};

/* Whether standard error takes colours. */
bool use_color(const struct options *o);
/* What sema takes of the command line.  An exit status. */
int sema_options(const void *ctx, const struct options *o, struct sema_options *so);
/* Compiles; diagnostics go to standard error.  An exit status. */
int job_run(const void *ctx, struct job *j);

#endif
