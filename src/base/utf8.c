#include "utf8.h"

size_t
utf8_decode(const char *str, size_t len, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)str;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
	           s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;
	uint32_t v;

	*c = 0xfffd;
	if (n == 0 || n > len)
		return 1;
	v = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		v = v << 6 | (s[i] & 0x3fu);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 1;
	*c = v;
	return n;
}

bool
utf8_space(uint32_t c)
{
	return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

struct range {
	uint32_t from, to;
};

static bool
among(uint32_t c, const struct range *r, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (c >= r[k].from && c <= r[k].to)
			return true;
	}
	return false;
}

unsigned
utf8_width(uint32_t c)
{
	static const struct range joined[] = {
		{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f }, { 0x93a, 0x93c }, { 0x941, 0x948 },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200d, 0x200d }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
		{ 0xe0100, 0xe01ef },
	};
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x23e9, 0x23ec }, { 0x2614, 0x2615 }, { 0x2648, 0x2653 }, { 0x26a1, 0x26a1 }, { 0x2705, 0x2705 },
		{ 0x270a, 0x270b }, { 0x2728, 0x2728 }, { 0x274c, 0x274c }, { 0x2753, 0x2757 }, { 0x2795, 0x2797 }, { 0x2b50, 0x2b50 }, { 0x2e80, 0x303e },
		{ 0x3041, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 },
		{ 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd },
	};

	if (c < 0x300)
		return 1;
	return among(c, joined, sizeof joined / sizeof joined[0]) ? 0 : among(c, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

void
utf8_trim(const char *s, size_t *begin, size_t *end)
{
	uint32_t c;

	while (*begin < *end) {
		size_t n = utf8_decode(s + *begin, *end - *begin, &c);

		if (!utf8_space(c))
			break;
		*begin += n;
	}
	while (*begin < *end) {
		size_t at = *end - 1;

		while (at > *begin && *end - at < 4 && ((unsigned char)s[at] & 0xc0) == 0x80)
			at--;
		if (utf8_decode(s + at, *end - at, &c) != *end - at || !utf8_space(c))
			break;
		*end = at;
	}
}
