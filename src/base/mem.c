#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mem.h"

/* The one abort of the library: there is nothing sensible left to do without memory. */
static void *
must(void *p)
{
	if (p == NULL) {
		fputs("dockcc: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
mem_root(void)
{
	return must(talloc_pool(NULL, 1 << 20));
}

void *
mem_zero(const void *ctx, size_t size, size_t n, const char *name)
{
	void *p;

	if (n != 0 && size > SIZE_MAX / 2 / n)
		must(NULL);
	p = must(talloc_named_const(ctx, size * n, name));
	memset(p, 0, size * n);
	return p;
}

void *
mem_pool(const void *ctx, size_t size, size_t room, const char *name)
{
	enum { HUGE_PAGE = 2 << 20, MOST = 128 << 20 }; /* talloc gives 256 MiB at once and no more */
	char *p;

	room = room < MOST ? room : MOST;
	p = must(_talloc_pooled_object(ctx, size, name, 1, room));

	if (room > 2 * HUGE_PAGE) /* else most of the time for a big file goes into page faults */
		madvise((void *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1)), room - HUGE_PAGE, MADV_HUGEPAGE);
	return memset(p, 0, size);
}

void *
mem_raw(const void *ctx, size_t size, const char *name)
{
	return must(talloc_named_const(ctx, size, name));
}

void *
mem_grow(const void *ctx, void *array, size_t size, size_t n, size_t *cap)
{
	size_t want = *cap;
	char *p;

	if (n <= *cap && array != NULL)
		return array;
	while (want < n || want == 0)
		want = want + want / 2 + 4;
	if (want > SIZE_MAX / 2 / size)
		must(NULL);
	p = must(talloc_realloc_size(ctx, array, want * size));
	memset(p + *cap * size, 0, (want - *cap) * size);
	*cap = want;
	return p;
}

char *
mem_str(const void *ctx, const char *s)
{
	return must(talloc_strdup(ctx, s));
}

char *
mem_dup(const void *ctx, const char *s, size_t len)
{
	char *p = must(talloc_size(ctx, len + 1));

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
mem_printf(const void *ctx, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = must(talloc_vasprintf(ctx, fmt, ap));
	va_end(ap);
	return p;
}
