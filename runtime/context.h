/* Build contexts that are no directories yet: archives, URLs, git repositories, nothing. */
#ifndef RT_CONTEXT_H
#define RT_CONTEXT_H

#include "image.h"

struct build;

/* A context on disk, in the store's tmp/ while its maker lives. */
struct context_copy {
	char *tmp, *dir;   /* relative to the store; the absolute path of the files */
	char *lone;        /* the path of a Dockerfile that was all there was, NULL: `dir` has files */
	int lock;
};
/* Whether `location` has to be fetched or unpacked before it is a directory: a URL, a git repository, "-", a file. */
bool context_is_made(const char *location);
struct context_how {
	int in;                    /* what "-" stands for */
	bool keep_git;             /* .git stays */
	const struct list *locked; /* entries of a lock file that it has to keep to, or NULL */
};
/* Makes it; NULL is an empty context.  context_drop after 0. */
int context_make(struct store *s, const char *location, const struct context_how *how, struct context_copy *c, struct rt_err *e);
void context_drop(struct store *s, struct context_copy *c);

/* Of a build: its context, and the named ones that the plan uses, become directories.  They go with contexts_drop. */
int contexts_make(struct build *b, struct rt_err *e);
void contexts_drop(struct build *b);

#endif
