/* Stages run side by side, each in a worker; the scheduler hands out turns (--jobs), tells who waits that
   a stage is finished, and ends everything at the first failure. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"
#include "console.h"

enum wait_kind { WAIT_NOTHING, WAIT_TURN, WAIT_STAGE };

struct job {
	struct stage_build *sb;
	pid_t pid;
	int ctl, out;             /* -1: closed */
	enum wait_kind wait;
	uint32_t wait_stage;
	bool turn;                /* holds one of --jobs */
	const struct plan_step *step;
	struct meter *meter;      /* shared with the worker */
	unsigned rank;            /* missing steps from here to the target: the longest path goes first */
};

struct sched {
	struct build *b;
	struct job *jobs;
	size_t njobs;
	unsigned turns;           /* free ones */
	bool failed;
	bool stop;                /* nothing new begins */
	int notes[2];             /* where workers write warnings, -1: to standard error */
	struct str note;          /* a line of them, unfinished */
	struct meter *meters;
	struct rt_err *e;
};

static volatile sig_atomic_t resized;

static void
on_resize(int sig)
{
	resized = sig;
}

/* Steps that have yet to run in `sb`. */
static unsigned
missing_steps(const struct stage_build *sb)
{
	unsigned n = sb->base_missing;

	for (size_t i = 0; i < sb->nunits; i++)
		if (!sb->units[i].cached)
			n += (unsigned)(sb->units[i].end - sb->units[i].first);
	return n;
}

static bool
uses(const struct stage_build *user, const struct stage_build *sb)
{
	const struct plan_stage *p = user->plan;

	for (size_t i = 0; i < p->nsteps; i++) {
		if (p->steps[i].origin == FROM_STAGE && strcmp(p->steps[i].from, sb->plan->id) == 0)
			return true;
		for (size_t m = 0; m < p->steps[i].nmounts; m++)
			if (p->steps[i].mounts[m].origin == FROM_STAGE && strcmp(p->steps[i].mounts[m].from, sb->plan->id) == 0)
				return true;
	}
	return false;
}

/* The length of the longest chain of missing steps that begins in each stage; users come later in the plan. */
static void
rank_jobs(struct sched *s)
{
	for (size_t i = s->njobs; i-- > 0;) {
		unsigned after = 0;

		for (size_t j = i + 1; j < s->njobs; j++)
			if (s->jobs[j].rank > after && uses(s->jobs[j].sb, s->jobs[i].sb))
				after = s->jobs[j].rank;
		s->jobs[i].rank = after + missing_steps(s->jobs[i].sb);
	}
}

static int
start_job(struct sched *s, struct job *j)
{
	int ctl[2], out[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) < 0)
		return rt_fail(s->e, errno, "make a socket pair");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(ctl[0]);
		close(ctl[1]);
		return rt_fail(s->e, errno, "make a pipe");
	}
	j->pid = fork();
	if (j->pid == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		signal(SIGWINCH, SIG_DFL);
		close(ctl[0]);
		close(out[0]);
		worker_main(s->b, j->sb, &(struct worker_io){ .ctl = ctl[1], .out = out[1], .notes = s->notes[1], .meter = j->meter });
	}
	close(ctl[1]);
	close(out[1]);
	j->ctl = ctl[0];
	j->out = out[0];
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	return j->pid > 0 ? 0 : rt_fail(s->e, errno, "start a worker");
}

static void
go(struct job *j)
{
	struct message m = { .kind = MSG_GO };

	j->wait = WAIT_NOTHING;
	(void)!send(j->ctl, &m, offsetof(struct message, text), MSG_NOSIGNAL);
}

/* --keep-going: a stage that needs one that has failed cannot be made either. */
static void
give_up(struct sched *s, struct job *j)
{
	const struct stage_build *needed = &s->b->stages[j->wait_stage];
	cleanup_free char *text = rt_printf("stage %s is not made: it needs %s", j->sb->plan->id, needed->plan->id);

	j->sb->failed = true;
	j->wait = WAIT_NOTHING;
	progress_note(s->b, text);
	kill(j->pid, SIGKILL);
}

/* Lets go on who can: all that waited for a finished stage, and as many as there are turns, the longest path first. */
static void
dispatch(struct sched *s)
{
	for (size_t i = 0; i < s->njobs; i++) {
		struct job *j = &s->jobs[i];

		if (j->wait == WAIT_STAGE && s->b->stages[j->wait_stage].failed)
			give_up(s, j);
		else if (j->wait == WAIT_STAGE && s->b->stages[j->wait_stage].done)
			go(j);
	}
	while (s->turns > 0) {
		struct job *best = NULL;

		for (size_t i = 0; i < s->njobs; i++)
			if (s->jobs[i].wait == WAIT_TURN && (best == NULL || s->jobs[i].rank > best->rank))
				best = &s->jobs[i];
		if (best == NULL)
			return;
		best->turn = true;
		s->turns--;
		go(best);
	}
}

static void
give_back(struct sched *s, struct job *j)
{
	if (j->turn)
		s->turns++;
	j->turn = false;
}

/* One read of the commands' output; false when there is none now or ever. */
static bool
take_output(struct sched *s, struct job *j)
{
	char chunk[16384];
	ssize_t n = j->out >= 0 ? read(j->out, chunk, sizeof(chunk)) : -1;

	if (n > 0 && j->step != NULL)
		progress_output(s->b, j->step, chunk, (size_t)n);
	if (n == 0)
		rt_close_fd(&j->out);
	return n > 0;
}

static void
drain(struct sched *s, struct job *j)
{
	while (take_output(s, j))
		;
}

static void
kill_all(struct sched *s)
{
	for (size_t i = 0; i < s->njobs; i++)
		if (s->jobs[i].pid > 0)
			kill(s->jobs[i].pid, SIGKILL);
}

/* Waits for the end of the one job that may go on: somebody sits in its shell. */
static void
await_shell(struct sched *s, struct job *j)
{
	struct message m;

	dprintf(STDERR_FILENO, "%s: a shell where the step failed; leave it with exit\n", s->b->o->script);
	console_save(s->b);
	go(j);
	while (recv(j->ctl, &m, sizeof(m), 0) > 0 || errno == EINTR)
		errno = 0;
	console_restore(s->b);
}

static void
take_failure(struct sched *s, struct job *j, const struct message *m)
{
	const struct plan_step *step = &j->sb->plan->steps[m->step];
	bool shell = s->b->o->shell_on_failure;

	if (s->stop)
		return;
	if (!s->failed) {
		s->e->status = m->status; /* the story is told */
		s->e->text[0] = '\0';
	}
	s->failed = true;
	j->sb->failed = true;
	s->stop = !s->b->o->keep_going || shell;
	progress_fail(s->b, step, m);
	for (size_t i = 0; s->stop && i < s->njobs; i++)
		if (s->jobs[i].pid > 0 && (!shell || &s->jobs[i] != j))
			kill(s->jobs[i].pid, SIGKILL);
	if (shell)
		await_shell(s, j);
}

/* One message; false when there is none. */
static bool
take_message(struct sched *s, struct job *j)
{
	struct message m = { 0 };
	ssize_t n = recv(j->ctl, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		rt_close_fd(&j->ctl);
		return false;
	}
	switch (m.kind) {
	case MSG_ACQUIRE:
		give_back(s, j);
		j->wait = WAIT_TURN;
		break;
	case MSG_NEED:
		give_back(s, j);
		j->wait = WAIT_STAGE;
		j->wait_stage = m.stage;
		break;
	case MSG_START:
		j->step = &j->sb->plan->steps[m.step];
		progress_start(s->b, j->step, j->meter, m.cached);
		if (m.waits)
			go(j);
		break;
	case MSG_DONE:
		if (m.waits) /* else what there is to read belongs to the next step, which has begun perhaps */
			drain(s, j);
		progress_done(s->b, j->step, m.cached, m.bytes, m.files);
		break;
	case MSG_FAIL:
		drain(s, j);
		m.text[sizeof(m.text) - 1] = '\0';
		take_failure(s, j, &m);
		break;
	case MSG_GO:
		break;
	}
	return true;
}

static void
take_exit(struct sched *s, struct job *j)
{
	int status = 0;

	while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
		;
	j->pid = 0;
	drain(s, j);
	rt_close_fd(&j->out);
	give_back(s, j);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		j->sb->done = true;
	} else if (!s->stop && !j->sb->failed) {
		s->failed = s->stop = true;
		rt_fail(s->e, 0, "the worker of stage %s ended by signal %d", j->sb->plan->id, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		kill_all(s);
	}
}

/* Warnings of workers, line by line. */
static void
take_notes(struct sched *s)
{
	char chunk[4096], *line, *end;
	ssize_t n;

	while (s->notes[0] >= 0 && (n = read(s->notes[0], chunk, sizeof(chunk))) > 0)
		str_add(&s->note, chunk, (size_t)n);
	for (line = s->note.s; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		progress_note(s->b, line);
	}
	if (line != NULL) {
		s->note.len -= (size_t)(line - s->note.s);
		memmove(s->note.s, line, s->note.len + 1);
	}
}

/* Fills fds[2 i] and fds[2 i + 1] for job i, then the notes; false: nobody works any more, or we are to end. */
static bool
to_watch(const struct sched *s, struct pollfd *fds)
{
	bool alive = false;
	nfds_t n = 0;

	for (size_t i = 0; i < s->njobs; i++) {
		fds[n++] = (struct pollfd){ .fd = s->jobs[i].ctl, .events = POLLIN };
		fds[n++] = (struct pollfd){ .fd = s->jobs[i].out, .events = POLLIN };
		alive = alive || s->jobs[i].pid > 0;
	}
	fds[n] = (struct pollfd){ .fd = s->notes[0], .events = POLLIN };
	return alive && rt_stopped() == 0;
}

static bool
wait_once(struct sched *s)
{
	struct pollfd *fds = rt_alloc((s->njobs * 2 + 1) * sizeof(*fds));
	bool alive = to_watch(s, fds);
	int ready = alive ? poll(fds, s->njobs * 2 + 1, progress_interval(s->b)) : 0;

	for (size_t i = 0; ready > 0 && i < s->njobs; i++) {
		struct job *j = &s->jobs[i];

		/* words come before output, and output once: what comes while it is read may be the next step's */
		if (fds[2 * i].revents != 0)
			while (take_message(s, j))
				;
		if (fds[2 * i + 1].revents != 0)
			take_output(s, j);
		if (j->pid > 0 && j->ctl < 0)
			take_exit(s, j);
	}
	take_notes(s);
	progress_tick(s->b, resized != 0);
	resized = 0;
	free(fds);
	return alive;
}

static void
reap_all(struct sched *s)
{
	kill_all(s);
	for (size_t i = 0; i < s->njobs; i++) {
		struct job *j = &s->jobs[i];

		while (j->pid > 0 && waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
			;
		rt_close_fd(&j->ctl);
		rt_close_fd(&j->out);
	}
}

/* A job for every stage that has something to do, with a meter that both sides see. */
static int
make_jobs(struct sched *s)
{
	struct build *b = s->b;

	s->jobs = rt_alloc((b->plan.nstages + 1) * sizeof(*s->jobs));
	s->meters = mmap(NULL, (b->plan.nstages + 1) * sizeof(*s->meters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->meters == MAP_FAILED)
		return rt_fail(s->e, errno, "memory for the scheduler");
	for (size_t i = 0; i < b->plan.nstages; i++)
		if (b->stages[i].needed && b->stages[i].done)
			progress_cached(b, &b->stages[i]);
		else if (b->stages[i].needed)
			s->jobs[s->njobs++] = (struct job){ .sb = &b->stages[i], .ctl = -1, .out = -1, .meter = &s->meters[i] };
	rank_jobs(s);
	/* a line of a worker must not land in the middle of ours */
	if ((b->o->progress == PROGRESS_TTY || b->o->progress == PROGRESS_JSON) && pipe2(s->notes, O_CLOEXEC | O_NONBLOCK) < 0)
		return rt_fail(s->e, errno, "make a pipe");
	return 0;
}

int
sched_run(struct build *b, struct rt_err *e)
{
	struct sched s = { .b = b, .turns = b->o->jobs, .notes = { -1, -1 }, .e = e };
	struct sigaction resize = { .sa_handler = on_resize };
	int rc = make_jobs(&s);

	rt_catch_signals();
	sigaction(SIGWINCH, &resize, NULL);
	for (size_t i = 0; rc == 0 && i < s.njobs; i++)
		rc = start_job(&s, &s.jobs[i]);
	while (rc == 0 && wait_once(&s))
		if (!s.stop)
			dispatch(&s);
	reap_all(&s);
	if (s.failed || rt_stopped() != 0) /* what the killed have left */
		store_clean(&b->store, &(struct rt_err){ 0 });
	take_notes(&s);
	rt_close_fd(&s.notes[0]);
	rt_close_fd(&s.notes[1]);
	str_free(&s.note);
	free(s.jobs);
	if (rt_stopped() != 0 && !s.failed)
		return rt_fail_status(e, 128 + rt_stopped(), "interrupted");
	return rc < 0 || s.failed ? -1 : 0;
}
