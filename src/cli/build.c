/* `dockcc build`: compile, then run the script with docker build's options. */
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "command.h"
#include "context.h"
#include "file.h"

void
run_shell(int fd, const struct string_list *arguments)
{
	struct string_list argv = { 0 };

	string_add(NULL, &argv, "sh");
	string_add(NULL, &argv, mem_printf(NULL, "/dev/fd/%d", fd));
	for (size_t i = 0; i < arguments->n; i++)
		string_add(NULL, &argv, arguments->v[i]);
	execv("/bin/sh", (char *const *)(uintptr_t)argv.v);
	fprintf(stderr, "dockcc: /bin/sh: %s\n", strerror(errno));
	_exit(EXIT_HOST);
}

/* The ignore file that belongs to the Dockerfile itself, where the script would not find it by the name it knows. */
static void
add_ignore_file(const void *ctx, const struct options *o, const struct job *j, struct string_list *words)
{
	const char *own = mem_printf(ctx, "%s.dockerignore", j->dockerfile);
	struct stat st;

	if (o->ignorefile.n == 0 && strcmp(j->dockerfile, "-") != 0 && strcmp(j->dockerfile, j->shown) != 0 && stat(own, &st) == 0)
		string_add(ctx, words, mem_printf(ctx, "--ignorefile=%s", own));
}

void
script_arguments(const void *ctx, const struct options *o, const struct job *j, bool results, struct string_list *out)
{
	if (context_directory() != NULL || strcmp(o->context, "-") != 0)
		string_add(ctx, out, mem_printf(ctx, "--context=%s", context_directory() != NULL ? context_directory() : o->context));
	add_ignore_file(ctx, o, j, out);
	if (o->quiet.n > 0)
		string_add(ctx, out, "--progress=quiet");
	options_for_script(o, results, out);
}

/* The script lives in memory only: the shell reads it from a descriptor, so nothing is left behind. */
int
compile_script(const void *ctx, struct job *j, int *fd)
{
	int status;

	j->out = buf_new(ctx);
	if ((status = job_run(ctx, j)) != EXIT_GOOD)
		return status;
	if ((*fd = file_memory("build.sh", buf_str(j->out), j->out->len)) < 0) {
		fprintf(stderr, "dockcc: the script: %s\n", strerror(errno));
		return EXIT_HOST;
	}
	return EXIT_GOOD;
}

int
cmd_build(const void *ctx, const struct options *o)
{
	struct job j = { .o = o, .script = "build.sh" };
	struct string_list arguments = { 0 };
	int status, fd;

	if (o->context == NULL) {
		fputs("dockcc: build needs a CONTEXT: a directory, a tar, a URL, a git repository or - for standard input\n", stderr);
		return EXIT_USAGE;
	}
	if ((status = context_enter(ctx, o)) != EXIT_GOOD)
		return status;
	if (!find_dockerfile(ctx, o, &j))
		return EXIT_INPUT;
	if (o->check.n > 0 || strcmp(option_value(&o->call, "build"), "check") == 0)
		return check_file(ctx, o, j.dockerfile, false) == EXIT_GOOD ? EXIT_GOOD : EXIT_INPUT; /* as docker build --check */
	if (strcmp(option_value(&o->call, "build"), "build") != 0) {
		fprintf(stderr, "dockcc: --call is build or check, not %s\n", option_value(&o->call, NULL));
		return EXIT_USAGE;
	}
	if ((status = compile_script(ctx, &j, &fd)) != EXIT_GOOD)
		return status;
	if (o->verify.n > 0 && o->dry_run.n == 0)
		return build_verified(ctx, o, &j, fd);
	script_arguments(ctx, o, &j, true, &arguments);
	run_shell(fd, &arguments);
}
