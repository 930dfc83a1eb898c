/* What the parts of the front end share while one Dockerfile is read.  The line pass (lines.c) joins
   continuations and collects here-documents, flex cuts each logical line into tokens, bison puts the
   tokens together, inst.c builds nodes and inst_check.c judges them. */
#ifndef FRONT_PARSE_H
#define FRONT_PARSE_H

#include "../base/diag.h"
#include "ast.h"

/* The reference reads the whole file in the first phase before it starts the second
   (spec/language.md, "Processing pipeline"): an error of the first wins. */
enum phase { PHASE_LEXICAL, PHASE_INSTRUCTION };

/* One instruction as the line pass sees it. */
struct logical {
	struct text text; /* writable, two NUL bytes behind it for flex */
	uint32_t line_start, line_end;
	bool blank; /* a blank line stood inside */
	struct span gap;
	struct comment *comments;
	size_t ncomments;
	struct heredoc *heredocs;
	size_t nheredocs;
};

struct words {
	struct word *v;
	size_t n, cap;
	struct text rest; /* what they were cut from */
};

struct flags {
	struct flag *v;
	size_t n, cap;
};

struct parse {
	struct unit *u;
	struct diag *d;
	const struct source *source;
	uint32_t next;         /* offset of the next physical line */
	uint32_t lineno;       /* lines read so far */
	bool directives_done;
	bool finished;
	struct logical line;   /* the current one */
	uint32_t first[2];     /* line of the first error of each phase */
	bool bad[2];
	uint32_t lexical_line; /* of the instruction whose words are wrong: nothing more is said about it */
	bool begun;            /* a FROM was read, or its absence was told */
	void *scanner;         /* flex */
	void *buffer;          /* flex's, for the current line */
	size_t gap_cap;
	size_t inst_cap, meta_cap, stage_cap, directive_cap;
	size_t stage_inst_cap;
};

/* Reports and remembers the line for the phase; 0 means the whole file. */
struct diag_item *parse_error(struct parse *p, enum phase phase, uint32_t line, enum diag_id id, struct span at,
                              const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Reads the next logical line into p->line; false at the end of the file or after an error that ends
   reading, as it does for the reference. */
bool line_next(struct parse *p);

/* The here-documents that `line` announces, in order, without bodies: spec/language.md 2.  The result
   hangs on `ctx`; *n is their number. */
struct heredoc *heredoc_scan(const void *ctx, const struct text *line, size_t *n);
/* Whether one word announces a here-document. */
bool heredoc_word(const void *ctx, const char *s, size_t len, struct heredoc *h);

enum json_result { JSON_NOT, JSON_STRINGS, JSON_OTHER };
/* `t` as a JSON array (spec/language.md 1.6): its strings are added to `words`, which hang on `ctx`; of
   JSON_OTHER words->rest.at is the first element that is no string. */
enum json_result json_array(const void *ctx, const struct text *t, struct words *words);

/* The part [begin, end) of `t`, with a map of its own, owned by `ctx`. */
struct text text_slice(const void *ctx, const struct text *t, size_t begin, size_t end);
/* Where byte `i` of `t` stands in the source. */
uint32_t text_source(const struct text *t, size_t i);

/* Constructors for the grammar.  What they return hangs on the unit until a node adopts it. */
struct words *words_new(struct parse *p);
struct words *words_add(struct words *w, struct text t);
struct flags *flags_add(struct parse *p, struct flags *f, struct text t);
struct inst *inst_new(struct parse *p, enum inst_kind kind, struct text keyword, struct flags *flags);
struct inst *inst_words(struct parse *p, struct inst *i, enum inst_form form, struct words *w);
struct inst *inst_text(struct parse *p, struct inst *i, struct text t);
struct inst *inst_pairs(struct parse *p, struct inst *i, struct words *w);
struct inst *inst_health(struct parse *p, struct inst *i, struct text type, struct inst *command);
struct inst *inst_trigger(struct parse *p, struct inst *i, struct inst *inner);
struct inst *inst_unknown(struct parse *p, struct text keyword);
/* What can be said only at the end: an empty file, a file without FROM. */
void unit_finish(struct parse *p);
/* Puts a whole instruction into the tree: a stage, a global ARG, or the current stage's next step. */
void unit_add(struct parse *p, struct inst *i);

/* Everything the second phase says about one instruction by itself; false after the first error. */
bool inst_check(struct parse *p, struct inst *i);

#endif
