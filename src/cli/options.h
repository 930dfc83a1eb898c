/* The command line of dockcc: one table (options.def) for all commands. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum command { COMMAND_COMPILE, COMMAND_BUILD, COMMAND_CHECK, COMMAND_FMT, COMMAND_LOCK };

/* Exit statuses: ux.md. */
enum { EXIT_GOOD = 0, EXIT_INPUT = 1, EXIT_USAGE = 2, EXIT_HOST = 3, EXIT_POLICY = 4, EXIT_WARNINGS = 5 };

struct string_list {
	const char **v; /* NULL-terminated */
	size_t n, cap;
};

/* A VALUE has at most one string (the last), a FLAG one empty string. */
struct options {
	enum command command;
#define OPTION(id, name, letter, kind, commands, meta, help) struct string_list id;
#include "options.def"
#undef OPTION
	const char *context; /* NULL: none given */
	char **argv;         /* all words behind the program's name */
	struct string_list operands; /* check, fmt: the files */
};

/* Parses argv without the program's name.  NULL after a message on standard error (usage).  Owned by `ctx`. */
struct options *options_parse(const void *ctx, char **argv);
/* The value of a VALUE option, or `otherwise`. */
const char *option_value(const struct string_list *l, const char *otherwise);
void options_help(enum command command);
/* Options that the script takes under the same name, as its arguments; appended to `out`.  `results`: also those that say where
   the image goes and what is done with it. */
void options_for_script(const struct options *o, bool results, struct string_list *out);
void string_add(const void *ctx, struct string_list *l, const char *s);

#endif
