#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec.h"
#include "meter.h"
#include "oci.h"
#include "ref.h"
#include "registry.h"
#include "stream.h"

void
image_free(struct image *im)
{
	free(im->ref);
	free(im->config_json);
	free(im->os);
	free(im->arch);
	free(im->variant);
	list_free(&im->layers);
	*im = (struct image){ 0 };
}

/* ---- where images are -------------------------------------------------------------------------- */

void
place_close(struct place *p)
{
	layout_close(&p->layout);
	free(p->tag);
	free(p->digest);
}

/* OFFSET:PATH@DIGEST: the archive behind the script of a bundle. */
static int
open_bundle(struct place *p, const char *text, struct rt_err *e)
{
	char *end;
	unsigned long long start = strtoull(text, &end, 10);
	const char *at = strrchr(text, '@');
	cleanup_free char *path = NULL;

	if (*end != ':' || at == NULL || at < end || !digest_valid(at + 1))
		return rt_fail_status(e, RT_USAGE, "%s: want oci-bundle:OFFSET:PATH@DIGEST", text);
	path = rt_strndup(end + 1, (size_t)(at - end - 1));
	p->digest = rt_strdup(at + 1);
	return layout_open_at(&p->layout, path, start, e);
}

/* PATH[:TAG][@DIGEST]; a path that exists as it is written wins. */
static int
open_path(struct store *s, struct place *p, const char *text, struct rt_err *e)
{
	cleanup_free char *path = rt_strdup(text);
	cleanup_fd int tmp = openat(s->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	char *cut;

	if (tmp < 0)
		return rt_fail(e, errno, "open %s/tmp", s->path);
	if (stat(path, &st) < 0 && (cut = strrchr(path, '@')) != NULL) {
		*cut = '\0';
		if (!digest_valid(cut + 1))
			return rt_fail_status(e, RT_USAGE, "%s: want sha256:... behind \"@\"", text);
		p->digest = rt_strdup(cut + 1);
	}
	for (cut = path + strlen(path); stat(path, &st) < 0 && cut > path;) {
		while (cut > path && *--cut != ':')
			continue;
		if (*cut != ':' || cut == path)
			return rt_fail(e, ENOENT, "open %s", text);
		free(p->tag); /* a tag may hold colons itself: debian:12 */
		p->tag = rt_strdup(text + (cut - path) + 1);
		if (p->digest != NULL)
			*strrchr(p->tag, '@') = '\0';
		*cut = '\0';
	}
	return layout_open(&p->layout, path, tmp, e);
}

static int
open_store(struct store *s, struct place *p, const char *ref, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("%s/images", s->path), *index = rt_printf("%s/index.json", path);
	struct ref r;

	if (ref_parse(ref, &r, e) < 0)
		return -1;
	p->store = true;
	p->tag = rt_strdup(ref);
	p->digest = r.digest;
	r.digest = NULL;
	ref_free(&r);
	if (access(index, F_OK) < 0)
		return rt_fail(e, 0, "no image %s in the store", ref);
	return layout_open(&p->layout, path, -1, e);
}

int
place_open(struct store *s, struct place *p, const char *ref, const char *location, struct rt_err *e)
{
	static const char *const schemes[] = { "oci-layout://", "oci-archive:", "docker-archive:", "oci:" };
	int rc = -1;

	*p = (struct place){ .layout = { .dirfd = -1, .fd = -1 } };
	if (location != NULL && strncmp(location, "oci-bundle:", 11) == 0) {
		rc = open_bundle(p, location + 11, e);
		location = NULL;
		ref = NULL;
	}
	for (size_t i = 0; location != NULL && i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (strncmp(location, schemes[i], strlen(schemes[i])) != 0)
			continue;
		rc = open_path(s, p, location + strlen(schemes[i]), e);
		location = NULL;
		ref = NULL;
	}
	if (location != NULL && strncmp(location, "docker-image://", 15) == 0)
		ref = location + 15;
	else if (location != NULL)
		return rt_fail_status(e, RT_USAGE, "%s: want oci-layout://, oci-archive:, docker-archive: or docker-image://", location);
	if (ref != NULL)
		rc = open_store(s, p, ref, e);
	if (rc < 0)
		place_close(p);
	return rc;
}

int
place_fetch(struct store *s, struct place *p, const char *ref, const char *location, const char *platform, struct rt_err *e)
{
	const char *name = location == NULL ? ref : strncmp(location, "docker-image://", 15) == 0 ? location + 15 : NULL;

	if (name != NULL && pull_image(s, name, platform, e) < 0)
		return -1;
	return place_open(s, p, ref, location, e);
}

/* ---- config ------------------------------------------------------------------------------------ */

struct found {
	struct descriptor manifest;
	struct json *document, *config;
};

static void
found_free(struct found *f)
{
	descriptor_free(&f->manifest);
	json_free(f->document);
	json_free(f->config);
}

static char *
config_word(const struct json *config, const char *pointer)
{
	const char *s = json_string_at(config, pointer);

	return s != NULL && *s != '\0' ? rt_strdup(s) : NULL;
}

static int
find(struct place *p, const char *platform, struct found *f, struct image *im, struct rt_err *e)
{
	struct descriptor d = { 0 };
	struct platform want;
	struct json *j;
	struct str text = { 0 };

	if (platform_parse(platform, &want, e) < 0 || oci_find(&p->layout, p->tag, p->digest, &want, &f->manifest, e) < 0)
		return -1;
	f->document = layout_document(&p->layout, &f->manifest, NULL, e);
	if (f->document == NULL || (j = json_need(f->document, "/config", JSON_OBJECT, p->layout.what, e)) == NULL ||
	    descriptor_parse(j, p->layout.what, &d, e) < 0)
		return -1;
	f->config = layout_document(&p->layout, &d, &text, e);
	descriptor_free(&d);
	if (f->config == NULL)
		return -1;
	if (f->config->type != JSON_OBJECT) {
		str_free(&text);
		return rt_fail_status(e, RT_DIGEST, "%s: the image config is not an object", p->layout.what);
	}
	im->config_json = text.s;
	im->config_len = text.len;
	im->os = config_word(f->config, "/os");
	im->arch = config_word(f->config, "/architecture");
	im->variant = config_word(f->config, "/variant");
	memcpy(im->digest, f->manifest.digest, sizeof(im->digest));
	if (im->os != NULL && im->arch != NULL && platform_score(&want, im->os, im->arch, im->variant) == 0)
		rt_warn("%s is for %s/%s, not for %s/%s", im->ref, im->os, im->arch, want.os, want.arch);
	return 0;
}

int
image_config(struct store *s, const char *ref, const char *location, const char *platform, struct image *im,
             struct rt_err *e)
{
	struct found f = { 0 };
	struct place p;
	int rc;

	*im = (struct image){ .ref = rt_strdup(ref != NULL ? ref : location) };
	rc = place_fetch(s, &p, ref, location, platform, e);
	if (rc == 0) {
		rc = find(&p, platform, &f, im, e);
		place_close(&p);
	}
	found_free(&f);
	if (rc < 0) {
		rt_prefix(e, "image %s", im->ref);
		image_free(im);
	}
	return rc;
}

/* ---- layers ------------------------------------------------------------------------------------ */

/* Keeps the blob itself, so that an image built on this one has the same layer to the byte: a second name for the file
   where the file system allows it, else a copy.  It is verified again whenever it is used. */
static int
keep_blob(struct store *s, const struct blob *b, const char *digest, struct rt_err *e)
{
	cleanup_free char *hex = blob_name(digest);
	cleanup_free char *self = rt_printf("/proc/self/fd/%d", b->fd);
	cleanup_fd int images = openat(s->fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (images < 0)
		return rt_fail(e, errno, "open %s/images", s->path);
	if (fstatat(images, hex, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (rt_mkdir_p(images, "blobs/sha256", 0700, e) < 0)
		return -1;
	if (b->off == 0 && fstat(b->fd, &st) == 0 && (uint64_t)st.st_size == b->size && st.st_uid == geteuid() &&
	    linkat(AT_FDCWD, self, images, hex, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return blob_put(images, b, digest, b->size, "the layer's blob", e);
}

/* The blob through sum, decompression and sum again into `dirfd`; both ends are read out, so that bytes behind the tar
   count as well. */
int
layer_unpack(const struct blob *b, const struct descriptor *d, const char *diffid, int dirfd, struct list *implied,
             uint64_t *size, const char *what, struct rt_err *e)
{
	struct tar_options o = { .mode = TAR_LAYER, .opaque_user = ns_overlay_user(), .chown_uid = -1, .chown_gid = -1,
	                         .what = what, .implied = implied };
	struct reader *file = blob_reader_open(b, what), *decoded;
	struct meter_reader counted;
	struct sum_reader packed, plain;
	struct rt_err ignored = { 0 };
	char got[72];
	int rc = -1;
	bool whole;

	meter_reader_init(&counted, file);
	sum_reader_init(&packed, &counted.reader);
	decoded = decode_reader(&packed.reader, what, e);
	if (decoded != NULL) {
		sum_reader_init(&plain, decoded);
		if (tar_unpack(&plain.reader, dirfd, &o, e) == 0 && reader_drain(&plain.reader, e) == 0 &&
		    reader_drain(&packed.reader, e) == 0)
			rc = 0;
	}
	decode_close(decoded);
	/* what cannot be unpacked is most often damaged: that is the better story */
	whole = rc == 0 || (e->status == RT_DIGEST && reader_drain(&packed.reader, &ignored) == 0);
	blob_reader_close(file);
	if (!whole)
		return -1;
	sha256_digest(&packed.sum, got);
	if (strcmp(got, d->digest) != 0)
		return rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s", what, got);
	if (rc < 0)
		return -1;
	*size = plain.size;
	sha256_digest(&plain.sum, got);
	if (strcmp(got, diffid) != 0)
		return rt_fail_status(e, RT_DIGEST, "%s unpacks to %s, the image config says %s", what, got, diffid);
	return 0;
}

/* Writes what is known about a layer beside its files. */
static int
describe_layer(struct store *s, const char *dir, const struct descriptor *d, const char *diffid, uint64_t size,
               const struct list *implied, struct rt_err *e)
{
	struct layer_meta m = { .size = size, .epoch = -2, .blob_size = d->size };
	cleanup_free char *name = rt_printf("%s/implied", dir);
	struct str text = { 0 };
	int rc;

	memcpy(m.diffid, diffid, sizeof(m.diffid));
	memcpy(m.blob, d->digest, sizeof(m.blob));
	m.blob_type = d->type;
	for (size_t i = 0; i < implied->n; i++)
		str_add(&text, implied->v[i], strlen(implied->v[i]) + 1);
	rc = layer_meta_write(s, dir, &m, e);
	if (rc == 0 && implied->n > 0)
		rc = rt_write_file(s->fd, name, text.s, text.len, 0600, e);
	str_free(&text);
	return rc;
}

static int
unpack_layer(struct store *s, struct place *p, const struct descriptor *d, const char *diffid, struct rt_err *e)
{
	cleanup_free char *name = blob_name(d->digest), *tmp = NULL, *diff = NULL;
	cleanup_free char *what = rt_printf("%s: layer %s", p->layout.what, d->digest);
	cleanup_fd int lock = -1, dirfd = -1;
	struct list implied = { 0 };
	struct blob b;
	uint64_t size;
	int rc = -1;

	if (layout_blob(&p->layout, name, &b, e) < 0)
		return -1;
	if (b.size != d->size) {
		blob_close(&b);
		return rt_fail_status(e, RT_DIGEST, "%s is %s: %llu bytes, its descriptor says %llu", what,
		                      b.size < d->size ? "truncated" : "damaged", (unsigned long long)b.size, (unsigned long long)d->size);
	}
	if (store_tmp(s, &tmp, &lock, e) == 0) {
		diff = rt_printf("%s/diff", tmp);
		if (mkdirat(s->fd, diff, 0755) < 0 || (dirfd = openat(s->fd, diff, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			rt_fail(e, errno, "make %s", diff);
		else if (layer_unpack(&b, d, diffid, dirfd, &implied, &size, what, e) == 0 &&
		         (p->store || keep_blob(s, &b, d->digest, e) == 0) &&
		         describe_layer(s, tmp, d, diffid, size, &implied, e) == 0)
			rc = store_publish_layer(s, tmp, diffid + 7, e);
		if (rc < 0)
			rt_remove_tree(s->fd, tmp, &(struct rt_err){ 0 });
	}
	blob_close(&b);
	list_free(&implied);
	return rc;
}

/* Whether a media type is a layer that we can read, and not one to be fetched from elsewhere. */
static bool
layer_type_ok(const char *type)
{
	return *type == '\0' || strncmp(type, OCI_LAYER, strlen(OCI_LAYER)) == 0 ||
	       strncmp(type, "application/vnd.docker.image.rootfs.diff.tar", 44) == 0;
}

/* Bytes of the blobs that are still to be unpacked, as their descriptors say. */
static uint64_t
missing_bytes(struct store *s, const struct json *layers, const struct json *ids)
{
	uint64_t n = 0;

	for (size_t i = 0; i < layers->n; i++) {
		const struct json *size = json_at(layers->v[i], "/size");
		const char *id = ids->v[i]->s;

		if (size != NULL && size->type == JSON_INT && size->i > 0 && id != NULL && strlen(id) > 7 && !store_has_layer(s, id + 7))
			n += (uint64_t)size->i;
	}
	return n;
}

/* Layers of an image of the store that are neither unpacked nor there as blobs come from the registry, all at once. */
static int
pull_layers(struct store *s, struct place *p, const struct json *layers, const struct json *ids, struct rt_err *e)
{
	struct descriptor *missing = rt_alloc((layers->n + 1) * sizeof(*missing));
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; p->store && rc == 0 && i < layers->n; i++) {
		cleanup_free char *name = NULL;

		if (ids->v[i]->s == NULL || !digest_valid(ids->v[i]->s) || store_has_layer(s, ids->v[i]->s + 7))
			continue;
		rc = descriptor_parse(layers->v[i], p->layout.what, &missing[n], e);
		if (rc < 0)
			break;
		name = blob_name(missing[n].digest);
		if (!layer_type_ok(missing[n].type) || layout_has(&p->layout, name))
			descriptor_free(&missing[n]);
		else
			n++;
	}
	if (rc == 0 && n > 0)
		rc = pull_blobs(s, p->tag, missing, n, e);
	while (n > 0)
		descriptor_free(&missing[--n]);
	free(missing);
	return rc;
}

static int
open_layers(struct store *s, struct place *p, struct found *f, struct image *im, struct rt_err *e)
{
	const struct json *layers = json_need(f->document, "/layers", JSON_ARRAY, p->layout.what, e), *ids;

	if (layers == NULL || (ids = json_need(f->config, "/rootfs/diff_ids", JSON_ARRAY, "image config", e)) == NULL)
		return -1;
	if (ids->n != layers->n)
		return rt_fail_status(e, RT_DIGEST, "%s: the manifest has %zu layers, the config %zu", p->layout.what, layers->n, ids->n);
	if (pull_layers(s, p, layers, ids, e) < 0)
		return -1;
	meter_begin(METER_UNPACK, NULL, missing_bytes(s, layers, ids));
	for (size_t i = 0; i < layers->n; i++) {
		cleanup_free char *name = NULL;
		struct descriptor d;
		int rc = 0;

		if (ids->v[i]->type != JSON_STRING || !digest_valid(ids->v[i]->s))
			return rt_fail_status(e, RT_DIGEST, "image config: /rootfs/diff_ids/%zu is not a sha256 digest", i);
		if (descriptor_parse(layers->v[i], p->layout.what, &d, e) < 0)
			return -1;
		if (!layer_type_ok(d.type))
			rc = rt_fail_status(e, RT_DIGEST, "%s: cannot read a layer of type %s", p->layout.what, d.type);
		else if (!store_has_layer(s, ids->v[i]->s + 7))
			rc = unpack_layer(s, p, &d, ids->v[i]->s, e);
		descriptor_free(&d);
		if (rc < 0 || (name = layer_settle(s, ids->v[i]->s + 7, &im->layers, e)) == NULL)
			return -1;
		list_add(&im->layers, name);
	}
	return 0;
}

int
image_open(struct store *s, const char *ref, const char *location, const char *platform, const char *pin,
           struct image *im, struct rt_err *e)
{
	struct found f = { 0 };
	struct place p;
	int rc;

	*im = (struct image){ .ref = rt_strdup(ref != NULL ? ref : location) };
	rc = place_fetch(s, &p, ref, location, platform, e);
	if (rc == 0) {
		rc = find(&p, platform, &f, im, e);
		if (rc == 0 && pin != NULL && strcmp(pin, im->digest) != 0 && (p.digest == NULL || strcmp(pin, p.digest) != 0))
			rc = rt_fail_status(e, RT_DIGEST, "it is %s, pinned is %s", im->digest, pin);
		if (rc == 0)
			rc = open_layers(s, &p, &f, im, e);
		place_close(&p);
	}
	found_free(&f);
	if (rc < 0) {
		rt_prefix(e, "image %s", im->ref);
		image_free(im);
	}
	return rc;
}

int
image_digest(struct store *s, const char *ref, const char *location, const char *platform, char digest[72], struct rt_err *e)
{
	struct descriptor d = { 0 };
	struct platform want;
	struct place p;
	int rc;

	if (platform_parse(platform, &want, e) < 0 || place_fetch(s, &p, ref, location, platform, e) < 0)
		return rt_prefix(e, "image %s", ref);
	rc = oci_top(&p.layout, p.tag, p.digest, &want, &d, e);
	if (rc == 0)
		memcpy(digest, d.digest, sizeof(d.digest));
	descriptor_free(&d);
	place_close(&p);
	return rc < 0 ? rt_prefix(e, "image %s", ref) : 0;
}
