/* What people see of a build: the record of its steps and their output, and the plain form.  Not a terminal: one line a step
   when it ends, the commands' output under the step's name.  ux.md "Progress". */
#include "progress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_LIMIT = 64 << 20 }; /* of one step's output in the store */

double
progress_now(const struct progress *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - p->begun.tv_sec) + (double)(now.tv_nsec - p->begun.tv_nsec) / 1e9;
}

void
progress_write(const char *s, size_t n)
{
	while (n > 0) {
		ssize_t k = write(STDERR_FILENO, s, n);

		if (k < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (k > 0) {
			s += k;
			n -= (size_t)k;
		}
	}
}

void
progress_time(double seconds, char out[32])
{
	if (seconds < 100)
		snprintf(out, 32, "%.1fs", seconds);
	else
		snprintf(out, 32, "%ldm%02lds", (long)seconds / 60, (long)seconds % 60);
}

void
progress_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double n = (double)bytes / 1000;
	size_t u = 0;

	if (bytes < 1000) {
		snprintf(out, 32, "%llu B", (unsigned long long)bytes);
		return;
	}
	while (n >= 999.95 && u < 3) {
		n /= 1000;
		u++;
	}
	snprintf(out, 32, "%.1f %s", n, units[u]);
}

void
progress_bytes(const struct track *t, char out[64])
{
	const struct meter *m = t->meter;
	bool moving = m != NULL && t->state == TRACK_RUNNING;
	uint64_t done = moving ? m->done : t->bytes, files = moving ? m->files : t->files, total = moving ? m->total : 0;
	char left[32], right[32];

	*out = '\0';
	progress_size(done, left);
	progress_size(total, right);
	if (done == 0 && files == 0)
		return;
	if (total > 0)
		snprintf(out, 64, "%s/%s", left, right);
	else if (files > 0)
		snprintf(out, 64, "%llu file%s, %s", (unsigned long long)files, files == 1 ? "" : "s", left);
	else
		snprintf(out, 64, "%s", left);
}

size_t
progress_count(const struct progress *p, enum track_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->tracks[i]->state == state;
	return n;
}

struct track *
progress_track(const struct progress *p, const struct plan_step *s)
{
	for (size_t i = p->n; i-- > 0;)
		if (p->tracks[i]->step == s)
			return p->tracks[i];
	return NULL;
}

/* ---- the log in the store ---------------------------------------------------------------------------- */

/* log/STEP-KEY, where the key is that of the step's layer: the next build that runs the step writes it anew. */
static char *
log_name(const struct build *b, const struct plan_step *s)
{
	const char *key = "";
	char *name;

	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t u = 0; u < b->stages[i].nunits; u++)
			if (b->stages[i].plan == s->stage && s >= &s->stage->steps[b->stages[i].units[u].first] &&
			    s < &s->stage->steps[b->stages[i].units[u].end])
				key = b->stages[i].units[u].key;
	name = rt_printf("log/%.64s-%.12s", s->id, key);
	for (char *c = name + 4; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && (*c != '.' || c == name + 4))
			*c = '_';
	return name;
}

/* A log that cannot be written is no reason to fail. */
static void
keep_log(struct progress *p, struct track *t, const char *bytes, size_t n)
{
	struct rt_err ignored;
	struct stat st;

	if (t->log_name == NULL && p->b->store.fd >= 0) {
		t->log_name = log_name(p->b, t->step);
		if (mkdirat(p->b->store.fd, "log", 0700) == 0 || errno == EEXIST)
			t->log = openat(p->b->store.fd, t->log_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		t->logged = t->log >= 0;
	}
	if (t->log >= 0 && (fstat(t->log, &st) < 0 || st.st_size > LOG_LIMIT || rt_write_all(t->log, bytes, n, "log", &ignored) < 0))
		rt_close_fd(&t->log);
}

/* ---- the plain form ---------------------------------------------------------------------------------- */

/* A finished line on a terminal, where it has to fit. */
static void
live_step(struct progress *p, const struct track *t, const char *end, const char *bytes)
{
	unsigned columns, lines;
	cleanup_free char *right = rt_printf("%s%s%7s", bytes, *bytes != '\0' ? " " : "", end), *line = NULL;

	term_size(&columns, &lines);
	line = term_step(t->step, right, columns < 20 ? 20 : columns);
	live_line(p, line);
}

/* A finished line: "build.3    run   6  go mod download     12.4s". */
static void
step_line(struct progress *p, const struct track *t)
{
	char time[32], bytes[64];
	cleanup_free char *title = NULL, *shown = NULL, *line = NULL;
	unsigned room = 60, width;

	progress_time(t->end - t->begin, time);
	progress_bytes(t, bytes);
	if (t->state == TRACK_CACHED)
		strcpy(time, "CACHED");
	if (p->live.on) {
		live_step(p, t, time, bytes);
		return;
	}
	title = term_title(t->step, *bytes != '\0' ? room - 3 - (unsigned)strlen(bytes) : room);
	shown = rt_printf("%s%s%s%s", title, *bytes != '\0' ? " (" : "", bytes, *bytes != '\0' ? ")" : "");
	width = term_width(shown);
	line = rt_printf("%-10s %-7s %5s  %s%*s %s\n", t->step->id, verb_name(t->step->verb), t->step->lines, shown,
	                 width < room ? (int)(room - width) : 0, "", time);
	progress_write(line, strlen(line));
}

/* One whole line of a command's output. */
static void
finish_line(struct progress *p, struct track *t)
{
	enum progress_kind kind = p->b->o->progress;
	cleanup_free char *shown = NULL, *text = NULL;

	if (t->line.len == 0)
		return;
	free(t->tail[t->ntail % TAIL_LINES]);
	t->tail[t->ntail++ % TAIL_LINES] = rt_strndup(t->line.s, t->line.len);
	if (kind == PROGRESS_JSON) {
		event_output(p, t, t->line.s);
	} else if (kind != PROGRESS_QUIET && kind != PROGRESS_TTY) {
		shown = isatty(STDERR_FILENO) ? term_line(t->line.s, t->line.len) : rt_strdup(t->line.s);
		text = rt_printf("%s| %s\n", t->step->id, shown);
		if (p->foreground == t->step || kind == PROGRESS_RAW)
			progress_write(text, strlen(text));
		else
			str_puts(&t->held, text);
	}
	t->line.len = 0;
}

/* Brings out what the step held back. */
static void
release(struct progress *p, struct track *t)
{
	finish_line(p, t);
	if (t->held.len > 0)
		progress_write(t->held.s, t->held.len);
	t->held.len = 0;
	if (p->foreground == t->step)
		p->foreground = NULL;
}

/* ---- what happens ------------------------------------------------------------------------------------ */

static void
watch_pull(void *arg, enum meter_kind kind, const char *what)
{
	struct progress *p = arg;

	if (kind == METER_NOTHING) {
		if (p->pulling != NULL)
			live_clear(p);
		free(p->pulling);
		p->pulling = NULL;
	}
	if (what != NULL) {
		cleanup_free char *shown = rt_printable(what), *line = rt_printf("pulling    %s", shown);

		free(p->pulling);
		p->pulling = rt_strdup(shown);
		if (kind == METER_PULL)
			progress_note(p->b, line);
	}
	progress_tick(p->b, false);
}

static void
warning(void *arg, const char *text)
{
	progress_note(arg, text);
}

void
progress_open(struct build *b)
{
	struct progress *p = rt_alloc(sizeof(*p));

	p->b = b;
	b->progress = p;
	clock_gettime(CLOCK_MONOTONIC, &p->begun);
	p->live.on = b->o->progress == PROGRESS_TTY;
	p->live.color = getenv("NO_COLOR") == NULL || *getenv("NO_COLOR") == '\0';
	meter_use(&p->own);
	meter_watch(watch_pull, p);
	if (p->live.on || b->o->progress == PROGRESS_JSON)
		rt_warn_watch(warning, b);
}

void
progress_plan(struct build *b)
{
	struct progress *p = b->progress;

	for (size_t i = 0; i < b->plan.nstages; i++) {
		const struct stage_build *sb = &b->stages[i];

		if (!sb->needed)
			continue;
		p->total += sb->base_image && !sb->done;
		for (size_t u = 0; u < sb->nunits; u++)
			p->total += sb->units[u].end - sb->units[u].first;
	}
	p->planned = true;
	if (b->o->progress == PROGRESS_JSON)
		event_begin(p);
}

void
progress_start(struct build *b, const struct plan_step *s, const struct meter *m, bool cached)
{
	struct progress *p = b->progress;
	struct track *t = rt_alloc(sizeof(*t));

	*t = (struct track){ .step = s, .meter = m, .begin = progress_now(p), .log = -1 };
	p->tracks = rt_grow(p->tracks, (p->n + 1) * sizeof(*p->tracks));
	p->tracks[p->n++] = t;
	if (b->o->progress == PROGRESS_JSON && !cached)
		event_step(p, t, "start", NULL);
	if (p->foreground == NULL)
		p->foreground = s;
	live_draw(p, false);
}

void
progress_output(struct build *b, const struct plan_step *s, const char *bytes, size_t n)
{
	struct progress *p = b->progress;
	struct track *t = progress_track(p, s);

	if (t == NULL)
		return;
	keep_log(p, t, bytes, n);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' && t->line.len == 0)
			str_putc(&t->line, ' ');
		if (bytes[i] == '\n' || t->line.len >= LINE_LIMIT)
			finish_line(p, t);
		if (bytes[i] != '\n' && bytes[i] != '\0')
			str_putc(&t->line, bytes[i]);
	}
}

/* The step has ended one way or the other. */
static void
close_track(struct progress *p, struct track *t, enum track_state state)
{
	release(p, t);
	t->state = state;
	t->end = state == TRACK_CACHED ? t->begin : progress_now(p);
	rt_close_fd(&t->log);
}

void
progress_done(struct build *b, const struct plan_step *s, bool cached, uint64_t bytes, uint64_t files)
{
	struct progress *p = b->progress;
	struct track *t = progress_track(p, s);

	if (t == NULL)
		return;
	t->bytes = cached ? 0 : bytes;
	t->files = cached ? 0 : files;
	close_track(p, t, cached ? TRACK_CACHED : TRACK_DONE);
	if (b->o->progress == PROGRESS_JSON)
		event_step(p, t, cached ? "cached" : "done", NULL);
	else if (b->o->progress != PROGRESS_QUIET)
		step_line(p, t);
	live_draw(p, false);
}

void
progress_cached(struct build *b, const struct stage_build *sb)
{
	for (size_t u = 0; u < sb->nunits; u++)
		for (size_t k = sb->units[u].first; k < sb->units[u].end; k++) {
			progress_start(b, &sb->plan->steps[k], NULL, true);
			progress_done(b, &sb->plan->steps[k], true, 0, 0);
		}
}

void
progress_tick(struct build *b, bool now)
{
	if (b->o->progress == PROGRESS_JSON)
		event_bytes(b->progress);
	live_draw(b->progress, now);
}

int
progress_interval(const struct build *b)
{
	return b->o->progress == PROGRESS_TTY ? 100 : 1000;
}

void
progress_note(struct build *b, const char *text)
{
	struct progress *p = b->progress;

	if (b->o->progress == PROGRESS_JSON) {
		event_note(p, text);
	} else if (p->live.on) {
		live_line(p, text);
	} else {
		progress_write(text, strlen(text));
		progress_write("\n", 1);
	}
}

/* ---- failures ---------------------------------------------------------------------------------------- */

/* How to look and to go on, ux.md. */
static void
ways_on(const struct progress *p, const struct track *t, struct str *out)
{
	const struct build_options *o = p->b->o;

	if (o->again == NULL && !o->shell_on_failure)
		str_printf(out, "look: sh %s --shell-on-failure     again: sh %s", o->script, o->script);
	else
		str_printf(out, "again: %s%s", o->again != NULL ? "" : "sh ", o->again != NULL ? o->again : o->script);
	if (t->logged)
		str_printf(out, "     log: %s/%s", p->b->store.path, t->log_name);
	str_putc(out, '\n');
}

static void
report(struct progress *p, const struct track *t, const struct message *m)
{
	const struct build_options *o = p->b->o;
	cleanup_free char *title = term_title(t->step, 60), *shown = rt_printable(m->text);
	size_t first = t->ntail > TAIL_LINES ? t->ntail - TAIL_LINES : 0;
	bool seen = o->progress != PROGRESS_QUIET && o->progress != PROGRESS_TTY;
	struct str out = { 0 };
	char time[32];

	progress_time(t->end - t->begin, time);
	str_printf(&out, "%s: step %s failed, ", o->script, t->step->id);
	if (t->step->verb == VERB_RUN && m->text[0] == 'e')
		str_printf(&out, "status %d, ", m->status);
	str_printf(&out, "after %s\n", time);
	str_printf(&out, "%s:%s: %s %s\n", o->dockerfile, t->step->lines, verb_name(t->step->verb), title);
	if (t->step->verb != VERB_RUN || m->signal != 0 || t->ntail == 0)
		str_printf(&out, "%s\n", shown);
	/* whoever saw the lines pass does not need them again */
	for (size_t i = seen ? t->ntail : first; i < t->ntail; i++) {
		const char *line = t->tail[i % TAIL_LINES];
		cleanup_free char *safe = isatty(STDERR_FILENO) ? term_line(line, strlen(line)) : rt_strdup(line);

		str_printf(&out, "%s\n", safe);
	}
	ways_on(p, t, &out);
	live_clear(p);
	progress_write(out.s, out.len);
	str_free(&out);
}

void
progress_fail(struct build *b, const struct plan_step *s, const struct message *m)
{
	struct progress *p = b->progress;
	struct track *t = progress_track(p, s);

	if (t == NULL) {
		progress_start(b, s, NULL, true);
		t = progress_track(p, s);
	}
	close_track(p, t, TRACK_FAILED);
	if (b->failed_step == NULL) {
		b->failed_step = s;
		b->failed_status = m->status;
	}
	if (b->o->progress == PROGRESS_JSON)
		event_step(p, t, "failed", m);
	else
		report(p, t, m);
	/* the rest is only being stopped */
	p->live.on = p->live.on && b->o->keep_going && !b->o->shell_on_failure;
}

void
progress_image(struct build *b, const char *digest, const char *where)
{
	struct progress *p = b->progress;

	if (b->o->progress == PROGRESS_QUIET)
		return; /* the id is printed when all is written */
	if (p == NULL) { /* `dockcc-rt export` has none */
		dprintf(STDERR_FILENO, "%-10s %s%s%s\n", "image", digest, *digest != '\0' ? " -> " : "", where);
		return;
	}
	if (!p->closed) {
		p->closed = true;
		live_clear(p);
		if (b->o->progress != PROGRESS_JSON)
			summary_write(p);
	}
	if (b->o->progress == PROGRESS_JSON)
		event_image(p, digest, where);
	else
		dprintf(STDERR_FILENO, "%-10s %s%s%s\n", "image", digest, *digest != '\0' ? " -> " : "", where);
}

int
progress_close(struct build *b, int status, struct rt_err *e)
{
	struct progress *p = b->progress;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->tracks[i]->state == TRACK_RUNNING)
			close_track(p, p->tracks[i], TRACK_STOPPED);
	live_clear(p);
	p->live.on = false;
	rt_warn_watch(NULL, NULL);
	meter_watch(NULL, NULL);
	meter_use(NULL);
	if (status == 0 && p->planned && !p->closed && b->o->progress != PROGRESS_QUIET && b->o->progress != PROGRESS_JSON)
		summary_write(p);
	p->closed = true;
	if (b->o->progress == PROGRESS_JSON && (p->planned || status != 0))
		event_end(p, status);
	return b->o->timeline != NULL && (p->planned || status != 0) ? timeline_write(p, b->o->timeline, status, e) : 0;
}
