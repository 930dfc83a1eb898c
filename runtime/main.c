/* dockcc-rt: the helper of emitted scripts and Makefiles.  The only exit of the program is here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "lock.h"
#include "bundle.h"
#include "pattern.h"
#include "registry.h"
#include "verbs.h"

#ifndef DOCKCC_VERSION
#define DOCKCC_VERSION "0.1.0"
#endif

static const struct verb_row {
	const char *name;
	int (*run)(char **argv, struct rt_err *e);
	const char *usage, *help;
} verbs[] = {
#define X(name_, function, usage_, help_) { .name = name_, .run = function, .usage = usage_, .help = help_ },
	VERB_LIST(X)
#undef X
};

int
cmd_version(char **argv, struct rt_err *e)
{
	return puts("dockcc-rt " DOCKCC_VERSION) < 0 ? rt_fail(e, errno, "standard output") : 0;
}

/* The options that the small verbs share; returns the first operand. */
static char **
common_options(char **argv, struct build_options *o, struct rt_err *e)
{
	build_contexts(o);
	if (lock_environment(o, e) < 0)
		return NULL;
	for (; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv++) {
		if (strcmp(*argv, "--") == 0)
			return argv + 1;
		if (strncmp(*argv, "--store=", 8) == 0)
			o->store = (*argv)[8] != '\0' ? *argv + 8 : NULL;
		else if (strncmp(*argv, "--platform=", 11) == 0)
			o->platform = *argv + 11;
		else if (strncmp(*argv, "--build-context=", 16) == 0)
			list_add(&o->contexts, *argv + 16);
		else if (!net_option(*argv)) {
			rt_fail_status(e, RT_USAGE, "unknown option %s", *argv);
			return NULL;
		}
	}
	return argv;
}

int
cmd_image_onbuild(char **argv, struct rt_err *e)
{
	struct build_options o = { 0 };
	struct build b = { .o = &o, .context_fd = -1 };
	struct image im;
	struct json *config, *triggers;
	int rc = 0;

	if ((argv = common_options(argv, &o, e)) == NULL)
		return -1;
	if (argv[0] == NULL || argv[1] != NULL)
		return rt_fail_status(e, RT_USAGE, "image-onbuild takes an image");
	if (store_open(&b.store, o.store, e) < 0 ||
	    image_config(&b.store, argv[0], build_location(&b, argv[0]), o.platform, &im, e) < 0 ||
	    (config = json_parse(im.config_json, im.config_len, argv[0], e)) == NULL)
		return -1;
	triggers = json_at(config, "/config/OnBuild");
	for (size_t i = 0; rc == 0 && triggers != NULL && i < triggers->n; i++)
		if (triggers->v[i]->s != NULL)
			rc = rt_write_all(STDOUT_FILENO, triggers->v[i]->s, strlen(triggers->v[i]->s) + 1, "standard output", e);
	json_free(config);
	image_free(&im);
	store_close(&b.store);
	return rc;
}

int
cmd_image_env(char **argv, struct rt_err *e)
{
	struct build_options o = { 0 };
	struct build b = { .o = &o, .context_fd = -1 };
	struct image im;
	struct json *config, *env;
	size_t n;
	int found = 1;

	if ((argv = common_options(argv, &o, e)) == NULL)
		return -1;
	if (argv[0] == NULL || argv[1] == NULL || argv[2] != NULL)
		return rt_fail_status(e, RT_USAGE, "image-env takes an image and a name");
	if (bundle_images(&o, e) < 0 || store_open(&b.store, o.store, e) < 0 || lock_image(&b, argv[0], e) < 0 ||
	    image_config(&b.store, argv[0], build_location(&b, argv[0]), o.platform, &im, e) < 0 ||
	    (config = json_parse(im.config_json, im.config_len, argv[0], e)) == NULL)
		return -1;
	env = json_at(config, "/config/Env");
	n = strlen(argv[1]);
	for (size_t i = 0; env != NULL && i < env->n; i++)
		if (env->v[i]->s != NULL && strncmp(env->v[i]->s, argv[1], n) == 0 && env->v[i]->s[n] == '=') {
			if (rt_write_all(STDOUT_FILENO, env->v[i]->s + n + 1, strlen(env->v[i]->s + n + 1), "standard output", e) < 0)
				return -1;
			found = 0;
		}
	json_free(config);
	image_free(&im);
	store_close(&b.store);
	if (found != 0) {
		e->text[0] = '\0';
		e->status = 1;
		return -1;
	}
	return 0;
}

int
cmd_import(char **argv, struct rt_err *e)
{
	struct build_options o = { 0 };
	struct store s;
	int rc;

	if ((argv = common_options(argv, &o, e)) == NULL)
		return -1;
	if (argv[0] == NULL)
		return rt_fail_status(e, RT_USAGE, "import takes a location and a name");
	if (store_open(&s, o.store, e) < 0)
		return -1;
	rc = image_import(&s, argv[0], argv[1] != NULL ? argv[1] : argv[0], e);
	store_close(&s);
	return rc;
}

int
cmd_pull(char **argv, struct rt_err *e)
{
	struct build_options o = { 0 };
	struct store s;
	char digest[72];
	int rc = 0;

	if ((argv = common_options(argv, &o, e)) == NULL)
		return -1;
	if (argv[0] == NULL)
		return rt_fail_status(e, RT_USAGE, "pull takes image references");
	if (getenv("DOCKCC_OFFLINE") == NULL)
		net_option("--pull");
	if (store_open(&s, o.store, e) < 0)
		return -1;
	for (; rc == 0 && *argv != NULL; argv++) {
		rc = pull_all(&s, *argv, o.platform, digest, e);
		if (rc == 0)
			rc = printf("%s\n", digest) < 0 || fflush(stdout) != 0 ? rt_fail(e, errno, "standard output") : 0;
	}
	store_close(&s);
	return rc;
}

int
cmd_push(char **argv, struct rt_err *e)
{
	struct build_options o = { 0 };
	struct list to = { 0 };
	struct store s;
	char digest[72];
	int rc;

	if ((argv = common_options(argv, &o, e)) == NULL)
		return -1;
	if (argv[0] == NULL)
		return rt_fail_status(e, RT_USAGE, "push takes an image reference");
	for (char **a = argv[1] != NULL ? argv + 1 : argv; *a != NULL; a++)
		list_add(&to, *a);
	if (store_open(&s, o.store, e) < 0)
		return -1;
	rc = push_stored(&s, argv[0], o.platform, &to, digest, e);
	if (rc == 0)
		rc = printf("%s\n", digest) < 0 || fflush(stdout) != 0 ? rt_fail(e, errno, "standard output") : 0;
	store_close(&s);
	list_free(&to);
	return rc;
}

int
cmd_match(char **argv, struct rt_err *e)
{
	static const char *const names[] = { "prefix", "prefix-long", "suffix", "suffix-long", "replace", "replace-all" };
	char *result;
	size_t op = 0, n = 0;
	int rc;

	while (argv[n] != NULL)
		n++;
	while (n > 0 && op < 6 && strcmp(argv[0], names[op]) != 0)
		op++;
	if (n < 3 || op == 6 || (op >= 4) != (n == 4))
		return rt_fail_status(e, RT_USAGE, "match takes an operator, a value, a pattern and for replace a text");
	switch (pattern_apply(&result, (enum pattern_op)op, argv[1], argv[2], argv[3])) {
	case PATTERN_OK:
		rc = rt_write_all(STDOUT_FILENO, result, strlen(result), "standard output", e);
		free(result);
		return rc;
	case PATTERN_INVALID:
		return rt_fail_status(e, RT_USAGE, "in a pattern a backslash may stand only before * ? \\ / and }");
	case PATTERN_TOO_LARGE:
	case PATTERN_NO_MEMORY:
		break;
	}
	return rt_fail_status(e, RT_USAGE, "the pattern and the value are too large to be matched");
}

static void
usage(FILE *to)
{
	fputs("usage: dockcc-rt VERB ...\n", to);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %s %s\n      %s\n", verbs[i].name, verbs[i].usage, verbs[i].help);
}

int
main(int argc, char **argv)
{
	struct rt_err e = { .status = RT_IO };
	const char *name = argc > 1 ? argv[1] : "";
	char *shown;

	rt_keep_words(argv);
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) != 0)
			continue;
		if (verbs[i].run(argv + 2, &e) == 0)
			return 0;
		if (e.text[0] != '\0') {
			shown = rt_printable(e.text);
			fprintf(stderr, "dockcc-rt: %s\n", shown);
			free(shown);
		}
		return e.status != 0 ? e.status : RT_IO;
	}
	usage(stderr);
	return RT_USAGE;
}
