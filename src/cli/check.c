/* `dockcc check`: the findings of every rule, as people or programs read them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../check/check.h"
#include "../front/ast.h"
#include "../sema/sema.h"
#include "command.h"
#include "file.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF, FORMAT_GCC };

struct report {
	const struct options *o;
	enum format format;
	struct buf *out;
	size_t files, findings;
	unsigned errors;
	bool failed; /* by error=true or -Werror */
};

static const struct {
	const char *name;
	enum diag_severity severity;
	const char *group, *help;
} rows[] = {
#define DIAG(id, name_, severity_, group_, help_) { name_, severity_, group_, help_ },
#include "../base/diag.def"
#undef DIAG
};
enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

static int
explain(const char *name)
{
	for (size_t i = 0; i < NROWS; i++)
		if (strcasecmp(rows[i].name, name) == 0) {
			printf("%s (%s, %s)\n\n%s\n", rows[i].name, rows[i].severity == DIAG_ERROR ? "error" : "warning", rows[i].group, rows[i].help);
			return EXIT_GOOD;
		}
	fprintf(stderr, "dockcc: there is no rule %s\n", name);
	return EXIT_USAGE;
}

/* -Wno-RULE, -Werror, -Werror=RULE. */
static bool
levels(const struct options *o, struct diag *d)
{
	for (size_t i = 0; i < o->warning.n; i++) {
		const char *w = o->warning.v[i];
		enum diag_severity to = strncmp(w, "no-", 3) == 0 ? DIAG_OFF : DIAG_ERROR;
		bool found = strcmp(w, "error") == 0 || strcmp(w, "all") == 0;

		if (strncmp(w, "no-", 3) != 0 && strncmp(w, "error=", 6) != 0 && !found)
			return false;
		for (size_t k = 0; k < DIAG_COUNT; k++)
			if (strcasecmp(rows[k].name, w + (to == DIAG_OFF ? 3 : found ? 0 : 6)) == 0 && rows[k].severity == DIAG_WARNING)
				d->level[k] = to, found = true;
		if (!found)
			return false;
	}
	return true;
}

static bool
werror(const struct options *o)
{
	for (size_t i = 0; i < o->warning.n; i++)
		if (strcmp(o->warning.v[i], "error") == 0)
			return true;
	return false;
}

static int
by_line(const void *a, const void *b)
{
	const struct diag_item *x = *(const struct diag_item *const *)a, *y = *(const struct diag_item *const *)b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return strcmp(diag_name(x->id), diag_name(y->id));
}

/* The form of the reference corpus: warnings by line and rule, and the line of the first error. */
static void
json(struct report *r, const struct diag *d, uint32_t error_line)
{
	const struct diag_item **v = mem_array(d, const struct diag_item *, d->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (strcmp(rows[d->items[i].id].group, "checks") == 0 && d->items[i].id != DIAG_BAD_CHECK)
			v[n++] = &d->items[i];
	qsort(v, n, sizeof(*v), by_line);
	buf_puts(r->out, "{\"warnings\":[");
	for (size_t i = 0; i < n; i++)
		buf_printf(r->out, "%s{\"line\":%u,\"rule\":\"%s\"}", i > 0 ? "," : "", v[i]->line, diag_name(v[i]->id));
	buf_puts(r->out, "]");
	if (d->errors > 0)
		buf_printf(r->out, ",\"error_line\":%u", error_line);
	buf_puts(r->out, "}\n");
}

static void
gcc(struct report *r, const struct diag *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct diag_item *it = &d->items[i];
		struct position p = source_position(it->where.source, it->where.at.begin);

		buf_printf(r->out, "%s:%u:%u: %s: %s [%s]\n", it->where.source->name, p.line, p.column,
		           it->severity == DIAG_ERROR ? "error" : "warning", it->where.text, diag_name(it->id));
	}
}

/* SARIF 2.1.0, one result a finding. */
static void
sarif(struct report *r, const struct diag *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct diag_item *it = &d->items[i];
		struct position b = source_position(it->where.source, it->where.at.begin), e = source_position(it->where.source, it->where.at.end);

		buf_puts(r->out, r->findings + r->errors + i > 0 ? "," : "");
		buf_printf(r->out, "{\"ruleId\":\"%s\",\"level\":\"%s\",\"message\":{\"text\":", diag_name(it->id),
		           it->severity == DIAG_ERROR ? "error" : "warning");
		buf_json(r->out, it->where.text, strlen(it->where.text));
		buf_puts(r->out, "},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
		buf_json(r->out, it->where.source->name, strlen(it->where.source->name));
		buf_printf(r->out, "},\"region\":{\"startLine\":%u,\"startColumn\":%u,\"endLine\":%u,\"endColumn\":%u}}}]}", b.line, b.column, e.line, e.column);
	}
}

static void
sarif_begin(struct buf *out)
{
	buf_puts(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{"
	              "\"name\":\"dockcc\",\"version\":\"" DOCKCC_VERSION "\",\"rules\":[");
	for (size_t i = 0; i < NROWS; i++) {
		buf_printf(out, "%s{\"id\":\"%s\",\"shortDescription\":{\"text\":", i > 0 ? "," : "", rows[i].name);
		buf_json(out, rows[i].help, strlen(rows[i].help));
		buf_puts(out, "}}");
	}
	buf_puts(out, "]}},\"results\":[");
}

static uint32_t
first_error(const struct unit *u, const struct diag *d)
{
	if (!u->ok)
		return u->error_line;
	for (size_t i = 0; i < d->n; i++)
		if (d->items[i].severity == DIAG_ERROR && strcmp(rows[d->items[i].id].group, "checks") != 0)
			return d->items[i].line;
	return 0;
}

static void
print(struct report *r, const struct unit *u, struct diag *d)
{
	uint32_t line = first_error(u, d);

	diag_sort(d);
	switch (r->format) {
	case FORMAT_TEXT:
		for (size_t i = 0; i < d->n; i++)
			diag_render(r->out, &d->items[i], job_color(r->o));
		break;
	case FORMAT_JSON:
		json(r, d, line);
		break;
	case FORMAT_GCC:
		gcc(r, d);
		break;
	case FORMAT_SARIF:
		sarif(r, d);
		break;
	}
	r->files++;
	r->errors += d->errors;
	r->findings += d->n - d->errors;
}

static bool
line_of_stage(const struct unit *u, uint32_t line)
{
	if (u->nstages == 0 || line < u->stages[0]->from->line_start)
		return true;
	for (size_t i = 0; i < u->nstages; i++)
		if (u->stages[i]->from->line_start == line)
			return true;
	return false;
}

/* An error of the graph pass keeps the reference from carrying out anything; one of an instruction, from what follows. */
static enum check_reach
how_far(const struct unit *u, const struct diag *d, uint32_t *line)
{
	*line = UINT32_MAX;
	for (size_t i = 0; i < d->n; i++) {
		const struct diag_item *it = &d->items[i];

		if (it->severity != DIAG_ERROR)
			continue;
		if (line_of_stage(u, it->line) || it->id == DIAG_STAGE_CIRCLE || it->id == DIAG_VARIABLE_IN_FROM)
			return CHECK_INSTRUCTIONS;
		if (it->line < *line)
			*line = it->line;
	}
	return CHECK_STAGES;
}

static int
check_file(const void *ctx, struct report *r, const char *path)
{
	struct source *source = file_read(ctx, path, path);
	struct diag *d = diag_new(ctx);
	struct check_config config;
	struct sema_options so;
	struct unit *u;
	int status;

	if (source == NULL)
		return EXIT_INPUT;
	if (!levels(r->o, d)) {
		fputs("dockcc: -W takes no-RULE, error or error=RULE; dockcc check --explain RULE\n", stderr);
		return EXIT_USAGE;
	}
	if ((status = job_sema_options(ctx, r->o, &so)) != EXIT_GOOD)
		return status;
	so.all = true;
	u = unit_parse(ctx, source, d);
	if (!u->lexical_error && (!u->ok || unit_check_bytes(u, d)) && check_configure(ctx, u, NULL, &config, d)) {
		enum check_reach reach = CHECK_LINES;
		uint32_t line = u->error_line;
		size_t before;

		if (u->ok) {
			sema_build(ctx, u, &so, d);
			reach = how_far(u, d, &line);
		}
		before = d->n;
		check_unit(u, &config, reach, line, d);
		r->failed = r->failed || ((config.error || werror(r->o)) && d->n > before);
	}
	print(r, u, d);
	return EXIT_GOOD;
}

static void
summary(const struct report *r)
{
	if (r->format == FORMAT_TEXT)
		buf_printf(r->out, "%s%zu file%s checked: %u error%s, %zu warning%s\n", r->findings + r->errors > 0 ? "\n" : "", r->files,
		           r->files == 1 ? "" : "s", r->errors, r->errors == 1 ? "" : "s", r->findings, r->findings == 1 ? "" : "s");
	if (r->format == FORMAT_SARIF)
		buf_puts(r->out, "]}]}\n");
}

int
cmd_check(const void *ctx, const struct options *o)
{
	static const char *const formats[] = { "text", "json", "sarif", "gcc" };
	struct report r = { .o = o, .out = buf_new(ctx) };
	const char *format = option_value(&o->format, "text");
	struct job j = { .o = o };
	int status = EXIT_GOOD;

	if (o->rule.n > 0)
		return explain(o->rule.v[0]);
	while (r.format < 4 && strcmp(formats[r.format], format) != 0)
		r.format++;
	if (r.format == 4) {
		fprintf(stderr, "dockcc: --format is text, json, sarif or gcc, not %s\n", format);
		return EXIT_USAGE;
	}
	if (r.format == FORMAT_SARIF)
		sarif_begin(r.out);
	for (size_t i = 0; status == EXIT_GOOD && i < o->operands.n; i++)
		status = check_file(ctx, &r, o->operands.v[i]);
	if (o->operands.n == 0)
		status = find_dockerfile(ctx, o, &j) ? check_file(ctx, &r, j.dockerfile) : EXIT_INPUT;
	if (status != EXIT_GOOD)
		return status;
	summary(&r);
	if (!file_write_fd(1, buf_str(r.out), r.out->len))
		return EXIT_HOST;
	return r.errors > 0 || r.failed || r.findings > 0 ? EXIT_INPUT : EXIT_GOOD;
}
