/* Patterns of COPY sources and of ignore files, matched in time linear in pattern times name. */
#ifndef RT_GLOB_H
#define RT_GLOB_H

#include "rt.h"

enum glob_kind {
	GLOB_PATH,   /* Go path.Match: `**` is `*` */
	GLOB_IGNORE, /* ignore files: `**` crosses directories */
};

/* How far a name takes a pattern. */
enum glob_result {
	GLOB_NONE = 0,
	GLOB_HERE = 1,  /* the whole name matches */
	GLOB_ABOVE = 2, /* a directory above it does ("d" for "d/e/f") */
	GLOB_BELOW = 4, /* some name below it could */
};

struct glob;
/* NULL when the pattern is malformed (an unfinished `[` or escape). */
struct glob *glob_compile(const char *pattern, enum glob_kind kind);
void glob_free(struct glob *g);
/* A set of enum glob_result. */
unsigned glob_run(const struct glob *g, const char *name);
/* Whether the word needs matching at all: has `*`, `?` or `[` that no backslash protects. */
bool glob_has_wildcard(const char *word);

#endif
