/* The words of one step of the plan (dockcc-plan(5)), for whoever writes them down. */
#ifndef EMIT_WORDS_H
#define EMIT_WORDS_H

#include "../graph/graph.h"

/* Receives the words from the verb on, in order.  A word is literal text, or `prefix` with a value behind it. */
struct words {
	void *ctx; /* owns what is made on the way */
	void (*text)(struct words *w, const char *prefix, const char *text);
	void (*value)(struct words *w, const char *prefix, const struct value *v);
	/* an operand of arg: NAME=VALUE, or NAME alone when the variable ends up without a value */
	void (*assign)(struct words *w, const struct assign *a);
};

void step_words(struct words *w, const struct step *st);

#endif
