/* Lock files: what images, URLs and git references stand for, one "KIND NAME DIGEST" a line; dockcc.lock(5). */
#ifndef RT_LOCK_H
#define RT_LOCK_H

#include "rt.h"

struct build;
struct build_options;
struct plan_stage;

/* --locked=ENTRY: one line of a lock file, which from now on says what may be used; "" alone: nothing may.  RT_USAGE for what is
   none. */
int lock_option(struct build_options *o, const char *entry, struct rt_err *e);
/* The same from $DOCKCC_LOCKED, where a script keeps all of its entries, a line each; not locked when it is empty. */
int lock_environment(struct build_options *o, struct rt_err *e);
/* The digest or commit of an entry, NULL: there is none. */
const char *lock_find(const struct list *locked, const char *kind, const char *name);

/* Of an image about to be used: fails when the build is locked and its name is not in there. */
int lock_image(const struct build *b, const char *name, struct rt_err *e);
/* The same for all that the steps of a stage use, and for images given with --build-context that they are the locked ones. */
int lock_stage(struct build *b, const struct plan_stage *stage, struct rt_err *e);
int lock_plan(struct build *b, struct rt_err *e);

/* --lock=MODE: "add" writes what the plan uses into o->lock_file and keeps the digests that are there, "update" looks all of them
   up, "check" writes nothing: status 4 when something is missing or left over; "check-update" when a digest has moved, too. */
int lock_write(struct build *b, struct rt_err *e);

#endif
