/* `dockcc-rt scan` and `dockcc-rt export`: the ends of a Makefile. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "path.h"
#include "step.h"
#include "verbs.h"

struct scan {
	struct part c;
	struct list excludes;
	const char *arg;          /* NAME=VALUE: watch a value, not files */
	const char *image, *lines;
	bool parents, add, expand;
};

static int
scan_option(struct scan *s, const char *w, struct rt_err *e)
{
	int rc;

	if (strncmp(w, "--arg=", 6) == 0)
		s->arg = w + 6;
	else if (strncmp(w, "--exclude=", 10) == 0)
		list_add(&s->excludes, w + 10);
	else if (strncmp(w, "--ignore=", 9) == 0)
		s->c.o.ignore_file = w[9] != '\0' ? w + 9 : NULL;
	else if (strncmp(w, "--from-image=", 13) == 0)
		s->image = w + 13;
	else if (strncmp(w, "--lines=", 8) == 0)
		s->lines = w + 8;
	else if (strcmp(w, "--parents") == 0)
		s->parents = true;
	else if (strcmp(w, "--add") == 0)
		s->add = true;
	else if (strcmp(w, "--expand") == 0)
		s->expand = true;
	else if ((rc = part_option(&s->c, w, e)) != 0)
		return rc < 0 ? -1 : 0;
	else
		return build_option(&s->c.o, w, e);
	return 0;
}

/* (default) is what a variable of the Makefile says when nobody gave a value. */
static int
scan_value(struct scan *s, struct rt_err *e)
{
	const char *eq = strchr(s->arg, '=');
	char *name = rt_strndup(s->arg, eq != NULL ? (size_t)(eq - s->arg) : strlen(s->arg));
	bool given = eq != NULL && strcmp(eq + 1, "(default)") != 0;
	struct str text = { 0 };
	int rc;

	stamp_record(&text, "arg", name, given ? eq + 1 : NULL, NULL);
	rc = stamp_write(s->c.stamp, &text, true, e);
	str_free(&text);
	free(name);
	return rc;
}

static const char *
word(struct scan *s, const char *w, struct rt_err *e)
{
	struct str text = { 0 };

	if (!s->expand)
		return w;
	return expand(&s->c.vars, w, &text, e) < 0 ? NULL : text.s; /* kept until the end */
}

/* The digest of what the sources name, in the words of the step that reads them. */
static int
scan_files(struct scan *s, char **argv, struct rt_err *e)
{
	struct copy_spec spec = { .dest = "/", .workdir = "/", .unpack = -1, .epoch = -1, .parents = s->parents, .add = s->add };
	struct str text = { 0 };
	const char **paths, *image = s->image;
	char sum[65];
	size_t n = 0;
	int rc;

	if (part_open(&s->c, e) < 0)
		return -1;
	while (argv[n] != NULL)
		n++;
	paths = rt_alloc((n + 1) * sizeof(*paths));
	for (size_t i = 0; i < n; i++)
		if ((paths[i] = word(s, argv[i], e)) == NULL)
			return -1;
	if (image != NULL && ((image = word(s, image, e)) == NULL || ns_enter(s->c.o.mode, &s->c.b.mode, e) < 0))
		return -1;
	spec.paths = paths;
	spec.npaths = n;
	if (s->excludes.n > 0 && (spec.exclude = ignore_patterns(&s->excludes, e)) == NULL)
		return -1;
	if (source_digest(&s->c.b, image != NULL ? FROM_IMAGE : FROM_CONTEXT, image, &spec, sum, e) < 0)
		return -1;
	stamp_record(&text, "files", sum, NULL);
	rc = stamp_write(s->c.stamp, &text, true, e);
	str_free(&text);
	return rc;
}

int
cmd_scan(char **argv, struct rt_err *e)
{
	struct scan s = { .c = { .o = { 0 } } };

	build_options_begin(&s.c.o);
	for (; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv++) {
		if (strcmp(*argv, "--") == 0) {
			argv++;
			break;
		}
		if (scan_option(&s, *argv, e) < 0)
			return -1;
	}
	if (s.c.stamp == NULL)
		return rt_fail_status(e, RT_USAGE, "scan needs --stamp");
	if (s.arg != NULL)
		return scan_value(&s, e);
	if (scan_files(&s, argv, e) == 0)
		return 0;
	return s.lines != NULL ? rt_prefix(e, "%s:%s", s.c.o.dockerfile, s.lines) : -1;
}

/* ---- export ---------------------------------------------------------------------------------------- */

/* What an export was made of; when that has not changed and its file is there, there is nothing to do. */
static int
export_note(const struct part *c, struct str *text, struct rt_err *e)
{
	struct str stage = { 0 };

	if (rt_read_file(AT_FDCWD, c->stages.v[0], 256 << 20, &stage, e) < 0)
		return -1;
	stamp_list(text, "output", &c->o.outputs);
	stamp_list(text, "tag", &c->o.tags);
	stamp_list(text, "label", &c->o.labels);
	stamp_list(text, "annotation", &c->o.annotations);
	str_add(text, stage.s, stage.len);
	str_free(&stage);
	return 0;
}

/* Whether all outputs exist; one that is not a path is made every time. */
static bool
outputs_exist(const struct part *c)
{
	struct stat st;

	for (size_t i = 0; i < c->o.outputs.n; i++) {
		const char *spec = c->o.outputs.v[i], *colon = strchr(spec, ':');

		if (strchr(spec, ',') != NULL || colon == NULL || colon[1] == '\0' || strcmp(colon, ":-") == 0 || stat(colon + 1, &st) < 0)
			return false;
	}
	return c->o.outputs.n > 0;
}

static bool
same_file(const char *path, const struct str *text)
{
	struct str old = { 0 };
	struct rt_err ignored;
	bool same = rt_read_file(AT_FDCWD, path, 256 << 20, &old, &ignored) == 0 && old.len == text->len &&
	            memcmp(old.s, text->s, text->len) == 0;

	str_free(&old);
	return same;
}

static int
do_export(struct part *c, struct rt_err *e)
{
	struct plan_stage plan = { 0 };
	struct stage_build sb;
	struct stamp s;
	struct str note = { 0 };

	if (c->stages.n != 1)
		return rt_fail_status(e, RT_USAGE, "export needs --stage, the stamp of a stage, once");
	if (part_open(c, e) < 0 || stamp_read(c->stages.v[0], &s, e) < 0 || export_note(c, &note, e) < 0)
		return -1;
	if (c->stamp != NULL && outputs_exist(c) && same_file(c->stamp, &note))
		return 0;
	part_stage(&sb, &plan, &s, false);
	c->b.target = &sb;
	if (ns_enter(c->o.mode, &c->b.mode, e) < 0 || part_layers(c, &sb, e) < 0 || store_clean(&c->b.store, e) < 0 ||
	    output_write(&c->b, e) < 0)
		return -1;
	return c->stamp != NULL ? stamp_write(c->stamp, &note, true, e) : 0;
}

int
cmd_export(char **argv, struct rt_err *e)
{
	struct part c = { .o = { 0 } };
	int rc;

	build_options_begin(&c.o);
	for (; *argv != NULL; argv++) {
		if (strcmp(*argv, "--output=") == 0 || strcmp(*argv, "--tag=") == 0)
			continue;
		rc = part_option(&c, *argv, e);
		if (rc < 0 || (rc == 0 && build_option(&c.o, *argv, e) < 0))
			return -1;
	}
	return do_export(&c, e);
}
