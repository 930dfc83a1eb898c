/* Findings as JSON and in gcc's form. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "check.h"

struct row {
	unsigned line;
	const char *rule;
};

static int
by_line(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return strcmp(x->rule, y->rule);
}

/* The reference's rules, without what it does not come to. */
static void
reference_rows(struct buf *out, const struct check_file *f)
{
	struct row *rows = mem_array(out, struct row, f->d->n + 1);
	size_t n = 0;

	for (size_t k = 0; k < f->d->n; k++) {
		const struct diag_item *item = &f->d->items[k];
		const struct check_rule *rule = check_rule_of(item->id);

		if (rule != NULL && !item->late && (strcmp(rule->group, "build") == 0 || strcmp(rule->group, "experimental") == 0))
			rows[n++] = (struct row){ item->line, rule->name };
	}
	if (n > 1)
		qsort(rows, n, sizeof *rows, by_line);
	for (size_t k = 0, shown = 0; k < n; k++) {
		if (k > 0 && by_line(&rows[k], &rows[k - 1]) == 0)
			continue;
		buf_printf(out, "%s{\"line\":%u,\"rule\":\"%s\"}", shown++ > 0 ? "," : "", rows[k].line, rows[k].rule);
	}
	talloc_free(rows);
}

static void
reference_file(struct buf *out, const struct check_file *f)
{
	buf_puts(out, "\"warnings\":[");
	reference_rows(out, f);
	buf_putc(out, ']');
	if (f->result.refused)
		buf_printf(out, ",\"error_line\":%u", f->result.error_line);
}

static void
text(struct buf *out, const char *s)
{
	buf_json(out, s, strlen(s));
}

void
check_json(struct buf *out, const struct check_file *files, size_t n)
{
	if (n == 1) {
		buf_putc(out, '{');
		reference_file(out, files);
		buf_puts(out, "}\n");
		return;
	}
	buf_puts(out, "{\"files\":[");
	for (size_t k = 0; k < n; k++) {
		buf_puts(out, k > 0 ? ",\n{\"file\":" : "\n{\"file\":");
		text(out, files[k].name);
		buf_putc(out, ',');
		reference_file(out, &files[k]);
		buf_putc(out, '}');
	}
	buf_puts(out, "\n]}\n");
}

static void
full_item(struct buf *out, const struct check_file *f, const struct diag_item *item)
{
	const struct check_rule *rule = check_rule_of(item->id);
	struct position from = source_position(f->source, item->where.at.begin), to = source_position(f->source, item->where.at.end);

	buf_puts(out, "{\"file\":");
	text(out, f->name);
	buf_printf(out, ",\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u,\"instruction_line\":%u,\"severity\":\"%s\",\"rule\":",
	           (unsigned)from.line, (unsigned)from.column, (unsigned)to.line, (unsigned)to.column, (unsigned)item->line,
	           item->severity == DIAG_ERROR ? "error" : "warning");
	text(out, diag_name(item->id));
	if (rule != NULL && rule->alias != NULL) {
		buf_puts(out, ",\"alias\":");
		text(out, rule->alias);
	}
	buf_puts(out, ",\"text\":");
	text(out, item->where.text);
	if (item->note.text != NULL) {
		buf_puts(out, ",\"note\":");
		text(out, item->note.text);
	}
	if (item->fix != NULL) {
		buf_puts(out, ",\"fix\":");
		text(out, item->fix);
	}
	buf_putc(out, '}');
}

void
check_json_full(struct buf *out, const struct check_file *files, size_t n)
{
	bool first = true;

	buf_puts(out, "{\"findings\":[");
	for (size_t k = 0; k < n; k++) {
		for (size_t m = 0; m < files[k].d->n; m++) {
			buf_puts(out, first ? "\n" : ",\n");
			full_item(out, &files[k], &files[k].d->items[m]);
			first = false;
		}
	}
	buf_puts(out, "\n]}\n");
}

/* One line each: what editors understand. */
void
check_gcc(struct buf *out, const struct check_file *files, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (size_t m = 0; m < files[k].d->n; m++) {
			const struct diag_item *item = &files[k].d->items[m];
			struct position p = source_position(files[k].source, item->where.at.begin);

			buf_printf(out, "%s:%u:%u: %s: ", files[k].name, (unsigned)p.line, (unsigned)p.column,
			           item->severity == DIAG_ERROR ? "error" : "warning");
			for (const char *s = item->where.text; *s != '\0'; s++)
				buf_putc(out, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
			buf_printf(out, " [%s]\n", diag_name(item->id));
		}
	}
}
