#include <stdlib.h>
#include <string.h>

#include "inflate.h"

enum {
	WINDOW = 32768,
	OUT_SIZE = WINDOW + 262144,
	IN_SIZE = 65536,
	LEN_BITS = 11,
	DIST_BITS = 8,
	LEN_TABLE = 2600,
	DIST_TABLE = 700,
};

/* A table entry: how many bits it takes and what they mean. */
struct code {
	uint8_t op;    /* OP_... with the number of extra bits, or of index bits, in the low 4 bits */
	uint8_t bits;
	uint16_t value; /* literal, base, or where the second table starts */
};
enum { OP_LITERAL, OP_BASE = 0x10, OP_END = 0x20, OP_TABLE = 0x40, OP_BAD = 0x80 };

enum state { MEMBER, BLOCK, STORED, CODES, TRAILER, FINISHED };

struct inflate {
	struct reader reader;
	struct reader *src;
	const char *what;
	enum state state;
	bool last, started;
	uint64_t bits; /* not yet used, lowest first */
	unsigned nbits;
	size_t in_at, in_end;
	size_t base, done, at; /* in out: first byte of this member, first byte not handed out, next byte */
	size_t stored;         /* bytes left of a stored block */
	size_t match_len, match_dist;
	uint32_t crc, total;
	struct code lens[LEN_TABLE], dists[DIST_TABLE];
	unsigned char in[IN_SIZE], out[OUT_SIZE];
};

/* ---- bits -------------------------------------------------------------------------------------- */

static int
damaged(struct inflate *z, const char *why, struct rt_err *e)
{
	return rt_fail_status(e, RT_DIGEST, "%s: damaged gzip data: %s", z->what, why);
}

/* Reads more input; 0 at its end. */
static int
more_input(struct inflate *z, struct rt_err *e)
{
	ssize_t n = z->src->read(z->src, z->in, IN_SIZE, e);

	if (n < 0)
		return -1;
	z->in_at = 0;
	z->in_end = (size_t)n;
	return n > 0;
}

/* Fills the bit buffer to at least `want` (<= 48) bits where the input lasts.  -1 only for a read error. */
static int
fill(struct inflate *z, unsigned want, struct rt_err *e)
{
	while (z->nbits < want) {
		if (z->in_at == z->in_end) {
			int rc = more_input(z, e);

			if (rc <= 0)
				return rc;
		}
		z->bits |= (uint64_t)z->in[z->in_at++] << z->nbits;
		z->nbits += 8;
	}
	return 0;
}

static uint32_t
drop(struct inflate *z, unsigned n)
{
	uint32_t v = (uint32_t)(z->bits & ((1ull << n) - 1));

	z->bits >>= n;
	z->nbits -= n;
	return v;
}

/* Takes n (<= 32) bits. */
static int
take(struct inflate *z, unsigned n, uint32_t *v, struct rt_err *e)
{
	if (fill(z, n, e) < 0)
		return -1;
	if (z->nbits < n)
		return damaged(z, "it ends too early", e);
	*v = drop(z, n);
	return 0;
}

/* ---- Huffman tables ---------------------------------------------------------------------------- */

static const uint16_t len_base[29] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59,
                                       67, 83, 99, 115, 131, 163, 195, 227, 258 };
static const uint8_t len_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
static const uint16_t dist_base[30] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
                                        1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577 };

static struct code
symbol_code(unsigned symbol, bool dist)
{
	if (dist)
		return symbol < 30 ? (struct code){ .op = (uint8_t)(OP_BASE | (symbol < 4 ? 0 : symbol / 2 - 1)),
		                                    .value = dist_base[symbol] }
		                   : (struct code){ .op = OP_BAD };
	if (symbol < 256)
		return (struct code){ .op = OP_LITERAL, .value = (uint16_t)symbol };
	if (symbol == 256)
		return (struct code){ .op = OP_END };
	return symbol < 286 ? (struct code){ .op = (uint8_t)(OP_BASE | len_extra[symbol - 257]), .value = len_base[symbol - 257] }
	                    : (struct code){ .op = OP_BAD };
}

static unsigned
reverse(unsigned code, unsigned len)
{
	unsigned r = 0;

	for (unsigned i = 0; i < len; i++)
		r |= (code >> i & 1) << (len - 1 - i);
	return r;
}

/* First codes by length; 0 for a complete code, 1 for one with a gap, -1 when it has too many. */
static int
first_codes(const uint8_t *lens, unsigned n, unsigned next[16])
{
	unsigned count[16] = { 0 }, code = 0;
	int left = 1;

	for (unsigned i = 0; i < n; i++)
		count[lens[i]]++;
	count[0] = 0;
	for (unsigned len = 1; len < 16; len++) {
		left = left * 2 - (int)count[len];
		if (left < 0)
			return -1;
		code = (code + count[len - 1]) << 1;
		next[len] = code;
	}
	return left > 0;
}

/* Codes longer than `root` bits go through second tables, one for each of their first `root` bits. */
static int
build(struct code *table, size_t size, unsigned root, const uint8_t *lens, unsigned n, bool dist)
{
	unsigned next[16], again[16], used = 1u << root, codes = 0, longest = 0;
	uint8_t sub[1 << LEN_BITS] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		codes += lens[i] != 0;
		longest = lens[i] > longest ? lens[i] : longest;
	}
	switch (first_codes(lens, n, next)) {
	case -1:
		return -1;
	case 1: /* RFC 1951 3.2.7: one code of one bit, or none at all for distances */
		if (!(codes == 1 && longest == 1) && !(dist && codes == 0))
			return -1;
	}
	for (unsigned i = 0; i < used; i++)
		table[i] = (struct code){ .op = OP_BAD };
	memcpy(again, next, sizeof(again));
	for (unsigned i = 0; i < n; i++) {
		unsigned len = lens[i], code = len > 0 ? reverse(again[len]++, len) : 0, low = code & ((1u << root) - 1);

		if (len > root && len - root > sub[low])
			sub[low] = (uint8_t)(len - root);
	}
	for (unsigned i = 0; i < 1u << root; i++) {
		if (sub[i] == 0)
			continue;
		if (used + (1u << sub[i]) > size)
			return -1;
		table[i] = (struct code){ .op = (uint8_t)(OP_TABLE | sub[i]), .bits = (uint8_t)root, .value = (uint16_t)used };
		used += 1u << sub[i];
	}
	for (unsigned i = 0; i < n; i++) {
		struct code c = symbol_code(i, dist);
		unsigned len = lens[i], code, low;

		if (len == 0)
			continue;
		code = reverse(next[len]++, len);
		low = code & ((1u << root) - 1);
		c.bits = (uint8_t)(len > root ? len - root : len);
		if (len <= root) {
			for (unsigned k = code; k < 1u << root; k += 1u << len)
				table[k] = c;
		} else {
			for (unsigned k = code >> root; k < 1u << sub[low]; k += 1u << (len - root))
				table[table[low].value + k] = c;
		}
	}
	return 0;
}

/* The code lengths of a dynamic block, themselves run-length and Huffman coded. */
static int
read_lengths(struct inflate *z, uint8_t *lens, unsigned total, unsigned nclen, struct rt_err *e)
{
	static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
	struct code table[1 << 7];
	uint8_t clens[19] = { 0 };
	unsigned at = 0;
	uint32_t v;

	for (unsigned i = 0; i < nclen; i++) {
		if (take(z, 3, &v, e) < 0)
			return -1;
		clens[order[i]] = (uint8_t)v;
	}
	if (build(table, 1 << 7, 7, clens, 19, false) < 0)
		return damaged(z, "bad code lengths", e);
	while (at < total) {
		static const uint8_t extra[3] = { 2, 3, 7 }, least[3] = { 3, 3, 11 };
		struct code c;
		uint8_t fill_with = 0;

		if (fill(z, 7, e) < 0)
			return -1;
		c = table[z->bits & 127];
		if (c.op != OP_LITERAL || c.bits > z->nbits)
			return damaged(z, "bad code lengths", e);
		drop(z, c.bits);
		if (c.value < 16) {
			lens[at++] = (uint8_t)c.value;
			continue;
		}
		if (c.value == 16 && at == 0)
			return damaged(z, "nothing to repeat", e);
		if (c.value == 16)
			fill_with = lens[at - 1];
		if (take(z, extra[c.value - 16], &v, e) < 0)
			return -1;
		v += least[c.value - 16];
		if (v > total - at)
			return damaged(z, "too many code lengths", e);
		memset(lens + at, fill_with, v);
		at += v;
	}
	return 0;
}

static int
dynamic_tables(struct inflate *z, struct rt_err *e)
{
	uint8_t lens[288 + 32] = { 0 };
	uint32_t v;
	unsigned nlen, ndist;

	if (take(z, 14, &v, e) < 0)
		return -1;
	nlen = (v & 31) + 257;
	ndist = (v >> 5 & 31) + 1;
	if (nlen > 286 || ndist > 30)
		return damaged(z, "too many symbols", e);
	if (read_lengths(z, lens, nlen + ndist, (v >> 10) + 4, e) < 0)
		return -1;
	if (lens[256] == 0 || build(z->lens, LEN_TABLE, LEN_BITS, lens, nlen, false) < 0 ||
	    build(z->dists, DIST_TABLE, DIST_BITS, lens + nlen, ndist, true) < 0)
		return damaged(z, "bad Huffman code", e);
	return 0;
}

static void
fixed_tables(struct inflate *z)
{
	uint8_t lens[288], dists[32];

	memset(lens, 8, 144);
	memset(lens + 144, 9, 112);
	memset(lens + 256, 7, 24);
	memset(lens + 280, 8, 8);
	memset(dists, 5, sizeof(dists));
	build(z->lens, LEN_TABLE, LEN_BITS, lens, 288, false);
	build(z->dists, DIST_TABLE, DIST_BITS, dists, 32, true);
}

/* ---- blocks ------------------------------------------------------------------------------------ */

static int
block_start(struct inflate *z, struct rt_err *e)
{
	uint32_t v, n;

	if (take(z, 3, &v, e) < 0)
		return -1;
	z->last = (v & 1) != 0;
	switch (v >> 1) {
	case 0:
		drop(z, z->nbits % 8);
		if (take(z, 16, &v, e) < 0 || take(z, 16, &n, e) < 0)
			return -1;
		if ((v ^ n) != 0xffff)
			return damaged(z, "bad length of a stored block", e);
		z->stored = v;
		z->state = STORED;
		return 0;
	case 1:
		fixed_tables(z);
		z->state = CODES;
		return 0;
	case 2:
		z->state = CODES;
		return dynamic_tables(z, e);
	default:
		return damaged(z, "unknown block type", e);
	}
}

static int
stored(struct inflate *z, struct rt_err *e)
{
	while (z->stored > 0 && z->at < OUT_SIZE) {
		size_t n = z->stored < OUT_SIZE - z->at ? z->stored : OUT_SIZE - z->at;

		if (z->nbits >= 8) {
			z->out[z->at++] = (unsigned char)drop(z, 8);
			z->stored--;
			continue;
		}
		z->bits = 0; /* the fast fill leaves bits of the next byte behind */
		if (z->in_at == z->in_end) {
			int rc = more_input(z, e);

			if (rc <= 0)
				return rc < 0 ? -1 : damaged(z, "it ends too early", e);
		}
		n = n < z->in_end - z->in_at ? n : z->in_end - z->in_at;
		memcpy(z->out + z->at, z->in + z->in_at, n);
		z->at += n;
		z->in_at += n;
		z->stored -= n;
	}
	if (z->stored == 0)
		z->state = z->last ? TRAILER : BLOCK;
	return 0;
}

static inline void
copy_match(unsigned char *to, size_t dist, size_t len)
{
	const unsigned char *from = to - dist;

	if (dist >= len) {
		memcpy(to, from, len);
	} else if (dist == 1) {
		memset(to, *from, len);
	} else {
		while (len-- > 0)
			*to++ = *from++;
	}
}

/* Copies as much of the pending match as there is room for. */
static void
run_match(struct inflate *z)
{
	size_t n = z->match_len < OUT_SIZE - z->at ? z->match_len : OUT_SIZE - z->at;

	copy_match(z->out + z->at, z->match_dist, n);
	z->at += n;
	z->match_len -= n;
}

/* One symbol; at most 15 + 5 + 15 + 13 = 48 bits are in the buffer where the input lasts. */
static int
one_symbol(struct inflate *z, struct rt_err *e)
{
	struct code c = z->lens[z->bits & ((1 << LEN_BITS) - 1)];
	unsigned had = z->nbits, used = 0;

	if ((c.op & OP_TABLE) != 0) {
		used = LEN_BITS;
		z->bits >>= LEN_BITS;
		c = z->lens[c.value + (z->bits & ((1u << (c.op & 15)) - 1))];
	}
	z->bits >>= c.bits;
	used += c.bits;
	if (c.op == OP_LITERAL && used <= had) {
		z->out[z->at++] = (unsigned char)c.value;
	} else if (c.op == OP_END && used <= had) {
		z->state = z->last ? TRAILER : BLOCK;
	} else if ((c.op & OP_BASE) != 0) {
		struct code d;

		z->match_len = c.value + (z->bits & ((1u << (c.op & 15)) - 1));
		z->bits >>= c.op & 15;
		used += c.op & 15;
		d = z->dists[z->bits & ((1 << DIST_BITS) - 1)];
		if ((d.op & OP_TABLE) != 0) {
			z->bits >>= DIST_BITS;
			used += DIST_BITS;
			d = z->dists[d.value + (z->bits & ((1u << (d.op & 15)) - 1))];
		}
		z->bits >>= d.bits;
		z->match_dist = d.value + (z->bits & ((1u << (d.op & 15)) - 1));
		z->bits >>= d.op & 15;
		used += d.bits + (d.op & 15u);
		if ((d.op & OP_BASE) == 0)
			return damaged(z, "bad distance", e);
		if (used <= had && z->match_dist > z->at - z->base)
			return damaged(z, "a distance reaches before the start", e);
		if (used <= had)
			run_match(z);
	} else if (used <= had) {
		return damaged(z, "bad symbol", e);
	}
	if (used > had)
		return damaged(z, "it ends too early", e);
	z->nbits = had - used;
	return 0;
}

static int
codes(struct inflate *z, struct rt_err *e)
{
	if (z->match_len > 0)
		run_match(z);
	while (z->state == CODES && z->at < OUT_SIZE) {
		if (z->nbits < 48 && z->in_end - z->in_at >= 8) {
			uint64_t next;

			memcpy(&next, z->in + z->in_at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			next = __builtin_bswap64(next);
#endif
			z->bits |= next << z->nbits;
			z->in_at += (63 - z->nbits) / 8;
			z->nbits |= 56;
		} else if (z->nbits < 48 && fill(z, 48, e) < 0) {
			return -1;
		}
		if (one_symbol(z, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- members ----------------------------------------------------------------------------------- */

/* Skips a NUL-terminated header field. */
static int
skip_string(struct inflate *z, struct rt_err *e)
{
	uint32_t v = 1;

	while (v != 0)
		if (take(z, 8, &v, e) < 0)
			return -1;
	return 0;
}

/* Behind a member: another one, padding or the end.  1: a member starts. */
static int
next_member(struct inflate *z, struct rt_err *e)
{
	for (;;) {
		if (fill(z, 8, e) < 0)
			return -1;
		if (z->nbits < 8)
			return z->started ? 0 : damaged(z, "it is empty", e);
		if (!z->started)
			return 1;
		if ((z->bits & 0xff) == 0) {
			drop(z, 8);
			continue;
		}
		if (fill(z, 16, e) < 0)
			return -1;
		if (z->nbits >= 16 && (z->bits & 0xffff) == 0x8b1f)
			return 1;
		rt_warn("%s: ignoring what follows the gzip data", z->what);
		return 0;
	}
}

static int
member_start(struct inflate *z, struct rt_err *e)
{
	uint32_t v, flags, n;
	int rc = next_member(z, e);

	if (rc <= 0) {
		z->state = FINISHED;
		return rc;
	}
	if (take(z, 16, &v, e) < 0 || take(z, 16, &flags, e) < 0 || take(z, 32, &n, e) < 0 || take(z, 16, &n, e) < 0)
		return -1;
	if (v != 0x8b1f || (flags & 0xff) != 8 || (flags & 0xe000) != 0)
		return damaged(z, "bad header", e);
	flags >>= 8;
	if ((flags & 4) != 0) {
		if (take(z, 16, &n, e) < 0)
			return -1;
		for (; n > 0; n--)
			if (take(z, 8, &v, e) < 0)
				return -1;
	}
	if (((flags & 8) != 0 && skip_string(z, e) < 0) || ((flags & 16) != 0 && skip_string(z, e) < 0) ||
	    ((flags & 2) != 0 && take(z, 16, &v, e) < 0))
		return -1;
	z->started = true;
	z->state = BLOCK;
	z->base = z->at;
	z->crc = z->total = 0;
	return 0;
}

static int
trailer(struct inflate *z, struct rt_err *e)
{
	uint32_t crc, size;

	drop(z, z->nbits % 8);
	if (take(z, 32, &crc, e) < 0 || take(z, 32, &size, e) < 0)
		return -1;
	z->state = MEMBER;
	return crc != z->crc || size != z->total ? damaged(z, "its checksum does not match", e) : 0;
}

static int
step(struct inflate *z, struct rt_err *e)
{
	size_t from = z->at;
	int rc = 0;

	switch (z->state) {
	case MEMBER:
		return member_start(z, e);
	case BLOCK:
		return block_start(z, e);
	case STORED:
		rc = stored(z, e);
		break;
	case CODES:
		rc = codes(z, e);
		break;
	case TRAILER:
		return trailer(z, e);
	case FINISHED:
		break;
	}
	z->crc = crc32_update(z->crc, z->out + from, z->at - from);
	z->total += (uint32_t)(z->at - from);
	return rc;
}

static ssize_t
inflate_read(struct reader *r, void *p, size_t n, struct rt_err *e)
{
	struct inflate *z = (struct inflate *)r;

	while (z->done == z->at && z->state != FINISHED) {
		if (z->at == OUT_SIZE) { /* all handed out: keep the window only */
			memcpy(z->out, z->out + OUT_SIZE - WINDOW, WINDOW);
			z->base = z->base > OUT_SIZE - WINDOW ? z->base - (OUT_SIZE - WINDOW) : 0;
			z->at = z->done = WINDOW;
		}
		while (z->at < OUT_SIZE && z->state != FINISHED)
			if (step(z, e) < 0)
				return -1;
	}
	n = n < z->at - z->done ? n : z->at - z->done;
	memcpy(p, z->out + z->done, n);
	z->done += n;
	return (ssize_t)n;
}

struct reader *
inflate_open(struct reader *src, const char *what)
{
	struct inflate *z = rt_alloc(sizeof(*z));

	z->reader.read = inflate_read;
	z->src = src;
	z->what = what;
	return &z->reader;
}

void
inflate_close(struct reader *r)
{
	free(r);
}
