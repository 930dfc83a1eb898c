/* Bundles: the script itself knows what it reads, so it is run and asked to put that behind its text. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "command.h"
#include "file.h"

/* The script to run: the one that goes into the bundle, or one that carries its runtime for this machine. */
static int
runnable(const void *ctx, const struct job *j, int text)
{
	static const char *embed[] = { "embed", NULL };
	struct options o = *j->o;
	struct job again = *j;

	if (job_runs_here(&o))
		return text;
	o.runtime = (struct string_list){ .v = embed, .n = 1 };
	again.o = &o;
	again.out = buf_new(ctx);
	again.silent = true;
	return job_run(ctx, &again) == EXIT_GOOD ? file_memory("build.sh", buf_str(again.out), again.out->len) : -1;
}

int
bundle_make(const void *ctx, const struct job *j, const char *to, bool directory)
{
	struct string_list argv = { 0 };
	int text = file_memory("build.sh", buf_str(j->out), j->out->len), run = text < 0 ? -1 : runnable(ctx, j, text), status;
	pid_t pid;

	if (run < 0) {
		fprintf(stderr, "dockcc: the script: %s\n", strerror(errno));
		return EXIT_HOST;
	}
	string_add(ctx, &argv, "sh");
	string_add(ctx, &argv, mem_printf(ctx, "/dev/fd/%d", run));
	string_add(ctx, &argv, mem_printf(ctx, "--bundle%s=%s", directory ? "-dir" : "", to));
	if (j->o->context != NULL && strcmp(j->o->context, "-") != 0)
		string_add(ctx, &argv, mem_printf(ctx, "--context=%s", j->o->context));
	setenv("DOCKCC_SCRIPT_TEXT", mem_printf(ctx, "/dev/fd/%d", text), 1);
	setenv("DOCKCC_OFFLINE", "1", 1); /* compiling never opens a socket */
	fflush(stdout);
	if ((pid = fork()) == 0) {
		execv("/bin/sh", (char *const *)(uintptr_t)argv.v);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		fprintf(stderr, "dockcc: /bin/sh: %s\n", strerror(errno));
		return EXIT_HOST;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_GOOD
	       : WIFEXITED(status) && WEXITSTATUS(status) == 64 ? EXIT_INPUT : EXIT_HOST;
}
