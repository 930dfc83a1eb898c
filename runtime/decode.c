#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inflate.h"
#include "stream.h"

/* Gives out again what was looked at first. */
struct peeked {
	struct reader reader;
	struct reader *src;
	size_t at, n;
	unsigned char buf[6];
};

struct decode {
	struct reader reader;
	struct fd_reader file;
	struct peeked peeked;
	struct reader *inner;  /* what we hand out from */
	struct reader *inflate, *through;
};

static ssize_t
peeked_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct peeked *k = (struct peeked *)reader;

	if (k->at == k->n)
		return k->src->read(k->src, p, n, e);
	n = n < k->n - k->at ? n : k->n - k->at;
	memcpy(p, k->buf + k->at, n);
	k->at += n;
	return (ssize_t)n;
}

static ssize_t
decode_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct decode *d = (struct decode *)reader;

	return d->inner->read(d->inner, p, n, e);
}

static const struct { unsigned char magic[6]; size_t n; const char *argv[6]; } formats[] = {
	{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, { "zstd", "-d", "-q", "-c", "--memory=128MB", NULL } },
	{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, { "xz", "-d", "-q", "-c", "--memlimit=256MiB", NULL } },
	{ { 'B', 'Z', 'h' }, 3, { "bzip2", "-d", "-q", "-c", NULL } },
};

static int
choose(struct decode *d, const char *what, struct rt_err *e)
{
	struct peeked *k = &d->peeked;
	ssize_t got;

	while (k->n < sizeof(k->buf)) {
		got = k->src->read(k->src, k->buf + k->n, sizeof(k->buf) - k->n, e);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		k->n += (size_t)got;
	}
	d->inner = &k->reader;
	if (k->n >= 2 && k->buf[0] == 0x1f && k->buf[1] == 0x8b)
		d->inner = d->inflate = inflate_open(&k->reader, what);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (k->n < formats[i].n || memcmp(k->buf, formats[i].magic, formats[i].n) != 0)
			continue;
		d->inner = d->through = through_open(formats[i].argv, &k->reader, e);
		if (d->through == NULL)
			return rt_prefix(e, "%s", what);
	}
	return 0;
}

struct reader *
decode_reader(struct reader *src, const char *what, struct rt_err *e)
{
	struct decode *d = rt_alloc(sizeof(*d));

	d->reader.read = decode_read;
	d->peeked.reader.read = peeked_read;
	d->peeked.src = src;
	if (choose(d, what, e) < 0) {
		decode_close(&d->reader);
		return NULL;
	}
	return &d->reader;
}

struct reader *
decode_open(int fd, const char *what, struct rt_err *e)
{
	struct decode *d = rt_alloc(sizeof(*d));

	fd_reader_init(&d->file, fd, -1, 0, what);
	d->reader.read = decode_read;
	d->peeked.reader.read = peeked_read;
	d->peeked.src = &d->file.reader;
	if (choose(d, what, e) < 0) {
		decode_close(&d->reader);
		return NULL;
	}
	return &d->reader;
}

void
decode_close(struct reader *r)
{
	struct decode *d = (struct decode *)r;

	if (d == NULL)
		return;
	if (d->inflate != NULL)
		inflate_close(d->inflate);
	if (d->through != NULL)
		through_close(d->through);
	free(d);
}
