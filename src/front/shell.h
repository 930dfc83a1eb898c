/* The text of a RUN as commands: POSIX.1-2017 XCU 2, with what bash and busybox add where it changes how words are cut.
   Substitutions stay text.  For rules that look inside RUN; nothing that is compiled depends on it. */
#ifndef FRONT_SHELL_H
#define FRONT_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/source.h"

struct text;

enum { SHELL_NESTING = 200 };

struct shell_word {
	struct span at;
	const char *raw;   /* as written */
	const char *value; /* without quotes and escapes; substitutions stay text */
	bool expands;      /* holds a parameter, command or arithmetic substitution */
	bool quoted;       /* some part of it stands in quotes */
};

enum shell_redir_kind { REDIR_IN, REDIR_OUT, REDIR_APPEND, REDIR_DUP, REDIR_HERE, REDIR_STRING };

struct shell_redir {
	enum shell_redir_kind kind;
	struct span at;
	struct shell_word target;
};

enum shell_kind {
	SHELL_SIMPLE,
	SHELL_PIPELINE, /* more than one child */
	SHELL_LIST,     /* children joined by && || ; & or newlines */
	SHELL_GROUP,    /* { } */
	SHELL_SUBSHELL, /* ( ) */
	SHELL_IF, SHELL_LOOP, SHELL_FOR, SHELL_CASE, /* children in order: conditions and bodies */
	SHELL_FUNCTION,
};

enum shell_join { JOIN_FIRST, JOIN_AND, JOIN_OR, JOIN_SEQ, JOIN_BACKGROUND };

struct shell_node {
	enum shell_kind kind;
	enum shell_join join;  /* to the sibling before it in a list */
	struct span at;
	bool negated;
	bool piped;            /* reads what the command before it in a pipeline writes */
	struct shell_word *words; /* SIMPLE: name and arguments; FOR, CASE: the words behind `in` or the one examined */
	size_t nwords, words_cap;
	struct shell_word *assigns; /* SIMPLE: NAME=VALUE in front */
	size_t nassigns, assigns_cap;
	struct shell_redir *redirs;
	size_t nredirs, redirs_cap;
	struct shell_node **kids;
	size_t nkids, kids_cap;
};

struct shell {
	const struct shell_node *root; /* NULL: nothing, or a syntax error */
	struct shell_node **simple;    /* all simple commands in order of their end, also before a syntax error */
	size_t nsimple, simple_cap;
	struct shell_node **pipelines; /* those of more than one command */
	size_t npipelines, pipelines_cap;
	bool bad;                      /* syntax error at `where` */
	struct span where;
	char open;                     /* the quote or bracket at `where` that is never closed, 0: none */
};

/* Parses `t`, in time linear in its length; never NULL.  Owned by `ctx`. */
struct shell *shell_parse(const void *ctx, const struct text *t);

/* The last component of the path of a command's name, "" when there is none. */
const char *shell_name(const struct shell_node *simple);
/* Whether the words hold one of the options exactly (`-y`), or as part of a cluster of letters when it is short. */
bool shell_has_option(const struct shell_node *simple, const char *option);

#endif
