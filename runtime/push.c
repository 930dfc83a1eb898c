/* Pushing: distribution-spec "Push".  Blobs that the registry has are left, those that another repository of the same registry
   is known to hold are mounted from there, the rest is uploaded in one piece; the manifest comes last. */
#include <stdlib.h>
#include <string.h>

#include "registry.h"

enum { TRIES = 5, MOST_SOURCES = 8, MAX_INDEX_DEPTH = 4 };

struct push {
	struct store *store;
	struct layout *l;
	struct registry *r;
	struct list sources; /* "repository digest" of blobs that are elsewhere in this registry */
};

/* ---- where else a blob may be ------------------------------------------------------------------- */

/* The layers of one image that the store knows under `name`, when that is another repository of the registry. */
static void
add_source(struct push *p, struct layout *images, const char *name, const struct json *entry, struct list *repositories)
{
	struct platform here;
	struct descriptor d = { 0 };
	struct rt_err ignored;
	struct json *document = NULL;
	const struct json *layers;
	const char *repository;
	struct ref r;
	size_t host = strlen(p->r->host);

	if (ref_parse(name, &r, &ignored) < 0)
		return;
	repository = strncmp(r.name, p->r->host, host) == 0 && r.name[host] == '/' ? r.name + host + 1 : NULL;
	if (repository != NULL && strcmp(repository, p->r->repository) != 0 && platform_parse(NULL, &here, &ignored) == 0 &&
	    descriptor_parse(entry, "", &d, &ignored) == 0) {
		document = layout_document(images, &d, NULL, &ignored);
		if (document != NULL && oci_is_index(&d, document)) {
			struct descriptor child = { 0 };

			if (oci_choose(images, document, &here, &child, &ignored) == 0) {
				json_free(document);
				document = layout_document(images, &child, NULL, &ignored);
			}
			descriptor_free(&child);
		}
	}
	layers = json_at(document, "/layers");
	for (size_t i = 0; layers != NULL && layers->type == JSON_ARRAY && i < layers->n; i++) {
		const char *digest = json_string_at(layers->v[i], "/digest");
		cleanup_free char *pair = digest != NULL ? rt_printf("%s %s", repository, digest) : NULL;

		if (pair != NULL)
			list_add(&p->sources, pair);
		if (pair != NULL && i == 0)
			list_add(repositories, repository);
	}
	json_free(document);
	descriptor_free(&d);
	ref_free(&r);
}

static void
find_sources(struct push *p)
{
	cleanup_free char *path = rt_printf("%s/images", p->store->path);
	struct list repositories = { 0 };
	struct layout images;
	struct rt_err ignored;
	struct json *index = NULL;
	const struct json *list;

	if (layout_open(&images, path, -1, &ignored) == 0)
		index = layout_json(&images, "index.json", &ignored);
	list = json_at(index, "/manifests");
	for (size_t i = 0; list != NULL && i < list->n && repositories.n < MOST_SOURCES; i++) {
		const char *name = json_string_at(json_at(list->v[i], "/annotations"), "/" OCI_REF_NAME);

		if (name != NULL)
			add_source(p, &images, name, list->v[i], &repositories);
	}
	/* asked for before the first token is, so that one token does for all */
	for (size_t i = 0; i < repositories.n; i++)
		if (strstr(p->r->scope, repositories.v[i]) == NULL)
			registry_add_scope(p->r, repositories.v[i]);
	list_free(&repositories);
	json_free(index);
	layout_close(&images);
}

static char *
source_of(const struct push *p, const char *digest)
{
	for (size_t i = 0; i < p->sources.n; i++) {
		const char *blank = strchr(p->sources.v[i], ' ');

		if (strcmp(blank + 1, digest) == 0)
			return rt_strndup(p->sources.v[i], (size_t)(blank - p->sources.v[i]));
	}
	return NULL;
}

/* ---- blobs -------------------------------------------------------------------------------------- */

/* 1 it is there, 0 it is not. */
static int
has_remote(struct push *p, const char *digest, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("blobs/%s", digest), *url = registry_url(p->r, path);
	struct http h;
	int rc;

	http_init(&h, "HEAD", url);
	rc = registry_ask(p->r, &h, true, e);
	if (rc == 0 && h.status != 404 && !http_good(&h))
		rc = registry_refused(p->r, &h, digest, e);
	else if (rc == 0)
		rc = http_good(&h);
	http_free(&h);
	return rc;
}

/* Begins an upload: its URL in *location, or NULL when the blob could be mounted. */
static int
begin_upload(struct push *p, const char *digest, char **location, struct rt_err *e)
{
	cleanup_free char *from = source_of(p, digest), *url = NULL, *where = NULL;
	struct str path = { 0 };
	struct http h;
	int rc;

	*location = NULL;
	str_puts(&path, "blobs/uploads/");
	if (from != NULL) {
		str_printf(&path, "?mount=%s&from=", digest);
		http_escape(&path, from);
	}
	url = registry_url(p->r, path.s);
	str_free(&path);
	http_init(&h, "POST", url);
	h.data = "";
	rc = registry_ask(p->r, &h, true, e);
	if (rc == 0 && h.status != 201) {
		where = http_header(&h, "Location", 0);
		if (h.status != 202)
			rc = registry_refused(p->r, &h, "an upload", e);
		else if (where == NULL || (*location = http_resolve(h.url, where)) == NULL)
			rc = rt_fail(e, 0, "%s: the registry does not say where to upload to", p->r->name);
		else if (strncmp(p->r->base, "https:", 6) == 0 && strncmp(*location, "https:", 6) != 0)
			rc = rt_fail(e, 0, "%s: the registry wants an upload without TLS", p->r->name);
	}
	http_free(&h);
	return rc;
}

/* 1: try again from the beginning. */
static int
upload(struct push *p, const char *location, const struct descriptor *d, unsigned n, struct rt_err *e)
{
	cleanup_free char *name = blob_name(d->digest), *file = rt_printf("%s/%s", p->l->what, name);
	cleanup_free char *url = rt_printf("%s%cdigest=%s", location, strchr(location, '?') != NULL ? '&' : '?', d->digest);
	struct http h;
	int rc;

	http_init(&h, "PUT", url);
	list_add(&h.headers, "Content-Type: application/octet-stream");
	h.file = file;
	rc = registry_ask(p->r, &h, false, e);
	if (rc == 0 && !http_good(&h))
		rc = registry_refused(p->r, &h, d->digest, e);
	if (rc < 0 && (h.temporary || h.status == 404 || h.status == 408 || h.status == 429 || h.status >= 500) && n < TRIES) {
		http_pause(&h, n);
		rc = 1;
	}
	http_free(&h);
	return rc;
}

static int
push_blob(struct push *p, const struct json *j, struct rt_err *e)
{
	cleanup_free char *name = NULL;
	struct descriptor d;
	int rc;

	if (descriptor_parse(j, p->l->what, &d, e) < 0)
		return -1;
	name = blob_name(d.digest);
	rc = has_remote(p, d.digest, e);
	for (unsigned n = 1; rc == 0; n++) {
		char *location;

		rc = begin_upload(p, d.digest, &location, e);
		if (rc < 0 || location == NULL) {
			rc = rc < 0 ? -1 : 1;
			free(location);
			break;
		}
		if (!layout_has(p->l, name))
			rc = rt_fail(e, 0, "%s is neither in %s nor in the registry: pull the image first", d.digest, p->l->what);
		else
			rc = upload(p, location, &d, n, e);
		free(location);
		if (rc <= 0) {
			rc = rc < 0 ? -1 : 1;
			break;
		}
		rc = 0;
	}
	descriptor_free(&d);
	return rc < 0 ? -1 : 0;
}

/* ---- manifests ---------------------------------------------------------------------------------- */

static int
put_manifest(struct push *p, const struct descriptor *d, const struct json *document, const char *reference, struct rt_err *e)
{
	cleanup_free char *name = blob_name(d->digest), *file = rt_printf("%s/%s", p->l->what, name);
	cleanup_free char *path = rt_printf("manifests/%s", reference), *url = registry_url(p->r, path), *type = NULL, *got = NULL;
	const char *own = json_string_at(document, "/mediaType");
	struct http h;
	int rc;

	type = rt_printf("Content-Type: %s", own != NULL ? own : *d->type != '\0' ? d->type : oci_is_index(d, document) ? OCI_INDEX : OCI_MANIFEST);
	if (strpbrk(type, "\r\n") != NULL)
		return rt_fail_status(e, RT_DIGEST, "%s: the media type holds a line break", d->digest);
	http_init(&h, "PUT", url);
	list_add(&h.headers, type);
	h.file = file;
	rc = registry_ask(p->r, &h, true, e);
	if (rc == 0 && !http_good(&h))
		rc = registry_refused(p->r, &h, path, e);
	got = rc == 0 ? http_header(&h, "Docker-Content-Digest", 0) : NULL;
	if (got != NULL && digest_valid(got) && strcmp(got, d->digest) != 0)
		rc = rt_fail_status(e, RT_DIGEST, "%s: the registry made %s of %s", p->r->name, got, d->digest);
	http_free(&h);
	return rc;
}

static int push_tree(struct push *p, const struct descriptor *d, const char *reference, int depth, struct rt_err *e);

/* What a document names: the manifests of an index, else config and layers. */
static int
push_parts(struct push *p, const struct json *document, bool index, int depth, struct rt_err *e)
{
	const struct json *list = json_need(document, index ? "/manifests" : "/layers", JSON_ARRAY, p->l->what, e), *config = NULL;
	int rc = 0;

	if (list == NULL || (!index && (config = json_need(document, "/config", JSON_OBJECT, p->l->what, e)) == NULL))
		return -1;
	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		struct descriptor d;

		if (!index) {
			rc = push_blob(p, list->v[i], e);
			continue;
		}
		rc = descriptor_parse(list->v[i], p->l->what, &d, e);
		if (rc == 0)
			rc = push_tree(p, &d, d.digest, depth + 1, e);
		descriptor_free(&d);
	}
	return rc == 0 && config != NULL ? push_blob(p, config, e) : rc;
}

/* reference NULL: only what is below it. */
static int
push_tree(struct push *p, const struct descriptor *d, const char *reference, int depth, struct rt_err *e)
{
	struct json *document;
	int rc;

	if (depth > MAX_INDEX_DEPTH)
		return rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", p->l->what, MAX_INDEX_DEPTH);
	document = layout_document(p->l, d, NULL, e);
	if (document == NULL)
		return -1;
	rc = push_parts(p, document, oci_is_index(d, document), depth, e);
	if (rc == 0)
		rc = put_manifest(p, d, document, reference, e);
	json_free(document);
	return rc;
}

/* One more name for what is in the repository already. */
static int
push_name(struct push *p, const struct descriptor *d, const char *reference, struct rt_err *e)
{
	struct json *document = layout_document(p->l, d, NULL, e);
	int rc = document != NULL ? put_manifest(p, d, document, reference, e) : -1;

	json_free(document);
	return rc;
}

int
push_image(struct store *s, struct layout *l, const struct descriptor *top, const struct list *refs, struct rt_err *e)
{
	struct push p = { .store = s, .l = l };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < refs->n; i++) {
		struct registry *last = p.r;
		const char *reference;
		struct ref ref;

		if (ref_parse(refs->v[i], &ref, e) < 0 || net_allowed(refs->v[i], e) < 0)
			return -1;
		reference = ref.tag != NULL ? ref.tag : ref.digest;
		p.r = registry_get(ref.name, "pull,push", 0, e);
		if (p.r == NULL)
			rc = -1;
		else if (p.r == last)
			rc = push_name(&p, top, reference, e);
		else {
			list_free(&p.sources);
			find_sources(&p);
			rc = push_tree(&p, top, reference, 0, e);
		}
		if (rc < 0)
			rt_prefix(e, "push to %s", refs->v[i]);
		ref_free(&ref);
	}
	list_free(&p.sources);
	return rc;
}

/* ---- dockcc-rt push ----------------------------------------------------------------------------- */

/* Whether every manifest of an index is in the layout. */
static bool
is_whole(struct layout *l, const struct descriptor *top)
{
	struct rt_err ignored;
	struct json *j = layout_document(l, top, NULL, &ignored);
	const struct json *list = json_at(j, "/manifests");
	bool whole = true;

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const char *digest = json_string_at(list->v[i], "/digest");
		cleanup_free char *name = digest != NULL && digest_valid(digest) ? blob_name(digest) : NULL;

		whole = whole && name != NULL && layout_has(l, name);
	}
	json_free(j);
	return whole;
}

int
push_stored(struct store *s, const char *ref, const char *platform, const struct list *to, char digest[72], struct rt_err *e)
{
	struct descriptor d = { 0 };
	struct platform want;
	struct place p;
	int rc = -1;

	if (platform_parse(platform, &want, e) < 0 || place_open(s, &p, ref, NULL, e) < 0)
		return -1;
	if (oci_top(&p.layout, p.tag, p.digest, &want, &d, e) == 0) {
		rc = 0;
		if (platform != NULL || !is_whole(&p.layout, &d)) { /* of an index only what was pulled: that platform's image */
			descriptor_free(&d);
			rc = oci_find(&p.layout, p.tag, p.digest, &want, &d, e);
		}
	}
	if (rc == 0) {
		memcpy(digest, d.digest, sizeof(d.digest));
		rc = push_image(s, &p.layout, &d, to, e);
	}
	descriptor_free(&d);
	place_close(&p);
	return rc;
}
