/* Rewrites of the graph, in the order of the table. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct graph;

/* What one pass did, for --explain: a sentence in terms of Dockerfile lines. */
struct pass_log {
	struct buf *text; /* NULL: not wanted */
};

/* Makes the graph smaller or cheaper without changing the image's file system or config.  Returns the
   number of changes. */
typedef unsigned pass_fn(struct graph *g, struct pass_log *log);

struct pass {
	const char *name, *help;
	unsigned level; /* 9: only when asked for */
	pass_fn *run;
};
extern const struct pass passes[];
extern const size_t npasses;

/* Runs every pass with level <= `level` or named in `on` and not named in `off` (NULL-terminated lists);
   fills counts[npasses]; an unknown name is the caller's error to find (passes[] is there). */
void passes_run(struct graph *g, unsigned level, const char *const *on, const char *const *off,
                unsigned *counts, struct pass_log *log);

#endif
