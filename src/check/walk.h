/* What the rules share: the state of one run, values of variables, and the report. */
#ifndef CHECK_WALK_H
#define CHECK_WALK_H

#include "../base/map.h"
#include "../front/ast.h"
#include "../front/shell.h"
#include "../front/word.h"
#include "check.h"

/* Variables of a stage: those of the stage it builds on are behind `parent`.  A slot without value is an ARG that was
   declared and got none. */
struct env {
	const struct env *parent;
	struct map vars;
	bool image; /* what an unknown base image sets comes first */
};

struct rule_set {
	bool all;
	const char **names;
	size_t n;
};

struct config {
	struct rule_set skip, experimental;
	bool error;
};

struct used {
	const struct inst *cmd, *entrypoint, *healthcheck;
};

/* An archive of the context that a COPY put into the image. */
struct copied {
	const struct inst *inst;
	const char *name; /* last component */
	struct span at;
};

struct check_stage {
	const struct stage *ast;
	struct check_stage *parent;  /* the stage of this file it builds on */
	struct env env;
	const char *shell_name;      /* its name */
	bool posix;                  /* the shell of RUN is one that the grammar knows */
	bool pipefail;               /* SHELL sets it */
	bool lasting;                /* the last stage, or one that another builds on */
	const struct inst *single;   /* the instruction above when it is a RUN of one command */
	struct copied *archives;     /* that COPY brought */
	size_t narchives, archives_cap;
	struct map archive_names;    /* the last archive of each name */
	const struct inst *user;     /* the last USER */
	bool shell;                  /* a SHELL stands above here or in the parent */
	bool workdir;
	struct used used;
};

/* Where the reference would stop: spec/checks.md, "An error stops the evaluation". */
enum check_phase { CHECK_READ, CHECK_PARSE, CHECK_NAMES, CHECK_FROM, CHECK_STEPS, CHECK_DONE };

/* A simple command behind sudo, env and the like. */
struct command {
	const struct shell_node *node;
	const char *name;             /* last component */
	const struct shell_word *v;   /* its words, the name first */
	size_t n;
	const struct shell_word *verb; /* the first word that is no option, NULL: none */
	size_t verb_at;
};

/* The text of one RUN for shellcheck. */
struct script {
	const struct inst *inst;
	struct text text;
	const char *shell;   /* sh, bash, dash or ksh */
	const char *exports; /* names that ARG and ENV set, blanks between */
};

struct check {
	const struct unit *u;
	const struct check_options *o;
	struct diag *d;
	struct config config;
	struct rule_set hadolint;   /* its global ignores */
	struct env globals;
	struct check_stage *stages;
	struct ignore *ignore;
	enum check_phase stop;      /* the phase that fails... */
	unsigned stop_line;         /* ...at this line */
	struct check_result result;
	bool stopped;               /* what is found now the reference does not find */
	struct script *scripts;
	size_t nscripts, scripts_cap;
	bool wget, curl;            /* met so far */
	size_t held;                /* bytes of the values that variables have */
	const struct inst *trigger; /* the ONBUILD of the parent that is being run, NULL: none */
	void *scratch;              /* freed after each instruction */
};

/* ---- reports (check.c) ---- */
struct diag_item *check_report(struct check *c, enum diag_id id, const struct inst *i, struct span at, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The reference fails at `i` if the base image is as bare as it is taken to be. */
void check_fails(struct check *c, const struct inst *i);
char *check_lower(struct check *c, const char *s);
/* The text of a RUN in shell form as the shell reads it; false: there is none that this grammar knows.  run.c */
bool run_text(const void *ctx, const struct inst *i, struct text *t);
bool command_has(const struct command *cmd, const char *option); /* run.c */
void rules_extract(struct check *c, struct check_stage *s, const struct command *cmd); /* habits.c */
void rules_join(struct check *c, struct check_stage *s, const struct inst *i, const struct shell *sh); /* habits.c */
bool check_wants(const struct check *c, enum diag_id id);

/* ---- configuration (config.c) ---- */
bool config_read(struct check *c);
/* Whether a comment above `i` silences the rule, or turns it on when it is experimental. */
bool config_ignored(const struct check *c, const struct check_rule *rule, const struct inst *i);
/* The same for a number of shellcheck. */
bool config_ignored_code(const struct check *c, const char *code, const struct inst *i);
bool config_asked(const struct check *c, const struct check_rule *rule, const struct inst *i);
bool rule_in(const struct rule_set *set, const struct check_rule *rule);

/* ---- variables (env.c) ---- */
const char *env_value(const struct env *e, const char *name, bool *declared);
/* The value that --build-arg gives, the last one; NULL when it gives none.  Borrowed from the options. */
const char *env_given(const struct check *c, const char *name);
void env_set(struct check *c, struct env *e, const char *name, const char *value);
/* The expansion of a word, owned by the scratch; reports each name that `e` does not know as `id` when `i` is given.
   NULL when the word cannot be expanded. */
const char *env_expand(struct check *c, const struct env *e, const struct text *t, bool raw, enum diag_id id, const struct inst *i);
const char *env_expand_flag(struct check *c, const struct env *e, const struct flag *f, enum diag_id id, const struct inst *i);
/* Global ARGs and platform arguments; `defaults`: as if no build argument were given.  False when one cannot be expanded. */
bool env_globals(struct check *c, struct env *e, bool defaults);

/* ---- the groups of rules ---- */
void rules_read(struct check *c);                                 /* form.c */
void rules_parse(struct check *c, const struct inst *i, const struct stage *s);
void rules_names(struct check *c);                                /* names.c */
void rules_from(struct check *c, struct check_stage *s);
void rules_step(struct check *c, struct check_stage *s, const struct inst *i); /* steps.c */
void rules_run(struct check *c, struct check_stage *s, const struct inst *i);  /* run.c */
void rules_command(struct check *c, struct check_stage *s, const struct inst *i, const struct command *cmd); /* commands.c */
/* What is needed of all commands of a RUN to judge command `at`, the how-manieth of sh->simple: packages.c */
struct packages *packages_of(const void *ctx, const struct shell *sh);
void rules_packages(struct check *c, struct check_stage *s, const struct inst *i, const struct packages *p, size_t at, const struct command *cmd);
void rules_habit(struct check *c, struct check_stage *s, const struct inst *i); /* habits.c */
void scripts_add(struct check *c, struct check_stage *s, const struct inst *i, const struct text *t); /* shellcheck.c */
void scripts_check(struct check *c);
void rules_stage_end(struct check *c, struct check_stage *s);
void rules_base(struct check *c, struct check_stage *s);

#endif
