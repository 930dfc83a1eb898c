#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "diag.h"
#include "mem.h"

static const struct row {
	const char *name;
	enum diag_severity severity;
	const char *help;
} rows[] = {
#define DIAG(id, name_, severity_, group, help_) { .name = name_, .severity = severity_, .help = help_ },
#include "diag.def"
#undef DIAG
};

struct diag *
diag_new(const void *ctx)
{
	struct diag *d = mem_new(ctx, struct diag);

	for (size_t i = 0; i < DIAG_COUNT; i++)
		d->level[i] = rows[i].severity;
	return d;
}

const char *
diag_name(enum diag_id id)
{
	return rows[id].name;
}

const char *
diag_help(enum diag_id id)
{
	return rows[id].help;
}

struct diag_item *
diag_add(struct diag *d, enum diag_id id, const struct source *source, struct span at, const char *fmt, ...)
{
	struct diag_item *item;
	va_list ap;
	char *text;

	mem_room(d, d->items, d->n + 1, &d->cap);
	item = &d->items[d->n];
	*item = (struct diag_item){ .id = id, .severity = d->level[id], .where = { .source = source, .at = at } };
	va_start(ap, fmt);
	text = talloc_vasprintf(d, fmt, ap);
	va_end(ap);
	item->where.text = text != NULL ? text : "";
	if (source != NULL)
		item->line = source_position(source, at.begin).line;
	if (item->severity == DIAG_OFF)
		return item; /* scratch: the next report takes its place */
	d->n++;
	d->errors += item->severity == DIAG_ERROR;
	d->warnings += item->severity == DIAG_WARNING;
	return item;
}

void
diag_note(struct diag *d, struct diag_item *item, const struct source *source, struct span at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	item->note = (struct diag_mark){ .source = source, .at = at, .text = talloc_vasprintf(d, fmt, ap) };
	va_end(ap);
}

void
diag_fix(struct diag *d, struct diag_item *item, const char *replacement, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	item->fix = talloc_vasprintf(d, fmt, ap);
	va_end(ap);
	item->replacement = replacement != NULL ? mem_str(d, replacement) : NULL;
}

static int
by_place(const void *a, const void *b)
{
	const struct diag_item *x = a, *y = b;

	if (x->where.at.begin != y->where.at.begin)
		return x->where.at.begin < y->where.at.begin ? -1 : 1;
	return (int)x->id - (int)y->id;
}

void
diag_sort(struct diag *d)
{
	if (d->n > 1)
		qsort(d->items, d->n, sizeof *d->items, by_place);
}

/* Optimal string alignment distance, case ignored; words longer than 63 bytes are never near. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned rows_[3][64], *before = rows_[0], *last = rows_[1], *now = rows_[2];
	size_t n = strlen(a), m = strlen(b);

	if (n > 63 || m > 63)
		return 64;
	for (unsigned j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *t;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
			unsigned best = last[j - 1] + (x != y);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		t = before, before = last, last = now, now = t;
	}
	return last[m];
}

const char *
diag_nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	unsigned least = (unsigned)strlen(word) / 3 + 1;

	if (least > 3)
		least = 3;
	for (size_t i = 0; i < n; i++) {
		unsigned d = names[i] != NULL ? distance(word, names[i]) : 64;

		if (d <= least && d < strlen(word)) {
			if (d == least && best != NULL)
				continue;
			best = names[i];
			least = d;
		}
	}
	return best;
}
