/* Build checks: warnings about a Dockerfile that compiles.  spec/checks.md; the names are the reference's. */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/diag.h"
#include "../front/ast.h"

/* What `# check=` and BUILDKIT_DOCKERFILE_CHECK ask for. */
struct check_config {
	const char **skip, **experimental; /* NULL-terminated; "all" is every rule */
	bool error;                        /* findings make the build fail */
};

/* Reads the directive, or `instead` (the build argument's value) when that is not NULL.  False after a report. */
bool check_configure(const void *ctx, const struct unit *u, const char *instead, struct check_config *c, struct diag *d);

/* How far the reference gets with a file that has an error: what it would have said until then is said. */
enum check_reach {
	CHECK_LINES,        /* the line pass is done; instructions before `line` were read */
	CHECK_INSTRUCTIONS, /* every instruction was read, but the stages do not fit together */
	CHECK_STAGES,       /* instructions before `line` were carried out */
};

/* Runs every rule on every stage; findings go to `d` as warnings, each once a line. `line`: see above, UINT32_MAX
   when there is no error. */
void check_unit(const struct unit *u, const struct check_config *c, enum check_reach reach, uint32_t line, struct diag *d);

/* ---- inside src/check ---- */

struct check {
	const struct unit *u;
	const struct check_config *c;
	struct diag *d;
	enum check_reach reach;
	uint32_t line;
};

/* One finding at `at`, on the line the reference names, unless the rule is switched off there. */
struct diag_item *check_say(struct check *k, enum diag_id id, const struct inst *i, uint32_t line, struct span at, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* rules.c: what the syntax alone shows; vars.c: what depends on variables. */
void check_syntax(struct check *k);
void check_variables(struct check *k);

#endif
