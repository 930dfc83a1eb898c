/* Our gzip against the host's, both ways, and against damage. */
#include <stddef.h>

#include "../../runtime/deflate.h"
#include "../../runtime/inflate.h"
#include "../../runtime/stream.h"
#include "tap.h"

struct memory {
	struct reader reader;
	struct writer writer;
	const char *in;
	size_t left, step;
	struct str out;
};

static ssize_t
memory_read(struct reader *r, void *p, size_t n, struct rt_err *e)
{
	struct memory *m = (struct memory *)r;

	(void)e;
	n = n < m->step ? n : m->step;
	n = n < m->left ? n : m->left;
	memcpy(p, m->in, n);
	m->in += n;
	m->left -= n;
	return (ssize_t)n;
}

static int
memory_write(struct writer *w, const void *p, size_t n, struct rt_err *e)
{
	struct memory *m = (struct memory *)((char *)w - offsetof(struct memory, writer));

	(void)e;
	str_add(&m->out, p, n);
	return 0;
}

static struct memory
memory(const char *in, size_t n, size_t step)
{
	return (struct memory){ .reader.read = memory_read, .writer.write = memory_write, .in = in, .left = n, .step = step };
}

static struct str
pack(const char *data, size_t n, int level, size_t step)
{
	struct memory m = memory(NULL, 0, 0);
	struct writer *w = deflate_open(&m.writer, level);
	struct rt_err e = { 0 };

	for (size_t at = 0; at < n; at += step)
		w->write(w, data + at, n - at < step ? n - at : step, &e);
	deflate_finish(w, &e);
	deflate_close(w);
	return m.out;
}

static int
unpack(const char *data, size_t n, size_t step, struct str *out, struct rt_err *e)
{
	struct memory m = memory(data, n, step);
	struct reader *r = decode_reader(&m.reader, "test", e);
	char block[777];
	ssize_t k = -1;

	while (r != NULL && (k = r->read(r, block, sizeof(block), e)) > 0)
		str_add(out, block, (size_t)k);
	decode_close(r);
	return k < 0 ? -1 : 0;
}

/* Through a host program. */
static struct str
through(const char *const argv[], const char *data, size_t n)
{
	struct memory m = memory(data, n, 65536);
	struct rt_err e = { 0 };
	struct reader *r = through_open(argv, &m.reader, &e);

	if (r != NULL) {
		reader_copy(r, &m.writer, &e);
		through_close(r);
	}
	return m.out;
}

static bool
same(const struct str *a, const char *data, size_t n)
{
	return a->len == n && (n == 0 || memcmp(a->s, data, n) == 0);
}

static void
both_ways(const char *name, const char *data, size_t n)
{
	static const char *const gunzip[] = { "gzip", "-dc", NULL }, *const gzip[] = { "gzip", "-6c", NULL };

	for (int level = 1; level <= 9; level += 1) {
		struct str z = pack(data, n, level, 1 << 20), odd = pack(data, n, level, 1031), back = { 0 }, theirs;
		struct rt_err e = { 0 };

		ok(same(&odd, z.s, z.len), "%s, level %d: feeding does not matter", name, level);
		ok(unpack(z.s, z.len, 65536, &back, &e) == 0 && same(&back, data, n), "%s, level %d: own round trip", name, level);
		theirs = through(gunzip, z.s, z.len);
		ok(same(&theirs, data, n), "%s, level %d: gzip reads it", name, level);
		str_free(&z);
		str_free(&odd);
		str_free(&back);
		str_free(&theirs);
	}
	for (size_t step = 1; step < 100000; step = step * 7 + 2) {
		struct str z = through(gzip, data, n), back = { 0 };
		struct rt_err e = { 0 };

		ok(unpack(z.s, z.len, step, &back, &e) == 0 && same(&back, data, n), "%s: reading gzip's in steps of %zu", name, step);
		str_free(&z);
		str_free(&back);
	}
}

static void
damage(const char *data, size_t n)
{
	struct str z = pack(data, n, 6, n), back = { 0 };
	size_t caught = 0, tried = 0, cut = 0, cuts = 0;
	struct rt_err e = { 0 };
	char *copy;

	for (size_t at = 10; at < z.len; at += z.len / 300 + 1, tried++) {
		z.s[at] ^= 0x10;
		back.len = 0;
		caught += unpack(z.s, z.len, 4096, &back, &e) < 0;
		z.s[at] ^= 0x10;
	}
	ok(caught == tried, "%zu of %zu flipped bits found", caught, tried);
	for (size_t at = 2; at < z.len; at += z.len / 300 + 1, cuts++) {
		back.len = 0;
		cut += unpack(z.s, at, 4096, &back, &e) < 0 && e.status == RT_DIGEST;
	}
	ok(cut == cuts, "%zu of %zu truncations found", cut, cuts);
	back.len = 0;
	copy = rt_alloc(z.len);
	memcpy(copy, z.s, z.len);
	str_add(&z, copy, z.len);
	free(copy);
	ok(unpack(z.s, z.len, 4096, &back, &e) == 0 && back.len == 2 * n, "two members");
	str_add(&z, "\0\0\0\0", 4);
	back.len = 0;
	ok(unpack(z.s, z.len, 4096, &back, &e) == 0 && back.len == 2 * n, "padding");
	str_free(&z);
	str_free(&back);
}

static void
programs(const char *data, size_t n)
{
	static const char *const list[][4] = { { "zstd", "-qc", NULL }, { "xz", "-qc", NULL }, { "bzip2", "-qc", NULL } };

	for (size_t i = 0; i < 3; i++) {
		struct str z = through(list[i], data, n), back = { 0 };
		struct rt_err e = { 0 };

		if (z.len == 0)
			ok(true, "%s # SKIP not installed", list[i][0]);
		else
			ok(unpack(z.s, z.len, 5000, &back, &e) == 0 && same(&back, data, n), "%s", list[i][0]);
		if (z.len > 1000) {
			back.len = 0;
			ok(unpack(z.s, z.len / 2, 5000, &back, &e) < 0, "%s, truncated", list[i][0]);
		}
		str_free(&z);
		str_free(&back);
	}
}

int
main(void)
{
	enum { N = 700000 };
	char *data = malloc(N);
	uint32_t x = 1;

	for (size_t i = 0; i < N; i++) { /* words of a small vocabulary, with runs and noise */
		x = x * 1103515245 + 12345;
		data[i] = i % 5000 < 300 ? 'r' : i % 70000 < 9000 ? (char)(x >> 16) : "the quick brown fox "[(i * (x >> 30)) % 20];
	}
	both_ways("text", data, N);
	for (size_t i = 0; i < 200000; i++) {
		x = x * 1103515245 + 12345;
		data[i] = (char)(x >> 23);
	}
	both_ways("noise", data, 200000);
	memset(data, 0, 400000);
	both_ways("zeros", data, 400000);
	both_ways("one byte", "x", 1);
	both_ways("nothing", "", 0);
	for (size_t i = 0; i < 60000; i++)
		data[i] = "abcdefgh\n"[(i * i / 7 + i / 300) % 9];
	damage(data, 60000);
	programs(data, 60000);
	free(data);
	return tap_done();
}
