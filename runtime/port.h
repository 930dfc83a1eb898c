/* What compilers other than gcc and clang lack. */
#ifndef RT_PORT_H
#define RT_PORT_H

#include <stdint.h>

#ifdef __TINYC__ /* has no such builtins */
#define __builtin_clz(x) highest_bit_from_top(x)
#define __builtin_ctzll(x) lowest_bit(x)

static inline int
highest_bit_from_top(unsigned x)
{
	int n = 0;

	for (; !(x & 0x80000000u); x <<= 1)
		n++;
	return n;
}

static inline int
lowest_bit(uint64_t x)
{
	int n = 0;

	for (; !(x & 1); x >>= 1)
		n++;
	return n;
}
#endif

#endif
