/* The live form of progress: finished lines scroll away for good, the running steps stand below them and are drawn again at most
   ten times a second.  ux.md "Progress".  The cursor always rests on the line below the block, nothing is hidden or switched,
   so that a build that dies leaves a usable terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

enum { MOST_TAIL = 6 };
static const double interval = 0.1; /* seconds */

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

/* What a drawing is made of. */
struct canvas {
	struct progress *p;
	struct str out;
	unsigned columns, left;   /* of the screen; lines that still fit */
	unsigned *widths;
	size_t n;
};

static void
put_line(struct canvas *c, const char *text, const char *style)
{
	cleanup_free char *cut = term_cut(text, c->columns - 1);
	bool styled = c->p->live.color && *style != '\0';

	if (c->left == 0)
		return;
	c->left--;
	str_printf(&c->out, ERASE_LINE "%s%s%s\n", styled ? style : "", cut, styled ? PLAIN : "");
	c->widths = rt_grow(c->widths, (c->n + 1) * sizeof(*c->widths));
	c->widths[c->n++] = term_width(cut);
}

static void
put_running(struct canvas *c, const struct track *t)
{
	enum meter_kind kind = t->meter != NULL ? (enum meter_kind)t->meter->kind : METER_NOTHING;
	cleanup_free char *right = NULL, *line = NULL;
	char time[32], bytes[64];

	progress_time(progress_now(c->p) - t->begin, time);
	progress_bytes(t, bytes);
	right = *bytes != '\0' ? rt_printf("%s %s  %6s", meter_word(kind), bytes, time) : rt_printf("%6s", time);
	line = term_step(t->step, right, c->columns);
	put_line(c, line, "");
}

/* The last lines of the step's output, the unfinished one too. */
static void
put_tail(struct canvas *c, const struct track *t, unsigned most)
{
	size_t unfinished = t->line.len > 0, kept = t->ntail < TAIL_LINES ? t->ntail : TAIL_LINES, show;

	if (most == 0)
		return;
	show = kept + unfinished < most ? kept : most - unfinished;
	for (size_t i = t->ntail - show; i < t->ntail; i++) {
		const char *text = t->tail[i % TAIL_LINES];
		cleanup_free char *shown = term_line(text, strlen(text)), *line = rt_printf("  | %s", shown);

		put_line(c, line, DIM);
	}
	if (unfinished) {
		cleanup_free char *shown = term_line(t->line.s, t->line.len), *line = rt_printf("  | %s", shown);

		put_line(c, line, DIM);
	}
}

/* "[14/17] 41s  3 cached": steps that have ended, of all. */
static void
put_bar(struct canvas *c)
{
	const struct progress *p = c->p;
	size_t cached = progress_count(p, TRACK_CACHED), running = progress_count(p, TRACK_RUNNING);
	struct str b = { 0 };

	if (p->total > 0)
		str_printf(&b, "[%zu/%zu] ", p->n - running, p->total);
	str_printf(&b, "%.0fs", progress_now(p));
	if (cached > 0)
		str_printf(&b, "  %zu cached", cached);
	if (running > 1)
		str_printf(&b, "  %zu running", running);
	put_line(c, b.s, BOLD);
	str_free(&b);
}

/* What this process itself moves: a pull before the steps, the export behind them. */
static void
put_own(struct canvas *c)
{
	const struct progress *p = c->p;
	const struct track t = { .state = TRACK_RUNNING, .meter = &p->own };
	cleanup_free char *left = NULL, *line = NULL;
	char bytes[64];

	if (p->own.kind == METER_NOTHING || p->pulling == NULL)
		return;
	progress_bytes(&t, bytes);
	left = rt_printf("%-10s %s", meter_word((enum meter_kind)p->own.kind), p->pulling);
	line = term_sides(left, bytes, c->columns);
	put_line(c, line, "");
}

static void
put_block(struct canvas *c)
{
	const struct progress *p = c->p;
	unsigned running = (unsigned)progress_count(p, TRACK_RUNNING), tails = 0, hidden = 0;

	c->left--; /* the bar's */
	put_own(c);
	if (running > c->left)
		hidden = running - c->left;
	else if (running > 0)
		tails = (c->left - running) / running;
	for (size_t i = 0; i < p->n && running > hidden; i++) {
		if (p->tracks[i]->state != TRACK_RUNNING)
			continue;
		put_running(c, p->tracks[i]);
		put_tail(c, p->tracks[i], tails < MOST_TAIL ? tails : MOST_TAIL);
		running--;
	}
	c->left++;
	put_bar(c);
}

/* Rows that the block on the screen takes: terminals break lines anew when they become narrower. */
static size_t
rows(const struct live *l, unsigned columns)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nlines; i++)
		n += l->widths[i] <= columns ? 1 : (l->widths[i] + columns - 1) / columns;
	return n;
}

static void
go_up(struct str *out, const struct live *l, unsigned columns)
{
	size_t n = rows(l, columns);

	if (n > 0)
		str_printf(out, "\r\033[%zuA", n);
}

static void
forget_block(struct live *l)
{
	free(l->widths);
	l->widths = NULL;
	l->nlines = 0;
}

void
live_line(struct progress *p, const char *line)
{
	str_printf(&p->live.above, "%s\n", line);
}

void
live_draw(struct progress *p, bool now)
{
	struct live *l = &p->live;
	struct canvas c = { .p = p };
	unsigned lines;

	if (!l->on || p->closed || (!now && l->nlines > 0 && progress_now(p) - l->drawn < interval))
		return;
	term_size(&c.columns, &lines);
	if (c.columns < 20)
		c.columns = 20;
	c.left = lines > 3 ? lines - 1 : 2;
	go_up(&c.out, l, c.columns);
	if (l->above.len > 0) {
		str_puts(&c.out, ERASE_BELOW);
		str_add(&c.out, l->above.s, l->above.len);
		l->above.len = 0;
	}
	put_block(&c);
	str_puts(&c.out, ERASE_BELOW);
	progress_write(c.out.s, c.out.len);
	str_free(&c.out);
	forget_block(l);
	l->widths = c.widths;
	l->nlines = c.n;
	l->drawn = progress_now(p);
}

void
live_clear(struct progress *p)
{
	struct live *l = &p->live;
	struct str out = { 0 };
	unsigned columns, lines;

	if (!l->on || (l->nlines == 0 && l->above.len == 0))
		return;
	term_size(&columns, &lines);
	go_up(&out, l, columns);
	str_puts(&out, ERASE_BELOW);
	str_add(&out, l->above.s != NULL ? l->above.s : "", l->above.len);
	l->above.len = 0;
	progress_write(out.s, out.len);
	str_free(&out);
	forget_block(l);
}
