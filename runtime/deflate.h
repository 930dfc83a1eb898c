/* gzip, one encoding for one input: the bytes depend on the data and the level only, never on how the data is fed,
   the processor or a library. */
#ifndef RT_DEFLATE_H
#define RT_DEFLATE_H

#include "tar.h"

/* A gzip member (no name, time 0) of all that is written, to `out`.  Level 1 (fast) to 9 (small), 0 means 6. */
struct writer *deflate_open(struct writer *out, int level);
/* Writes the rest and the trailer. */
int deflate_finish(struct writer *w, struct rt_err *e);
void deflate_close(struct writer *w);

#endif
