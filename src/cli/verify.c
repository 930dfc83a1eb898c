/* `dockcc build --verify`: the Dockerfile built as it stands, at -O0, then as it is asked for; the second has to make the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/mem.h"
#include "command.h"

/* Runs the script in `fd`; its exit status. */
static int
run_script(int fd, const struct string_list *arguments)
{
	int status;
	pid_t pid = fork();

	if (pid < 0) {
		fprintf(stderr, "dockcc: fork: %s\n", strerror(errno));
		return EXIT_HOST;
	}
	if (pid == 0)
		run_shell(fd, arguments);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
both(const void *ctx, const struct options *o, const struct job *j, const char *record, int plain, int wanted)
{
	struct string_list first = { 0 }, second = { 0 };
	bool quiet = o->quiet.n > 0;
	int status;

	script_arguments(ctx, o, j, false, &first);
	script_arguments(ctx, o, j, true, &second);
	string_add(ctx, &first, mem_printf(ctx, "--record=%s", record));
	string_add(ctx, &second, mem_printf(ctx, "--verify=%s", record));
	if (!quiet)
		fputs("verify     building at -O0\n", stderr);
	if ((status = run_script(plain, &first)) != 0)
		return status;
	if (!quiet)
		fprintf(stderr, "verify     building at -O%s\n", option_value(&o->level, "1"));
	return run_script(wanted, &second);
}

int
build_verified(const void *ctx, const struct options *o, struct job *j, int wanted)
{
	const char *dir = getenv("TMPDIR");
	char *record = mem_printf(ctx, "%s/dockcc-verify-XXXXXX", dir != NULL && *dir != '\0' ? dir : "/tmp");
	struct options plain = *o;
	int status, fd, file;

	if (strcmp(j->dockerfile, "-") == 0) {
		fputs("dockcc: --verify compiles the Dockerfile twice: give it as a file\n", stderr);
		return EXIT_USAGE;
	}
	plain.level = plain.pass = plain.no_pass = (struct string_list){ 0 };
	string_add(ctx, &plain.level, "0");
	j->o = &plain;
	if ((status = compile_script(ctx, j, &fd)) != EXIT_GOOD)
		return status;
	file = mkstemp(record);
	if (file < 0) {
		fprintf(stderr, "dockcc: %s: %s\n", record, strerror(errno));
		return EXIT_HOST;
	}
	close(file);
	status = both(ctx, o, j, record, fd, wanted);
	unlink(record);
	close(fd);
	return status;
}
