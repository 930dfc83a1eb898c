#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci.h"
#include "path.h"
#include "ref.h"
#include "stream.h"
#include "tar_entry.h"

/* ---- blobs ------------------------------------------------------------------------------------- */

struct blob_reader {
	struct reader reader;
	struct fd_reader file;
	const char *data;
	uint64_t left;
};

static ssize_t
memory_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct blob_reader *r = (struct blob_reader *)reader;

	(void)e;
	n = n < r->left ? n : (size_t)r->left;
	memcpy(p, r->data, n);
	r->data += n;
	r->left -= n;
	return (ssize_t)n;
}

static ssize_t
file_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct blob_reader *r = (struct blob_reader *)reader;

	return r->file.reader.read(&r->file.reader, p, n, e);
}

struct reader *
blob_reader_open(const struct blob *b, const char *what)
{
	struct blob_reader *r = rt_alloc(sizeof(*r));

	r->reader.read = b->data != NULL ? memory_read : file_read;
	r->data = b->data;
	r->left = b->size;
	fd_reader_init(&r->file, b->fd, (int64_t)b->off, b->size, what);
	return &r->reader;
}

void
blob_reader_close(struct reader *r)
{
	free(r);
}

void
blob_close(struct blob *b)
{
	rt_close_fd(&b->fd);
}

char *
blob_name(const char *digest)
{
	return rt_printf("blobs/sha256/%s", digest + 7);
}

/* ---- layouts ----------------------------------------------------------------------------------- */

void
layout_close(struct layout *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].link);
		free(l->v[i].data);
	}
	free(l->v);
	free(l->what);
	rt_close_fd(&l->dirfd);
	rt_close_fd(&l->fd);
	*l = (struct layout){ .dirfd = -1, .fd = -1 };
}

static void
add_member(struct layout *l, struct member m)
{
	if ((l->n & (l->n + 1)) == 0)
		l->v = rt_grow(l->v, (2 * l->n + 2) * sizeof(*l->v));
	l->v[l->n++] = m;
}

void
layout_add(struct layout *l, const char *name, char *data, size_t size, const struct member *from)
{
	struct member m = { .name = rt_strdup(name), .data = data, .size = size };

	if (data == NULL) {
		m.off = from->off;
		m.size = from->size;
	}
	add_member(l, m);
}

/* The last member of that name wins, as in tar; links are followed a few times. */
const struct member *
layout_member(const struct layout *l, const char *name)
{
	for (int links = 0; links < 8; links++) {
		const struct member *m = NULL;

		for (size_t i = l->n; i-- > 0 && m == NULL;)
			if (strcmp(l->v[i].name, name) == 0)
				m = &l->v[i];
		if (m == NULL || m->link == NULL)
			return m;
		name = m->link;
	}
	return NULL;
}

int
layout_blob(struct layout *l, const char *name, struct blob *b, struct rt_err *e)
{
	const struct member *m = layout_member(l, name);
	struct stat st;

	*b = (struct blob){ .fd = -1 };
	if (m != NULL && m->data != NULL) {
		b->data = m->data;
		b->size = m->size;
		return 0;
	}
	if (l->dirfd < 0) {
		if (m == NULL)
			return rt_fail_status(e, RT_DIGEST, "%s: %s is missing", l->what, name);
		b->fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 3);
		b->off = m->off;
		b->size = m->size;
		return b->fd < 0 ? rt_fail(e, errno, "%s", l->what) : 0;
	}
	b->fd = path_open(l->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (b->fd < 0 && errno == ENOENT)
		return rt_fail_status(e, RT_DIGEST, "%s: %s is missing", l->what, name);
	if (b->fd < 0 || fstat(b->fd, &st) < 0)
		return rt_fail(e, errno, "%s: open %s", l->what, name);
	if (!S_ISREG(st.st_mode)) {
		blob_close(b);
		return rt_fail_status(e, RT_DIGEST, "%s: %s is not a regular file", l->what, name);
	}
	b->size = (uint64_t)st.st_size;
	return 0;
}

bool
layout_has(struct layout *l, const char *name)
{
	struct stat st;

	return layout_member(l, name) != NULL || (l->dirfd >= 0 && fstatat(l->dirfd, name, &st, 0) == 0);
}

/* A link's target as a clean relative name; `from` is NULL for hard links, which are relative to the archive. */
static char *
link_name(const char *from, const char *target)
{
	const char *slash = from != NULL ? strrchr(from, '/') : NULL;
	cleanup_free char *dir = slash != NULL ? rt_strndup(from, (size_t)(slash - from)) : rt_strdup("");
	cleanup_free char *whole = *target == '/' ? rt_strdup(target) : rt_printf("/%s/%s", dir, target);
	cleanup_free char *clean = path_clean(whole);

	return rt_strdup(clean + 1);
}

/* Where everything is in an archive, without reading the contents. */
static int
index_archive(struct layout *l, uint64_t size, struct rt_err *e)
{
	struct fd_reader r;
	struct tar_in in = { .src = &r.reader, .what = l->what };
	struct tar_entry t;
	int rc;

	fd_reader_init(&r, l->fd, (int64_t)l->start, size - l->start, l->what);
	while ((rc = tar_next(&in, &t, e)) > 0) {
		if (in.entry > 100000) {
			tar_entry_free(&t);
			return rt_fail_status(e, RT_DIGEST, "%s: more than 100000 files in an image archive", l->what);
		}
		if (t.type <= '2' && !t.sparse) {
			struct member m = { .name = link_name(NULL, t.name), .off = l->start + in.off, .size = t.stored };

			if (t.type != '0')
				m.link = link_name(t.type == '2' ? m.name : NULL, t.link);
			add_member(l, m);
		}
		tar_entry_free(&t);
		if (in.left + in.pad > r.left)
			return rt_fail_status(e, RT_DIGEST, "%s: truncated at offset %llu", l->what, (unsigned long long)size);
		r.off += (int64_t)(in.left + in.pad);
		r.left -= in.left + in.pad;
		in.off += in.left + in.pad;
		in.left = in.pad = 0;
	}
	return rc;
}

/* Replaces a compressed archive by its contents in an unnamed file. */
static int
uncompress(struct layout *l, int tmpdir, struct rt_err *e)
{
	cleanup_fd int out = openat(tmpdir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct fd_writer *w = rt_alloc(sizeof(*w));
	struct reader *r = decode_open(l->fd, l->what, e);
	int rc = -1;

	fd_writer_init(w, out, l->what);
	if (out < 0)
		rt_fail(e, errno, "make a temporary file for %s", l->what);
	else if (r != NULL && reader_copy(r, &w->writer, e) == 0)
		rc = fd_writer_flush(w, e);
	decode_close(r);
	free(w);
	if (rc == 0) {
		rt_close_fd(&l->fd);
		l->fd = out;
		out = -1;
	}
	return rc;
}

static int
open_archive(struct layout *l, int tmpdir, struct rt_err *e)
{
	unsigned char block[512] = { 0 };
	struct stat st;

	if (pread(l->fd, block, sizeof(block), (off_t)l->start) < 0)
		return rt_fail(e, errno, "read %s", l->what);
	if (!tar_is_header(block) && l->start > 0)
		return rt_fail_status(e, RT_DIGEST, "%s is damaged: no archive begins at offset %llu", l->what, (unsigned long long)l->start);
	if (!tar_is_header(block) && uncompress(l, tmpdir, e) < 0)
		return -1;
	if (fstat(l->fd, &st) < 0)
		return rt_fail(e, errno, "stat %s", l->what);
	return index_archive(l, (uint64_t)st.st_size, e);
}

static int
open_at(struct layout *l, const char *path, uint64_t start, int tmpdir, struct rt_err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	*l = (struct layout){ .what = rt_strdup(path), .dirfd = -1, .fd = -1, .start = start };
	if (fd < 0 || fstat(fd, &st) < 0) {
		rt_fail(e, errno, "open %s", path);
		rt_close_fd(&fd);
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		l->dirfd = fd;
	} else {
		l->fd = fd;
		if (!S_ISREG(st.st_mode))
			return rt_fail(e, 0, "%s is neither a directory nor a file", path);
		if (open_archive(l, tmpdir, e) < 0)
			return -1;
	}
	if (!layout_has(l, "index.json") && layout_has(l, "manifest.json"))
		return docker_to_oci(l, e);
	if (!layout_has(l, "index.json"))
		return rt_fail_status(e, RT_DIGEST, "%s is not an OCI image layout: it has no index.json", path);
	return 0;
}

int
layout_open(struct layout *l, const char *path, int tmpdir, struct rt_err *e)
{
	return open_at(l, path, 0, tmpdir, e);
}

int
layout_open_at(struct layout *l, const char *path, uint64_t start, struct rt_err *e)
{
	return open_at(l, path, start, -1, e);
}

/* ---- documents --------------------------------------------------------------------------------- */

int
layout_bytes(struct layout *l, const char *name, struct str *text, struct rt_err *e)
{
	struct blob b;
	struct reader *r;
	char block[16384];
	ssize_t n;

	if (layout_blob(l, name, &b, e) < 0)
		return -1;
	if (b.size > JSON_MAX_BYTES) {
		blob_close(&b);
		return rt_fail_status(e, RT_DIGEST, "%s: %s is larger than 16 MiB", l->what, name);
	}
	r = blob_reader_open(&b, l->what);
	while ((n = r->read(r, block, sizeof(block), e)) > 0)
		str_add(text, block, (size_t)n);
	str_add(text, "", 0);
	blob_reader_close(r);
	blob_close(&b);
	return n < 0 ? -1 : 0;
}

struct json *
layout_json(struct layout *l, const char *name, struct rt_err *e)
{
	cleanup_free char *what = rt_printf("%s: %s", l->what, name);
	struct str text = { 0 };
	struct json *j = NULL;

	if (layout_bytes(l, name, &text, e) == 0)
		j = json_parse(text.s, text.len, what, e);
	str_free(&text);
	return j;
}

struct json *
layout_document(struct layout *l, const struct descriptor *d, struct str *keep, struct rt_err *e)
{
	cleanup_free char *name = blob_name(d->digest), *what = rt_printf("%s: %s", l->what, d->digest);
	struct str text = { 0 };
	struct json *j = NULL;
	struct sha256 sum;
	char got[72];

	sha256_init(&sum);
	if (layout_bytes(l, name, &text, e) < 0)
		goto out;
	sha256_update(&sum, text.s, text.len);
	sha256_digest(&sum, got);
	if (text.len != d->size)
		rt_fail_status(e, RT_DIGEST, "%s has %zu bytes, its descriptor says %llu", what, text.len, (unsigned long long)d->size);
	else if (strcmp(got, d->digest) != 0)
		rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s", what, got);
	else
		j = json_parse(text.s, text.len, what, e);
out:
	if (j != NULL && keep != NULL)
		*keep = text;
	else
		str_free(&text);
	return j;
}

int
descriptor_parse(const struct json *j, const char *what, struct descriptor *d, struct rt_err *e)
{
	const struct json *digest = json_need(j, "/digest", JSON_STRING, what, e), *size;
	const char *type = json_string_at(j, "/mediaType");

	*d = (struct descriptor){ 0 };
	if (digest == NULL || (size = json_need(j, "/size", JSON_INT, what, e)) == NULL)
		return -1;
	if (!digest_valid(digest->s))
		return rt_fail_status(e, RT_DIGEST, "%s: %s is not a sha256 digest", what, digest->s);
	if (size->i < 0)
		return rt_fail_status(e, RT_DIGEST, "%s: the size of %s is negative", what, digest->s);
	memcpy(d->digest, digest->s, sizeof(d->digest));
	d->size = (uint64_t)size->i;
	d->type = rt_strdup(type != NULL ? type : "");
	return 0;
}

void
descriptor_free(struct descriptor *d)
{
	free(d->type);
	*d = (struct descriptor){ 0 };
}

struct json *
descriptor_json(const char *type, const char *digest, uint64_t size)
{
	struct json *j = json_new(JSON_OBJECT);

	json_set_string(j, "mediaType", type);
	json_set_string(j, "digest", digest);
	json_set(j, "size", json_new_int((int64_t)size));
	return j;
}
