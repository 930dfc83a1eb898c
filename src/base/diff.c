/* A unified diff of a file and what --fix or fmt makes of it.  Edits are few and far between, so lines are matched greedily: the
   nearest pair of equal lines behind a difference ends it. */
#include <stdbool.h>
#include <string.h>

#include "buf.h"
#include "diff.h"
#include "mem.h"

enum { CONTEXT = 3, LOOK = 400 };

struct line {
	const char *s;
	size_t len; /* with its line end */
};

static struct line *
lines(const void *ctx, const char *text, size_t len, size_t *n)
{
	struct line *v = NULL;
	size_t cap = 0;

	*n = 0;
	for (size_t at = 0; at < len;) {
		const char *eol = memchr(text + at, '\n', len - at);
		size_t end = eol != NULL ? (size_t)(eol - text) + 1 : len;

		mem_room(ctx, v, *n + 1, &cap);
		v[(*n)++] = (struct line){ text + at, end - at };
		at = end;
	}
	return v;
}

static bool
same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

struct change {
	size_t a, na, b, nb; /* lines [a, a+na) became [b, b+nb) */
};

/* The extent of the difference that begins at `a` and `b`. */
static struct change
extent(const struct line *x, size_t nx, const struct line *y, size_t ny, size_t a, size_t b)
{
	for (size_t sum = 1; sum < LOOK; sum++) {
		for (size_t i = 0; i <= sum; i++) {
			if (a + i < nx && b + sum - i < ny && same(&x[a + i], &y[b + sum - i]))
				return (struct change){ a, i, b, sum - i };
		}
	}
	return (struct change){ a, nx - a, b, ny - b };
}

static void
put(struct buf *out, char mark, const struct line *l)
{
	buf_putc(out, mark);
	buf_add(out, l->s, l->len);
	if (l->len == 0 || l->s[l->len - 1] != '\n')
		buf_puts(out, "\n\\ No newline at end of file\n");
}

/* The number that diff prints for an empty side is one less. */
static void
range(struct buf *out, char mark, size_t first, size_t n)
{
	buf_printf(out, "%c%zu,%zu ", mark, n > 0 ? first + 1 : first, n);
}

static void
hunk(struct buf *out, const struct line *x, size_t nx, const struct line *y, const struct change *c, size_t n)
{
	size_t before = c[0].a < CONTEXT ? c[0].a : CONTEXT, end = c[n - 1].a + c[n - 1].na, after = nx - end < CONTEXT ? nx - end : CONTEXT;
	size_t at = c[0].a - before;

	buf_puts(out, "@@ ");
	range(out, '-', at, end + after - at);
	range(out, '+', c[0].b - before, c[n - 1].b + c[n - 1].nb + after - (c[0].b - before));
	buf_puts(out, "@@\n");
	for (size_t k = 0; k < n; k++) {
		for (; at < c[k].a; at++)
			put(out, ' ', &x[at]);
		for (; at < c[k].a + c[k].na; at++)
			put(out, '-', &x[at]);
		for (size_t b = c[k].b; b < c[k].b + c[k].nb; b++)
			put(out, '+', &y[b]);
	}
	for (; at < end + after; at++)
		put(out, ' ', &x[at]);
}

void
diff_unified(struct buf *out, const char *name, const char *before, size_t nbefore, const char *after, size_t nafter)
{
	size_t nx, ny, n = 0, cap = 0;
	struct line *x = lines(out, before, nbefore, &nx), *y = lines(out, after, nafter, &ny);
	struct change *c = NULL;

	for (size_t a = 0, b = 0; a < nx || b < ny;) {
		if (a < nx && b < ny && same(&x[a], &y[b])) {
			a++, b++;
			continue;
		}
		mem_room(out, c, n + 1, &cap);
		c[n] = extent(x, nx, y, ny, a, b);
		a = c[n].a + c[n].na;
		b = c[n].b + c[n].nb;
		n++;
	}
	if (n == 0)
		return;
	name += *name == '/';
	buf_printf(out, "--- a/%s\n+++ b/%s\n", name, name);
	for (size_t k = 0, m; k < n; k = m) {
		for (m = k + 1; m < n && c[m].a - (c[m - 1].a + c[m - 1].na) <= (size_t)2 * CONTEXT; m++)
			;
		hunk(out, x, nx, y, &c[k], m - k);
	}
}
