/* Diagnostics: collected while the compiler works, printed by cli/ (style: `FILE:LINE:COL: error: TEXT
   [name]`, the source line, carets, then note: and fix:).  Whoever can fail because of the user's
   file takes a `struct diag *`, reports once and returns false or NULL. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include "source.h"

struct buf;

enum diag_severity { DIAG_OFF, DIAG_NOTE, DIAG_WARNING, DIAG_ERROR };

/* Every diagnostic is a row of diag.def: DIAG(ID, name, severity, group, "one-paragraph explanation"). */
enum diag_id {
#define DIAG(id, name, severity, group, help) DIAG_##id,
#include "diag.def"
#undef DIAG
	DIAG_COUNT
};

/* One place and what to say about it. */
struct diag_mark {
	const struct source *source;
	struct span at;
	const char *text;
};

struct diag_item {
	enum diag_id id;
	enum diag_severity severity;
	struct diag_mark where;  /* where.text is the message */
	uint32_t line;           /* the line the reference names (first of the instruction), 0: file */
	struct diag_mark note;   /* optional second place; note.text NULL when absent */
	const char *fix;         /* optional, "fix: ..." */
	const char *replacement; /* optional: text that --fix puts in place of where.at */
	bool late;               /* found behind the error at which the reference stops */
};

struct diag {
	struct diag_item *items; /* in the order reported; diag_sort puts them in source order */
	size_t n, cap;
	unsigned errors, warnings;
	enum diag_severity level[DIAG_COUNT];
};

struct diag *diag_new(const void *ctx);

/* Reports at `at` of `source`; returns the item so that the caller may add a line, note or fix with
   the functions below (valid until the next report).  Text is copied.  Rows whose level is
   DIAG_OFF are recorded nowhere and a scratch item is returned. */
struct diag_item *diag_add(struct diag *d, enum diag_id id, const struct source *source, struct span at,
                           const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diag_note(struct diag *d, struct diag_item *item, const struct source *source, struct span at,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diag_fix(struct diag *d, struct diag_item *item, const char *replacement, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

const char *diag_name(enum diag_id id);
/* The explanation: one paragraph. */
const char *diag_help(enum diag_id id);
void diag_sort(struct diag *d);
/* Renders one item as people read it; `color` adds SGR sequences. */
void diag_render(struct buf *out, const struct diag_item *item, bool color);

/* The entry of `names` nearest to `word` (Damerau-Levenshtein, case ignored) within a distance that a typing slip
   explains, or NULL. */
const char *diag_nearest(const char *word, const char *const *names, size_t n);

#endif
