/* What sema and the passes share to look into a graph: its values, its edges, partial evaluation. */
#ifndef GRAPH_WALK_H
#define GRAPH_WALK_H

#include "graph.h"

/* A value under construction: neighbouring literals become one part. */
struct value_builder {
	const void *ctx;
	struct value_part few[4], *parts; /* a literal has no text yet: it is the next `len` bytes of `text` */
	size_t n, cap;
	char small[200], *text;
	size_t len, room;
	size_t open;                      /* bytes of `text` that no part has yet */
	struct span at;
};

void builder_init(struct value_builder *b, const void *ctx);
void builder_text(struct value_builder *b, const char *s, size_t len, struct span at);
void builder_part(struct value_builder *b, const struct value_part *part);
void builder_value(struct value_builder *b, const struct value *v);
/* The value, one chunk owned by the builder's ctx; the builder itself, which is on the stack, is over. */
const struct value *builder_done(struct value_builder *b);
/* Gives up what was built. */
void builder_drop(struct value_builder *b);

/* What is known about a variable before the script runs. */
enum known_state { KNOWN_NOT, KNOWN_UNSET, KNOWN_TEXT };
struct known {
	enum known_state state;
	const char *text; /* KNOWN_TEXT */
};
typedef struct known known_fn(void *arg, const struct var *var);

enum fold_failure { FOLD_GOOD, FOLD_REQUIRED, FOLD_PATTERN, FOLD_LONG };
struct fold_error {
	enum fold_failure why;
	struct span at;
	const char *name, *text; /* FOLD_REQUIRED: the variable and what the user says, "" for nothing */
};

/* Partial evaluation: `v` with all that `fn` knows put in.  NULL when the expansion fails whatever the
   rest turns out to be; `error` then says why.  Owned by `ctx`; parts of `v` may be shared. */
const struct value *value_fold(const void *ctx, const struct value *v, known_fn *fn, void *arg,
                               struct fold_error *error);

/* Whether working out `v` can fail when the script runs: it requires a variable or holds a pattern. */
bool value_may_fail(const struct value *v);

/* Calls `fn` for every variable part of `v`, nested ones included; NULL values have none. */
typedef void value_var_fn(void *arg, const struct value_part *part);
void value_vars(const struct value *v, value_var_fn *fn, void *arg);

/* Same parts, where a variable of stage `a` in the one stands for that of stage `b` in the other. */
bool value_same(const struct value *x, const struct value *y, int a, int b);

/* Calls `fn` with the place of every value that the step holds, so that it may be replaced. */
typedef void value_slot_fn(void *arg, const struct value **slot);
void step_values(struct step *s, value_slot_fn *fn, void *arg);

/* Counts in every variable how often live steps, and globals that are not dead, read it or fall back on it; their
   marks are cleared. */
void graph_count_reads(struct graph *g);
/* Adds what one step, or the value of a global, reads to the counts, or takes it away (-1). */
void step_count_reads(struct step *s, int how_often);
void value_count_reads(const struct value *v, int how_often);
/* Whether anything reads `var`, without the first `first` steps of `stage`. */
bool graph_reads_behind(struct graph *g, const struct var *var, const struct gstage *stage, size_t first);

/* The step before steps[k] that no pass has removed, or NULL. */
struct step *stage_before(const struct gstage *g, size_t k);

/* Sets `live` of every stage: reachable from the target by FROM, COPY --from and mounts. */
void graph_reach(struct graph *g);

#endif
