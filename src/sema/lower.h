/* What the files of sema share: the state of one compilation, scopes, and the cursor with which one
   instruction is lowered. */
#ifndef SEMA_LOWER_H
#define SEMA_LOWER_H

#include "../base/diag.h"
#include "../base/map.h"
#include "../front/ast.h"
#include "../graph/walk.h"
#include "sema.h"

/* What a name means at the current place.  `known` is certain for a stage (KNOWN_NOT: the script finds
   out), and in the global scope what the compile-time build arguments make of it. */
struct binding {
	const struct var *var;
	struct known known;
	bool from_base;  /* may still be what the base image says: loading it is asked for on first use */
	bool fixed;      /* no step assigns it: PATH of the empty file system */
	bool read;       /* global scope: something refers to it */
};

struct scope {
	int stage;             /* -1: the global scope */
	struct scope *parent;  /* of the stage that FROM names */
	struct stage_info *root; /* the stage whose base image feeds the environment; NULL: global */
	struct binding *v;
	size_t n, cap;
	uint32_t *index;       /* hash table: position in `v` plus one, 0 is free; a power of two, at most half full */
	size_t nindex;
};

/* One instruction of a stage: its own, or a trigger of the parent stage. */
struct item {
	const struct inst *inst;
	const struct inst *onbuild; /* the ONBUILD that holds the trigger, the FROM of an image's, else NULL */
	const char *image_trigger;  /* the text of one that the base image brings along, else NULL */
};

struct edge {
	struct stage_info *to;
	struct span at;
	uint32_t line;
};

struct stage_info {
	const struct stage *ast;
	struct gstage *g;
	struct scope *scope;
	struct origin base;
	const char *base_now;   /* the image word as it expands now */
	const struct value *structural; /* the image word when it picks a stage or named context */
	bool replaced;          /* a named context stands for the whole stage */
	const struct inst *bad_trigger; /* ONBUILD of the parent whose text is no instruction */
	const char *bad_image_trigger;  /* the same of the base image */
	const char *const *triggers;    /* of the base image */
	size_t ntriggers;
	struct item *items;
	size_t nitems;
	struct edge *edges;
	size_t nedges, cap_edges;
	int mark;               /* cycle search */
};

struct sema {
	const struct unit *u;
	const struct sema_options *o;
	struct graph *g;
	struct diag *d;
	struct scope global;
	struct stage_info *stages;
	size_t nstages;
	size_t expanded;       /* bytes that words became with what is known, see EXPANDED_LIMIT */
	struct map names;      /* of stages: the index of the last one with it */
	size_t cap_globals;
};

/* The cursor: one instruction being lowered. */
struct lower {
	struct sema *s;
	struct stage_info *stage;  /* NULL for a global ARG */
	struct scope *scope;
	const struct item *item;
	const struct inst *i;
	struct step *step;
	struct diag *d;            /* reports of stages that are not built go nowhere */
	char escape;
	bool fixed;                /* the word being bound reads a variable that no step assigns */
	bool now;                  /* global words are judged by their compile-time value */
};

/* ---- reports (sema.c) ---- */
struct diag_item *lower_error(struct lower *l, enum diag_id id, struct span at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Gives the reports from `first` on the line of the instruction; a trigger's go to the FROM that runs it. */
void lower_place(struct lower *l, size_t first);
/* Where a part of the current instruction stands in the Dockerfile. */
struct span lower_span(const struct lower *l, struct span at);

/* ---- scopes (env.c) ---- */
bool globals_lower(struct sema *s);
/* Adds what is read of the platform arguments; after everything is lowered. */
void globals_finish(struct sema *s);
void scope_begin(struct sema *s, struct stage_info *stage);
struct binding *scope_own(struct scope *scope, const char *name);
/* The meaning of a name that is read, NULL when it can have none. */
struct binding *scope_read(struct lower *l, const char *name);
struct binding *scope_find(struct scope *scope, const char *name);
const struct var *scope_assign(struct sema *s, struct scope *scope, const char *name, struct known known);
bool lower_arg(struct lower *l);
const char *build_arg(const struct sema *s, const char *name);
struct known scope_known(void *sema, const struct var *var);
/* Only what no step assigns, so that the script has no variable for it. */
struct known scope_fixed(void *sema, const struct var *var);
/* The globals that `v` reads, and those behind them, pick the shape of the build. */
void globals_structural(struct sema *s, const struct value *v);

/* ---- values (value.c) ---- */
/* A word with its names resolved, NULL after a report. */
const struct value *lower_word(struct lower *l, const struct text *t, bool raw);
const struct value *lower_flag(struct lower *l, const struct flag *f);
/* The text of `v` where it is known now, else NULL. */
const char *value_now(struct lower *l, const struct value *v);
const struct flag *inst_flag(const struct inst *i, const char *name);

/* ---- names (names.c) ---- */
bool names_from(struct sema *s);
bool names_edges(struct sema *s);
bool names_target(struct sema *s);
bool names_cycles(struct sema *s);
bool names_images(struct sema *s);
/* Resolves --from or a mount's from=. */
bool lower_origin(struct lower *l, const char *name, struct span at, bool index, struct origin *out);
/* The value of from= in a --mount, "" when there is none. */
char *mount_from(const void *ctx, const char *record);
bool csv_fields(const void *ctx, const char *record, char ***fields, size_t *n);

/* ---- references (reference.c) ---- */
bool reference_valid(const char *ref);
bool platform_valid(const char *platform);
bool digest_valid(const char *s);

/* ---- instructions ---- */
bool lower_inst(struct lower *l);
bool lower_run(struct lower *l);
/* The body; that of `<<-` without the tabs at the start of its lines. */
char *heredoc_chomp(const void *ctx, const struct heredoc *h);
bool lower_mounts(struct lower *l);
bool lower_copy(struct lower *l);
bool lower_config(struct lower *l);
/* HEALTHCHECK as the config holds it: "none" or a JSON object with nanoseconds. */
const char *health_json(const void *ctx, const struct inst *i);
const char *onbuild_text(const void *ctx, const struct inst *i);
void onbuild_items(struct sema *s, struct stage_info *stage);
/* Static checks of spec/language.md 6. */
bool port_valid(const char *word);
bool signal_valid(const char *word);
bool chmod_valid(const char *mode);

#endif
