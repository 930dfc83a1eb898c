/* What people see of a build.  Not a terminal: one line a step when it ends, the commands' output under
   the step's name.  ux.md "Progress". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"

enum { TAIL_LINES = 12, LINE_LIMIT = 4096 };

/* Output of one step: an unfinished line, the last lines for a failure report, and what waits for its turn. */
struct step_output {
	const struct plan_step *step;
	struct str line;
	char *tail[TAIL_LINES];
	size_t ntail;
	struct str held;
	struct step_output *next;
};

static struct step_output *outputs;
static const struct plan_step *foreground; /* the step whose output goes straight through */

static struct step_output *
output_of(const struct plan_step *s)
{
	struct step_output *o;

	for (o = outputs; o != NULL; o = o->next)
		if (o->step == s)
			return o;
	o = rt_alloc(sizeof(*o));
	o->step = s;
	o->next = outputs;
	outputs = o;
	return o;
}

static void
forget(struct step_output *o)
{
	struct step_output **p = &outputs;

	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	str_free(&o->line);
	str_free(&o->held);
	for (size_t i = 0; i < TAIL_LINES; i++)
		free(o->tail[i]);
	free(o);
}

static void
emit(const char *s, size_t n)
{
	struct rt_err ignored;

	rt_write_all(STDERR_FILENO, s, n, "standard error", &ignored);
}

/* The title on one line, cut, printable. */
static char *
short_title(const struct plan_step *s)
{
	char *title = step_title(s), *shown;
	size_t n = strcspn(title, "\n");

	if (n > 60 || title[n] != '\0') {
		n = n > 57 ? 57 : n;
		while (n > 0 && ((unsigned char)title[n] & 0xC0) == 0x80)
			n--;
		title[n] = '\0';
		char *cut = rt_printf("%s...", title);
		free(title);
		title = cut;
	}
	shown = rt_printable(title);
	free(title);
	return shown;
}

static void
json_string(struct str *b, const char *s)
{
	struct json *j = json_new_string(s);

	json_write(j, b);
	json_free(j);
}

static void
event(const struct plan_step *s, const char *name, const char *text, double t)
{
	struct str b = { 0 };

	str_puts(&b, "{\"step\":");
	json_string(&b, s->id);
	str_puts(&b, ",\"line\":");
	json_string(&b, s->lines);
	str_printf(&b, ",\"verb\":\"%s\",\"event\":\"%s\"", verb_name(s->verb), name);
	if (text != NULL) {
		str_puts(&b, ",\"text\":");
		json_string(&b, text);
	}
	str_printf(&b, ",\"t\":%.3f}\n", t);
	emit(b.s, b.len);
	str_free(&b);
}

void
progress_start(struct build *b, const struct plan_step *s)
{
	if (b->o->progress == PROGRESS_JSON)
		event(s, "start", NULL, 0);
	if (foreground == NULL)
		foreground = s;
}

static void
finish_line(struct build *b, struct step_output *o)
{
	char *shown, *text;

	if (o->line.len == 0)
		return;
	free(o->tail[o->ntail % TAIL_LINES]);
	o->tail[o->ntail++ % TAIL_LINES] = rt_strndup(o->line.s, o->line.len);
	if (b->o->progress == PROGRESS_JSON) {
		event(o->step, "output", o->line.s, 0);
	} else if (b->o->progress != PROGRESS_QUIET) {
		shown = isatty(STDERR_FILENO) ? rt_printable(o->line.s) : rt_strdup(o->line.s);
		text = rt_printf("%s| %s\n", o->step->id, shown);
		if (foreground == o->step || b->o->progress == PROGRESS_RAW)
			emit(text, strlen(text));
		else
			str_puts(&o->held, text);
		free(text);
		free(shown);
	}
	o->line.len = 0;
}

void
progress_output(struct build *b, const struct plan_step *s, const char *p, size_t n)
{
	struct step_output *o = output_of(s);

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' && o->line.len == 0)
			str_putc(&o->line, ' ');
		if (p[i] == '\n' || o->line.len >= LINE_LIMIT)
			finish_line(b, o);
		if (p[i] != '\n' && p[i] != '\0')
			str_putc(&o->line, p[i]);
	}
}

/* Brings out what the step held back. */
static void
release(struct build *b, const struct plan_step *s)
{
	struct step_output *o = output_of(s);

	finish_line(b, o);
	if (o->held.len > 0)
		emit(o->held.s, o->held.len);
	o->held.len = 0;
	if (foreground == s)
		foreground = NULL;
}

static void
step_line(const struct plan_step *s, const char *end)
{
	char *title = short_title(s), *line = rt_printf("%-10s %-7s %5s  %-60s %s\n", s->id, verb_name(s->verb), s->lines, title, end);

	emit(line, strlen(line));
	free(line);
	free(title);
}

void
progress_done(struct build *b, const struct plan_step *s, bool cached, double seconds)
{
	char time[32];

	release(b, s);
	snprintf(time, sizeof(time), "%.1fs", seconds);
	if (b->o->progress == PROGRESS_JSON)
		event(s, cached ? "cached" : "done", NULL, seconds);
	else if (b->o->progress != PROGRESS_QUIET)
		step_line(s, cached ? "CACHED" : time);
	forget(output_of(s));
}

void
progress_fail(struct build *b, const struct plan_step *s, double seconds, const struct message *m)
{
	struct step_output *o = output_of(s);
	char *title = short_title(s), *shown = rt_printable(m->text);
	struct str out = { 0 };
	size_t first;

	release(b, s);
	if (b->o->progress == PROGRESS_JSON)
		event(s, "failed", m->text, seconds);
	str_printf(&out, "%s: step %s failed, ", b->o->script, s->id);
	if (s->verb == VERB_RUN && m->text[0] == 'e')
		str_printf(&out, "status %d, ", m->status);
	str_printf(&out, "after %.1fs\n", seconds);
	str_printf(&out, "%s:%s: %s %s\n", b->o->dockerfile, s->lines, verb_name(s->verb), title);
	if (s->verb != VERB_RUN || m->signal != 0 || o->ntail == 0)
		str_printf(&out, "%s\n", shown);
	/* whoever saw the lines pass does not need them again */
	first = b->o->progress == PROGRESS_QUIET && o->ntail > TAIL_LINES ? o->ntail - TAIL_LINES : 0;
	if (b->o->progress == PROGRESS_QUIET)
		for (size_t i = first; i < o->ntail; i++)
			str_printf(&out, "%s\n", o->tail[i % TAIL_LINES]);
	str_printf(&out, "again: %s%s\n", b->o->again != NULL ? "" : "sh ", b->o->again != NULL ? b->o->again : b->o->script);
	str_printf(&out, "%s: failed step=%s line=%s status=%d kind=%s\n", b->o->script, s->id, s->lines, m->status, verb_name(s->verb));
	if (b->o->progress != PROGRESS_JSON)
		emit(out.s, out.len);
	str_free(&out);
	free(shown);
	free(title);
}

void
progress_cached(struct build *b)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t u = 0; b->stages[i].needed && u < b->stages[i].nunits; u++)
			for (size_t k = b->stages[i].units[u].first; k < b->stages[i].units[u].end; k++)
				progress_done(b, &b->stages[i].plan->steps[k], true, 0);
}
