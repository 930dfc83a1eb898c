/* Lock files: dockcc.lock(5). */
#ifndef CLI_LOCK_H
#define CLI_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "job.h"

struct diag;
struct graph;

struct lock {
	const char *path;
	const char *text;   /* the entries, "KIND NAME DIGEST" a line, comments left out */
	char digest[65];    /* sha256 of the file, hexadecimal */
};

/* Where the lock file is: --lock-file, else dockcc.lock beside the Dockerfile. */
const char *lock_path(const void *ctx, const struct job *j);
/* Reads it; what is wrong with it is reported to `d`.  NULL after a report or a message. */
struct lock *lock_read(const void *ctx, const char *path, struct diag *d);
/* Reports every image, URL and git reference of the graph that is known now and that the lock lacks. */
void lock_check(const struct lock *l, const struct graph *g, struct diag *d);

#endif
