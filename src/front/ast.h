/* The AST: a Dockerfile as it was written, with spans, before any variable is expanded or name
   resolved.  Everything hangs on the `struct unit`; parts are talloc children of what holds them. */
#ifndef FRONT_AST_H
#define FRONT_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/source.h"

struct diag;
struct buf;

/* X(ID, "KEYWORD"): the instructions, once for lexer, dump and messages. */
#define INST_LIST(X) \
	X(ADD, "ADD") X(ARG, "ARG") X(CMD, "CMD") X(COPY, "COPY") X(ENTRYPOINT, "ENTRYPOINT") \
	X(ENV, "ENV") X(EXPOSE, "EXPOSE") X(FROM, "FROM") X(HEALTHCHECK, "HEALTHCHECK") \
	X(LABEL, "LABEL") X(MAINTAINER, "MAINTAINER") X(ONBUILD, "ONBUILD") X(RUN, "RUN") \
	X(SHELL, "SHELL") X(STOPSIGNAL, "STOPSIGNAL") X(USER, "USER") X(VOLUME, "VOLUME") \
	X(WORKDIR, "WORKDIR")

enum inst_kind {
#define X(id, name) INST_##id,
	INST_LIST(X)
#undef X
	INST_COUNT
};

/* Text of the logical line (continuations joined, comments inside them gone) and where its pieces
   came from.  Byte i of `s` stands at source offset map[k].source + (i - map[k].offset) for the last
   k with map[k].offset <= i. */
struct piece {
	uint32_t offset, source;
};
struct text {
	const char *s; /* NUL-terminated, never NULL */
	size_t len;
	struct span at;
	const struct piece *map;
	size_t npieces;
};

struct word {
	struct text text; /* as written, quotes and escapes included (but see flags) */
};

struct flag {
	struct span at;
	const char *raw;   /* "--name=value" after quote and escape removal, as the AST dump shows it */
	const char *name;  /* without the dashes */
	const char *value; /* NULL when there is no '=' */
	struct span value_at;
};

struct key_value {
	struct span at;
	struct word key;
	struct word value;
	bool has_value; /* false: ARG NAME without '=' */
};

struct heredoc {
	struct span at, body;
	const char *name;    /* the end word, unquoted */
	bool expand, chomp;  /* not quoted; <<- */
	const char *content; /* exactly as in the file, tabs and CRs included */
	size_t len;
};

enum inst_form { FORM_NONE, FORM_SHELL, FORM_EXEC };

struct comment {
	struct span at;
	const char *text; /* after '#', blanks trimmed */
};

struct inst {
	enum inst_kind kind;
	struct span at;         /* keyword up to the last byte, here-documents included */
	struct span keyword_at;
	const char *keyword;    /* as written */
	uint32_t line_start, line_end;
	const struct flag *flags;
	size_t nflags;
	enum inst_form form;
	const struct word *args; /* words (COPY, EXPOSE...), or one text (shell form, USER...), or JSON elements */
	size_t nargs;
	struct text rest;        /* everything behind keyword and flags, trimmed */
	const struct key_value *kvs;
	size_t nkvs;
	bool legacy;             /* ENV/LABEL KEY value */
	bool health_none;        /* HEALTHCHECK NONE */
	const struct heredoc *heredocs;
	size_t nheredocs;
	const struct inst *trigger; /* ONBUILD: the inner instruction when its keyword is known, else NULL */
	bool blank_in_continuation; /* NoEmptyContinuation */
	const struct comment *comments; /* block directly above, in order (an empty comment line resets it) */
	size_t ncomments;
};

struct stage {
	const struct inst *from;
	struct word base;
	const char *name;        /* lower-cased, NULL when unnamed */
	const char *name_raw;    /* as written, NULL when unnamed */
	struct span name_at, as_at;
	const char *platform;    /* NULL when absent or empty */
	struct span platform_at;
	const struct inst *const *insts;
	size_t ninsts;
	uint32_t index;
};

struct directive {
	const char *name; /* lower case: "syntax", "escape", "check" */
	const char *value;
	struct span at, value_at;
};

/* Blank lines inside a continued instruction: from the first to the end of the last. */
struct gap {
	struct span at;
	uint32_t line; /* last line of the instruction */
};

struct unit {
	const struct source *source;
	char escape;
	const struct directive *directives;
	size_t ndirectives;
	const struct inst *const *meta_args;
	size_t nmeta_args;
	const struct stage *const *stages;
	size_t nstages;
	const struct gap *gaps; /* also of instructions that are refused */
	size_t ngaps;
	const struct inst *refused; /* the first that the second phase refuses, NULL: none */
	bool ok;             /* no error in either phase */
	bool lexical_error;  /* the line pass failed: the reference has seen no instruction */
	uint32_t error_line; /* the one line the reference would name, when !ok */
};

const char *inst_name(enum inst_kind kind);

/* Parses a whole Dockerfile.  All errors go to `d` (several per run); the unit is returned also when
   !ok, then good for diagnostics only.  Owned by `ctx`; keeps `source` by reference.
   spec/language.md 1, 2; corpus AST.md "Refusal has two phases". */
struct unit *unit_parse(const void *ctx, const struct source *source, struct diag *d);

/* False after a report when the text holds a NUL byte: the reference reads such a file, but nothing of it
   could be handed to a command (security.md S8). */
bool unit_check_bytes(const struct unit *u, struct diag *d);

/* Parses ONBUILD trigger text from an image, one instruction, default escape. NULL after a report. */
struct inst *unit_parse_trigger(const void *ctx, const char *text, struct diag *d);

/* The AST as one JSON object and a newline, in the form of `dockcc compile --emit=ast`. */
void unit_dump(struct buf *out, const struct unit *u);

#endif
