/* `dockcc check`: findings about Dockerfiles; nothing is compiled or fetched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/diff.h"
#include "../base/mem.h"
#include "../base/source.h"
#include "../check/check.h"
#include "../front/ast.h"
#include "../sema/sema.h"
#include "command.h"
#include "file.h"

struct run {
	const struct options *o;
	struct check_options co;
	bool werror;
	enum { TEXT, JSON, FULL, SARIF, GCC } format;
	enum { FIX_NOT, FIX_FILE, FIX_DIFF } fix;
	unsigned errors, warnings, files;
	bool fatal; /* findings count as errors */
	bool quiet; /* findings of rules only */
};

static int
usage(const char *fmt, const char *what)
{
	fputs("dockcc: ", stderr);
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static int
explain(const char *name)
{
	const struct check_rule *rule = check_rule_find(name), *all;
	enum diag_id error;
	size_t n;

	all = check_rules(&n);
	if (strcmp(name, "all") == 0) {
		for (size_t k = 0; k < n; k++)
			printf("%-34s %-8s %-12s %s\n", all[k].name, all[k].alias != NULL ? all[k].alias : "-", all[k].group, all[k].plain);
		return EXIT_GOOD;
	}
	if (rule != NULL) {
		printf("%s (%s%s%s, group %s)\n\n%s\n", rule->name, rule->plain, rule->alias != NULL ? ", " : "",
		       rule->alias != NULL ? rule->alias : "", rule->group, diag_help(rule->id));
		return EXIT_GOOD;
	}
	if (check_number(name, &error))
		name = diag_name(error);
	for (int id = 0; id < DIAG_COUNT; id++) {
		if (strcmp(diag_name((enum diag_id)id), name) == 0) {
			printf("%s (error)\n\n%s\n", name, diag_help((enum diag_id)id));
			return EXIT_GOOD;
		}
	}
	return usage("there is no rule %s; --explain=all lists them", name);
}

static int
no_rule(const char *name, const char *near)
{
	fprintf(stderr, "dockcc: there is no rule %s%s%s%s\n", name, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
	        near != NULL ? "?" : "");
	return EXIT_USAGE;
}

/* One line of dockcc.checks: RULE and off, warning or error; '#' begins a comment. */
static int
checks_line(struct run *r, struct diag *d, char *line)
{
	const char *blanks = " \t\r", *near, *name, *level;
	char *rest = NULL;

	line[strcspn(line, "#")] = '\0';
	name = strtok_r(line, blanks, &rest);
	level = name != NULL ? strtok_r(NULL, blanks, &rest) : NULL;
	if (name == NULL)
		return EXIT_GOOD;
	if (level == NULL || (strcmp(level, "off") != 0 && strcmp(level, "warning") != 0 && strcmp(level, "error") != 0))
		return usage("dockcc.checks: after %s comes off, warning or error", name);
	if (!check_level(d, mem_printf(d, "%s%s", *level == 'o' ? "no-" : *level == 'e' ? "error=" : "", name), &r->werror, &near))
		return no_rule(name, near);
	return EXIT_GOOD;
}

/* The levels in dockcc.checks beside the Dockerfile; the command line comes after them. */
static int
checks_file(struct run *r, struct diag *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = mem_printf(d, "%.*sdockcc.checks", slash != NULL ? (int)(slash - path) + 1 : 0, path), *line, *rest;
	struct source *s;
	struct stat st;
	int status = EXIT_GOOD;

	if (stat(name, &st) < 0 || (s = file_read(d, name, name)) == NULL)
		return EXIT_GOOD;
	rest = mem_dup(d, s->text, s->len);
	while (status == EXIT_GOOD && (line = strsep(&rest, "\n")) != NULL)
		status = checks_line(r, d, line);
	return status;
}

static int
levels(struct run *r, struct diag *d)
{
	const char *near;

	for (size_t k = 0; k < r->o->warn.n; k++) {
		const char *w = r->o->warn.v[k];

		if (check_level(d, w, &r->werror, &near))
			continue;
		return no_rule(w, near);
	}
	return EXIT_GOOD;
}

static int
read_options(const void *ctx, struct run *r)
{
	const struct options *o = r->o;
	const char *form = option_value(&o->format, "text"), *fix = option_value(&o->fix, NULL);
	const char *when = option_value(&o->shellcheck, "auto");
	struct sema_options *so = mem_new(ctx, struct sema_options);
	int status = job_sema_options(ctx, o, so);

	r->format = strcmp(form, "json") == 0 ? o->warn.n > 0 ? FULL : JSON : strcmp(form, "sarif") == 0 ? SARIF : strcmp(form, "gcc") == 0 ? GCC : TEXT;
	if (r->format == TEXT && strcmp(form, "text") != 0)
		return usage("--format is text, json, sarif or gcc, not %s", form);
	if (fix != NULL && *fix != '\0' && strcmp(fix, "diff") != 0)
		return usage("--fix takes nothing or =diff, not %s", fix);
	r->fix = fix == NULL ? FIX_NOT : *fix == '\0' ? FIX_FILE : FIX_DIFF;
	r->co.sema = so;
	r->co.reference = r->format == JSON;
	if (strcmp(when, "always") != 0 && strcmp(when, "auto") != 0 && strcmp(when, "never") != 0)
		return usage("--shellcheck is auto, always or never, not %s", when);
	if (strcmp(when, "always") == 0 || (strcmp(when, "auto") == 0 && !r->co.reference))
		r->co.shellcheck = "shellcheck";
	r->co.shellcheck_severity = "warning";
	for (size_t k = 0; k < o->warn.n; k++) {
		if (strcmp(o->warn.v[k], "all") == 0)
			r->co.shellcheck_severity = "style";
	}
	for (size_t k = 0; k < so->nbuild_args; k++) {
		if (strcmp(so->build_args[k].name, "BUILDKIT_DOCKERFILE_CHECK") == 0)
			r->co.directive = so->build_args[k].value;
	}
	return status != EXIT_GOOD ? status : levels(r, diag_new(ctx));
}

/* The ignore file of a Dockerfile: its own, else the one beside it. */
static void
read_ignore(const void *ctx, struct run *r, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = option_value(&r->o->ignorefile, NULL);
	struct source *s;
	struct stat st;

	r->co.ignore = NULL;
	if (strcmp(path, "-") == 0 && name == NULL)
		return;
	if (name == NULL)
		name = mem_printf(ctx, "%s.dockerignore", path);
	if (stat(name, &st) < 0 && r->o->ignorefile.n == 0 && r->o->context != NULL)
		name = mem_printf(ctx, "%s/.dockerignore", r->o->context);
	else if (stat(name, &st) < 0 && r->o->ignorefile.n == 0)
		name = mem_printf(ctx, "%.*s.dockerignore", slash != NULL ? (int)(slash - path) + 1 : 0, path);
	if (stat(name, &st) < 0 || (s = file_read(ctx, name, name)) == NULL)
		return;
	r->co.ignore = s->text;
	r->co.ignore_len = s->len;
	r->co.ignore_name = name;
}

/* One fix may stand in the way of another or make it possible, so the text is looked at again until nothing is left. */
static char *
fix_all(const void *ctx, struct run *r, const struct check_file *f, size_t *len, unsigned *count)
{
	unsigned made;
	char *text = check_fix(ctx, f->source, f->d, len, count);

	for (unsigned round = 0; round < 20; round++) {
		struct diag *d = diag_new(ctx);
		struct source *source = source_new(ctx, f->name, text, *len);

		memcpy(d->level, f->d->level, sizeof d->level);
		check_unit(unit_parse(ctx, source, d), &r->co, d);
		text = check_fix(ctx, source, d, len, &made);
		*count += made;
		if (made == 0)
			break;
	}
	return text;
}

static int
fix(const void *ctx, struct run *r, const char *path, const struct check_file *f)
{
	size_t len;
	unsigned count;
	char *text = fix_all(ctx, r, f, &len, &count);

	if (r->fix == FIX_DIFF || strcmp(path, "-") == 0) {
		struct buf *out = buf_new(ctx);

		if (r->fix == FIX_DIFF)
			diff_unified(out, f->name, f->source->text, f->source->len, text, len);
		else
			buf_add(out, text, len);
		return file_write_fd(STDOUT_FILENO, buf_str(out), out->len) ? EXIT_GOOD : EXIT_HOST;
	}
	if (count == 0)
		return EXIT_GOOD;
	if (!file_rewrite(path, text, len))
		return EXIT_HOST;
	fprintf(stderr, "%s: %u fixed\n", f->name, count);
	return EXIT_GOOD;
}

static int
check_one(const void *ctx, struct run *r, const char *path, struct check_file *f)
{
	const char *name = strcmp(path, "-") == 0 ? "Dockerfile" : path;
	struct source *source = file_read(ctx, path, name);
	struct diag *d = diag_new(ctx);
	struct unit *u;

	f->name = name;
	if (source == NULL)
		return EXIT_HOST;
	if (checks_file(r, d, path) != EXIT_GOOD)
		return EXIT_USAGE;
	levels(r, d);
	read_ignore(ctx, r, path);
	u = unit_parse(ctx, source, d);
	f->source = source;
	f->result = check_unit(u, &r->co, d);
	f->d = d;
	diag_sort(d);
	r->errors += d->errors;
	r->warnings += d->warnings;
	r->fatal = r->fatal || (d->warnings > 0 && (r->werror || f->result.error));
	r->files++;
	return r->fix != FIX_NOT ? fix(ctx, r, path, f) : EXIT_GOOD;
}

static void
show_text(const void *ctx, struct run *r, const struct check_file *files, size_t n)
{
	struct buf *out = buf_new(ctx);
	int fd = r->quiet || r->fix != FIX_NOT ? STDERR_FILENO : STDOUT_FILENO;
	bool color = job_color(r->o) && (fd == STDERR_FILENO || isatty(fd) || strcmp(option_value(&r->o->color, "auto"), "always") == 0);

	for (size_t k = 0; k < n; k++) {
		for (size_t m = 0; m < files[k].d->n; m++) {
			if (!r->quiet || check_rule_of(files[k].d->items[m].id) != NULL)
				diag_render(out, &files[k].d->items[m], color);
		}
	}
	if (r->errors + r->warnings > 0 && !r->quiet)
		buf_printf(out, "%u error%s, %u warning%s in %u file%s\n", r->errors, r->errors == 1 ? "" : "s", r->warnings,
		           r->warnings == 1 ? "" : "s", r->files, r->files == 1 ? "" : "s");
	file_write_fd(fd, buf_str(out), out->len);
}

static int
show(const void *ctx, struct run *r, const struct check_file *files, size_t n)
{
	struct buf *out = buf_new(ctx);

	if (r->format == TEXT) {
		show_text(ctx, r, files, n);
		return EXIT_GOOD;
	}
	if (r->format == JSON)
		check_json(out, files, n);
	else if (r->format == FULL)
		check_json_full(out, files, n);
	else if (r->format == SARIF)
		check_sarif(out, files, n);
	else
		check_gcc(out, files, n);
	return file_write_fd(r->fix != FIX_NOT ? STDERR_FILENO : STDOUT_FILENO, buf_str(out), out->len) ? EXIT_GOOD : EXIT_HOST;
}

static int
verdict(const struct run *r)
{
	return r->errors > 0 || r->fatal ? EXIT_INPUT : r->warnings > 0 ? EXIT_WARNINGS : EXIT_GOOD;
}

int
check_file(const void *ctx, const struct options *o, const char *path, bool quiet)
{
	struct run r = { .o = o, .quiet = quiet };
	struct check_file done = { 0 };
	int status = read_options(ctx, &r);

	if (status == EXIT_GOOD)
		status = check_one(ctx, &r, path, &done);
	if (status != EXIT_GOOD)
		return status;
	show(ctx, &r, &done, 1);
	/* errors of a quiet check are told by what comes next */
	return quiet && !r.fatal ? EXIT_GOOD : verdict(&r);
}

int
cmd_check(const void *ctx, const struct options *o)
{
	struct run r = { .o = o };
	struct string_list files = o->operands;
	struct check_file *done;
	int status = o->rule.n > 0 ? EXIT_GOOD : read_options(ctx, &r);
	size_t n = 0;

	if (o->rule.n > 0)
		return explain(o->rule.v[0]);
	if (status != EXIT_GOOD)
		return status;
	if (o->file.n > 0)
		string_add(ctx, &files, option_value(&o->file, NULL));
	if (files.n == 0)
		string_add(ctx, &files, "Dockerfile");
	done = mem_array(ctx, struct check_file, files.n);
	for (size_t k = 0; k < files.n; k++) {
		int one = check_one(ctx, &r, files.v[k], &done[n]);

		status = one != EXIT_GOOD ? one : status;
		n += done[n].d != NULL;
	}
	if (show(ctx, &r, done, n) != EXIT_GOOD)
		status = EXIT_HOST;
	if (status != EXIT_GOOD)
		return status;
	return verdict(&r);
}
