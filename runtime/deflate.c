#include <stdlib.h>
#include <string.h>

#include "deflate.h"
#include "inflate.h"
#include "port.h"

enum {
	WINDOW = 32768,
	BUFFER = 2 * WINDOW,
	MIN_MATCH = 3,
	MAX_MATCH = 258,
	LOOKAHEAD = MAX_MATCH + MIN_MATCH + 1, /* a decision never depends on bytes beyond this */
	HASH_BITS = 15,
	SYMBOLS = 16384, /* in a block */
	FAR = 4096,      /* a match of three further away costs more than its bytes */
	OUT_SIZE = 16384,
};

/* How hard to look: stop at a match of `nice`, try the next byte as well while the match is shorter than `lazy`,
   follow at most `chain` candidates. */
static const struct { uint16_t nice, lazy, chain; } levels[10] = {
	{ 128, 16, 128 }, { 8, 4, 4 }, { 16, 5, 8 }, { 32, 6, 32 }, { 16, 4, 16 },
	{ 32, 16, 32 }, { 128, 16, 128 }, { 128, 32, 256 }, { 258, 128, 1024 }, { 258, 258, 4096 },
};

struct huffman {
	uint8_t len[288];
	uint16_t code[288]; /* bits in the order they are sent */
};

struct deflate {
	struct writer writer;
	struct writer *out;
	int nice, lazy, chain;
	uint32_t crc, total;
	bool started;
	/* window: [0, end) is filled, [0, at) has been looked at, the block began at `block` (may be negative after a slide) */
	size_t end, at;
	long block;
	bool have_prev; /* the byte before `at` waits for a verdict, with the match found there */
	unsigned prev_len, prev_dist;
	uint16_t head[1 << HASH_BITS], chain_of[WINDOW]; /* positions + 1, 0 none */
	unsigned char window[BUFFER];
	/* block */
	size_t n;
	uint16_t sym_dist[SYMBOLS]; /* 0: literal */
	uint8_t sym_len[SYMBOLS];   /* literal, or length - 3 */
	uint32_t len_freq[288], dist_freq[32];
	/* output */
	uint64_t bits;
	unsigned nbits;
	size_t nout;
	unsigned char obuf[OUT_SIZE];
};

/* ---- bits -------------------------------------------------------------------------------------- */

static int
flush_out(struct deflate *d, struct rt_err *e)
{
	size_t n = d->nout;

	d->nout = 0;
	return n > 0 ? d->out->write(d->out, d->obuf, n, e) : 0;
}

static int
put(struct deflate *d, uint32_t value, unsigned n, struct rt_err *e)
{
	d->bits |= (uint64_t)value << d->nbits;
	d->nbits += n;
	while (d->nbits >= 8) {
		if (d->nout == OUT_SIZE && flush_out(d, e) < 0)
			return -1;
		d->obuf[d->nout++] = (unsigned char)d->bits;
		d->bits >>= 8;
		d->nbits -= 8;
	}
	return 0;
}

/* ---- Huffman codes ----------------------------------------------------------------------------- */

struct leaf {
	uint32_t freq;
	uint16_t symbol;
};

static int
by_freq(const void *a, const void *b)
{
	const struct leaf *x = a, *y = b;

	return x->freq != y->freq ? (x->freq < y->freq ? -1 : 1) : (int)x->symbol - (int)y->symbol;
}

/* Depths of an optimal tree over n >= 2 sorted leaves, by the two-queue method; count[] by depth. */
static void
tree_depths(const struct leaf *leaves, unsigned n, unsigned count[64])
{
	uint32_t weight[288];
	uint16_t left[288], right[288];
	uint8_t depth[288];
	unsigned next_leaf = 0, next_node = 0;

	for (unsigned node = 0; node < n - 1; node++) {
		uint32_t sum = 0;

		for (int side = 0; side < 2; side++) {
			bool leaf = next_leaf < n && (next_node >= node || leaves[next_leaf].freq <= weight[next_node]);
			uint16_t child = leaf ? 0xffff : (uint16_t)next_node;

			sum += leaf ? leaves[next_leaf].freq : weight[next_node];
			next_leaf += leaf;
			next_node += !leaf;
			if (side == 0)
				left[node] = child;
			else
				right[node] = child;
		}
		weight[node] = sum;
	}
	depth[n - 2] = 0;
	for (unsigned node = n - 1; node-- > 0;) {
		const uint16_t sides[2] = { left[node], right[node] };

		for (int side = 0; side < 2; side++) {
			if (sides[side] == 0xffff)
				count[depth[node] + 1]++;
			else
				depth[sides[side]] = (uint8_t)(depth[node] + 1);
		}
	}
}

/* Moves leaves up until none is deeper than `limit`: a pair of the deepest becomes one, its other half a sibling of a
   leaf higher up (ITU T.81 K.3). */
static void
limit_depths(unsigned count[64], unsigned limit)
{
	for (unsigned i = 63; i > limit; i--) {
		while (count[i] > 0) {
			unsigned j = i - 2;

			while (count[j] == 0)
				j--;
			count[i] -= 2;
			count[i - 1]++;
			count[j + 1] += 2;
			count[j]--;
		}
	}
}

static void
assign_codes(struct huffman *h, unsigned n)
{
	unsigned count[16] = { 0 }, next[16] = { 0 };

	for (unsigned i = 0; i < n; i++)
		count[h->len[i]]++;
	count[0] = 0;
	for (unsigned len = 1; len < 16; len++)
		next[len] = (next[len - 1] + count[len - 1]) << 1;
	for (unsigned i = 0; i < n; i++) {
		unsigned len = h->len[i], code = len > 0 ? next[len]++ : 0, r = 0;

		for (unsigned k = 0; k < len; k++)
			r |= (code >> k & 1) << (len - 1 - k);
		h->code[i] = (uint16_t)r;
	}
}

/* A code for n symbols, none longer than `limit` bits. At least two symbols get a code: old decoders want that. */
static void
make_code(struct huffman *h, const uint32_t *freq, unsigned n, unsigned limit)
{
	struct leaf leaves[288];
	unsigned used = 0, count[64] = { 0 }, at = 0;

	memset(h, 0, sizeof(*h));
	for (unsigned i = 0; i < n; i++)
		if (freq[i] != 0)
			leaves[used++] = (struct leaf){ .freq = freq[i], .symbol = (uint16_t)i };
	for (unsigned i = 0; used < 2; i++)
		if (freq[i] == 0)
			leaves[used++] = (struct leaf){ .freq = 1, .symbol = (uint16_t)i };
	qsort(leaves, used, sizeof(*leaves), by_freq);
	tree_depths(leaves, used, count);
	limit_depths(count, limit);
	for (unsigned len = limit; len > 0; len--)
		for (unsigned k = 0; k < count[len]; k++)
			h->len[leaves[at++].symbol] = (uint8_t)len;
	assign_codes(h, n);
}

/* ---- blocks ------------------------------------------------------------------------------------ */

/* Length code and its extra bits (RFC 1951 3.2.5) of len - 3. */
static unsigned
length_code(unsigned l, unsigned *extra, unsigned *value)
{
	unsigned top;

	*extra = *value = 0;
	if (l == 255)
		return 285;
	if (l < 8)
		return 257 + l;
	top = 31u - (unsigned)__builtin_clz(l);
	*extra = top - 2;
	*value = l & ((1u << *extra) - 1);
	return 257 + (*extra << 2) + (l >> *extra);
}

static unsigned
distance_code(unsigned dist, unsigned *extra, unsigned *value)
{
	unsigned d = dist - 1, top;

	*extra = *value = 0;
	if (d < 4)
		return d;
	top = 31u - (unsigned)__builtin_clz(d);
	*extra = top - 1;
	*value = d & ((1u << *extra) - 1);
	return (*extra << 1) + (d >> *extra);
}

/* Bits that the block's symbols take. */
static uint64_t
symbols_size(const struct deflate *d, const struct huffman *lens, const struct huffman *dists)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 286; i++)
		n += (uint64_t)d->len_freq[i] * (lens->len[i] + (i < 265 || i == 285 ? 0 : (i - 261) / 4));
	for (unsigned i = 0; i < 30; i++)
		n += (uint64_t)d->dist_freq[i] * (dists->len[i] + (i < 4 ? 0 : i / 2 - 1));
	return n;
}

static int
put_symbols(struct deflate *d, const struct huffman *lens, const struct huffman *dists, struct rt_err *e)
{
	unsigned extra, value, code;

	for (size_t i = 0; i < d->n; i++) {
		if (d->sym_dist[i] == 0) {
			if (put(d, lens->code[d->sym_len[i]], lens->len[d->sym_len[i]], e) < 0)
				return -1;
			continue;
		}
		code = length_code(d->sym_len[i], &extra, &value);
		if (put(d, lens->code[code] | value << lens->len[code], lens->len[code] + extra, e) < 0)
			return -1;
		code = distance_code(d->sym_dist[i], &extra, &value);
		if (put(d, dists->code[code] | value << dists->len[code], dists->len[code] + extra, e) < 0)
			return -1;
	}
	return put(d, lens->code[256], lens->len[256], e);
}

/* The code lengths of both codes as run-length symbols: low 5 bits the symbol, the rest its extra bits. */
static unsigned
run_lengths(const uint8_t *lens, unsigned n, uint16_t *out, uint32_t freq[19])
{
	unsigned count = 0;

	for (unsigned i = 0, run; i < n; i += run) {
		unsigned symbol = lens[i], value = 0;

		for (run = 1; i + run < n && lens[i + run] == lens[i] && run < 138;)
			run++;
		if (lens[i] == 0 && run >= 3) {
			symbol = run < 11 ? 17 : 18;
			value = run - (run < 11 ? 3 : 11);
		} else if (i > 0 && lens[i] == lens[i - 1] && run >= 3) {
			run = run > 6 ? 6 : run;
			symbol = 16;
			value = run - 3;
		} else {
			run = 1;
		}
		out[count++] = (uint16_t)(symbol | value << 5);
		freq[symbol]++;
	}
	return count;
}

static const uint8_t length_order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };

struct dynamic_header {
	unsigned nlen, ndist, nclen, nruns;
	uint16_t runs[288 + 32];
	struct huffman code;
	uint64_t size;
};

static void
plan_header(struct dynamic_header *h, const struct huffman *lens, const struct huffman *dists)
{
	static const uint8_t extra[19] = { [16] = 2, [17] = 3, [18] = 7 };
	uint8_t both[288 + 32];
	uint32_t freq[19] = { 0 };

	for (h->nlen = 286; h->nlen > 257 && lens->len[h->nlen - 1] == 0;)
		h->nlen--;
	for (h->ndist = 30; h->ndist > 1 && dists->len[h->ndist - 1] == 0;)
		h->ndist--;
	memcpy(both, lens->len, h->nlen);
	memcpy(both + h->nlen, dists->len, h->ndist);
	h->nruns = run_lengths(both, h->nlen + h->ndist, h->runs, freq);
	make_code(&h->code, freq, 19, 7);
	for (h->nclen = 19; h->nclen > 4 && h->code.len[length_order[h->nclen - 1]] == 0;)
		h->nclen--;
	h->size = 14 + 3 * h->nclen;
	for (unsigned i = 0; i < 19; i++)
		h->size += (uint64_t)freq[i] * (h->code.len[i] + extra[i]);
}

static int
put_header(struct deflate *d, const struct dynamic_header *h, struct rt_err *e)
{
	if (put(d, (h->nlen - 257) | (h->ndist - 1) << 5 | (h->nclen - 4) << 10, 14, e) < 0)
		return -1;
	for (unsigned i = 0; i < h->nclen; i++)
		if (put(d, h->code.len[length_order[i]], 3, e) < 0)
			return -1;
	for (unsigned i = 0; i < h->nruns; i++) {
		unsigned symbol = h->runs[i] & 31, len = h->code.len[symbol];

		if (put(d, h->code.code[symbol] | (uint32_t)(h->runs[i] >> 5) << len,
		        len + (symbol == 16 ? 2 : symbol == 17 ? 3 : symbol == 18 ? 7 : 0), e) < 0)
			return -1;
	}
	return 0;
}

/* Stored blocks hold at most 65535 bytes, one block's input is at most the window. */
static int
put_stored(struct deflate *d, const unsigned char *p, size_t n, bool last, struct rt_err *e)
{
	if (put(d, last ? 1 : 0, 3, e) < 0 || put(d, 0, (8 - d->nbits % 8) % 8, e) < 0 ||
	    put(d, (uint32_t)n, 16, e) < 0 || put(d, (uint32_t)n ^ 0xffff, 16, e) < 0 || flush_out(d, e) < 0)
		return -1;
	return d->out->write(d->out, p, n, e);
}

static void
fixed_codes(struct huffman *lens, struct huffman *dists)
{
	memset(lens->len, 8, 144);
	memset(lens->len + 144, 9, 112);
	memset(lens->len + 256, 7, 24);
	memset(lens->len + 280, 8, 8);
	memset(dists->len, 5, 32);
	assign_codes(lens, 288);
	assign_codes(dists, 32);
}

/* Ends the block in front of window[upto], in the smallest of the three forms. */
static int
end_block(struct deflate *d, size_t upto, bool last, struct rt_err *e)
{
	struct huffman lens, dists, flens, fdists;
	struct dynamic_header header;
	uint64_t dynamic, fixed;
	size_t bytes = (size_t)((long)upto - d->block);
	int rc;

	d->len_freq[256] = 1;
	make_code(&lens, d->len_freq, 286, 15);
	make_code(&dists, d->dist_freq, 30, 15);
	plan_header(&header, &lens, &dists);
	fixed_codes(&flens, &fdists);
	dynamic = header.size + symbols_size(d, &lens, &dists);
	fixed = symbols_size(d, &flens, &fdists);
	if (d->block >= 0 && bytes <= 65535 && bytes * 8 + 40 < (dynamic < fixed ? dynamic : fixed))
		rc = put_stored(d, d->window + d->block, bytes, last, e);
	else if (fixed <= dynamic)
		rc = put(d, (last ? 1 : 0) | 1 << 1, 3, e) < 0 ? -1 : put_symbols(d, &flens, &fdists, e);
	else
		rc = put(d, (last ? 1 : 0) | 2 << 1, 3, e) < 0 || put_header(d, &header, e) < 0
		         ? -1 : put_symbols(d, &lens, &dists, e);
	memset(d->len_freq, 0, sizeof(d->len_freq));
	memset(d->dist_freq, 0, sizeof(d->dist_freq));
	d->n = 0;
	d->block = (long)upto;
	return rc;
}

/* ---- matches ----------------------------------------------------------------------------------- */

/* Enters the string at `at` and returns the newest earlier position with the same hash, plus 1. */
static unsigned
enter(struct deflate *d, size_t at)
{
	const unsigned char *p = d->window + at;
	uint32_t h = ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16) * 0x9e3779b1u >> (32 - HASH_BITS);
	unsigned old = d->head[h];

	d->chain_of[at % WINDOW] = (uint16_t)old;
	d->head[h] = (uint16_t)(at + 1);
	return old;
}

static unsigned
common(const unsigned char *a, const unsigned char *b, unsigned max)
{
	unsigned n = 0;

	while (n + 8 <= max) {
		uint64_t x, y;

		memcpy(&x, a + n, 8);
		memcpy(&y, b + n, 8);
		if (x != y) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			return n + (unsigned)__builtin_clzll(x ^ y) / 8;
#else
			return n + (unsigned)__builtin_ctzll(x ^ y) / 8;
#endif
		}
		n += 8;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* The longest match at `at` that is longer than `best`, following the chain from `from`. */
static unsigned
longest(const struct deflate *d, unsigned from, unsigned best, unsigned *dist)
{
	const unsigned char *here = d->window + d->at;
	unsigned max = d->end - d->at < MAX_MATCH ? (unsigned)(d->end - d->at) : MAX_MATCH;
	unsigned chain = (unsigned)d->chain, found = 0;
	size_t least = d->at > WINDOW ? d->at - WINDOW : 0;

	if (d->prev_len * 2 >= (unsigned)d->lazy)
		chain = chain / 4 + 1;
	while (from != 0 && from - 1 >= least && from - 1 < d->at && chain-- > 0 && best < max) {
		const unsigned char *there = d->window + from - 1;
		unsigned next = d->chain_of[(from - 1) % WINDOW];

		if (there[best] == here[best] && there[0] == here[0]) {
			unsigned n = common(there, here, max);

			if (n > best) {
				best = found = n;
				*dist = (unsigned)(here - there);
				if (n >= (unsigned)d->nice)
					break;
			}
		}
		if (next >= from) /* overwritten by a newer position */
			break;
		from = next;
	}
	return found;
}

static int
symbol(struct deflate *d, unsigned len, unsigned dist, unsigned literal, size_t upto, struct rt_err *e)
{
	unsigned extra, value;

	d->sym_dist[d->n] = (uint16_t)dist;
	d->sym_len[d->n++] = (uint8_t)(dist != 0 ? len - MIN_MATCH : literal);
	if (dist != 0) {
		d->len_freq[length_code(len - MIN_MATCH, &extra, &value)]++;
		d->dist_freq[distance_code(dist, &extra, &value)]++;
	} else {
		d->len_freq[literal]++;
	}
	return d->n == SYMBOLS ? end_block(d, upto, false, e) : 0;
}

/* Makes room: the upper half becomes the lower. */
static void
slide(struct deflate *d)
{
	memcpy(d->window, d->window + WINDOW, WINDOW);
	d->at -= WINDOW;
	d->end -= WINDOW;
	d->block -= WINDOW;
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		d->head[i] = d->head[i] > WINDOW ? (uint16_t)(d->head[i] - WINDOW) : 0;
	for (size_t i = 0; i < WINDOW; i++)
		d->chain_of[i] = d->chain_of[i] > WINDOW ? (uint16_t)(d->chain_of[i] - WINDOW) : 0;
}

/* Decides on one byte of the window. */
static int
advance(struct deflate *d, struct rt_err *e)
{
	unsigned len = 0, dist = 0, from = 0;

	if (d->end - d->at >= MIN_MATCH)
		from = enter(d, d->at);
	if (from != 0 && d->prev_len < (unsigned)d->lazy)
		len = longest(d, from, d->prev_len > MIN_MATCH - 1 ? d->prev_len : MIN_MATCH - 1, &dist);
	if (len == MIN_MATCH && dist > FAR)
		len = 0;
	if (d->have_prev && d->prev_len >= MIN_MATCH && len == 0) { /* the one before was better */
		size_t upto = d->at - 1 + d->prev_len;
		unsigned plen = d->prev_len, pdist = d->prev_dist;

		for (d->at++; d->at < upto; d->at++)
			if (d->end - d->at >= MIN_MATCH)
				enter(d, d->at);
		d->have_prev = false;
		d->prev_len = 0;
		return symbol(d, plen, pdist, 0, d->at, e);
	}
	if (d->have_prev && symbol(d, 0, 0, d->window[d->at - 1], d->at, e) < 0)
		return -1;
	d->have_prev = true;
	d->prev_len = len;
	d->prev_dist = dist;
	d->at++;
	return 0;
}

static int
run(struct deflate *d, size_t keep, struct rt_err *e)
{
	while (d->end - d->at > keep)
		if (advance(d, e) < 0)
			return -1;
	return 0;
}

static int
deflate_write(struct writer *w, const void *p, size_t n, struct rt_err *e)
{
	static const unsigned char header[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };
	struct deflate *d = (struct deflate *)w;
	const unsigned char *s = p;

	if (!d->started && d->out->write(d->out, header, sizeof(header), e) < 0)
		return -1;
	d->started = true;
	d->crc = crc32_update(d->crc, p, n);
	d->total += (uint32_t)n;
	while (n > 0) {
		size_t k;

		if (d->end == BUFFER)
			slide(d);
		k = n < BUFFER - d->end ? n : BUFFER - d->end;
		memcpy(d->window + d->end, s, k);
		d->end += k;
		s += k;
		n -= k;
		if (run(d, LOOKAHEAD, e) < 0)
			return -1;
	}
	return 0;
}

struct writer *
deflate_open(struct writer *out, int level)
{
	struct deflate *d = rt_alloc(sizeof(*d));

	level = level < 0 ? 0 : level > 9 ? 9 : level;
	d->writer.write = deflate_write;
	d->out = out;
	d->nice = levels[level].nice;
	d->lazy = levels[level].lazy;
	d->chain = levels[level].chain;
	return &d->writer;
}

int
deflate_finish(struct writer *w, struct rt_err *e)
{
	struct deflate *d = (struct deflate *)w;

	if (deflate_write(w, "", 0, e) < 0 || run(d, 0, e) < 0)
		return -1;
	if (d->have_prev && symbol(d, 0, 0, d->window[d->at - 1], d->at, e) < 0)
		return -1;
	if (end_block(d, d->at, true, e) < 0 || put(d, 0, (8 - d->nbits % 8) % 8, e) < 0 ||
	    put(d, d->crc, 32, e) < 0 || put(d, d->total, 32, e) < 0)
		return -1;
	return flush_out(d, e);
}

void
deflate_close(struct writer *w)
{
	free(w);
}
