/* The build graph: stages and their steps with every name resolved.  sema makes it, passes rewrite it,
   emitters print it; nobody behind sema looks at the AST.  Everything hangs on the struct graph. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/source.h"
#include "../front/word.h"

struct buf;

/* A Dockerfile variable as the emitted program sees it: one per name and scope, assigned in step
   order.  The shell calls a global ARG d_NAME and a variable of stage 3 d3_NAME. */
struct var {
	const char *name; /* as in the Dockerfile; may hold bytes that no shell name can (see emit) */
	int stage;        /* -1: global scope; else index of the stage whose variable it is */
	uint32_t reads;   /* by values of the graph, as graph_count_reads found them */
	uint32_t mark;    /* of the pass that runs */
};

/* A word after name resolution.  Static when every part is a literal (then there is at most one part). */
struct value_part {
	const char *text;          /* literal when var == NULL && !unset */
	size_t len;
	const struct var *var;     /* reference */
	bool unset;                /* a name that can never be set here */
	const char *name;          /* for messages of ${x:?}; set for var and unset */
	enum word_op op;
	const struct value *arg, *repl;
	struct span at;
};
struct value {
	const struct value_part *parts;
	size_t nparts;
};

/* `var` receives `value` when the step is reached. */
struct assign {
	const struct var *var;
	const struct value *value; /* NULL: becomes unset unless overridden */
	bool overridable;          /* ARG: a --build-arg of that name wins, raw */
	const struct var *fallback; /* ARG without default: the global of that name, NULL when there is none */
	const struct var *keep;     /* ARG that ends up without a value leaves the environment as it was: what the name meant
	                               before (may be `var` itself), NULL when it meant nothing */
};

enum step_kind { STEP_FROM, STEP_ARG, STEP_SET, STEP_WORKDIR, STEP_COPY, STEP_ADD, STEP_RUN };

/* Where COPY --from, a RUN mount or FROM takes files from. */
enum origin_kind { ORIGIN_CONTEXT, ORIGIN_STAGE, ORIGIN_IMAGE, ORIGIN_SCRATCH };
struct origin {
	enum origin_kind kind;
	struct gstage *stage;        /* ORIGIN_STAGE */
	const struct value *image;   /* ORIGIN_IMAGE: reference, or the name of a named context */
	const struct value *platform; /* NULL: default */
};

/* One option of a `set` step: --NAME=VALUE (dockcc-plan(5)).  `same`: belongs to the instruction of the option
   before it (the plan writes --and=VALUE). */
struct setting {
	const char *name;            /* "env", "label", "expose"... */
	const struct value *value;   /* for env and label KEY=VALUE with the key inside */
	bool same;
	struct assign *assign;       /* ENV: also assigns, after all values of the instruction are known */
	uint32_t line;
};

enum mount_kind { MOUNT_BIND, MOUNT_CACHE, MOUNT_TMPFS, MOUNT_SECRET, MOUNT_SSH };
struct mount {
	enum mount_kind kind;
	const struct value *target, *source, *id, *env; /* NULL: absent */
	struct origin from;          /* bind default: ORIGIN_CONTEXT; cache default: ORIGIN_SCRATCH */
	const char *sharing;         /* NULL: shared */
	const struct value *mode, *uid, *gid, *size;
	bool required, readonly, readwrite; /* as written */
	struct span at;
};

struct here_file { /* COPY/ADD here-document source */
	const char *name;
	const struct value *content;
};

struct step {
	enum step_kind kind;
	struct span at;              /* the instruction(s) */
	uint32_t line_start, line_end;
	/* FROM */
	struct origin base;
	const char *const *triggers; /* ONBUILD of the base image that the steps behind it stand for */
	size_t ntriggers;
	/* ARG */
	struct assign *const *assigns;
	size_t nassigns;
	/* SET */
	struct setting *settings;
	size_t nsettings;
	/* WORKDIR: paths[0]; COPY/ADD: sources then destination */
	const struct value *const *paths;
	size_t npaths;
	struct origin from;          /* COPY */
	const struct value *chown, *chmod, *checksum; /* NULL: absent */
	bool link, parents, keep_git_dir;
	int unpack;                  /* -1 absent, 0, 1 */
	const char *const *excludes;
	size_t nexcludes;
	const struct here_file *files;
	size_t nfiles;
	/* RUN */
	bool exec_form;              /* argv is a vector, else argv[0] is the text for SHELL */
	const char *const *argv;
	size_t argc;
	const char *script_name;     /* here-document with an interpreter line: its name; argv[0] is the body */
	bool join;                   /* continues the layer of the step before (merge-run, merge-copy) */
	const char *network, *security; /* NULL: default */
	const struct mount *mounts;
	size_t nmounts;
	/* for emitters: the source text of what this step stands for, one line each, in order */
	const struct span *sources;  /* one per instruction merged into this step */
	size_t nsources;
	const char *trigger;         /* the text of the ONBUILD of an image that this step is, else NULL */
	bool dead;                   /* removed by a pass */
};

struct gstage {
	unsigned index;              /* position in the Dockerfile */
	const char *name;            /* NULL when unnamed */
	const char *id;              /* [a-z0-9._-]: name or stage-N, unique in the graph */
	struct step **steps;         /* steps[0] is STEP_FROM */
	size_t nsteps;
	struct span at;
	bool live;                   /* reachable from the target; cleared by prune-stages */
	/* variables of the base image that are read in this stage (or by stages built on it) before
	   anything assigns them: loaded when FROM runs */
	const struct var **base_vars;
	size_t nbase_vars;
	struct gstage *shares;       /* share-prefix: the first nshared steps are those of this stage */
	size_t nshared;
};

/* A global ARG or platform argument, in order. */
struct global {
	struct assign assign;
	bool builtin;                /* TARGETARCH..., BUILDPLATFORM... */
	bool structural;             /* picks a stage: the script refuses to change it */
	uint32_t line;
	bool dead;
};

struct build_arg {
	const char *name, *value;
};
struct named_context {
	const char *name, *location; /* oci-layout://..., docker-image://..., a directory... */
};

struct graph {
	const struct source *source;
	struct gstage **stages;      /* Dockerfile order */
	size_t nstages;
	struct gstage *target;
	struct global *globals;
	size_t nglobals;
	const char *platform;        /* given to compile: default of the script; NULL: the host's */
	const struct build_arg *build_args;
	size_t nbuild_args;
	const struct named_context *contexts;
	size_t ncontexts;
	char escape;
};

bool value_is_static(const struct value *v);
/* The text of a static value, "" for NULL. */
const char *value_text(const struct value *v);
/* A static value; owned by ctx. */
const struct value *value_literal(const void *ctx, const char *text);

/* The resolved graph as one JSON object and a newline (`--emit=graph`). */
void graph_dump(struct buf *out, const struct graph *g);

#endif
