/* `dockcc build`: compile, then run the script with docker build's options. */
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "command.h"
#include "file.h"

int
cmd_build(const void *ctx, const struct options *o)
{
	struct job j = { .o = o, .out = buf_new(ctx), .script = "build.sh" };
	struct string_list argv = { 0 };
	int status, fd;

	if (o->context == NULL) {
		fputs("dockcc: build needs a CONTEXT, a directory\n", stderr);
		return EXIT_USAGE;
	}
	if (!find_dockerfile(ctx, o, &j))
		return EXIT_INPUT;
	if (o->check.n > 0 || strcmp(option_value(&o->call, "build"), "check") == 0)
		return check_file(ctx, o, j.dockerfile, false) == EXIT_GOOD ? EXIT_GOOD : EXIT_INPUT; /* as docker build --check */
	if (strcmp(option_value(&o->call, "build"), "build") != 0) {
		fprintf(stderr, "dockcc: --call is build or check, not %s\n", option_value(&o->call, NULL));
		return EXIT_USAGE;
	}
	if ((status = job_run(ctx, &j)) != EXIT_GOOD)
		return status;
	/* the script lives in memory only, so nothing is left behind */
	if ((fd = file_memory("build.sh", buf_str(j.out), j.out->len)) < 0) {
		fprintf(stderr, "dockcc: the script: %s\n", strerror(errno));
		return EXIT_HOST;
	}
	string_add(ctx, &argv, "sh");
	string_add(ctx, &argv, mem_printf(ctx, "/dev/fd/%d", fd));
	if (strcmp(o->context, "-") != 0)
		string_add(ctx, &argv, mem_printf(ctx, "--context=%s", o->context));
	if (o->quiet.n > 0)
		string_add(ctx, &argv, "--progress=quiet");
	options_for_script(o, &argv);
	execv("/bin/sh", (char *const *)(uintptr_t)argv.v);
	fprintf(stderr, "dockcc: /bin/sh: %s\n", strerror(errno));
	return EXIT_HOST;
}
