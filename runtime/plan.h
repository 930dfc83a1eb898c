/* The plan that an emitted script prints: dockcc-plan(5). */
#ifndef RT_PLAN_H
#define RT_PLAN_H

#include "exec.h"
#include "rt.h"

enum verb { VERB_FROM, VERB_ARG, VERB_SET, VERB_WORKDIR, VERB_COPY, VERB_ADD, VERB_RUN };

/* Where the files of a COPY, a mount or a base come from. */
enum origin { FROM_CONTEXT, FROM_STAGE, FROM_IMAGE, FROM_NOTHING };

/* An option of a `set` step and, with `same`, a further value of the instruction before it. */
struct plan_setting {
	const char *name, *value;
	bool same;
};

/* A RUN mount as written; target may be relative. */
struct plan_mount {
	enum run_mount_kind kind;
	const char *target, *source, *id, *sharing, *env; /* NULL: absent */
	enum origin origin;
	const char *from;        /* stage id or image reference */
	const char *mode, *uid, *gid, *size;
	bool required, readonly, readwrite;
};

struct plan_file {
	const char *name, *data;
};

struct plan_step {
	const char *id, *lines;
	enum verb verb;
	struct plan_stage *stage;
	/* from; copy, add */
	enum origin origin;
	const char *from;        /* reference or stage id */
	const char *platform, *pin;
	struct list triggers;    /* from: the ONBUILD of the image that the stage begins with */
	/* arg: NAME or NAME=VALUE; workdir: the path; copy, add: sources and destination; run: text or vector */
	const char *const *args;
	size_t nargs;
	struct plan_setting *settings;
	size_t nsettings;
	const char *chown, *chmod, *checksum;
	bool link, parents, keep_git_dir;
	int unpack;
	struct list excludes;
	struct plan_file *files;
	size_t nfiles;
	bool exec, join;
	const char *network, *security, *script;
	struct plan_mount *mounts;
	size_t nmounts;
};

struct plan_stage {
	const char *id, *name;
	struct plan_step *steps;
	size_t nsteps;
	size_t index;
};

struct plan {
	struct plan_stage *stages;
	size_t nstages;
	char *bytes;             /* everything points into this */
};

/* Reads a whole plan up to its `end` record from `fd`; at most 1 GiB.  RT_USAGE when it is cut off or not a plan. */
int plan_read(int fd, struct plan *p, struct rt_err *e);
/* The stage called `id`, NULL when there is none. */
struct plan_stage *plan_stage(const struct plan *p, const char *id);
/* One step from words "ID LINES VERB ..."; for `dockcc-rt step`.  `words` must outlive it. */
int plan_step(struct plan_step *s, const char *const *words, size_t n, struct rt_err *e);
const char *verb_name(enum verb v);
/* What people see of a step: "go mod download", ". -> /src"; malloc'd, not yet printable. */
char *step_title(const struct plan_step *s);

#endif
