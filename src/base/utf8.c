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
