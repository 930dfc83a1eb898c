/* SARIF 2.1.0 (OASIS standard): what code hosts show beside the lines.  Columns count characters. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "check.h"

static void
text(struct buf *out, const char *s)
{
	buf_json(out, s, strlen(s));
}

/* A relative reference as RFC 3986 wants it; an absolute path becomes a file URI. */
static void
uri(struct buf *out, const char *path)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf *b = buf_new(out);

	if (*path == '/')
		buf_puts(b, "file://");
	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c) != NULL)
			buf_putc(b, c);
		else
			buf_printf(b, "%%%c%c", hex[c >> 4], hex[c & 15]);
	}
	text(out, buf_str(b));
	talloc_free(b);
}

static const char *
level(enum diag_severity s)
{
	return s == DIAG_ERROR ? "error" : s == DIAG_WARNING ? "warning" : s == DIAG_NOTE ? "note" : "none";
}

/* Rules that were met, numbered in the order of diag.def. */
static void
rule_list(struct buf *out, const struct check_file *files, size_t n, int *number)
{
	struct diag *fresh = diag_new(out);
	int count = 0;

	for (size_t k = 0; k < n; k++) {
		for (size_t m = 0; m < files[k].d->n; m++)
			number[files[k].d->items[m].id] = 0;
	}
	for (int id = 0; id < DIAG_COUNT; id++) {
		const struct check_rule *rule = check_rule_of((enum diag_id)id);

		if (number[id] < 0)
			continue;
		number[id] = count;
		buf_puts(out, count++ > 0 ? ",\n        {\"id\": " : "\n        {\"id\": ");
		text(out, diag_name((enum diag_id)id));
		if (rule != NULL && rule->alias != NULL) {
			buf_puts(out, ", \"name\": ");
			text(out, rule->alias);
		}
		buf_puts(out, ", \"shortDescription\": {\"text\": ");
		text(out, diag_name((enum diag_id)id));
		buf_puts(out, "}, \"fullDescription\": {\"text\": ");
		text(out, diag_help((enum diag_id)id));
		buf_printf(out, "}, \"defaultConfiguration\": {\"level\": \"%s\"}}", level(fresh->level[id] != DIAG_OFF ? fresh->level[id] : DIAG_WARNING));
	}
	talloc_free(fresh);
}

static void
region(struct buf *out, const struct source *source, struct span at)
{
	struct position from = source_position(source, at.begin), to = source_position(source, at.end);

	buf_printf(out, "{\"startLine\": %u, \"startColumn\": %u, \"endLine\": %u, \"endColumn\": %u}", (unsigned)from.line,
	           (unsigned)from.column, (unsigned)to.line, (unsigned)to.column);
}

static void
location(struct buf *out, const struct check_file *f, struct span at)
{
	buf_puts(out, "\"physicalLocation\": {\"artifactLocation\": {\"uri\": ");
	uri(out, f->name);
	buf_puts(out, "}, \"region\": ");
	region(out, f->source, at);
	buf_putc(out, '}');
}

static void
result(struct buf *out, const struct check_file *f, const struct diag_item *item, const int *number)
{
	buf_puts(out, "      {\"ruleId\": ");
	text(out, diag_name(item->id));
	buf_printf(out, ", \"ruleIndex\": %d, \"level\": \"%s\", \"message\": {\"text\": ", number[item->id], level(item->severity));
	text(out, item->where.text);
	buf_puts(out, "},\n       \"locations\": [{");
	location(out, f, item->where.at);
	buf_puts(out, "}]");
	if (item->note.text != NULL && item->note.source != NULL) {
		buf_puts(out, ",\n       \"relatedLocations\": [{");
		location(out, f, item->note.at);
		buf_puts(out, ", \"message\": {\"text\": ");
		text(out, item->note.text);
		buf_puts(out, "}}]");
	}
	if (item->replacement != NULL) {
		buf_puts(out, ",\n       \"fixes\": [{\"description\": {\"text\": ");
		text(out, item->fix != NULL ? item->fix : "");
		buf_puts(out, "}, \"artifactChanges\": [{\"artifactLocation\": {\"uri\": ");
		uri(out, f->name);
		buf_puts(out, "}, \"replacements\": [{\"deletedRegion\": ");
		region(out, f->source, item->where.at);
		buf_puts(out, ", \"insertedContent\": {\"text\": ");
		text(out, item->replacement);
		buf_puts(out, "}}]}]}]");
	}
	buf_putc(out, '}');
}

void
check_sarif(struct buf *out, const struct check_file *files, size_t n)
{
	int number[DIAG_COUNT];
	bool first = true;

	memset(number, -1, sizeof number);
	buf_puts(out, "{\n  \"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\",\n  \"version\": \"2.1.0\",\n  \"runs\": [{\n"
	         "    \"tool\": {\"driver\": {\"name\": \"dockcc\", \"version\": \"" DOCKCC_VERSION "\", \"rules\": [");
	rule_list(out, files, n, number);
	buf_puts(out, "\n    ]}},\n    \"columnKind\": \"unicodeCodePoints\",\n    \"results\": [");
	for (size_t k = 0; k < n; k++) {
		for (size_t m = 0; m < files[k].d->n; m++) {
			buf_puts(out, first ? "\n" : ",\n");
			result(out, &files[k], &files[k].d->items[m], number);
			first = false;
		}
	}
	buf_puts(out, "\n    ]\n  }]\n}\n");
}
