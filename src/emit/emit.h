/* Emitters: walks over the graph that write text. */
#ifndef EMIT_EMIT_H
#define EMIT_EMIT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct diag;
struct graph;

/* Where a script gets dockcc-rt from: the program inside it, its source inside it, the PATH. */
enum emit_runtime { RUNTIME_EMBED, RUNTIME_SOURCE, RUNTIME_PATH };

struct emit_options {
	const char *dockerfile;    /* name for messages and comments, as the user wrote it, never absolute */
	const char *context;       /* default of the script, NULL: none */
	const char *script;        /* name the script calls itself, "build.sh" */
	const char *source_digest; /* 64 hex digits of the Dockerfile */
	const char *passes;        /* "-O1  fold 3  prune-stages 1" */
	enum emit_runtime runtime;
	unsigned machines;         /* RUNTIME_EMBED: bit n for payloads[n] */
	const char *prefix;        /* of the names in a Makefile: [A-Za-z_][A-Za-z0-9_]* */
	const char *lock;          /* entries of the lock file, one a line; NULL: the build is not locked */
	const char *lock_digest;   /* 64 hex digits of the file */
	bool all_stages;           /* the plan has every stage, whatever the target */
	bool chains;               /* Makefile: a target for each chain of steps instead of each step */
};

/* The whole POSIX shell script.  Refuses (false after a report) only what no script can hold. */
bool emit_sh(struct buf *out, const struct graph *g, const struct emit_options *o, struct diag *d);

/* The same graph as a Makefile for GNU make and bmake. */
bool emit_make(struct buf *out, const struct graph *g, const struct emit_options *o, struct diag *d);

/* A dockcc-rt that this dockcc carries. */
struct payload {
	const char *machine; /* as uname -m says it */
	const char *sha256;  /* of the program, or of all source files in their order */
	const char *text;    /* body of the shell function `payload` */
};
/* The programs, dockcc's own machine first, ended by a NULL machine; and the source. */
extern const struct payload payloads[];
extern const struct payload payload_source;

#endif
