/* Whether two builds made the same: --record and --verify. */
#ifndef RT_VERIFY_H
#define RT_VERIFY_H

#include "build.h"

/* Writes what the target is, its layers in the store and its config, as JSON. */
int verify_record(struct build *b, const char *file, struct rt_err *e);
/* Compares the target's files and config with what `file` records of another build in the same store.  How many layers there are, and
   the history, may differ.  RT_DIGEST when something else does, after telling what, at most twenty things, on standard error. */
int verify_compare(struct build *b, const char *file, struct rt_err *e);

#endif
