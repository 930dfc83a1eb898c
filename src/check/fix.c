/* Fixes: each finding may carry the text that replaces its span; nothing else of the file is touched. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "check.h"

static int
by_begin(const void *a, const void *b)
{
	const struct diag_item *x = *(const struct diag_item *const *)a, *y = *(const struct diag_item *const *)b;

	if (x->where.at.begin != y->where.at.begin)
		return x->where.at.begin < y->where.at.begin ? -1 : 1;
	return (x > y) - (x < y);
}

char *
check_fix(const void *ctx, const struct source *source, const struct diag *d, size_t *len, unsigned *count)
{
	const struct diag_item **fixes = mem_array(ctx, const struct diag_item *, d->n + 1);
	struct buf *out = buf_new(ctx);
	size_t n = 0, at = 0;

	*count = 0;
	for (size_t k = 0; k < d->n; k++) {
		if (d->items[k].replacement != NULL && d->items[k].severity != DIAG_ERROR && d->items[k].where.source == source)
			fixes[n++] = &d->items[k];
	}
	if (n > 1)
		qsort(fixes, n, sizeof *fixes, by_begin);
	for (size_t k = 0; k < n; k++) {
		struct span s = fixes[k]->where.at;

		if (s.begin < at || s.end > source->len)
			continue; /* inside one that is made: the next run sees to it */
		buf_add(out, source->text + at, s.begin - at);
		buf_puts(out, fixes[k]->replacement);
		at = s.end;
		++*count;
	}
	buf_add(out, source->text + at, source->len - at);
	*len = out->len;
	return mem_dup(ctx, buf_str(out), out->len);
}
