/* Images from registries: distribution-spec "Pull", from what the name stands for down to a config.  The blobs of layers
   come when they are unpacked. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter.h"
#include "registry.h"
#include "sha256.h"

enum { MAX_INDEX_DEPTH = 4 };

/* ---- manifests ---------------------------------------------------------------------------------- */

struct document {
	struct descriptor d;
	struct json *json;
};

static void
document_free(struct document *m)
{
	descriptor_free(&m->d);
	json_free(m->json);
	*m = (struct document){ 0 };
}

static int
check_document(const struct http *h, const char *digest, struct document *m, const char *what, struct rt_err *e)
{
	cleanup_free char *claimed = http_header(h, "Docker-Content-Digest", 0), *type = http_header(h, "Content-Type", 0);
	const char *text = h->body.s != NULL ? h->body.s : "", *own;
	struct sha256 sum;

	sha256_init(&sum);
	sha256_update(&sum, text, h->body.len);
	sha256_digest(&sum, m->d.digest);
	m->d.size = h->body.len;
	if (digest == NULL && claimed != NULL && digest_valid(claimed))
		digest = claimed;
	if (digest != NULL && strcmp(digest, m->d.digest) != 0)
		return rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s, not %s", what, m->d.digest, digest);
	m->json = json_parse(text, h->body.len, what, e);
	if (m->json == NULL)
		return -1;
	own = json_string_at(m->json, "/mediaType");
	if (type != NULL)
		type[strcspn(type, "; ")] = '\0';
	m->d.type = rt_strdup(own != NULL ? own : type != NULL ? type : "");
	if (json_at(m->json, "/fsLayers") != NULL)
		return rt_fail_status(e, RT_DIGEST, "%s has the format of 2015 (schema 1), which is no longer read", what);
	return 0;
}

/* Gets one document and puts it among the blobs. `digest` NULL: by the tag alone. */
static int
get_document(struct store *s, struct registry *r, const char *reference, const char *digest, struct document *m, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("manifests/%s", reference), *url = registry_url(r, path), *blob = NULL,
	                  *what = rt_printf("manifest %s of %s", reference, r->name);
	struct http h;
	int rc;

	*m = (struct document){ 0 };
	http_init(&h, "GET", url);
	list_add(&h.headers, "Accept: " OCI_INDEX ", " OCI_MANIFEST ", application/vnd.docker.distribution.manifest.list.v2+json, "
	                     "application/vnd.docker.distribution.manifest.v2+json");
	rc = registry_ask(r, &h, true, e);
	if (rc == 0 && !http_good(&h))
		rc = registry_refused(r, &h, what, e);
	if (rc == 0)
		rc = check_document(&h, digest, m, what, e);
	if (rc == 0 && (rc = rt_mkdir_p(s->fd, "images/blobs/sha256", 0700, e)) == 0) {
		cleanup_free char *name = blob_name(m->d.digest);

		blob = rt_printf("images/%s", name);
		rc = rt_write_file(s->fd, blob, h.body.s, h.body.len, 0600, e);
	}
	http_free(&h);
	if (rc < 0)
		document_free(m);
	return rc;
}

struct json *
pull_document(struct store *s, const char *text, struct rt_err *e)
{
	struct document m = { 0 };
	struct json *j = NULL;
	struct registry *r;
	struct ref ref;

	if (ref_parse(text, &ref, e) < 0)
		return NULL;
	if (net_allowed(text, e) == 0 && (r = registry_get(ref.name, "pull", 0, e)) != NULL &&
	    get_document(s, r, ref.digest != NULL ? ref.digest : ref.tag, ref.digest, &m, e) == 0) {
		j = m.json;
		m.json = NULL;
	}
	document_free(&m);
	ref_free(&ref);
	return j;
}

static int
get_config(struct store *s, struct registry *r, const struct json *manifest, struct rt_err *e)
{
	const struct json *j = json_need(manifest, "/config", JSON_OBJECT, r->name, e);
	struct descriptor d;
	int rc;

	if (j == NULL || descriptor_parse(j, r->name, &d, e) < 0)
		return -1;
	rc = d.size <= JSON_MAX_BYTES ? pull_blob(s, r->name, &d, e)
	                              : rt_fail_status(e, RT_DIGEST, "the config of %s is larger than 16 MiB", r->name);
	descriptor_free(&d);
	return rc;
}

/* From what the name stands for down to a config. */
static int
descend(struct store *s, struct registry *r, struct document *m, const struct platform *p, struct rt_err *e)
{
	struct layout l = { .what = r->name, .dirfd = -1, .fd = -1 };

	for (int depth = 0; oci_is_index(&m->d, m->json); depth++) {
		struct descriptor next;
		struct document child;
		int rc;

		if (depth == MAX_INDEX_DEPTH)
			return rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", r->name, MAX_INDEX_DEPTH);
		if (oci_choose(&l, m->json, p, &next, e) < 0)
			return -1;
		rc = get_document(s, r, next.digest, next.digest, &child, e);
		if (rc == 0 && child.d.size != next.size) {
			rc = rt_fail_status(e, RT_DIGEST, "manifest %s has %llu bytes, its descriptor says %llu", next.digest,
			                    (unsigned long long)child.d.size, (unsigned long long)next.size);
			document_free(&child);
		}
		descriptor_free(&next);
		if (rc < 0)
			return -1;
		document_free(m);
		*m = child;
	}
	return get_config(s, r, m->json, e);
}

static int
pull_from(struct store *s, struct registry *r, const struct ref *ref, const struct platform *p, char digest[72], struct rt_err *e)
{
	cleanup_free char *full = ref_full(ref);
	struct document m;
	struct json *entry;
	int rc;

	if (get_document(s, r, ref->digest != NULL ? ref->digest : ref->tag, ref->digest, &m, e) < 0)
		return -1;
	memcpy(digest, m.d.digest, sizeof(m.d.digest));
	entry = descriptor_json(*m.d.type != '\0' ? m.d.type : oci_is_index(&m.d, m.json) ? OCI_INDEX : OCI_MANIFEST, m.d.digest, m.d.size);
	rc = descend(s, r, &m, p, e);
	document_free(&m);
	if (rc == 0)
		return images_name(s, entry, full, e);
	json_free(entry);
	return -1;
}

/* ---- what is there ------------------------------------------------------------------------------ */

/* Whether images/ has the name, and for the platform all documents down to the config.  What is there and damaged is
   not missing: who reads it says so. */
static bool
have_image(struct store *s, const char *text, const struct ref *ref, const struct platform *p)
{
	cleanup_free char *path = rt_printf("%s/images", s->path), *index = rt_printf("%s/index.json", path);
	struct descriptor d = { 0 }, config;
	struct rt_err ignored;
	struct layout l;
	bool have = false;

	if (access(index, F_OK) < 0 || layout_open(&l, path, -1, &ignored) < 0)
		return false;
	if (oci_top(&l, text, ref->digest, p, &d, &ignored) == 0)
		have = true;
	for (int depth = 0; have; depth++) {
		cleanup_free char *name = blob_name(d.digest);
		struct json *j = layout_has(&l, name) ? layout_document(&l, &d, NULL, &ignored) : NULL;
		bool index_here = j != NULL && oci_is_index(&d, j);

		have = layout_has(&l, name);
		if (j != NULL && !index_here && descriptor_parse(json_at(j, "/config"), "", &config, &ignored) == 0) {
			cleanup_free char *blob = blob_name(config.digest);

			have = layout_has(&l, blob);
			descriptor_free(&config);
		}
		descriptor_free(&d);
		if (index_here && oci_choose(&l, j, p, &d, &ignored) < 0)
			index_here = false;
		json_free(j);
		if (!index_here || depth == MAX_INDEX_DEPTH)
			break;
	}
	descriptor_free(&d);
	layout_close(&l);
	return have;
}

/* Whether the user wants us to look whatever is there; once a process. */
static bool
look_again(const char *full)
{
	static struct list seen;
	const char *wanted = getenv("DOCKCC_PULL");

	if (wanted == NULL || *wanted == '\0' || strcmp(wanted, "0") == 0)
		return false;
	for (size_t i = 0; i < seen.n; i++)
		if (strcmp(seen.v[i], full) == 0)
			return false;
	list_add(&seen, full);
	return true;
}

static int
pull_wanted(struct store *s, const struct ref *ref, const struct platform *p, const char *text, struct rt_err *e)
{
	struct registry *r;
	char digest[72];
	int rc = -1;

	if (net_allowed(text, e) < 0)
		return -1;
	for (unsigned nth = 0; rc < 0; nth++) {
		struct rt_err now;

		if ((r = registry_get(ref->name, "pull", nth, &now)) == NULL) {
			if (now.text[0] != '\0')
				*e = now;
			return -1;
		}
		if (r->mirror && r->dead)
			continue;
		rc = pull_from(s, r, ref, p, digest, e);
		if (rc < 0 && r->mirror)
			rt_warn("a mirror of %s: %s", r->name, e->text);
	}
	return rc;
}

int
pull_image(struct store *s, const char *text, const char *platform, struct rt_err *e)
{
	cleanup_free char *full = NULL, *key = NULL;
	struct platform p;
	struct ref ref;
	int rc = 0;

	if (ref_parse(text, &ref, e) < 0)
		return -1;
	full = ref_full(&ref);
	key = rt_printf("%s %s", full, platform != NULL ? platform : "");
	if (platform_parse(platform, &p, e) < 0)
		rc = -1;
	else if (look_again(key) || !have_image(s, text, &ref, &p)) {
		meter_begin(METER_PULL, text, 0);
		rc = pull_wanted(s, &ref, &p, text, e);
		meter_end();
	}
	ref_free(&ref);
	return rc;
}

int
pull_all(struct store *s, const char *ref, const char *platform, char digest[72], struct rt_err *e)
{
	struct place p = { .layout = { .dirfd = -1, .fd = -1 } };
	struct descriptor top = { 0 }, d = { 0 }, *layers = NULL;
	struct platform want;
	struct json *j = NULL, *list;
	size_t n = 0;
	int rc = -1;

	if (platform_parse(platform, &want, e) == 0 && pull_image(s, ref, platform, e) == 0 && place_open(s, &p, ref, NULL, e) == 0 &&
	    oci_top(&p.layout, p.tag, p.digest, &want, &top, e) == 0 && oci_find(&p.layout, p.tag, p.digest, &want, &d, e) == 0 &&
	    (j = layout_document(&p.layout, &d, NULL, e)) != NULL &&
	    (list = json_need(j, "/layers", JSON_ARRAY, ref, e)) != NULL) {
		layers = rt_alloc((list->n + 1) * sizeof(*layers));
		memcpy(digest, top.digest, sizeof(top.digest));
		for (rc = 0; rc == 0 && n < list->n; n++)
			rc = descriptor_parse(list->v[n], ref, &layers[n], e);
		if (rc == 0 && n > 0)
			rc = net_allowed(ref, &(struct rt_err){ 0 }) == 0 ? pull_blobs(s, ref, layers, n, e) : 0;
	}
	while (n > 0)
		descriptor_free(&layers[--n]);
	free(layers);
	json_free(j);
	descriptor_free(&d);
	descriptor_free(&top);
	place_close(&p);
	return rc;
}
