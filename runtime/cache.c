/* --cache-from and --cache-to: finished steps in a directory (an OCI image layout) or in a registry.
   A cache is a manifest with an artifactType (image-spec "Guidelines for Artifact Usage") whose layers are those of steps, each
   annotated with the step's key, the SOURCE_DATE_EPOCH its times were written for, and its diff ID. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "export.h"
#include "oci.h"
#include "output.h"
#include "registry.h"

#define CACHE_TYPE  "application/vnd.dockcc.cache.v1+json"
#define EMPTY_TYPE  "application/vnd.oci.empty.v1+json"
#define NOTE_KEY    "dev.dockcc.cache.key"
#define NOTE_EPOCH  "dev.dockcc.cache.epoch"
#define NOTE_DIFFID "dev.dockcc.cache.diffid"

struct cache {
	char *dir, *ref, *tag; /* one of dir and ref */
	bool all;              /* mode=max */
	struct json *manifest; /* NULL: nothing there */
};

static void
cache_free(struct cache *c)
{
	free(c->dir);
	free(c->ref);
	free(c->tag);
	json_free(c->manifest);
	*c = (struct cache){ 0 };
}

static int
cache_parse(const char *spec, bool to, struct cache *c, struct rt_err *e)
{
	cleanup_free char *type = output_field(spec, "type"), *mode = output_field(spec, "mode");
	struct ref r;

	*c = (struct cache){ .tag = output_field(spec, "tag"), .all = mode != NULL && strcmp(mode, "max") == 0 };
	if (c->tag == NULL)
		c->tag = rt_strdup("latest");
	if (type != NULL && strcmp(type, "local") == 0)
		c->dir = output_field(spec, to ? "dest" : "src");
	else if (type != NULL && strcmp(type, "registry") == 0)
		c->ref = output_field(spec, "ref");
	else if (type == NULL && strchr(spec, '=') == NULL && !to)
		c->ref = rt_strdup(spec); /* docker's short form */
	if (c->ref != NULL && ref_parse(c->ref, &r, e) < 0)
		return -1;
	if (c->ref != NULL)
		ref_free(&r);
	if ((c->dir == NULL || *c->dir == '\0') && c->ref == NULL)
		return rt_fail_status(e, RT_USAGE, "--cache-%s %s: want type=local,%s=DIR or type=registry,ref=REF", to ? "to" : "from", spec,
		                      to ? "dest" : "src");
	return 0;
}

int
cache_check(const struct build_options *o, struct rt_err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < o->cache_from.n + o->cache_to.n; i++) {
		bool to = i >= o->cache_from.n;
		struct cache c;

		rc = cache_parse(to ? o->cache_to.v[i - o->cache_from.n] : o->cache_from.v[i], to, &c, e);
		cache_free(&c);
	}
	return rc;
}

/* The manifest of a cache into c->manifest. */
static int
cache_load(struct build *b, struct cache *c, struct rt_err *e)
{
	struct descriptor d = { 0 };
	struct platform any;
	struct layout l;
	const char *type;

	if (c->ref != NULL) {
		c->manifest = pull_document(&b->store, c->ref, e);
	} else if (layout_open(&l, c->dir, -1, e) == 0) {
		if (platform_parse(NULL, &any, e) == 0 && oci_top(&l, c->tag, NULL, &any, &d, e) == 0)
			c->manifest = layout_document(&l, &d, NULL, e);
		descriptor_free(&d);
		layout_close(&l);
	} else {
		layout_close(&l);
	}
	type = json_string_at(c->manifest, "/artifactType");
	if (c->manifest != NULL && (type == NULL || strcmp(type, CACHE_TYPE) != 0)) {
		json_free(c->manifest);
		c->manifest = NULL;
		return rt_fail_status(e, RT_DIGEST, "%s is no build cache of this program", c->ref != NULL ? c->ref : c->dir);
	}
	return c->manifest != NULL ? 0 : -1;
}

static const char *
note(const struct json *layer, const char *name)
{
	cleanup_free char *pointer = rt_printf("/annotations/%s", name);

	return json_string_at(layer, pointer);
}

/* The descriptor of a step's layer; one whose times were written for another epoch is another layer. */
static const struct json *
cache_find(const struct cache *c, const char *key, int64_t epoch)
{
	cleanup_free char *when = rt_printf("%lld", (long long)epoch);
	const struct json *layers = json_at(c->manifest, "/layers");

	for (size_t i = 0; layers != NULL && layers->type == JSON_ARRAY && i < layers->n; i++) {
		const char *k = note(layers->v[i], NOTE_KEY), *t = note(layers->v[i], NOTE_EPOCH), *diffid = note(layers->v[i], NOTE_DIFFID);

		if (k != NULL && t != NULL && diffid != NULL && strcmp(k, key) == 0 && strcmp(t, when) == 0 && digest_valid(diffid))
			return layers->v[i];
	}
	return NULL;
}

/* ---- in ----------------------------------------------------------------------------------------- */

static int
unpack(struct build *b, struct layout *l, const struct descriptor *d, const char *diffid, const char *key, struct rt_err *e)
{
	cleanup_free char *name = blob_name(d->digest), *tmp = NULL, *diff = NULL, *what = rt_printf("cached step %.12s", key);
	cleanup_fd int lock = -1, dirfd = -1;
	struct list implied = { 0 };
	struct blob blob;
	uint64_t size;
	int rc = -1;

	if (layout_blob(l, name, &blob, e) < 0)
		return -1;
	if (blob.size != d->size)
		rt_fail_status(e, RT_DIGEST, "%s: its blob has %llu bytes, not %llu", what, (unsigned long long)blob.size, (unsigned long long)d->size);
	else if (store_tmp(&b->store, &tmp, &lock, e) == 0) {
		diff = rt_printf("%s/diff", tmp);
		if (mkdirat(b->store.fd, diff, 0755) < 0 || (dirfd = openat(b->store.fd, diff, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			rt_fail(e, errno, "make %s", diff);
		else if (layer_unpack(&blob, d, diffid, dirfd, &implied, &size, what, e) == 0)
			rc = store_publish_layer(&b->store, tmp, key, e);
		if (rc < 0)
			rt_remove_tree(b->store.fd, tmp, &(struct rt_err){ 0 });
	}
	blob_close(&blob);
	list_free(&implied);
	return rc;
}

/* Gets one step's layer into the store. */
static int
take(struct build *b, const struct cache *c, const struct json *entry, const char *key, struct rt_err *e)
{
	cleanup_free char *path = c->ref != NULL ? rt_printf("%s/images", b->store.path) : rt_strdup(c->dir), *name = NULL, *stored = NULL;
	struct layout l = { .what = path, .dirfd = -1, .fd = -1 };
	cleanup_fd int dir = -1;
	struct descriptor d;
	struct stat st;
	struct ref r;
	bool ours = false;
	int rc = 0;

	if (descriptor_parse(entry, "the cache", &d, e) < 0)
		return -1;
	name = blob_name(d.digest);
	stored = rt_printf("images/%s", name);
	if (c->ref != NULL && ref_parse(c->ref, &r, e) == 0) {
		ours = fstatat(b->store.fd, stored, &st, AT_SYMLINK_NOFOLLOW) < 0;
		rc = pull_blob(&b->store, r.name, &d, e);
		ref_free(&r);
	}
	l.dirfd = dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0)
		rc = dir < 0 ? rt_fail(e, errno, "open %s", path) : unpack(b, &l, &d, note(entry, NOTE_DIFFID), key, e);
	if (ours) /* the unpacked layer does */
		unlinkat(b->store.fd, stored, 0);
	descriptor_free(&d);
	return rc;
}

/* Says of every missing step that a cache has that it is there. */
static void
mark(struct build *b, const struct cache *caches, size_t n)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t u = 0; u < b->stages[i].nunits; u++) {
			struct unit *unit = &b->stages[i].units[u];

			for (size_t k = 0; !unit->cached && !unit->again && k < n; k++)
				unit->cached = cache_find(&caches[k], unit->key, b->o->epoch) != NULL;
		}
	build_need(b);
}

/* Gets what is needed and only said to be there.  False when something could not be had, which is then missing again. */
static bool
fetch(struct build *b, struct cache *caches, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t u = 0; b->stages[i].needed && u < b->stages[i].nunits; u++) {
			struct unit *unit = &b->stages[i].units[u];
			const struct json *entry = NULL;
			struct rt_err e;

			if (!unit->cached || store_has_layer(&b->store, unit->key))
				continue;
			unit->cached = false;
			for (size_t k = 0; k < n && !unit->cached; k++) {
				entry = cache_find(&caches[k], unit->key, b->o->epoch);
				if (entry == NULL)
					continue;
				unit->cached = take(b, &caches[k], entry, unit->key, &e) == 0;
				if (!unit->cached)
					rt_warn("the build cache: %s", e.text);
			}
			good = good && unit->cached;
		}
	return good;
}

int
cache_import(struct build *b, struct rt_err *e)
{
	size_t n = b->o->cache_from.n;
	struct cache *caches = rt_alloc((n + 1) * sizeof(*caches));
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct rt_err why;

		rc = cache_parse(b->o->cache_from.v[i], false, &caches[i], e);
		/* as with docker, a cache that is not there is no error */
		if (rc == 0 && cache_load(b, &caches[i], &why) < 0)
			rt_warn("the build cache %s: %s", b->o->cache_from.v[i], why.text);
	}
	if (rc == 0 && n > 0 && !b->o->no_cache) {
		mark(b, caches, n);
		while (!b->o->dry_run && !b->o->list && !fetch(b, caches, n))
			build_need(b);
	}
	for (size_t i = 0; i < n; i++)
		cache_free(&caches[i]);
	free(caches);
	return rc;
}

/* ---- out ---------------------------------------------------------------------------------------- */

/* Whether the layers of a stage go out: all of them, or those that the target is made of. */
static bool
wanted(const struct build *b, const struct stage_build *sb, bool all)
{
	for (const struct stage_build *s = b->target; s != NULL && !all; s = s->base)
		if (s == sb)
			return true;
	return all;
}

static int
pack(struct build *b, struct export *x, const struct cache *old, const char *key, struct json *layers, struct rt_err *e)
{
	const struct json *known = cache_find(old, key, b->o->epoch);
	cleanup_free char *when = rt_printf("%lld", (long long)b->o->epoch);
	struct descriptor d = { 0 };
	struct layer_meta m;
	struct json *entry, *notes;
	int rc;

	for (size_t i = 0; i < layers->n; i++)
		if (strcmp(note(layers->v[i], NOTE_KEY), key) == 0)
			return 0;
	if (known != NULL) {
		json_push(layers, json_copy(known));
		return 0;
	}
	rc = export_pack(x, key, &m, &d, e);
	if (rc == 0) {
		entry = json_push(layers, descriptor_json(d.type, d.digest, d.size));
		notes = json_set(entry, "annotations", json_new(JSON_OBJECT));
		json_set_string(notes, NOTE_KEY, key);
		json_set_string(notes, NOTE_EPOCH, when);
		json_set_string(notes, NOTE_DIFFID, m.diffid);
	}
	descriptor_free(&d);
	return rc;
}

static int
put_text(int dirfd, const char *text, size_t n, char digest[72], struct rt_err *e)
{
	cleanup_free char *name = NULL;
	struct sha256 sum;

	sha256_init(&sum);
	sha256_update(&sum, text, n);
	sha256_digest(&sum, digest);
	name = blob_name(digest);
	return rt_write_file(dirfd, name, text, n, 0644, e);
}

/* Blobs and manifest into x->out; the manifest's descriptor. */
static struct json *
cache_pack(struct build *b, struct export *x, const struct cache *old, struct rt_err *e)
{
	struct json *m = json_new(JSON_OBJECT), *layers, *entry = NULL;
	struct str text = { 0 };
	char digest[72];
	int rc = rt_mkdir_p(x->out, "blobs/sha256", 0755, e);

	json_set(m, "schemaVersion", json_new_int(2));
	json_set_string(m, "mediaType", OCI_MANIFEST);
	json_set_string(m, "artifactType", CACHE_TYPE);
	if (rc == 0 && (rc = put_text(x->out, "{}", 2, digest, e)) == 0)
		json_set(m, "config", descriptor_json(EMPTY_TYPE, digest, 2));
	layers = json_set(m, "layers", json_new(JSON_ARRAY));
	for (size_t i = 0; rc == 0 && i < b->plan.nstages; i++)
		for (size_t u = 0; rc == 0 && wanted(b, &b->stages[i], old->all) && u < b->stages[i].nunits; u++)
			if (store_has_layer(&b->store, b->stages[i].units[u].key))
				rc = pack(b, x, old, b->stages[i].units[u].key, layers, e);
	json_write(m, &text);
	if (rc == 0 && put_text(x->out, text.s, text.len, digest, e) == 0)
		entry = descriptor_json(OCI_MANIFEST, digest, text.len);
	str_free(&text);
	json_free(m);
	return entry;
}

/* Into the directory: blobs first, then the index in one step.  Other tags stay. */
static int
to_directory(const struct cache *c, int from, const char *what, const struct json *entry, struct rt_err *e)
{
	struct layout l = { .what = (char *)(uintptr_t)what, .dirfd = from, .fd = -1 };
	cleanup_fd int to = -1;
	struct json *named;

	if (rt_mkdir_p(AT_FDCWD, c->dir, 0755, e) < 0)
		return -1;
	to = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0 || flock(to, LOCK_EX) < 0)
		return rt_fail(e, errno, "open %s", c->dir);
	if (oci_copy(&l, to, entry, e) < 0)
		return -1;
	named = json_copy(entry);
	json_set_string(json_set(named, "annotations", json_new(JSON_OBJECT)), OCI_REF_NAME, c->tag);
	return images_put(to, named, c->tag, e);
}

static int
cache_write(struct build *b, struct cache *c, struct rt_err *e)
{
	struct export_image im = { .epoch = b->o->epoch, .compression = COMPRESS_GZIP, .level = -1 };
	struct export x = { .store = &b->store, .im = &im, .out = -1, .root = -1 };
	cleanup_free char *tmp = NULL, *path = NULL;
	cleanup_fd int lock = -1;
	struct layout l = { .dirfd = -1, .fd = -1 };
	struct descriptor top = { 0 };
	struct list refs = { 0 };
	struct json *entry;
	int rc = -1;

	cache_load(b, c, &(struct rt_err){ 0 });
	if (store_tmp(&b->store, &tmp, &lock, e) < 0)
		return -1;
	path = rt_printf("%s/%s", b->store.path, tmp);
	x.out = l.dirfd = lock;
	l.what = path;
	entry = cache_pack(b, &x, c, e);
	if (entry != NULL && c->dir != NULL) {
		rc = to_directory(c, lock, path, entry, e);
	} else if (entry != NULL && descriptor_parse(entry, path, &top, e) == 0) {
		list_add(&refs, c->ref);
		rc = push_image(&b->store, &l, &top, &refs, e);
		list_free(&refs);
		descriptor_free(&top);
	}
	json_free(entry);
	rt_remove_tree(b->store.fd, tmp, &(struct rt_err){ 0 });
	return rc;
}

int
cache_export(struct build *b, struct rt_err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->o->cache_to.n; i++) {
		struct cache c;

		rc = cache_parse(b->o->cache_to.v[i], true, &c, e);
		if (rc == 0 && cache_write(b, &c, e) < 0)
			rc = rt_prefix(e, "--cache-to %s", b->o->cache_to.v[i]);
		cache_free(&c);
	}
	return rc;
}
