/* The state of a stage: what its image config will say and what a RUN sees.  A function of the steps and
   the base's config alone, so any process can work it out again. spec/execution.md 5, 9. */
#ifndef RT_STATE_H
#define RT_STATE_H

#include "json.h"
#include "plan.h"

/* A variable of the build environment; value NULL: an ARG that is declared and unset. */
struct state_var {
	char *name, *value;
	bool declared;   /* by ARG in this stage: part of RUN's history text */
};

struct state {
	struct json *config; /* the whole image config document; /history and /config are kept up to date */
	struct state_var *vars;
	size_t nvars, cap;
	bool cmd_here;       /* CMD stood in this stage: ENTRYPOINT leaves it */
	bool scratch;        /* nothing was put into the file system yet */
	char *created;       /* RFC 3339, for new history entries */
};

/* A base without anything; `os`/`arch`/`variant` as in the config (variant may be NULL). */
void state_scratch(struct state *st, const char *os, const char *arch, const char *variant);
/* From the config document of an image. */
int state_image(struct state *st, const char *config, size_t len, const char *what, struct rt_err *e);
/* What FROM stage hands down: everything but the triggers and whether CMD stood here. */
void state_inherit(struct state *st, const struct state *parent);
/* The same state once more. */
void state_copy(struct state *st, const struct state *from);
void state_free(struct state *st);

/* Applies one step other than `from`, its history entry included. */
int state_apply(struct state *st, const struct plan_step *s, struct rt_err *e);
/* True when the step makes a layer of its own or continues one; `st` is the state before it. */
bool state_layer(const struct state *st, const struct plan_step *s);

/* Environment of a RUN as NAME=VALUE, without HOME. */
void state_env(const struct state *st, struct list *out);
const char *state_get(const struct state *st, const char *name);
/* USER, WORKDIR ("/" when unset) and SHELL in force; the last is a list of its own. */
const char *state_user(const struct state *st);
const char *state_workdir(const struct state *st);
void state_shell(const struct state *st, struct list *out);
/* The path that `workdir PATH` stands for, as config and history say it; malloc'd. */
char *state_workdir_path(const struct state *st, const char *path);
/* argv of a run step: the SHELL and the text, the vector, or the SHELL and the script's path. */
void state_argv(const struct state *st, const struct plan_step *s, struct list *out);

/* Labels from the command line, "key=value". */
void state_label(struct state *st, const char *pair);

/* history.c: the created_by text of a step or of one instruction of a `set` step (settings [first, last)). */
char *history_text(const struct state *st, const struct plan_step *s, size_t first, size_t last);
/* config.c: one instruction of a `set` step. */
int config_apply(struct state *st, const struct plan_setting *set, size_t n, const char *step, struct rt_err *e);
void state_set(struct state *st, const char *name, const char *value);
/* EXPOSE words: the ports they stand for, "80/tcp", appended to `out`; -1 with `e`. */
int expose_ports(const char *spec, struct list *out, struct rt_err *e);

#endif
