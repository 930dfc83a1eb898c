/* Programs of the host: git, curl, wget.  Always an argument vector, never a shell. */
#include "copy_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SAID = 64 << 10, NOT_INSTALLED = 127 };

/* In the child: never returns. */
static void
become(const struct tool *t, int err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(t->out < 0 ? null : t->out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	for (size_t i = 0; t->env != NULL && t->env[i] != NULL; i++) {
		if (strchr(t->env[i], '=') != NULL)
			putenv((char *)(uintptr_t)t->env[i]);
		else
			unsetenv(t->env[i]);
	}
	umask(022);
	execvp(t->argv[0], (char *const *)(uintptr_t)t->argv);
	_exit(errno == ENOENT ? NOT_INSTALLED : 126);
}

/* What the program says, to its end; more than MOST_SAID is dropped. */
static void
listen_to(int fd, struct str *said)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && said->len < MOST_SAID)
			str_add(said, buf, (size_t)n);
}

/* The last line that is not blank, malloc'd. */
static char *
last_line(const struct str *said)
{
	size_t end = said->len, start;

	while (end > 0 && strchr(" \r\n", said->s[end - 1]) != NULL)
		end--;
	for (start = end; start > 0 && said->s[start - 1] != '\n'; start--)
		;
	return end == 0 ? rt_strdup("no message") : rt_strndup(said->s + start, end - start);
}

int
tool_run(struct tool *t, struct rt_err *e)
{
	cleanup_fd int hear = -1, speak = -1;
	cleanup_free char *line = NULL;
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "pipe");
	hear = ends[0];
	speak = ends[1];
	pid = fork();
	if (pid < 0)
		return rt_fail(e, errno, "fork");
	if (pid == 0)
		become(t, speak);
	rt_close_fd(&speak);
	listen_to(hear, &t->said);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return rt_fail(e, errno, "wait for %s", t->argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED && t->said.len == 0)
		return 1;
	if (WIFSIGNALED(status))
		return rt_fail(e, 0, "%s was killed by signal %d", t->argv[0], WTERMSIG(status));
	line = last_line(&t->said);
	return rt_fail(e, 0, "%s: %s", t->argv[0], line);
}
