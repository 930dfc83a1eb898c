/* Layers on their way out: packed, copied as they came, compressed anew, or all in one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deflate.h"
#include "export.h"
#include "oci.h"
#include "stream.h"

/* A writer that compresses into `to`. */
static struct writer *
compressor(enum export_compression how, int level, struct writer *to, struct rt_err *e)
{
	char option[16];
	const char *argv[] = { "zstd", "-q", "-c", "-T1", option, level > 19 ? "--ultra" : NULL, NULL };

	snprintf(option, sizeof(option), "-%d", level > 0 ? level : 3);
	switch (how) {
	case COMPRESS_GZIP:
		return deflate_open(to, level >= 0 ? level : 6);
	case COMPRESS_ZSTD:
		return filter_open(argv, to, e);
	case COMPRESS_NONE:
		break;
	}
	return to;
}

static int
compressor_end(enum export_compression how, struct writer *w, bool good, struct rt_err *e)
{
	int rc = 0;

	if (how == COMPRESS_GZIP) {
		rc = good ? deflate_finish(w, e) : 0;
		deflate_close(w);
	} else if (how == COMPRESS_ZSTD) {
		rc = good ? filter_finish(w, e) : 0;
		filter_close(w);
	}
	return good ? rc : -1;
}

static const char *
layer_type(enum export_compression how)
{
	return how == COMPRESS_GZIP ? OCI_LAYER "+gzip" : how == COMPRESS_ZSTD ? OCI_LAYER "+zstd" : OCI_LAYER;
}

/* Where the bytes of a layer's tar come from. */
typedef int source_fn(struct export *x, const char *layer, const struct layer_meta *m, struct writer *w, struct rt_err *e);

static int
from_directory(struct export *x, const char *layer, const struct layer_meta *m, struct writer *w, struct rt_err *e)
{
	(void)m;
	return layer_write(x->store, layer, x->im->epoch, w, e);
}

/* Tar, sum, compress, sum, file: in one go.  The file is named by the second sum when it is known; `diffid` gets the first. */
static int
pack(struct export *x, source_fn *source, const char *layer, const struct layer_meta *m, char diffid[72], uint64_t *size,
     struct descriptor *d, struct rt_err *e)
{
	cleanup_fd int fd = openat(x->out, "blobs/sha256/.layer", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	cleanup_free struct fd_writer *file = rt_alloc(sizeof(*file));
	cleanup_free char *name = NULL;
	struct sum_writer plain, packed;
	struct writer *z;
	bool good;

	if (fd < 0)
		return rt_fail(e, errno, "create a blob");
	fd_writer_init(file, fd, "a layer");
	sum_writer_init(&packed, &file->writer);
	z = compressor(x->im->compression, x->im->level, &packed.writer, e);
	if (z == NULL)
		return -1;
	sum_writer_init(&plain, z);
	good = source(x, layer, m, &plain.writer, e) == 0;
	if (compressor_end(x->im->compression, z, good, e) < 0 || fd_writer_flush(file, e) < 0)
		return -1;
	*size = plain.size;
	sha256_digest(&plain.sum, diffid);
	sha256_digest(&packed.sum, d->digest);
	d->size = packed.size;
	d->type = rt_strdup(layer_type(x->im->compression));
	name = blob_name(d->digest);
	return renameat(x->out, "blobs/sha256/.layer", x->out, name) < 0 ? rt_fail(e, errno, "rename a blob") : 0;
}

int
export_pack(struct export *x, const char *layer, struct layer_meta *m, struct descriptor *d, struct rt_err *e)
{
	*m = (struct layer_meta){ .epoch = x->im->epoch };
	return pack(x, from_directory, layer, NULL, m->diffid, &m->size, d, e);
}

/* ---- base layers ------------------------------------------------------------------------------- */

static int
open_base(struct export *x, const char *layer, const struct layer_meta *m, const char *what, struct blob *b, struct rt_err *e)
{
	cleanup_free char *hex = blob_name(m->blob), *name = rt_printf("images/%s", hex);
	struct stat st;

	(void)layer;
	*b = (struct blob){ .fd = openat(x->store->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) };
	if (b->fd < 0)
		return errno == ENOENT ? rt_fail_status(e, RT_DIGEST, "%s is gone from the store", what) : rt_fail(e, errno, "open %s", what);
	if (fstat(b->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		blob_close(b);
		return rt_fail_status(e, RT_DIGEST, "%s is not a regular file", what);
	}
	b->size = (uint64_t)st.st_size;
	return 0;
}

/* docker's name for the same thing would not do in an OCI manifest */
static const char *
oci_type(const char *type)
{
	return strstr(type, "zstd") != NULL ? OCI_LAYER "+zstd" : strstr(type, "gzip") != NULL ? OCI_LAYER "+gzip" : OCI_LAYER;
}

/* A base layer goes out as it came in. */
static int
copy_base(struct export *x, const char *layer, const struct layer_meta *m, struct descriptor *d, struct rt_err *e)
{
	cleanup_free char *what = rt_printf("the blob of the base layer %.12s", layer);
	struct blob b;
	int rc;

	if (open_base(x, layer, m, what, &b, e) < 0)
		return -1;
	rc = blob_put(x->out, &b, m->blob, m->blob_size, what, e);
	blob_close(&b);
	memcpy(d->digest, m->blob, sizeof(d->digest));
	d->size = m->blob_size;
	d->type = rt_strdup(oci_type(m->blob_type));
	return rc;
}

/* The tar in the blob of a base layer, both verified. */
static int
from_blob(struct export *x, const char *layer, const struct layer_meta *m, struct writer *w, struct rt_err *e)
{
	cleanup_free char *what = rt_printf("the blob of the base layer %.12s", layer);
	struct reader *file, *decoded;
	struct sum_reader packed;
	struct blob b;
	char got[72];
	int rc = -1;

	if (open_base(x, layer, m, what, &b, e) < 0)
		return -1;
	file = blob_reader_open(&b, what);
	sum_reader_init(&packed, file);
	decoded = decode_reader(&packed.reader, what, e);
	if (decoded != NULL && reader_copy(decoded, w, e) == 0)
		rc = reader_drain(&packed.reader, e);
	decode_close(decoded);
	blob_reader_close(file);
	blob_close(&b);
	sha256_digest(&packed.sum, got);
	if (rc == 0 && strcmp(got, m->blob) != 0)
		rc = rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s", what, got);
	return rc;
}

/* force-compression: the same tar, compressed as asked. */
static int
recompress_base(struct export *x, const char *layer, const struct layer_meta *m, struct descriptor *d, struct rt_err *e)
{
	char diffid[72];
	uint64_t size;

	if (pack(x, from_blob, layer, m, diffid, &size, d, e) < 0)
		return -1;
	return strcmp(diffid, m->diffid) == 0 ? 0 : rt_fail_status(e, RT_DIGEST, "base layer %.12s unpacks to %s", layer, diffid);
}

/* ---- layers ------------------------------------------------------------------------------------ */

int
export_layer(struct export *x, const char *layer, struct json *layers, struct json *ids, struct rt_err *e)
{
	cleanup_free char *dir = rt_printf("layers/%s", layer);
	struct layer_meta m, fresh;
	struct descriptor d = { 0 };
	int rc = layer_meta_read(x->store, layer, &m, e);

	if (rc < 0)
		return -1;
	if (rc > 0 && m.blob[0] != '\0' && m.blob_type != NULL) {
		rc = x->im->force && strcmp(oci_type(m.blob_type), layer_type(x->im->compression)) != 0 ? recompress_base(x, layer, &m, &d, e)
		                                                                                 : copy_base(x, layer, &m, &d, e);
	} else {
		bool known = rc > 0 && (m.epoch == -2 || m.epoch == x->im->epoch);

		rc = export_pack(x, layer, &fresh, &d, e);
		if (rc == 0 && known && strcmp(m.diffid, fresh.diffid) != 0)
			rc = rt_fail_status(e, RT_DIGEST, "layer %.12s of the store has changed: it is %s and was %s", layer, fresh.diffid,
			                    m.diffid);
		else if (rc == 0 && !known)
			rc = layer_meta_write(x->store, dir, &fresh, e);
		if (rc == 0)
			memcpy(m.diffid, fresh.diffid, sizeof(m.diffid));
	}
	if (rc == 0) {
		json_push(layers, descriptor_json(d.type, d.digest, d.size));
		json_push(ids, json_new_string(m.diffid));
	}
	descriptor_free(&d);
	layer_meta_free(&m);
	return rc;
}

/* The merged file system as one layer: what the build made carries its mark in the time, wherever the file ends up. */
static int
from_root(struct export *x, const char *layer, const struct layer_meta *m, struct writer *w, struct rt_err *e)
{
	(void)layer;
	(void)m;
	return tar_write_layer(w, x->root, x->im->epoch, -1, e);
}

static int
pack_root(struct export *x, int root, void *arg, struct rt_err *e)
{
	struct json **lists = arg;
	struct descriptor d = { 0 };
	char diffid[72];
	uint64_t size;
	int rc;

	x->root = root;
	rc = pack(x, from_root, NULL, NULL, diffid, &size, &d, e);
	x->root = -1;
	if (rc == 0) {
		json_push(lists[0], descriptor_json(d.type, d.digest, d.size));
		json_push(lists[1], json_new_string(diffid));
	}
	descriptor_free(&d);
	return rc;
}

int
export_squashed(struct export *x, struct json *layers, struct json *ids, struct rt_err *e)
{
	struct json *lists[] = { layers, ids };

	return export_mounted(x, pack_root, lists, e);
}
