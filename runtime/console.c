/* The user's terminal is never given to the sandbox: what runs there gets a pseudo terminal of its own or, where nobody sits at
   one, two pipes, and a process in between passes the bytes on. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "call.h"

/* Both sides of what passes the bytes on. */
struct relay {
	int in, out;              /* the user's */
	bool terminal;            /* the user sits at a terminal */
	int to, from;             /* the sandbox's: the same descriptor, or two pipes; -1: closed */
	int inner_in, inner_out;  /* the ends that the sandbox gets */
};

static struct termios saved;
static bool have_saved;
static volatile sig_atomic_t resized;

static void
on_resize(int sig)
{
	resized = sig;
}

void
console_save(const struct build *b)
{
	have_saved = b->o->console >= 0 && tcgetattr(b->o->console, &saved) == 0;
}

void
console_restore(const struct build *b)
{
	if (have_saved)
		tcsetattr(b->o->console, TCSANOW, &saved);
	have_saved = false;
}

/* ---- passing on -------------------------------------------------------------------------------------- */

static void
pass_size(const struct relay *r)
{
	struct winsize size;

	if (r->terminal && ioctl(r->in, TIOCGWINSZ, &size) == 0)
		ioctl(r->to, TIOCSWINSZ, &size);
}

/* Everything that is there to read; false at the end. */
static bool
pass(int from, int to)
{
	struct rt_err ignored;
	char chunk[4096];
	ssize_t n = read(from, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && rt_write_all(to, chunk, (size_t)n, "console", &ignored) == 0;
}

/* In a process of its own, until the sandbox has closed its side. */
static void __attribute__((noreturn))
relay_main(struct relay *r)
{
	struct sigaction resize = { .sa_handler = on_resize };
	struct termios raw;
	bool open = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	sigaction(SIGWINCH, &resize, NULL);
	if (r->terminal && tcgetattr(r->in, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(r->in, TCSANOW, &raw);
	}
	pass_size(r);
	while (open) {
		struct pollfd p[] = { { .fd = r->from, .events = POLLIN }, { .fd = r->to >= 0 ? r->in : -1, .events = POLLIN } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (resized)
			pass_size(r);
		resized = 0;
		if (p[0].revents != 0)
			open = pass(r->from, r->out);
		if (p[1].revents != 0 && !pass(r->in, r->to)) {
			if (r->terminal)
				break;
			rt_close_fd(&r->to); /* end of input */
		}
	}
	_exit(0);
}

static int
open_terminal(struct relay *r, struct rt_err *e)
{
	int unlock = 0, n;
	char name[32];

	r->to = r->from = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->to < 0 || ioctl(r->to, TIOCSPTLCK, &unlock) < 0 || ioctl(r->to, TIOCGPTN, &n) < 0)
		return rt_fail(e, errno, "make a pseudo terminal");
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	r->inner_in = r->inner_out = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return r->inner_in < 0 ? rt_fail(e, errno, "open %s", name) : 0;
}

static int
open_pipes(struct relay *r, struct rt_err *e)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "make a pipe");
	r->inner_in = in[0];
	r->to = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "make a pipe");
	r->from = out[0];
	r->inner_out = out[1];
	return 0;
}

static int
relay_open(struct relay *r, const struct build *b, struct rt_err *e)
{
	*r = (struct relay){ .in = b->o->console, .out = STDOUT_FILENO, .to = -1, .from = -1, .inner_in = -1, .inner_out = -1 };
	if (r->in < 0)
		r->in = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->in < 0)
		return rt_fail_status(e, RT_USAGE, "a shell needs a terminal or something on standard input");
	r->terminal = isatty(r->in);
	if (!r->terminal)
		return open_pipes(r, e);
	if (!isatty(r->out))
		r->out = r->in;
	return open_terminal(r, e);
}

static void
relay_close(struct relay *r)
{
	if (r->from == r->to)
		r->from = -1;
	if (r->inner_out == r->inner_in)
		r->inner_out = -1;
	rt_close_fd(&r->to);
	rt_close_fd(&r->from);
	rt_close_fd(&r->inner_in);
	rt_close_fd(&r->inner_out);
}

/* Runs `spec` with the relay beside it. */
static int
run_beside(struct build *b, struct run_spec *spec, int *status, struct rt_err *e)
{
	struct relay r;
	pid_t pid;
	int rc, sig;

	if (relay_open(&r, b, e) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(r.inner_in);
		if (r.inner_out != r.inner_in)
			close(r.inner_out);
		relay_main(&r);
	}
	spec->in_fd = r.inner_in;
	spec->out_fd = r.inner_out;
	spec->terminal = r.terminal;
	if (r.from != r.to)
		rt_close_fd(&r.from);
	else
		r.from = -1;
	rt_close_fd(&r.to);
	rc = pid < 0 ? rt_fail(e, errno, "start a process") : run_command(spec, status, &sig, e);
	relay_close(&r); /* the last ends of the sandbox's side: the relay ends when it has passed on all */
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}

/* ---- the shell --------------------------------------------------------------------------------------- */

/* The program of the SHELL instruction, "/bin/sh" unless the Dockerfile says something else. */
static char *
shell_program(const struct state *st)
{
	struct list words = { 0 };
	char *program;

	state_shell(st, &words);
	program = rt_strdup(words.n > 0 ? words.v[0] : "/bin/sh");
	list_free(&words);
	return program;
}

int
console_shell(struct build *b, const struct state *st, const struct plan_step *s, const char *root, const char *scratch, int *status,
              struct rt_err *e)
{
	const struct plan_step plain = { .id = s->id, .lines = s->lines, .verb = VERB_RUN, .stage = s->stage };
	cleanup_free char *program = shell_program(st), *term = NULL;
	const char *kind = getenv("TERM");
	struct call call;
	int rc = call_make(b, st, s->verb == VERB_RUN ? s : &plain, root, scratch, -1, &call, e);

	if (rc == 0) {
		if (kind != NULL && state_get(st, "TERM") == NULL) {
			term = rt_printf("TERM=%s", kind);
			list_add(&call.env, term);
			call.spec.env = (const char *const *)call.env.v;
		}
		call.spec.argv = (const char *const[]){ program, NULL };
		rc = run_beside(b, &call.spec, status, e);
	}
	call_free(&call);
	return rc < 0 ? rt_prefix(e, "a shell in %s", s->id) : 0;
}

/* ---- a finished stage -------------------------------------------------------------------------------- */

/* The layers of the stage below an empty one, at tmp/root. */
static int
mount_stage(struct build *b, const struct stage_build *sb, const char *tmp, struct rt_err *e)
{
	static const char *const names[] = { "diff", "work", "root", "scratch" };
	char *paths[4];
	struct list lower = { 0 };
	int rc = 0;

	for (size_t i = 0; i < 4; i++) {
		paths[i] = rt_printf("%s/%s/%s", b->store.path, tmp, names[i]);
		if (rc == 0 && mkdir(paths[i], 0755) < 0)
			rc = rt_fail(e, errno, "make %s", paths[i]);
	}
	for (size_t i = 0; i < sb->layers.n; i++) {
		cleanup_free char *dir = rt_printf("%s/layers/%s/diff", b->store.path, sb->layers.v[i]);

		list_add(&lower, dir);
	}
	if (rc == 0)
		rc = overlay_mount(paths[2], &lower, paths[0], paths[1], e);
	list_free(&lower);
	for (size_t i = 0; i < 4; i++)
		free(paths[i]);
	return rc;
}

/* In a process of its own, so that its mounts end with it. */
static int
visit(struct build *b, struct stage_build *sb, int *status, struct rt_err *e)
{
	const struct plan_step *last = &sb->plan->steps[sb->plan->nsteps - 1];
	const struct plan_step end = { .id = last->id, .lines = last->lines, .verb = VERB_SET, .stage = sb->plan };
	cleanup_free char *tmp = NULL, *root = NULL, *scratch = NULL;
	cleanup_fd int lock = -1;
	struct rt_err ignored;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	umask(022);
	if (ns_private(e) < 0 || stage_settle(b, sb, e) < 0 || store_tmp(&b->store, &tmp, &lock, e) < 0)
		return -1;
	root = rt_printf("%s/%s/root", b->store.path, tmp);
	scratch = rt_printf("%s/%s/scratch", b->store.path, tmp);
	rc = mount_stage(b, sb, tmp, e);
	if (rc == 0) {
		dprintf(STDERR_FILENO, "%s: a shell in stage %s, behind step %s; what it changes is thrown away\n", b->o->script,
		        sb->plan->id, last->id);
		rc = console_shell(b, &sb->end, &end, root, scratch, status, e);
		overlay_umount(root, &ignored);
	}
	rt_remove_tree(b->store.fd, tmp, &ignored);
	return rc;
}

int
console_visit(struct build *b, struct stage_build *sb, struct rt_err *e)
{
	int status = 0, w = 0;
	pid_t pid;

	console_save(b);
	pid = fork();
	if (pid < 0)
		return rt_fail(e, errno, "start a process");
	if (pid == 0) {
		if (visit(b, sb, &status, e) < 0) {
			dprintf(STDERR_FILENO, "dockcc-rt: %s\n", e->text);
			status = e->status != 0 ? e->status : RT_IO;
		}
		_exit(status);
	}
	while (waitpid(pid, &w, 0) < 0 && errno == EINTR)
		;
	console_restore(b);
	store_clean(&b->store, &(struct rt_err){ 0 }); /* what a killed one has left */
	status = WIFEXITED(w) ? WEXITSTATUS(w) : 128 + WTERMSIG(w);
	if (status == 0)
		return 0;
	e->status = status; /* what there is to say was said */
	e->text[0] = '\0';
	return -1;
}
