/* Words of a Makefile's steps that are worked out when they run: dockcc-rt(1), step --expand. */
#ifndef RT_EXPAND_H
#define RT_EXPAND_H

#include "rt.h"

/* Variables by name; a name that is not there is unset. Zero-initialise. */
struct vars {
	struct var_entry {
		char *name, *value;
	} *v;
	size_t n, cap;
};
const char *vars_get(const struct vars *vars, const char *name);
/* `value` NULL: unsets. */
void vars_set(struct vars *vars, const char *name, const char *value);

/* What `template` stands for, appended to `out`.  A byte stands for itself; \n is a line feed and a backslash before any other
   byte that byte; ${NAME} is a variable, ${NAME OP WORD} one of the operators - :- + :+ ? :? # ## % %% /PATTERN/WORD
   //PATTERN/WORD of the Dockerfile's language, WORD and PATTERN being templates.  RT_USAGE with the text of ${NAME?TEXT}. */
int expand(const struct vars *vars, const char *template, struct str *out, struct rt_err *e);

#endif
