/* `dockcc-rt launch`: between make and a scheduler's launcher.  A launcher's exit status does not say whether the step failed or the
   machine under it, so the step writes its own into a file beside its stamp: no word means that it never came to its
   end, and it is launched again.  A step whose layers are in the store already is done here, without the launcher: that costs
   milliseconds.  docs/dockcc-make.7.scd. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verbs.h"

struct launch {
	char **argv;    /* the launcher and the step, with room for one word more */
	size_t at;      /* where --outcome goes: in front of --stamp */
	size_t step;    /* where the step begins: PROGRAM step */
	const char *stamp;
	unsigned tries;
};

static volatile sig_atomic_t caught;
static volatile pid_t child;

static void
on_signal(int sig)
{
	caught = sig;
	if (child > 0)
		kill(child, sig);
}

static int
parse(struct launch *l, char **argv, struct rt_err *e)
{
	size_t n = 0;

	l->tries = 3;
	for (; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv++) {
		char *end;

		if (strncmp(*argv, "--tries=", 8) != 0)
			return rt_fail_status(e, RT_USAGE, "launch does not know %s", *argv);
		l->tries = (unsigned)strtoul(*argv + 8, &end, 10);
		if (*end != '\0' || l->tries == 0 || l->tries > 100)
			return rt_fail_status(e, RT_USAGE, "--tries takes a number from 1 to 100, not %s", *argv + 8);
	}
	while (argv[n] != NULL)
		n++;
	l->argv = rt_alloc((n + 2) * sizeof(*l->argv));
	for (size_t i = 0, k = 0; i < n; i++) {
		if (l->stamp == NULL && strncmp(argv[i], "--stamp=", 8) == 0) {
			l->stamp = argv[i] + 8;
			l->at = k++;
		}
		if (l->stamp == NULL && i > 1 && strcmp(argv[i], "step") == 0)
			l->step = k - 1;
		l->argv[k++] = argv[i];
	}
	return l->stamp != NULL && *l->stamp != '\0' && l->step > 0
		? 0 : rt_fail_status(e, RT_USAGE, "launch takes a launcher and, behind it, a dockcc-rt step with its --stamp");
}

/* A name that nobody has asked for before: file systems of a network remember for a while what is not there. */
static char *
outcome_name(const struct launch *l)
{
	unsigned char r[8] = { 0 };

	(void)!getrandom(r, sizeof(r), 0);
	return rt_printf("%s.outcome-%02x%02x%02x%02x%02x%02x", l->stamp, r[0], r[1], r[2], r[3], r[4], r[5]);
}

/* Runs a program to its end; *status is as a shell has it. */
static int
run(char **argv, int *status, struct rt_err *e)
{
	pid_t pid = fork();
	int w = 0;

	if (pid == 0) {
		execvp(argv[0], argv);
		dprintf(STDERR_FILENO, "dockcc-rt: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return rt_fail(e, errno, "start %s", argv[0]);
	child = pid;
	if (caught)
		kill(pid, caught);
	while (waitpid(pid, &w, 0) < 0)
		if (errno != EINTR)
			return rt_fail(e, errno, "wait for %s", argv[0]);
	child = 0;
	*status = WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w);
	return 0;
}

/* One launch: the step's own exit status, -2 when it left no word, -1 with `e`. */
static int
once(struct launch *l, int *status, struct rt_err *e)
{
	cleanup_free char *name = outcome_name(l), *option = rt_printf("--outcome=%s", name);
	struct str text = { 0 };
	struct rt_err none;
	int rc, own;

	l->argv[l->at] = option;
	rc = run(l->argv, status, e);
	own = rc == 0 && rt_read_file(AT_FDCWD, name, 64, &text, &none) == 0 && text.len > 0 ? atoi(text.s) : -2;
	unlink(name);
	str_free(&text);
	return rc < 0 ? -1 : own;
}

/* The step here and now when nothing of it has to run: its exit status, RT_MISSING when something has to. */
static int
here(struct launch *l, int *status, struct rt_err *e)
{
	static char option[] = "--if-cached";

	l->argv[l->at] = option;
	return run(l->argv + l->step, status, e);
}

static int
make_directory(const char *stamp, struct rt_err *e)
{
	const char *slash = strrchr(stamp, '/');
	cleanup_free char *dir = slash != NULL ? rt_strndup(stamp, (size_t)(slash - stamp)) : NULL;

	return dir == NULL || *dir == '\0' ? 0 : rt_mkdir_p(AT_FDCWD, dir, 0777, e);
}

int
cmd_launch(char **argv, struct rt_err *e)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct launch l = { 0 };
	int status = 0, own = -2;

	if (parse(&l, argv, e) < 0 || make_directory(l.stamp, e) < 0)
		return -1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (here(&l, &status, e) < 0)
		return -1;
	if (status != RT_MISSING && !caught) {
		e->text[0] = '\0';
		e->status = status;
		return status == 0 ? 0 : -1;
	}
	for (unsigned n = 1; own == -2 && n <= l.tries && !caught; n++) {
		own = once(&l, &status, e);
		if (own == -1)
			return -1;
		if (own == -2 && !caught && status != 126 && status != 127)
			dprintf(STDERR_FILENO, "launch     %s: no word of the step, %s ended with status %d%s\n", l.stamp, l.argv[0], status,
			        n < l.tries ? "; again" : "");
		if (status == 126 || status == 127) /* the launcher itself is not there */
			break;
	}
	if (own == 0)
		return 0;
	e->text[0] = '\0'; /* told already, by the step or above */
	e->status = own > 0 ? own : caught ? RT_INTERRUPTED : status != 0 ? status : RT_IO;
	return -1;
}
