#include <stdlib.h>
#include <string.h>

#include "oci.h"
#include "ref.h"
#include "sha256.h"
#include "path.h"
#include "stream.h"

/* The `docker save` form: manifest.json lists a config and layers by file name.  We sum the files and write the OCI
   documents that say the same, so that everything behind this sees a layout. */

/* Adds blobs/sha256/... for an existing file and returns its descriptor. */
static struct json *
alias(struct layout *l, const char *path, const char *type, struct rt_err *e)
{
	cleanup_free char *rooted = rt_printf("/%s", path), *clean = path_clean(rooted), *name = NULL;
	const struct member *m = layout_member(l, clean + 1);
	struct sum_reader sum;
	struct reader *r;
	struct blob b;
	char digest[72];
	int rc;

	if (layout_blob(l, clean + 1, &b, e) < 0)
		return NULL;
	r = blob_reader_open(&b, l->what);
	sum_reader_init(&sum, r);
	rc = reader_drain(&sum.reader, e);
	blob_reader_close(r);
	blob_close(&b);
	if (rc < 0)
		return NULL;
	sha256_digest(&sum.sum, digest);
	name = blob_name(digest);
	if (m != NULL && !layout_has(l, name))
		layout_add(l, name, NULL, 0, m);
	if (strspn(clean + 1, "0123456789abcdef") == 64 && strcmp(clean + 65, ".json") == 0 &&
	    strncmp(clean + 1, digest + 7, 64) != 0) {
		rt_fail_status(e, RT_DIGEST, "%s: %s is damaged: its digest is %s", l->what, path, digest);
		return NULL;
	}
	return descriptor_json(type, digest, sum.size);
}

/* Adds a document of ours and returns its descriptor. */
static struct json *
add_document(struct layout *l, const struct json *j, const char *type)
{
	cleanup_free char *name = NULL;
	struct str text = { 0 };
	struct sha256 sum;
	char digest[72];

	json_write(j, &text);
	sha256_init(&sum);
	sha256_update(&sum, text.s, text.len);
	sha256_digest(&sum, digest);
	name = blob_name(digest);
	layout_add(l, name, text.s, text.len, NULL);
	return descriptor_json(type, digest, text.len);
}

static struct json *
convert(struct layout *l, const struct json *image, struct rt_err *e)
{
	const struct json *config = json_need(image, "/Config", JSON_STRING, l->what, e);
	const struct json *layers = config != NULL ? json_need(image, "/Layers", JSON_ARRAY, l->what, e) : NULL;
	struct json *manifest, *list, *d;

	if (layers == NULL || (d = alias(l, config->s, OCI_CONFIG, e)) == NULL)
		return NULL;
	manifest = json_new(JSON_OBJECT);
	json_set(manifest, "schemaVersion", json_new_int(2));
	json_set_string(manifest, "mediaType", OCI_MANIFEST);
	json_set(manifest, "config", d);
	list = json_set(manifest, "layers", json_new(JSON_ARRAY));
	for (size_t i = 0; i < layers->n; i++) {
		if (layers->v[i]->type != JSON_STRING) {
			rt_fail_status(e, RT_DIGEST, "%s: /Layers holds something that is not a string", l->what);
			d = NULL;
		} else {
			d = alias(l, layers->v[i]->s, OCI_LAYER, e);
		}
		if (d == NULL) {
			json_free(manifest);
			return NULL;
		}
		json_push(list, d);
	}
	d = add_document(l, manifest, OCI_MANIFEST);
	json_free(manifest);
	return d;
}

/* One entry of the index for each name of the image, or one without. */
static void
add_names(struct json *manifests, struct json *d, const struct json *tags)
{
	for (size_t i = 0; tags != NULL && tags->type == JSON_ARRAY && i < tags->n; i++) {
		struct json *named = json_copy(d), *annotations;

		annotations = json_set(named, "annotations", json_new(JSON_OBJECT));
		if (tags->v[i]->type == JSON_STRING)
			json_set_string(annotations, OCI_CONTAINERD_NAME, tags->v[i]->s);
		json_push(manifests, named);
	}
	if (tags == NULL || tags->type != JSON_ARRAY || tags->n == 0)
		json_push(manifests, json_copy(d));
	json_free(d);
}

int
docker_to_oci(struct layout *l, struct rt_err *e)
{
	struct json *images = layout_json(l, "manifest.json", e), *index, *manifests;
	struct str text = { 0 };
	int rc = 0;

	if (images == NULL)
		return -1;
	if (images->type != JSON_ARRAY) {
		json_free(images);
		return rt_fail_status(e, RT_DIGEST, "%s: manifest.json is not a list", l->what);
	}
	index = json_new(JSON_OBJECT);
	manifests = json_set(index, "manifests", json_new(JSON_ARRAY));
	for (size_t i = 0; rc == 0 && i < images->n; i++) {
		struct json *d = convert(l, images->v[i], e);

		if (d == NULL)
			rc = -1;
		else
			add_names(manifests, d, json_at(images->v[i], "/RepoTags"));
	}
	if (rc == 0) {
		json_write(index, &text);
		layout_add(l, "index.json", text.s, text.len, NULL);
	}
	json_free(index);
	json_free(images);
	return rc;
}
