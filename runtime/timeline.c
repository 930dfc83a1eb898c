/* --timeline=FILE: the build as a chart, one SVG without scripts, fonts or anything that has to be fetched.  A row for each step,
   grouped by stage.  The layout depends on the recorded times alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

enum { WIDTH = 1120, LEFT = 320, RIGHT = 90, TOP = 64, ROW = 22, BAR = 16, BOTTOM = 40 };

struct chart {
	const struct progress *p;
	struct str out;
	double seconds;           /* the whole axis */
	unsigned y;
};

/* Text between tags and in attributes, XML 1.0 2.4; characters that XML does not have are shown as \xNN. */
static void
put_text(struct str *b, const char *s)
{
	cleanup_free char *shown = rt_printable(s);

	for (const char *c = shown; *c != '\0'; c++) {
		if (*c == '&')
			str_puts(b, "&amp;");
		else if (*c == '<')
			str_puts(b, "&lt;");
		else if (*c == '>')
			str_puts(b, "&gt;");
		else if (*c == '"')
			str_puts(b, "&quot;");
		else if ((unsigned char)c[0] == 0xef && (unsigned char)c[1] == 0xbf && ((unsigned char)c[2] & 0xfe) == 0xbe)
			c += 2; /* U+FFFE, U+FFFF */
		else
			str_putc(b, *c);
	}
}

static double
x_of(const struct chart *c, double t)
{
	return LEFT + t / c->seconds * (WIDTH - LEFT - RIGHT);
}

static const char *
class_of(const struct track *t)
{
	if (t->state == TRACK_FAILED)
		return "failed";
	if (t->state == TRACK_STOPPED)
		return "stopped";
	switch (t->step->verb) {
	case VERB_RUN:
		return "run";
	case VERB_COPY:
	case VERB_ADD:
		return "copy";
	case VERB_FROM:
		return "from";
	case VERB_ARG:
	case VERB_SET:
	case VERB_WORKDIR:
		break;
	}
	return "other";
}

static void
put_head(struct chart *c, unsigned height, int status)
{
	static const char style[] =
	        "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#24292f}"
	        ".title{font-weight:bold;font-size:15px}.stage{font-weight:bold}.quiet{fill:#6e7781}"
	        ".right{text-anchor:end}.middle{text-anchor:middle}"
	        ".grid{stroke:#d0d7de;stroke-width:1}.lane{fill:#f6f8fa}"
	        ".run{fill:#0969da}.copy{fill:#1a7f37}.from{fill:#8250df}.other{fill:#9a6700}"
	        ".failed{fill:#cf222e}.stopped{fill:#8c959f}.cached{fill:#afb8c1}";
	char time[32], line[160];

	progress_time(c->seconds, time);
	str_printf(&c->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" width=\"%d\" height=\"%u\" role=\"img\">\n<title>", WIDTH,
	           height, WIDTH, height);
	put_text(&c->out, c->p->b->o->dockerfile);
	str_printf(&c->out, ": timeline of a build</title>\n<style>%s</style>\n<rect width=\"%d\" height=\"%u\" fill=\"#ffffff\"/>\n", style,
	           WIDTH, height);
	snprintf(line, sizeof(line), "%zu run, %zu cached, %s, %s", progress_count(c->p, TRACK_DONE), progress_count(c->p, TRACK_CACHED),
	         time, status == 0 ? "succeeded" : "failed");
	str_puts(&c->out, "<text class=\"title\" x=\"16\" y=\"26\">");
	put_text(&c->out, c->p->b->o->dockerfile);
	str_printf(&c->out, "</text>\n<text class=\"quiet right\" x=\"%d\" y=\"26\">%s</text>\n", WIDTH - 16, line);
}

static void
put_legend(struct chart *c)
{
	static const char *const kinds[][2] = { { "from", "base image" }, { "run", "run" }, { "copy", "copy" }, { "other", "other" },
		{ "cached", "cached" }, { "stopped", "stopped" }, { "failed", "failed" } };
	unsigned x = LEFT;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		str_printf(&c->out, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"12\" height=\"12\" rx=\"2\"/>", kinds[i][0], x, c->y);
		str_printf(&c->out, "<text x=\"%u\" y=\"%u\">%s</text>\n", x + 18, c->y + 10, kinds[i][1]);
		x += 34 + 8 * (unsigned)strlen(kinds[i][1]);
	}
}

/* The distance of two lines of the grid: 1, 2 or 5 times a power of ten, at most ten of them; minutes beyond 100 s. */
static double
grid_step(double seconds)
{
	static const double steps[] = { 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800,
		3600, 7200, 14400 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (seconds / steps[i] <= 10)
			return steps[i];
	return seconds / 10;
}

static void
put_grid(struct chart *c, unsigned height)
{
	double step = grid_step(c->seconds);

	for (unsigned i = 0; i * step <= c->seconds * 1.0001; i++) {
		double t = i * step, x = x_of(c, t);

		str_printf(&c->out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%u\"/>", x, TOP - 6, x, height - BOTTOM);
		str_printf(&c->out, "<text class=\"quiet middle\" x=\"%.1f\" y=\"%d\">", x, TOP - 12);
		if (step < 1)
			str_printf(&c->out, "%.*fs", step < 0.1 ? 2 : 1, t);
		else if (c->seconds < 100)
			str_printf(&c->out, "%.0fs", t);
		else
			str_printf(&c->out, "%d:%02d", (int)t / 60, (int)t % 60);
		str_puts(&c->out, "</text>\n");
	}
}

static void
put_bar(struct chart *c, const struct track *t)
{
	double x = x_of(c, t->begin), w = x_of(c, t->end) - x;
	cleanup_free char *title = term_title(t->step, 38), *whole = step_title(t->step);
	bool cached = t->state == TRACK_CACHED, inside;
	char time[32];

	progress_time(t->end - t->begin, time);
	inside = x + w + 60 > WIDTH - 4;
	str_puts(&c->out, "<g><title>");
	put_text(&c->out, t->step->id);
	str_printf(&c->out, " %s ", verb_name(t->step->verb));
	put_text(&c->out, whole);
	str_printf(&c->out, " (%s)</title><text class=\"quiet\" x=\"24\" y=\"%u\">", cached ? "cached" : time, c->y + 15);
	put_text(&c->out, title);
	str_printf(&c->out, "</text><rect class=\"%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
	           cached ? "cached" : class_of(t), x, c->y + 3, w < 2 ? 2 : w, BAR);
	if (inside)
		str_printf(&c->out, "<text class=\"right\" x=\"%.1f\" y=\"%u\">%s</text></g>\n", x - 6, c->y + 15, cached ? "cached" : time);
	else
		str_printf(&c->out, "<text x=\"%.1f\" y=\"%u\">%s</text></g>\n", x + (w < 2 ? 2 : w) + 6, c->y + 15, cached ? "cached" : time);
	c->y += ROW;
}

/* The steps of one stage under its name, in order of the plan. */
static void
put_stage(struct chart *c, const struct plan_stage *stage, unsigned rows)
{
	str_printf(&c->out, "<rect class=\"lane\" x=\"0\" y=\"%u\" width=\"%d\" height=\"%d\"/>", c->y, WIDTH, ROW);
	str_printf(&c->out, "<text class=\"stage\" x=\"16\" y=\"%u\">", c->y + 15);
	put_text(&c->out, stage->name != NULL && *stage->name != '\0' ? stage->name : stage->id);
	str_puts(&c->out, "</text>\n");
	c->y += ROW;
	for (size_t i = 0; i < c->p->n && rows > 0; i++)
		if (c->p->tracks[i]->step->stage == stage)
			put_bar(c, c->p->tracks[i]);
}

static unsigned
stage_rows(const struct progress *p, const struct plan_stage *stage)
{
	unsigned n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->tracks[i]->step->stage == stage;
	return n;
}

int
timeline_write(const struct progress *p, const char *file, int status, struct rt_err *e)
{
	struct chart c = { .p = p, .y = TOP };
	unsigned height = TOP + BOTTOM;
	int rc;

	c.seconds = progress_now(p) > 0.01 ? progress_now(p) : 0.01;
	for (size_t i = 0; i < p->b->plan.nstages; i++) {
		unsigned n = stage_rows(p, &p->b->plan.stages[i]);

		height += n > 0 ? (n + 1) * ROW : 0;
	}
	put_head(&c, height, status);
	put_grid(&c, height);
	for (size_t i = 0; i < p->b->plan.nstages; i++) {
		unsigned n = stage_rows(p, &p->b->plan.stages[i]);

		if (n > 0)
			put_stage(&c, &p->b->plan.stages[i], n);
	}
	c.y = height - BOTTOM + 16;
	put_legend(&c);
	str_puts(&c.out, "</svg>\n");
	rc = rt_write_named(file, c.out.s, c.out.len, e);
	str_free(&c.out);
	return rc < 0 ? rt_prefix(e, "--timeline=%s", file) : 0;
}
