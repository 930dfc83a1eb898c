/* A build in the making: what `dockcc-rt build` was told, the plan, and what is known of every stage. */
#ifndef RT_BUILD_H
#define RT_BUILD_H

#include "context.h"
#include "copy.h"
#include "meter.h"
#include "image.h"
#include "plan.h"
#include "state.h"

enum progress_kind { PROGRESS_AUTO, PROGRESS_PLAIN, PROGRESS_TTY, PROGRESS_RAW, PROGRESS_QUIET, PROGRESS_JSON };

struct build_options {
	const char *script;       /* name for messages, "build.sh" */
	const char *again;        /* how to go on after a failure, NULL: sh SCRIPT */
	const char *context;      /* directory or NULL */
	const char *dockerfile;   /* name for messages and for its own ignore file */
	const char *ignore_file;  /* NULL: <dockerfile>.dockerignore, else .dockerignore of the context */
	const char *target;       /* stage id; NULL: the last */
	const char *store, *mode, *platform;
	struct list outputs, tags, contexts, secrets, ssh, build_args, labels, annotations, add_hosts, cache_from, cache_to;
	struct list hidden;       /* paths that are not part of the build context: what a Makefile writes beside its Dockerfile */
	const char *iidfile, *metadata_file, *timeline;
	const char *record, *verify; /* files: what was built; what it has to be like */
	const char *from_step, *until_step, *shell; /* step ids; a stage id */
	int console;              /* what a shell reads, -1: the terminal */
	bool strict;              /* only what `locked` names may be used; lock.h */
	struct list locked, pins; /* its entries; those of images as NAME=docker-image://NAME@DIGEST */
	const char *lock_mode, *lock_file;
	unsigned jobs;
	bool no_cache, dry_run, list, squash, shell_on_failure, keep_going, trace;
	enum progress_kind progress;
	int64_t epoch;            /* SOURCE_DATE_EPOCH in seconds, -1: none */
};

/* Steps that share one layer: a layer step and those joined to it. */
struct unit {
	size_t first, end;        /* steps [first, end) that make the layer; others between belong to nobody */
	char key[65];             /* names the layer */
	bool cached;
	bool again;               /* has to run although its layer may be there */
};

struct stage_build {
	struct plan_stage *plan;
	struct list layers;       /* base layers (diff IDs until settled), then one a unit; names, lowest first */
	size_t nbase;             /* layers that come from the base */
	struct unit *units;
	size_t nunits;
	struct stage_build *base; /* FROM stage */
	const char *location;     /* of the base image, NULL: the store */
	bool base_image;          /* FROM an image */
	bool settled;             /* the base's entries of `layers` are what the store calls them (see stage_settle) */
	struct state begin, end;  /* config and environment after FROM and after the last step */
	char fs[65];              /* names the file system at the end: a function of base and keys */
	bool base_missing;        /* a base layer is not in the store yet */
	bool needed;              /* something below has to run, or its result is exported */
	bool done;                /* all layers are in the store */
	bool failed;              /* it will not be: a step failed, here or in what it needs */
};

struct build {
	const struct build_options *o;
	struct plan plan;
	struct store store;
	struct stage_build *stages;
	struct stage_build *target;
	int context_fd;           /* -1: there is none */
	struct ignore *ignore;    /* of the context, NULL: nothing is left out */
	int64_t began;            /* ns since the epoch */
	char quiet[72];           /* --progress=quiet: the id to print at the end */
	struct str ignore_text;   /* its patterns */
	const char *mode;         /* how commands are isolated */
	const char *os, *arch, *variant;
	struct build_options *own;       /* what `o` is, to be changed: contexts become directories; NULL: they are */
	struct context_copy *copies;     /* contexts.h: those that were made */
	size_t ncopies;
	bool made_context;               /* the build context is one of them */
	struct progress *progress;
	const struct plan_step *failed_step; /* the first that failed, with the status it gave the build; NULL: none */
	int failed_status;
	const struct plan_step *failing; /* the step whose key cannot be worked out, for the last line of the failure */
};
/* A failure that no running step tells: the story and the line that a step's failure ends with; forgets the story. */
void build_failed(struct build *b, struct rt_err *e);

/* Options: the defaults, one word (RT_USAGE when it is unknown), what is to do behind the last. */
void build_options_begin(struct build_options *o);
int build_option(struct build_options *o, const char *word, struct rt_err *e);
int build_options_end(struct build_options *o, struct rt_err *e);
/* The platform that is built for: the option, else the machine. */
int build_platform(struct build *b, struct rt_err *e);
/* The time that new parts of the image carry, RFC 3339: SOURCE_DATE_EPOCH or 1970. */
const char *build_created(const struct build_options *o, char out[32]);
struct stage_build *build_stage(const struct build *b, const char *id);
/* Named contexts that the script hands down in $DOCKCC_BUILD_CONTEXTS, NAME=LOCATION a line. */
void build_contexts(struct build_options *o);
/* The location given for a named context or image, NULL: none. */
const char *build_given(const struct build *b, const char *name);
/* The same, else where the lock file pins the image; NULL: look in the store. */
const char *build_location(const struct build *b, const char *name);
/* True when `location` is a plain directory; *path is it. */
bool build_directory(const char *location, const char **path);

/* keys.c: keys, layers, states and what is cached, without running anything. */
int build_keys(struct build *b, struct rt_err *e);
/* What the target needs, from what is cached now. */
void build_need(struct build *b);
/* The same in pieces, for one stage: what FROM gives; then the steps behind the first, with `begin`, `fs` and `layers` known. */
int stage_base(struct build *b, struct stage_build *sb, struct rt_err *e);
int stage_steps(struct build *b, struct stage_build *sb, struct rt_err *e);
/* goal.c: --until-step takes the rest out of the plan and makes its stage the target; --from-step marks units. RT_USAGE when there
   is no such step. */
int goal_cut(struct build *b, struct build_options *o, struct rt_err *e);
int goal_again(struct build *b, struct rt_err *e);
/* Digest of what a step reads from (origin, from), hexadecimal. */
int source_digest(struct build *b, enum origin origin, const char *from, const struct copy_spec *spec, char out[65],
                  struct rt_err *e);
/* Unpacks the base if that is still to do and puts the names of its layers in the store into sb->layers: what an image
   calls a layer and what the store calls it may differ. */
int stage_settle(struct build *b, struct stage_build *sb, struct rt_err *e);
/* Opens the build context and its ignore file once. */
int build_context(struct build *b, struct rt_err *e);

/* worker.c: what a worker tells the scheduler, one message a packet, text behind it. */
enum message_kind { MSG_ACQUIRE, MSG_NEED, MSG_START, MSG_DONE, MSG_FAIL, MSG_GO };
struct message {
	enum message_kind kind;
	uint32_t stage, step;     /* positions in the plan */
	int32_t status;           /* MSG_FAIL: exit status to pass on */
	int32_t signal;
	bool cached;
	bool waits;               /* MSG_START: for an answer; MSG_DONE: there is output of the step that nobody has read */
	uint64_t bytes, files;    /* MSG_DONE: moved by the step */
	char text[1024];          /* MSG_FAIL: the story */
};
/* What a worker gets from the scheduler. */
struct worker_io {
	int ctl, out;             /* a packet socket; the pipe that takes the commands' output */
	int notes;                /* where its own warnings go, -1: standard error */
	struct meter *meter;      /* shared */
};
/* Runs what is missing of a stage; never returns. */
void worker_main(struct build *b, struct stage_build *sb, const struct worker_io *io) __attribute__((noreturn));

/* hidden.c: patterns, one a line, that leave the hidden paths out of the context; appended to `text`. */
void hidden_patterns(const struct build_options *o, struct str *text);

/* files.c: sources of COPY, ADD and mounts. */
struct source_view {
	struct copy_source source;
	char *what, *dir;         /* dir: absolute path of the mounted or plain directory */
	struct ignore *ignore;
};
/* Opens where the files of (origin, from) come from; mounts stages and images read-only below `scratch`. */
int view_open(struct build *b, enum origin origin, const char *from, const char *scratch, struct source_view *v,
                struct rt_err *e);
void view_close(struct source_view *v);
/* The same, and the layers that were mounted for it are let go. */
void view_end(struct source_view *v);
void copy_spec_of(const struct plan_step *s, const struct state *st, const struct build_options *o, struct copy_spec *spec,
                  struct copy_file **files);
/* The id a cache mount has, hashed with what fills it: the directory's name below cache/. */
void cache_name(const struct build *b, const struct plan_mount *m, char out[65]);
char *mount_target(const struct state *st, const struct plan_mount *m, unsigned nssh);

/* sched.c: runs the stages that need it. -1 with `e`; *failed tells the step, NULL when none. */
int sched_run(struct build *b, struct rt_err *e);

/* progress.c: what people see.  Everything goes to standard error but the digest of --progress=quiet. */
/* Begins the record of the build; before any other of these. */
void progress_open(struct build *b);
/* The keys are known: how many steps there will be. */
void progress_plan(struct build *b);
/* A step begins; `m` is what its worker counts in, or NULL. */
void progress_start(struct build *b, const struct plan_step *s, const struct meter *m, bool cached);
void progress_output(struct build *b, const struct plan_step *s, const char *bytes, size_t n);
void progress_done(struct build *b, const struct plan_step *s, bool cached, uint64_t bytes, uint64_t files);
void progress_fail(struct build *b, const struct plan_step *s, const struct message *m);
/* All steps of a stage that is there already. */
void progress_cached(struct build *b, const struct stage_build *sb);
/* Time has passed; `now`: the terminal has another size. */
void progress_tick(struct build *b, bool now);
/* Milliseconds after which progress_tick wants to be called. */
int progress_interval(const struct build *b);
/* A line of its own: a warning, the name of an image that is pulled. */
void progress_note(struct build *b, const char *text);
/* An image was written. */
void progress_image(struct build *b, const char *digest, const char *where);
/* The build has ended with `status`: takes the live display away, tells the summary, writes --timeline. */
int progress_close(struct build *b, int status, struct rt_err *e);

#endif
