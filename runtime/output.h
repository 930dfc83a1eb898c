#ifndef RT_OUTPUT_H
#define RT_OUTPUT_H

#include "build.h"

/* Whether every --output can be understood, before anything is built. */
int output_check(const struct build_options *o, struct rt_err *e);
/* The value of KEY=VALUE in a list with commas; malloc'd, or NULL. */
char *output_field(const char *csv, const char *key);
/* Writes the target's image to every --output, else under its tags into the store. */
int output_write(struct build *b, struct rt_err *e);

#endif
