/* What compile and build share: from the options to the text of the result. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "options.h"

struct buf;
struct lock;

struct job {
	const struct options *o;
	const char *dockerfile; /* path that is read */
	const char *shown;      /* as messages and the script name it */
	const char *script;     /* what the script calls itself */
	struct buf *out;
	bool all_stages;        /* also those that the target does not need */
	const struct lock *lock; /* --locked, NULL: not */
	bool silent;            /* what there is to say was said before */
};

struct diag;
struct sema_options;
/* Whether standard error gets colours: --color, NO_COLOR, CLICOLOR_FORCE, a terminal. */
bool job_color(const struct options *o);
/* Prints diagnostics on standard error; EXIT_INPUT when there was an error. */
int job_show(const struct options *o, struct diag *d);
/* The options that name resolution takes; an exit status. */
int job_sema_options(const void *ctx, const struct options *o, struct sema_options *so);

/* What is emitted: --emit, else what the name of the output says. */
const char *job_form(const struct options *o);
/* Whether --runtime puts a program for this machine into the script. */
bool job_runs_here(const struct options *o);
/* Compiles; diagnostics go to standard error.  An exit status. */
int job_run(const void *ctx, struct job *j);

#endif
