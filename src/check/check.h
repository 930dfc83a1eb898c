/* `dockcc check`: what is allowed and still a mistake.  Rules report through `struct diag`; they never change
   what is compiled.  spec/checks.md. */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/diag.h"

struct buf;
struct unit;
struct sema_options;

/* ---- the table of rules (rules.c) ---- */

struct check_rule {
	enum diag_id id;
	const char *name;  /* BuildKit's for its rules, ours else; shown in messages */
	const char *plain; /* the name in small letters and dashes */
	const char *alias; /* hadolint's numbers for the same, parted by commas; NULL: none */
	const char *group; /* "build", "experimental", "wrong", "taste", "asked" */
};

const struct check_rule *check_rules(size_t *n);
const struct check_rule *check_rule_of(enum diag_id id);
/* The rule of a name, a plain name or an alias, as written; NULL: none. */
const struct check_rule *check_rule_find(const char *name);

/* The error that says what the rule of hadolint with this number says; false: none does. */
bool check_number(const char *number, enum diag_id *id);

bool check_rule_is(const struct check_rule *r, const char *name);

/* Turns off what is not BuildKit's, with `own` only the rest. */
void check_only(struct diag *d, bool own);

/* One -W option without the W: "all", "none", "error", "error=X", "X", "no-X", "" (show everything that is on).  Sets
   levels of `d`.  False when there is no such rule; *near is then the most similar name or NULL. */
bool check_level(struct diag *d, const char *option, bool *werror, const char **near);

/* ---- running (check.c) ---- */

struct check_options {
	const struct sema_options *sema; /* build arguments, platform, named contexts */
	const char *directive;  /* the build argument BUILDKIT_DOCKERFILE_CHECK, NULL: what the file says */
	const char *ignore;     /* text of the ignore file, NULL: none */
	size_t ignore_len;
	const char *ignore_name; /* as shown */
	bool reference;         /* hadolint's comments do not silence BuildKit's rules */
	const char *shellcheck; /* the program, looked up on the PATH; NULL: not asked for */
	const char *shellcheck_severity; /* the least that is shown: warning, style... */
};

struct check_result {
	bool error;          /* error=true: findings count as errors */
	bool misconfigured;  /* the check directive is wrong */
	bool refused;        /* the file cannot be compiled */
	unsigned error_line; /* then: the line the reference names, 0: the whole file */
};

/* Runs all rules over a file that unit_parse has read with the same `d`; errors of the graph are found too. */
struct check_result check_unit(const struct unit *u, const struct check_options *o, struct diag *d);

/* ---- output (output.c, sarif.c) ---- */

struct check_file {
	const char *name;
	const struct source *source;
	const struct diag *d;
	struct check_result result;
};

/* The reference's own answer: its rules, line and name (corpus AST.md, "Checks").  Several files are an object of them. */
void check_json(struct buf *out, const struct check_file *files, size_t n);
/* Every finding with place, text, severity, note and fix. */
void check_json_full(struct buf *out, const struct check_file *files, size_t n);
/* SARIF 2.1.0. */
void check_sarif(struct buf *out, const struct check_file *files, size_t n);
/* FILE:LINE:COL: warning: TEXT [name], one line each. */
void check_gcc(struct buf *out, const struct check_file *files, size_t n);

/* ---- fixes (fix.c) ---- */

/* The file with every safe fix made; *count is their number.  Owned by `ctx`. */
char *check_fix(const void *ctx, const struct source *source, const struct diag *d, size_t *len, unsigned *count);

#endif
