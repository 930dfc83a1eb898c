/* What the targets of a Makefile leave behind for the next: a file of records as in dockcc-plan(5).  It is written
   anew only when it would say something else, so that make stops where nothing changed. */
#ifndef RT_STAMP_H
#define RT_STAMP_H

#include "expand.h"
#include "state.h"

struct stamp {
	char *stage;          /* id */
	char *store;          /* names the store that holds the layers */
	char *fs;             /* see struct stage_build */
	struct list keyed;    /* layers as keys know them */
	struct list layers;   /* layers as the store calls them */
	struct state state;
	struct list hosts;    /* --add-host, a part of later keys */
	struct vars vars;     /* the Dockerfile's variables that words refer to */
};

/* One record: the number of fields, then the fields, each ended by a NUL; the list of fields ends with NULL. */
void stamp_record(struct str *out, ...) __attribute__((sentinel));
void stamp_list(struct str *out, const char *name, const struct list *l);

/* Writes `text` to `path` unless that is what it holds already.  `forced`: the target is asked for in every run of make; its
   new time is made to lie in a later second than that of its neighbours, since some makes see no less than a second. */
int stamp_write(const char *path, const struct str *text, bool forced, struct rt_err *e);

void stamp_put(struct str *out, const struct stamp *s);
/* Reads what stamp_put wrote. */
int stamp_read(const char *path, struct stamp *s, struct rt_err *e);
/* Reads the name and value of a build argument that `scan --arg` wrote; *value is NULL when none was given. */
int stamp_read_arg(const char *path, char **name, char **value, struct rt_err *e);

#endif
