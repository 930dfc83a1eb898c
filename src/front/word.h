/* The word language: `$x`, `${x:-y}`, quotes and escapes inside one word, parsed once into a small
   tree that sema evaluates and the emitters turn into shell.  spec/language.md 3. */
#ifndef FRONT_WORD_H
#define FRONT_WORD_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/source.h"

struct buf;
struct diag;
struct text;

enum word_op {
	WORD_PLAIN,        /* $x ${x} */
	WORD_DEFAULT,      /* ${x-w}  */
	WORD_DEFAULT_NULL, /* ${x:-w} */
	WORD_ALT,          /* ${x+w}  */
	WORD_ALT_NULL,     /* ${x:+w} */
	WORD_REQUIRE,      /* ${x?w}  */
	WORD_REQUIRE_NULL, /* ${x:?w} */
	/* ${x#p} ${x##p} ${x%p} ${x%%p}.  The short forms are long after all when the expanded pattern begins with the
	   same character, which is then not part of it: ${x#$y} where y begins with #. */
	WORD_PREFIX, WORD_PREFIX_LONG,
	WORD_SUFFIX, WORD_SUFFIX_LONG,
	WORD_REPLACE, WORD_REPLACE_ALL,  /* ${x/p/r} ${x//p/r} */
};

struct word_part {
	bool is_var;
	struct span at;
	const char *text;   /* literal, quotes and escapes gone; or the variable's name (may be "$", "1"...) */
	size_t len;
	enum word_op op;
	struct word_tree *arg;  /* default text, pattern; NULL when there is none. In patterns escapes are kept raw */
	struct word_tree *repl; /* replacement */
};

struct word_tree {
	const struct word_part *parts;
	size_t nparts;
};

enum word_mode {
	WORD_MODE_NORMAL, /* quotes and escapes are processed */
	WORD_MODE_RAW,    /* here-document body: quotes are text, escape always backslash */
};

/* Parses `text`; `escape` is backslash or backtick.  NULL after one report to `d`.  Owned by `ctx`.
   Nesting is limited to 200 (security.md S8). */
struct word_tree *word_parse(const void *ctx, const struct source *source, const struct text *text,
                             char escape, enum word_mode mode, struct diag *d);

/* The value of a variable or NULL when unset; `name` is NUL-terminated. */
typedef const char *word_lookup_fn(void *arg, const char *name);

/* The expansion, owned by `ctx`; NULL after a report (required variable, bad pattern, over 1 MiB). Unset names
   expand to nothing; the caller finds them with word_names. */
char *word_eval(const void *ctx, const struct word_tree *tree, word_lookup_fn *lookup, void *arg,
                const struct source *source, struct diag *d);

/* Calls `fn` for every variable that is read, in order, nested ones included. */
void word_names(const struct word_tree *tree, void (*fn)(void *arg, const struct word_part *var), void *arg);

enum word_match { WORD_MATCH_OK, WORD_MATCH_INVALID, WORD_MATCH_TOO_LARGE };

/* Appends what the operators WORD_PREFIX and up leave of `value`.  `repl` is used by the replacements only. */
enum word_match word_match(struct buf *out, enum word_op op, const char *value, const char *pattern, const char *repl);

#endif
