/* What the verbs of a Makefile share: `step`, `scan` and `export`. */
#ifndef RT_STEP_H
#define RT_STEP_H

#include "build.h"
#include "stamp.h"

/* A build of one stage, part by part, between stamps. */
struct part {
	struct build_options o;
	struct build b;
	const char *stamp;        /* --stamp: what is written */
	const char *outcome;      /* --outcome: gets the exit status when the step came to its end, NULL: nothing does */
	const char *after;        /* --after: the stamp of the step before */
	struct list stages;       /* --stage: stamps of finished stages that are read */
	bool if_cached;           /* --if-cached: do nothing when something would have to run */
	bool counted;             /* --counted: several steps, each behind its number of words */
	struct stamp before;      /* of `after` */
	struct vars vars;         /* what words may refer to */
};

/* One option of those that all verbs take: 1 taken, 0 it is none of them, -1. */
int part_option(struct part *c, const char *word, struct rt_err *e);
/* Opens the store and reads the stamp of the step before. */
int part_open(struct part *c, struct rt_err *e);
/* What the stamp says becomes stage `sb`.  `keyed`: for FROM, with the names that keys know. */
void part_stage(struct stage_build *sb, struct plan_stage *p, const struct stamp *s, bool keyed);
/* RT_IO when a layer of the stage is gone from the store. */
int part_layers(const struct part *c, const struct stage_build *sb, struct rt_err *e);
/* Names the store; malloc'd. */
char *part_store_name(const struct part *c);

/* group.c: one step as the command line says it. */
/* Reads LETS... STEP LINES VERB WORD..., works out its words and variables, and makes the step of them.  `words` are NULL-terminated;
   *base_variables receives those that are options --base=VARIABLE=NAME. */
int group_step(struct part *c, const char *const *words, size_t n, struct plan_step *s, struct list *base_variables,
               struct rt_err *e);

#endif
