/* The build cache in and out. */
#ifndef RT_CACHE_H
#define RT_CACHE_H

#include "build.h"

/* Whether every --cache-from and --cache-to can be understood. */
int cache_check(const struct build_options *o, struct rt_err *e);
/* After build_keys: steps that a cache has need not run; their layers come into the store. */
int cache_import(struct build *b, struct rt_err *e);
/* After the build. */
int cache_export(struct build *b, struct rt_err *e);

#endif
