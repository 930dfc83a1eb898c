/* For the files of passes/: the log and the declarations behind the table. */
#ifndef PASSES_PASS_H
#define PASSES_PASS_H

#include "../graph/walk.h"
#include "passes.h"

/* Adds "PASS: line N: text" to the log, when somebody wants it. */
void pass_say(struct pass_log *log, const char *pass, uint32_t first, uint32_t last, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Whether the layer of steps[k] must not join the one before it: the step is, or follows, part of a shared prefix. */
bool pass_boundary(const struct graph *graph, const struct gstage *g, size_t k);

pass_fn pass_fold, pass_prune_stages, pass_prune_args, pass_batch_config, pass_share_prefix, pass_merge_run,
	pass_merge_copy;

#endif
