/* dockcc: the only exit is here. */
#include <stdio.h>
#include <string.h>

#include "../base/mem.h"
#include "command.h"

static int (*const commands[])(const void *ctx, const struct options *o) = {
	[COMMAND_COMPILE] = cmd_compile, [COMMAND_BUILD] = cmd_build, [COMMAND_CHECK] = cmd_check, [COMMAND_FMT] = cmd_fmt,
	[COMMAND_LOCK] = cmd_lock,
};

int
main(int argc, char **argv)
{
	static void *ctx; /* its end is the end of the process; a leak checker finds it here */
	struct options *o;
	int status = EXIT_USAGE;

	ctx = mem_root();
	o = options_parse(ctx, argv + 1);
	if (o != NULL && o->help.n > 0) {
		options_help(o->command);
		status = EXIT_GOOD;
	} else if (o != NULL && o->version.n > 0) {
		puts("dockcc " DOCKCC_VERSION);
		status = EXIT_GOOD;
	} else if (o != NULL) {
		status = commands[o->command](ctx, o);
	}
	return fflush(stdout) == 0 ? status : EXIT_HOST;
}
