/* What the forms of progress share: progress.c keeps the record, live.c draws it on a terminal, events.c tells it as JSON,
   summary.c and timeline.c look back at it. */
#ifndef RT_PROGRESS_H
#define RT_PROGRESS_H

#include <time.h>

#include "build.h"
#include "meter.h"

enum { TAIL_LINES = 12, LINE_LIMIT = 4096 };

enum track_state { TRACK_RUNNING, TRACK_DONE, TRACK_CACHED, TRACK_FAILED, TRACK_STOPPED };

/* A step that has begun. */
struct track {
	const struct plan_step *step;
	enum track_state state;
	double begin, end;        /* seconds since the build began */
	struct str line;          /* of output, unfinished */
	char *tail[TAIL_LINES];   /* the last lines, a ring */
	size_t ntail;             /* lines so far */
	struct str held;          /* plain: what waits for its turn */
	const struct meter *meter; /* what its worker moves, NULL: nothing */
	uint64_t bytes, files;    /* that it has moved, when it has ended */
	uint64_t told;            /* bytes in the last event */
	int log;                  /* the whole output in the store, -1 */
	char *log_name;           /* below the store, NULL: nothing was written yet */
	bool logged;              /* the log is there */
};

/* The block at the bottom of a terminal that is drawn again and again. */
struct live {
	bool on;
	bool color;
	double drawn;             /* when, seconds since the build began */
	struct str above;         /* finished lines that are still to be written, for good */
	unsigned *widths;         /* columns of the lines on the screen */
	size_t nlines;
};

struct progress {
	struct build *b;
	struct timespec begun;
	struct track **tracks;    /* in order of beginning */
	size_t n;
	const struct plan_step *foreground; /* plain: the step whose output goes straight through */
	struct live live;
	struct meter own;         /* of this process: pulls before the steps, the export behind them */
	char *pulling;            /* what it moves, NULL */
	size_t total;             /* steps that will be told about; 0: not known yet */
	bool planned;             /* it is known: something is built */
	bool closed;              /* the summary is out */
};

double progress_now(const struct progress *p);
/* The track of a step that has begun, NULL when it has not. */
struct track *progress_track(const struct progress *p, const struct plan_step *s);
/* Writes to standard error. */
void progress_write(const char *s, size_t n);
/* The time of a step as it is shown: "12.4s", "3m07s". */
void progress_time(double seconds, char out[32]);
/* "1.9 MB"; powers of ten, as docker has them. */
void progress_size(uint64_t bytes, char out[32]);
/* What a track moves or has moved: "12.3/29.5 MB", "212 files, 1.9 MB", or "". */
void progress_bytes(const struct track *t, char out[64]);
size_t progress_count(const struct progress *p, enum track_state state);

/* ---- term.c: text that is safe on a terminal ---- */
/* One line of output as it would look: escape sequences are left out, what a carriage return leaves behind is not shown,
   tabs are blanks, other control bytes are \xNN.  malloc'd. */
char *term_line(const char *s, size_t n);
/* Columns of a printable string. */
unsigned term_width(const char *s);
/* `s` cut to `columns`, the last of them "..." where something is missing; malloc'd. */
char *term_cut(const char *s, unsigned columns);
/* Size of the terminal on standard error, else $COLUMNS and 24 lines. */
void term_size(unsigned *columns, unsigned *lines);
/* A step with `right` at the right edge of at most 96 columns; the title gives way.  malloc'd. */
char *term_step(const struct plan_step *s, const char *right, unsigned columns);
/* `left` and `right` in the same way. */
char *term_sides(const char *left, const char *right, unsigned columns);
/* The title of a step on one line, at most `columns`; malloc'd. */
char *term_title(const struct plan_step *s, unsigned columns);

/* ---- live.c ---- */
/* A line that stays, above the block. */
void live_line(struct progress *p, const char *line);
/* Draws when it is time to; `now`: whether it is or not. */
void live_draw(struct progress *p, bool now);
/* Takes the block away; what is written now stands where it was. */
void live_clear(struct progress *p);

/* ---- events.c ---- */
void event_begin(struct progress *p);
void event_step(struct progress *p, const struct track *t, const char *name, const struct message *m);
void event_output(struct progress *p, const struct track *t, const char *text);
/* For every track that has moved bytes since the last time. */
void event_bytes(struct progress *p);
void event_note(struct progress *p, const char *text);
void event_image(struct progress *p, const char *digest, const char *where);
void event_end(struct progress *p, int status);

/* ---- summary.c ---- */
void summary_write(struct progress *p);
/* Bytes of the tar of the layer that the step's unit makes, 0 when nobody has asked for it yet.  *last: the step is the unit's last. */
uint64_t summary_layer(const struct build *b, const struct plan_step *s, bool *last);

/* ---- timeline.c ---- */
/* The build as a chart, SVG; status: how it ended. -1 with `e`. */
int timeline_write(const struct progress *p, const char *file, int status, struct rt_err *e);

#endif
