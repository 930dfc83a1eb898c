/* The Test Anything Protocol for small C tests: ok(condition, "what") and return tap_done(); skip(why) for what cannot run here. */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool
ok(bool good, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (char *p = what; *p != '\0'; p++)
		*p = *p == '\n' ? ' ' : *p; /* a line is a test */
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, what);
	fflush(stdout);
	tap_failed += !good;
	return good;
}

__attribute__((unused)) static bool
is_text(const char *got, const char *want, const char *what)
{
	bool good = got != NULL && want != NULL ? strcmp(got, want) == 0 : got == want;

	if (!ok(good, "%s", what))
		fprintf(stderr, "got  %s\nwant %s\n", got != NULL ? got : "(null)", want != NULL ? want : "(null)");
	return good;
}

/* A test that cannot run here, and why. */
__attribute__((format(printf, 1, 2), unused)) static void
skip(const char *fmt, ...)
{
	va_list ap;

	printf("ok %d # SKIP ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((unused)) static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
