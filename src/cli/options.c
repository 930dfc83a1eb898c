#include "options.h"

#include <stdio.h>
#include <string.h>

#include "../base/diag.h"
#include "../base/mem.h"

enum kind { FLAG, VALUE, LIST, GLUED };
enum { C = 1, B = 2, S = 4, K = 8, F = 16, R = 32, L = 64 };

static const struct option_row {
	const char *name;
	char letter;
	enum kind kind;
	unsigned commands;
	size_t offset;
	const char *meta, *help;
} rows[] = {
#define OPTION(id, name_, letter_, kind_, commands_, meta_, help_) \
	{ .name = name_, .letter = letter_, .kind = kind_, .commands = commands_, .offset = offsetof(struct options, id), \
	  .meta = meta_, .help = help_ },
#include "options.def"
#undef OPTION
};
enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

void
string_add(const void *ctx, struct string_list *l, const char *s)
{
	mem_room(ctx, l->v, l->n + 2, &l->cap);
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

const char *
option_value(const struct string_list *l, const char *otherwise)
{
	return l->n > 0 ? l->v[l->n - 1] : otherwise;
}

static unsigned
bit(enum command c)
{
	return c == COMMAND_BUILD ? B : c == COMMAND_CHECK ? K : c == COMMAND_FMT ? F : c == COMMAND_LOCK ? L : C;
}

static const struct option_row *
find(enum command command, const char *name, size_t len, char letter)
{
	for (size_t i = 0; i < NROWS; i++) {
		if (!(rows[i].commands & bit(command)))
			continue;
		if (name != NULL ? strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0 : rows[i].letter == letter)
			return &rows[i];
	}
	return NULL;
}

static void
unknown(enum command command, const char *word)
{
	const char *names[NROWS], *near;
	size_t n = 0;

	for (size_t i = 0; i < NROWS; i++)
		if (rows[i].commands & bit(command))
			names[n++] = rows[i].name;
	near = word[0] == '-' && word[1] == '-' ? diag_nearest(word + 2, names, n) : NULL;
	fprintf(stderr, "dockcc: there is no option %s", word);
	if (near != NULL)
		fprintf(stderr, "; did you mean --%s?", near);
	fputs("\n", stderr);
}

static void
store(const void *ctx, struct options *o, const struct option_row *row, const char *value)
{
	struct string_list *l = (struct string_list *)((char *)o + row->offset);

	if (row->kind != LIST && row->kind != GLUED)
		l->n = 0;
	string_add(ctx, l, value);
}

/* One option at argv[0]; returns how many words it took, 0 after a message. */
static int
one(const void *ctx, struct options *o, char **argv)
{
	const char *word = argv[0], *value = NULL;
	const struct option_row *row;
	int taken = 1;

	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		row = o->command == COMMAND_CHECK && len == 7 && strncmp(word + 2, "explain", 7) == 0
			? find(o->command, "rule", 4, 0) : find(o->command, word + 2, len, 0);
		value = word[2 + len] == '=' ? word + 3 + len : NULL;
	} else {
		/* docker build's -o is --output, gcc's is the file */
		row = word[1] == 'o' && o->command == COMMAND_BUILD ? find(o->command, "output", 6, 0) : find(o->command, NULL, 0, word[1]);
		value = word[2] != '\0' ? word + 2 + (word[2] == '=') : NULL;
	}
	if (row == NULL) {
		unknown(o->command, word);
		return 0;
	}
	if (row->kind == FLAG && value != NULL && strcmp(value, "true") != 0) {
		if (strcmp(value, "false") == 0)
			return 1;
		fprintf(stderr, "dockcc: --%s takes no value\n", row->name);
		return 0;
	}
	if (row->kind == GLUED && value == NULL)
		value = "";
	if (row->kind != FLAG && value == NULL) {
		if ((value = argv[1]) == NULL) {
			fprintf(stderr, "dockcc: --%s needs a value: %s\n", row->name, row->meta);
			return 0;
		}
		taken = 2;
	}
	store(ctx, o, row, row->kind == FLAG ? "" : value);
	return taken;
}

struct options *
options_parse(const void *ctx, char **argv)
{
	struct options *o = mem_new(ctx, struct options);
	bool operands = false;
	static const char *const commands[] = { [COMMAND_COMPILE] = "compile", [COMMAND_BUILD] = "build", [COMMAND_CHECK] = "check",
		[COMMAND_FMT] = "fmt", [COMMAND_LOCK] = "lock" };

	o->argv = argv;
	for (size_t i = 0; *argv != NULL && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(*argv, commands[i]) == 0) {
			o->command = (enum command)i;
			argv++;
			break;
		}
	if (o->command == COMMAND_COMPILE && *argv != NULL && strcmp(*argv, "bundle") == 0) {
		string_add(o, &o->bundle, "");
		argv++;
	}
	while (*argv != NULL) {
		int taken = 1;

		if (!operands && strcmp(*argv, "--") == 0) {
			operands = true;
		} else if (!operands && (*argv)[0] == '-' && (*argv)[1] != '\0') {
			if ((taken = one(ctx, o, argv)) == 0)
				return NULL;
		} else if (o->command == COMMAND_CHECK || o->command == COMMAND_FMT) {
			string_add(ctx, &o->operands, *argv);
		} else if (o->context == NULL) {
			o->context = *argv;
		} else {
			fprintf(stderr, "dockcc: one CONTEXT is enough; what is %s?\n", *argv);
			return NULL;
		}
		argv += taken;
	}
	return o;
}

void
options_for_script(const struct options *o, bool results, struct string_list *out)
{
	for (size_t i = 0; i < NROWS; i++) {
		const struct string_list *l = (const struct string_list *)((const char *)o + rows[i].offset);

		if (!(rows[i].commands & S) || (!results && (rows[i].commands & R)))
			continue;
		for (size_t k = 0; k < l->n; k++)
			string_add(o, out, rows[i].kind == FLAG ? mem_printf(o, "--%s", rows[i].name)
			                                              : mem_printf(o, "--%s=%s", rows[i].name, l->v[k]));
	}
}

void
options_help(enum command command)
{
	if (command == COMMAND_BUILD)
		puts("usage: dockcc build [OPTION...] CONTEXT\ncompiles the Dockerfile and runs the script; CONTEXT is a directory, a tar, an http(s) URL of a tar or Dockerfile,\n"
		     "a git URL (URL.git#REF:DIR), or - for a tar or a Dockerfile on standard input\n");
	else if (command == COMMAND_CHECK)
		puts("usage: dockcc check [OPTION...] [FILE...]\nfinds mistakes in Dockerfiles without building them (default: ./Dockerfile)\n"
		     "status: 0 nothing found, 5 warnings only, 1 errors or findings that count as such, 2 usage, 3 this host cannot\n");
	else if (command == COMMAND_FMT)
		puts("usage: dockcc fmt [OPTION...] [FILE...]\nprints Dockerfiles in one canonical layout; their meaning stays\n");
	else if (command == COMMAND_LOCK)
		puts("usage: dockcc lock [--update] [--check] [OPTION...] [CONTEXT]\n"
		     "writes what the images, URLs and git references of a Dockerfile stand for into dockcc.lock\n");
	else
		puts("usage: dockcc [compile] [OPTION...] [CONTEXT|-]\n       dockcc build [OPTION...] CONTEXT\n       dockcc bundle [OPTION...] CONTEXT\n"
		     "compiles a Dockerfile to a POSIX shell script that builds the image without a container engine\n");
	for (size_t i = 0; i < NROWS; i++) {
		char left[64];

		if (!(rows[i].commands & bit(command)))
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", rows[i].letter ? '-' : ' ', rows[i].letter ? rows[i].letter : ' ',
		         rows[i].letter ? "," : " ", rows[i].name, *rows[i].meta ? " " : "", rows[i].meta);
		printf("  %-34s %s\n", left, rows[i].help);
	}
}
