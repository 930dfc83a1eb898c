/* A sandbox that outlives its commands.  Its pid 1 is ours: it starts one command after the other, kills what a command
   left behind and reports (security.md S5.7).  perf.md 1: entering once a chain is what makes RUN cheap. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "path.h"

#define FLAG_NEWCGROUP 0x02000000

struct session_memory {
	struct report report;
	int status, signal;
};

/* What pid 1 works with. */
struct init {
	const struct run_spec *specs;
	size_t n;
	int ctl, parent_ctl;     /* the second is the caller's end: while it is open here, it never ends */
	struct session_memory *memory;
	struct job job;          /* of the sandbox itself; steps borrow its answers */
};

bool
run_session_fits(const struct run_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (specs[i].nmounts > 0 || specs[i].script != NULL || specs[i].net_none || specs[i].insecure)
			return false;
	return n > 1 && ns_get_mode() != NS_CHROOT;
}

static int
command_main(void *arg)
{
	struct job *j = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	run_become(j, -1);
}

static pid_t
start_command(struct job *j)
{
	_Alignas(16) static char stack[128 << 10];
	int flags = SIGCHLD;

#ifndef __SANITIZE_ADDRESS__
	flags |= CLONE_VM | CLONE_VFORK;
#endif
	return clone(command_main, stack + sizeof(stack), flags, j);
}

/* Waits for the command, then ends everything else in the sandbox. */
static int
wait_command(pid_t pid, int *w)
{
	pid_t got;

	while ((got = waitpid(-1, w, 0)) != pid)
		if (got < 0 && errno != EINTR)
			return -1;
	kill(-1, SIGKILL);
	for (int other; (got = waitpid(-1, &other, 0)) > 0 || errno == EINTR;)
		;
	return 0;
}

static void
run_step(struct init *init, const struct run_spec *spec)
{
	struct session_memory *m = init->memory;
	struct job j = { .s = spec, .report = &m->report, .boxed = true, .confined = true, .own = init->job.own, .e = &m->report.err };
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *home = NULL;
	pid_t pid;
	int w = 0;

	m->report = (struct report){ 0 };
	if (user_resolve(root, spec->user, &j.user, j.e) < 0) {
		m->report.failed = true;
		return;
	}
	j.env = run_env(spec->env, &j.user, &home);
	pid = start_command(&j);
	if (pid < 0 || wait_command(pid, &w) < 0) {
		rt_fail(j.e, errno, "start a command");
		m->report.failed = true;
	}
	m->signal = WIFSIGNALED(w) ? WTERMSIG(w) : 0;
	m->status = WIFSIGNALED(w) ? 128 + m->signal : WEXITSTATUS(w);
	if (!m->report.failed && dev_tidy(j.e) < 0)
		m->report.failed = true;
	free(j.env);
	free(home);
	free(j.user.home);
}

/* pid 1 of the sandbox.  The filter and the bounding set are what its commands inherit. */
static int
init_main(void *arg)
{
	struct init *init = arg;
	struct job *j = &init->job;
	unsigned char index[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	close(init->parent_ctl);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(0);
	if (run_enter_root(j) < 0 || run_hostname(j) < 0 || caps_bound(!ns_in_chroot(), j->e) < 0 || seccomp_install(j->e) < 0)
		init->memory->report.failed = true;
	umask(022);
	run_signals();
	rt_hide_words();
	do {
		if (send(init->ctl, "", 1, MSG_NOSIGNAL) < 0 || recv(init->ctl, index, 2, 0) != 2)
			_exit(0);
		run_step(init, &init->specs[index[0] | index[1] << 8]);
	} while (true);
}

static pid_t
start_init(struct init *init)
{
	_Alignas(16) char stack[64 << 10];
	int flags = SIGCHLD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | FLAG_NEWCGROUP;

	return clone(init_main, stack + sizeof(stack), flags, init);
}

/* Waits for a word from pid 1; -1 with what it said when something failed. */
static int
answer(struct run_session *s, struct rt_err *e)
{
	char byte;
	ssize_t n;

	do
		n = recv(s->ctl, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return rt_fail(e, n < 0 ? errno : 0, "the sandbox has ended");
	if (!s->memory->report.failed)
		return 0;
	*e = s->memory->report.err;
	return -1;
}

int
run_session_start(const struct run_spec *specs, size_t n, struct run_session *s, struct rt_err *e)
{
	struct init init = { .specs = specs, .n = n };
	int ctl[2];

	*s = (struct run_session){ .ctl = -1, .rootfd = -1 };
	s->memory = mmap(NULL, sizeof(*s->memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->memory == MAP_FAILED || stat("/proc/self/exe", &init.job.own) < 0)
		return rt_fail(e, errno, "make a sandbox");
	s->rootfd = open(specs[0].root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->rootfd < 0)
		return rt_fail(e, errno, "open the root %s", specs[0].root);
	s->stubs = rt_alloc(sizeof(struct stubs));
	init.memory = s->memory;
	init.job = (struct job){ .s = &specs[0], .boxed = true, .own = init.job.own, .report = &s->memory->report, .e = e };
	if (run_points(s->rootfd, &init.job) < 0)
		return -1;
	*(struct stubs *)s->stubs = init.job.stubs;
	init.job.e = &s->memory->report.err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) < 0)
		return rt_fail(e, errno, "make a socket pair");
	s->ctl = ctl[0];
	init.ctl = ctl[1];
	init.parent_ctl = ctl[0];
	s->pid = start_init(&init);
	close(ctl[1]);
	if (s->pid < 0)
		return rt_fail_status(e, RT_NOMODE, "make the namespaces of a step: %s", strerror(errno));
	return answer(s, e);
}

int
run_session_step(struct run_session *s, size_t i, int *status, int *signal, struct rt_err *e)
{
	unsigned char index[2] = { (unsigned char)i, (unsigned char)(i >> 8) };

	if (send(s->ctl, index, 2, MSG_NOSIGNAL) < 0)
		return rt_fail(e, errno, "talk to the sandbox");
	if (answer(s, e) < 0)
		return -1;
	*status = s->memory->status;
	*signal = s->memory->signal;
	return 0;
}

void
run_session_end(struct run_session *s)
{
	rt_close_fd(&s->ctl);
	while (s->pid > 0 && waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (s->stubs != NULL)
		stubs_remove(s->stubs);
	free(s->stubs);
	if (s->memory != NULL && s->memory != MAP_FAILED)
		munmap(s->memory, sizeof(*s->memory));
	rt_close_fd(&s->rootfd);
	*s = (struct run_session){ .ctl = -1, .rootfd = -1 };
}
