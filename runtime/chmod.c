/* --chmod, octal and symbolic (language.md 6: evaluated with umask 0 against each file's own mode). */
#include "copy_int.h"

#include <string.h>

enum { ALL_BITS = 07777, EVERYONE = 0777 };

bool
chmod_octal(const char *text, mode_t *mode)
{
	mode_t m = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '7')
			return false;
		m = m << 3 | (mode_t)(*text - '0');
		if (m > ALL_BITS)
			return false;
	}
	*mode = m;
	return true;
}

/* The bits that belong to a class letter. */
static mode_t
class_bits(char c)
{
	switch (c) {
	case 'u':
		return S_ISUID | 0700;
	case 'g':
		return S_ISGID | 0070;
	case 'o':
		return 0007;
	case 'a':
		return S_ISUID | S_ISGID | EVERYONE;
	}
	return 0;
}

/* One class's three bits given to all. */
static mode_t
spread(mode_t three)
{
	return (three & 7) * 0111;
}

/* The bits a permission letter means to the classes `who` (0: none was named).  `m` is the mode so far, `old` the one
   before all changes.  chmod(1): X counts the execute bits of `old`; s and t mean nothing to others alone. */
static bool
letter_bits(char c, mode_t who, mode_t m, mode_t old, bool dir, mode_t *bits)
{
	bool special = who == 0 || (who & ~(mode_t)0007) != 0;

	switch (c) {
	case 'r':
		*bits = 0444;
		return true;
	case 'w':
		*bits = 0222;
		return true;
	case 'x':
		*bits = 0111;
		return true;
	case 'X':
		*bits = dir || (old & 0111) != 0 ? 0111 : 0;
		return true;
	case 's':
		*bits = special ? S_ISUID | S_ISGID : 0;
		return true;
	case 't':
		*bits = special ? S_ISVTX : 0;
		return true;
	case 'u':
		*bits = spread(m >> 6);
		return true;
	case 'g':
		*bits = spread(m >> 3);
		return true;
	case 'o':
		*bits = spread(m);
		return true;
	}
	return false;
}

/* [ugoa]*([-+=][rwxXstugo]*)+ */
static bool
clause(const char **p, mode_t old, bool dir, mode_t *m)
{
	mode_t who = 0, mask;

	for (; **p != '\0' && strchr("ugoa", **p) != NULL; ++*p)
		who |= class_bits(**p);
	if (**p == '\0' || strchr("+-=", **p) == NULL)
		return false;
	mask = (who == 0 ? class_bits('a') : who) | S_ISVTX;
	while (**p != '\0' && strchr("+-=", **p) != NULL) {
		mode_t bits = 0, one = 0;
		char op = *(*p)++;

		while (letter_bits(**p, who, *m, old, dir, &one)) {
			bits |= one;
			++*p;
		}
		if (op == '=')
			*m &= ~(mask & ~(mode_t)S_ISVTX);
		*m = op == '-' ? *m & ~(bits & mask) : *m | (bits & mask);
	}
	return true;
}

int
chmod_apply(const char *text, mode_t old, bool dir, mode_t *mode)
{
	mode_t m = old & ALL_BITS;

	if (chmod_octal(text, mode))
		return 0;
	for (;;) {
		if (!clause(&text, old, dir, &m))
			return -1;
		if (*text == '\0')
			break;
		if (*text++ != ',')
			return -1;
	}
	*mode = m;
	return 0;
}
