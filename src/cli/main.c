/* dockcc: the only exit is here. */
#include <stdio.h>
#include <string.h>

#include "../base/mem.h"
#include "command.h"

int
main(int argc, char **argv)
{
	void *ctx = talloc_named_const(NULL, 0, "dockcc");
	struct options *o = options_parse(ctx, argv + 1);
	int status = EXIT_USAGE;

	if (o != NULL && o->help.n > 0) {
		options_help(o->command);
		status = EXIT_GOOD;
	} else if (o != NULL && o->version.n > 0) {
		puts("dockcc " DOCKCC_VERSION);
		status = EXIT_GOOD;
	} else if (o != NULL) {
		status = o->command == COMMAND_BUILD ? cmd_build(ctx, o) : o->command == COMMAND_CHECK ? cmd_check(ctx, o) : cmd_compile(ctx, o);
	}
	talloc_free(ctx);
	return fflush(stdout) == 0 ? status : EXIT_HOST;
}
