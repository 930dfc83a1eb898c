#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "ref.h"
#include "stream.h"
#include "tar_entry.h"

static const char layout_version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
enum { MAX_INDEX_DEPTH = 4 };

void
parts_add(struct parts *p, const struct part *part)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].digest, part->digest) == 0) {
			free(part->data);
			return;
		}
	if (p->n == p->cap)
		p->v = rt_grow(p->v, (p->cap = p->cap * 2 + 16) * sizeof(*p->v));
	p->v[p->n++] = *part;
}

void
parts_free(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].data);
	free(p->v);
	*p = (struct parts){ 0 };
}

/* ---- what an image is made of ------------------------------------------------------------------- */

static void
add_blob(struct parts *p, struct layout *l, const struct descriptor *d)
{
	struct part part = { .size = d->size, .from = l };

	memcpy(part.digest, d->digest, sizeof(part.digest));
	parts_add(p, &part);
}

static int
add_named(struct parts *p, struct layout *l, const struct json *j, struct rt_err *e)
{
	struct descriptor d;

	if (descriptor_parse(j, l->what, &d, e) < 0)
		return -1;
	add_blob(p, l, &d);
	descriptor_free(&d);
	return 0;
}

static int
add_manifest(struct parts *p, struct layout *l, const struct json *manifest, struct rt_err *e)
{
	const struct json *config = json_need(manifest, "/config", JSON_OBJECT, l->what, e);
	const struct json *layers = config != NULL ? json_need(manifest, "/layers", JSON_ARRAY, l->what, e) : NULL;

	if (layers == NULL || add_named(p, l, config, e) < 0)
		return -1;
	for (size_t i = 0; i < layers->n; i++)
		if (add_named(p, l, layers->v[i], e) < 0)
			return -1;
	return 0;
}

static int add_document(struct parts *p, struct layout *l, const struct descriptor *d, const char *only, int depth, struct rt_err *e);

/* Of an index the manifests that are there, or the one that is asked for. */
static int
add_index(struct parts *p, struct layout *l, const struct json *index, const char *only, int depth, struct rt_err *e)
{
	const struct json *list = json_need(index, "/manifests", JSON_ARRAY, l->what, e);

	if (list == NULL)
		return -1;
	for (size_t i = 0; i < list->n; i++) {
		cleanup_free char *name = NULL;
		struct descriptor d;
		int rc = 0;

		if (descriptor_parse(list->v[i], l->what, &d, e) < 0)
			return -1;
		name = blob_name(d.digest);
		if ((only == NULL || strcmp(only, d.digest) == 0) && layout_has(l, name))
			rc = add_document(p, l, &d, NULL, depth + 1, e);
		descriptor_free(&d);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
add_document(struct parts *p, struct layout *l, const struct descriptor *d, const char *only, int depth, struct rt_err *e)
{
	struct json *document;
	int rc;

	if (depth > MAX_INDEX_DEPTH)
		return rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", l->what, MAX_INDEX_DEPTH);
	if ((document = layout_document(l, d, NULL, e)) == NULL)
		return -1;
	add_blob(p, l, d);
	rc = oci_is_index(d, document) ? add_index(p, l, document, only, depth, e) : add_manifest(p, l, document, e);
	json_free(document);
	return rc;
}

int
parts_image(struct parts *p, struct layout *l, const struct descriptor *d, const struct platform *platform, struct rt_err *e)
{
	struct descriptor manifest = { 0 };
	int rc;

	if (platform == NULL)
		return add_document(p, l, d, NULL, 0, e);
	if (oci_find(l, NULL, d->digest, platform, &manifest, e) < 0)
		return -1;
	/* an index within an index is taken whole */
	rc = add_document(p, l, d, manifest.digest, 0, e);
	if (rc == 0)
		rc = add_document(p, l, &manifest, NULL, 0, e);
	descriptor_free(&manifest);
	return rc;
}

/* ---- reading and writing -------------------------------------------------------------------------- */

static int
part_bytes(const struct part *part, struct writer *w, struct rt_err *e)
{
	cleanup_free char *name = blob_name(part->digest);
	struct reader *r;
	struct blob b;
	int rc;

	if (part->make != NULL)
		return part->make(part->arg, w, e);
	if (part->data != NULL)
		return w->write(w, part->data, part->size, e);
	if (layout_blob(part->from, name, &b, e) < 0)
		return -1;
	r = blob_reader_open(&b, part->from->what);
	rc = b.size != part->size ? rt_fail_status(e, RT_DIGEST, "%s: %s has %llu bytes, not %llu", part->from->what, part->digest,
	                                           (unsigned long long)b.size, (unsigned long long)part->size)
	                          : reader_copy(r, w, e);
	blob_reader_close(r);
	blob_close(&b);
	return rc;
}

/* Writes a part (w NULL: nowhere) and compares what it was with its digest. */
static int
put_part(const struct part *part, struct writer *w, struct rt_err *e)
{
	struct sum_writer sum;
	char got[72];

	sum_writer_init(&sum, w);
	if (part_bytes(part, &sum.writer, e) < 0)
		return -1;
	sha256_digest(&sum.sum, got);
	if (sum.size == part->size && strcmp(got, part->digest) == 0)
		return 0;
	if (part->make != NULL)
		return rt_fail(e, 0, "the build context changed while it was read");
	return rt_fail_status(e, RT_DIGEST, "%s is damaged: the digest of %s is %s", part->from != NULL ? part->from->what : "a blob",
	                      part->digest, got);
}

int
parts_verify(const struct parts *p, const char *what, struct rt_err *e)
{
	for (size_t i = 0; i < p->n; i++)
		if (put_part(&p->v[i], NULL, e) < 0)
			return p->v[i].from != NULL ? -1 : rt_prefix(e, "%s", what);
	return 0;
}

static int
by_digest(const void *a, const void *b)
{
	return strcmp(((const struct part *)a)->digest, ((const struct part *)b)->digest);
}

static int
put_header(struct writer *w, char *name, uint64_t size, struct rt_err *e)
{
	struct tar_entry t = { .type = '0', .name = name, .mode = 0644, .size = size };

	return tar_put_header(w, &t, e);
}

static int
put_text(struct writer *w, char *name, const char *text, size_t n, struct rt_err *e)
{
	return put_header(w, name, n, e) < 0 || w->write(w, text, n, e) < 0 ? -1 : tar_put_padding(w, n, e);
}

int
parts_write_tar(struct parts *p, const struct str *index, struct writer *w, struct rt_err *e)
{
	char layout[] = "oci-layout", index_json[] = "index.json";

	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), by_digest);
	if (put_text(w, layout, layout_version, sizeof(layout_version) - 1, e) < 0 ||
	    put_text(w, index_json, index->s, index->len, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		cleanup_free char *name = blob_name(p->v[i].digest);

		if (put_header(w, name, p->v[i].size, e) < 0 || put_part(&p->v[i], w, e) < 0 || tar_put_padding(w, p->v[i].size, e) < 0)
			return -1;
	}
	return tar_put_end(w, e);
}

static int
put_file(int dirfd, const struct part *part, struct rt_err *e)
{
	cleanup_free char *name = blob_name(part->digest);
	cleanup_free struct fd_writer *file = rt_alloc(sizeof(*file));
	cleanup_fd int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return rt_fail(e, errno, "create %s", name);
	fd_writer_init(file, fd, name);
	if (put_part(part, &file->writer, e) < 0 || fd_writer_flush(file, e) < 0)
		return -1;
	return 0;
}

int
parts_write_dir(struct parts *p, const struct str *index, int dirfd, struct rt_err *e)
{
	if (rt_mkdir_p(dirfd, "blobs/sha256", 0755, e) < 0 ||
	    rt_write_file(dirfd, "oci-layout", layout_version, sizeof(layout_version) - 1, 0644, e) < 0 ||
	    rt_write_file(dirfd, "index.json", index->s, index->len, 0644, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (put_file(dirfd, &p->v[i], e) < 0)
			return -1;
	return syncfs(dirfd) < 0 ? rt_fail(e, errno, "sync a bundle") : 0;
}
