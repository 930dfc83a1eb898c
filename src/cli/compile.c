/* `dockcc compile`: the Dockerfile in, the script out. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "command.h"
#include "context.h"
#include "file.h"

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* In a context that was fetched for us -f is a name inside it. */
static bool
fetched_dockerfile(const void *ctx, const char *file, struct job *j)
{
	const char *lone = context_lone();
	struct stat st;

	if (file == NULL && lone == NULL && stat(mem_printf(ctx, "%s/Dockerfile", context_directory()), &st) < 0 &&
	    stat(mem_printf(ctx, "%s/dockerfile", context_directory()), &st) == 0)
		file = "dockerfile";
	j->shown = file != NULL ? file : "Dockerfile";
	j->dockerfile = file == NULL && lone != NULL ? lone : context_file(ctx, j->shown);
	return j->dockerfile != NULL;
}

bool
find_dockerfile(const void *ctx, const struct options *o, struct job *j)
{
	const char *file = option_value(&o->file, NULL), *context = o->context != NULL ? o->context : ".";
	struct stat st;

	if (context_directory() != NULL && (file == NULL || strcmp(file, "-") != 0))
		return fetched_dockerfile(ctx, file, j);
	if (file == NULL && strcmp(context, "-") == 0)
		file = "-";
	if (file != NULL) {
		j->dockerfile = file;
		j->shown = strcmp(file, "-") == 0 ? "Dockerfile" : file[0] == '/' ? base_name(file) : file;
		return true;
	}
	if (stat(context, &st) < 0 || !S_ISDIR(st.st_mode)) {
		fprintf(stderr, "dockcc: %s: there is no such directory to build from\n", context);
		return false;
	}
	/* spec/language.md 7: dockerfile in lower case is tried second */
	j->dockerfile = mem_printf(ctx, "%s/Dockerfile", context);
	if (stat(j->dockerfile, &st) < 0 && stat(mem_printf(ctx, "%s/dockerfile", context), &st) == 0)
		j->dockerfile = mem_printf(ctx, "%s/dockerfile", context);
	j->shown = strcmp(context, ".") == 0 ? base_name(j->dockerfile) : context[0] == '/' ? base_name(j->dockerfile) : j->dockerfile;
	return true;
}

int
cmd_compile(const void *ctx, const struct options *o)
{
	struct job j = { .o = o, .out = buf_new(ctx) };
	bool script = strcmp(job_form(o), "sh") == 0;
	const char *out = option_value(&o->out, script && isatty(STDOUT_FILENO) ? "build.sh" : "-");
	const char *dir = option_value(&o->bundle, NULL); /* "": one file */
	int status;

	if (dir != NULL && !script) {
		fputs("dockcc: a bundle is a script: --bundle does not go with --emit\n", stderr);
		return EXIT_USAGE;
	}
	if ((status = context_enter(ctx, o)) != EXIT_GOOD)
		return status;
	if (!find_dockerfile(ctx, o, &j))
		return EXIT_INPUT;
	j.script = strcmp(out, "-") != 0 ? base_name(out) : script ? "build.sh" : "Makefile";
	if (o->warn.n > 0 && (status = check_file(ctx, o, j.dockerfile, true)) != EXIT_GOOD && status != EXIT_WARNINGS)
		return status;
	status = job_run(ctx, &j);
	if (status != EXIT_GOOD && (script || j.out->len == 0))
		return status;
	if (dir != NULL)
		return bundle_make(ctx, &j, *dir != '\0' ? dir : out, *dir != '\0');
	return file_write(out, buf_str(j.out), j.out->len, script ? 0755 : 0644) ? status : EXIT_HOST;
}
