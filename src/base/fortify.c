/* Debian's libtalloc.a is compiled with glibc's fortified calls, which musl does not have: the two that it makes. */
#include <stdarg.h>
#include <stdio.h>

#ifndef __GLIBC__
int __fprintf_chk(FILE *f, int flag, const char *fmt, ...);
int __vsnprintf_chk(char *s, size_t n, int flag, size_t len, const char *fmt, va_list ap);

int
__fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vfprintf(f, fmt, ap);
	va_end(ap);
	return n;
}

int
__vsnprintf_chk(char *s, size_t n, int flag, size_t len, const char *fmt, va_list ap)
{
	return vsnprintf(s, n, fmt, ap);
}
#endif
