#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci.h"
#include "ref.h"
#include "registry.h"
#include "stream.h"

enum { MAX_INDEX_DEPTH = 4 };

/* ---- one blob ---------------------------------------------------------------------------------- */

static int
copy_verified(int fd, const struct blob *b, const char *digest, const char *what, struct rt_err *e)
{
	struct fd_writer *w = rt_alloc(sizeof(*w));
	struct reader *r = blob_reader_open(b, what);
	struct sum_writer sum;
	char got[72];
	int rc;

	fd_writer_init(w, fd, what);
	sum_writer_init(&sum, &w->writer);
	rc = reader_copy(r, &sum.writer, e);
	if (rc == 0)
		rc = fd_writer_flush(w, e);
	sha256_digest(&sum.sum, got);
	if (rc == 0 && strcmp(got, digest) != 0)
		rc = rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s, not %s", what, got, digest);
	if (rc == 0 && fsync(fd) < 0)
		rc = rt_fail(e, errno, "fsync %s", what);
	blob_reader_close(r);
	free(w);
	return rc;
}

int
blob_put(int dirfd, const struct blob *b, const char *digest, uint64_t size, const char *what, struct rt_err *e)
{
	cleanup_free char *name = blob_name(digest), *tmp = rt_printf("blobs/sha256/.%s-%d", digest + 7, (int)getpid());
	cleanup_fd int fd = -1;
	struct stat st;
	int rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size)
		return 0;
	if (b->size != size)
		return rt_fail_status(e, RT_DIGEST, "%s has %llu bytes, its descriptor says %llu", what, (unsigned long long)b->size,
		                      (unsigned long long)size);
	if (rt_mkdir_p(dirfd, "blobs/sha256", 0755, e) < 0)
		return -1;
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return rt_fail(e, errno, "create a blob for %s", what);
	rc = copy_verified(fd, b, digest, what, e);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		rc = rt_fail(e, errno, "rename to %s", name);
	if (rc < 0)
		unlinkat(dirfd, tmp, 0);
	return rc;
}

/* ---- images ------------------------------------------------------------------------------------ */

static int
copy_one(struct layout *l, int images, const struct json *j, struct rt_err *e)
{
	cleanup_free char *name = NULL, *what = NULL;
	struct descriptor d;
	struct stat st;
	struct blob b;
	int rc;

	if (descriptor_parse(j, l->what, &d, e) < 0)
		return -1;
	name = blob_name(d.digest);
	if (!layout_has(l, name) && fstatat(images, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size == d.size) {
		descriptor_free(&d); /* what the destination has need not be here */
		return 0;
	}
	what = rt_printf("%s: %s", l->what, d.digest);
	rc = layout_blob(l, name, &b, e);
	if (rc == 0) {
		rc = blob_put(images, &b, d.digest, d.size, what, e);
		blob_close(&b);
	}
	descriptor_free(&d);
	return rc;
}

static int copy_image(struct layout *l, int images, const struct json *j, int depth, struct rt_err *e);

/* Of an index, the manifests that are there: a layout may hold only some platforms of one. */
static int
copy_index(struct layout *l, int images, const struct json *index, int depth, struct rt_err *e)
{
	const struct json *list = json_need(index, "/manifests", JSON_ARRAY, l->what, e);
	size_t copied = 0;

	if (list == NULL)
		return -1;
	for (size_t i = 0; i < list->n; i++) {
		const char *digest = json_string_at(list->v[i], "/digest");
		cleanup_free char *name = digest != NULL && digest_valid(digest) ? blob_name(digest) : NULL;

		if (name == NULL || !layout_has(l, name))
			continue;
		if (copy_image(l, images, list->v[i], depth + 1, e) < 0)
			return -1;
		copied++;
	}
	return copied > 0 ? 0 : rt_fail_status(e, RT_DIGEST, "%s: none of an index's manifests is there", l->what);
}

static int
copy_manifest(struct layout *l, int images, const struct json *manifest, struct rt_err *e)
{
	const struct json *config = json_need(manifest, "/config", JSON_OBJECT, l->what, e);
	const struct json *layers = config != NULL ? json_need(manifest, "/layers", JSON_ARRAY, l->what, e) : NULL;

	if (layers == NULL || copy_one(l, images, config, e) < 0)
		return -1;
	for (size_t i = 0; i < layers->n; i++)
		if (copy_one(l, images, layers->v[i], e) < 0)
			return -1;
	return 0;
}

/* Contents first, so that a document is there only with all it names. */
static int
copy_image(struct layout *l, int images, const struct json *j, int depth, struct rt_err *e)
{
	struct descriptor d;
	struct json *document;
	int rc = -1;

	if (depth > MAX_INDEX_DEPTH)
		return rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", l->what, MAX_INDEX_DEPTH);
	if (descriptor_parse(j, l->what, &d, e) < 0)
		return -1;
	document = layout_document(l, &d, NULL, e);
	if (document != NULL)
		rc = oci_is_index(&d, document) ? copy_index(l, images, document, depth, e) : copy_manifest(l, images, document, e);
	if (rc == 0)
		rc = copy_one(l, images, j, e);
	json_free(document);
	descriptor_free(&d);
	return rc;
}

int
oci_copy(struct layout *l, int to, const struct json *entry, struct rt_err *e)
{
	return copy_image(l, to, entry, 0, e);
}

/* The index of images/ with `entry` in place of what had its name. */
int
images_put(int images, struct json *entry, const char *name, struct rt_err *e)
{
	struct str text = { 0 };
	struct json *index = NULL, *list, *old;
	struct stat st;
	int rc;

	if (fstatat(images, "index.json", &st, 0) == 0) {
		if (rt_read_file(images, "index.json", JSON_MAX_BYTES, &text, e) == 0)
			index = json_parse(text.s, text.len, "the store's index.json", e);
		str_free(&text);
		if (index == NULL || json_need(index, "/manifests", JSON_ARRAY, "the store's index.json", e) == NULL) {
			json_free(entry);
			json_free(index);
			return -1;
		}
	} else {
		index = json_new(JSON_OBJECT);
		json_set(index, "schemaVersion", json_new_int(2));
		json_set_string(index, "mediaType", OCI_INDEX);
		json_set(index, "manifests", json_new(JSON_ARRAY));
	}
	list = json_new(JSON_ARRAY);
	old = json_at(index, "/manifests");
	for (size_t i = 0; i < old->n; i++)
		if (!oci_entry_named(old->v[i], name))
			json_push(list, json_copy(old->v[i]));
	json_push(list, entry);
	json_set(index, "manifests", list);
	json_write(index, &text);
	json_free(index);
	rc = rt_write_file(images, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30, 0600, e);
	if (rc == 0)
		rc = rt_write_file(images, "index.json", text.s, text.len, 0600, e);
	str_free(&text);
	return rc;
}

int
images_name(struct store *s, struct json *entry, const char *name, struct rt_err *e)
{
	cleanup_fd int images = openat(s->fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct json *annotations;

	if (images < 0 || flock(images, LOCK_EX) < 0) {
		json_free(entry);
		return rt_fail(e, errno, "lock %s/images", s->path);
	}
	annotations = json_set(entry, "annotations", json_new(JSON_OBJECT));
	json_set_string(annotations, OCI_REF_NAME, name);
	json_set_string(annotations, OCI_CONTAINERD_NAME, name);
	return images_put(images, entry, name, e);
}

static int
import_place(struct store *s, struct place *p, const char *name, struct rt_err *e)
{
	cleanup_fd int images = openat(s->fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct descriptor d;
	struct platform here;
	struct json *entry, *annotations;
	int rc;

	if (images < 0 || flock(images, LOCK_EX) < 0)
		return rt_fail(e, errno, "lock %s/images", s->path);
	if (platform_parse(NULL, &here, e) < 0 || oci_top(&p->layout, p->tag, p->digest, &here, &d, e) < 0)
		return -1;
	entry = descriptor_json(*d.type != '\0' ? d.type : OCI_MANIFEST, d.digest, d.size);
	rc = p->store ? 0 : copy_image(&p->layout, images, entry, 0, e);
	if (rc == 0) {
		annotations = json_set(entry, "annotations", json_new(JSON_OBJECT));
		json_set_string(annotations, OCI_REF_NAME, name);
		json_set_string(annotations, OCI_CONTAINERD_NAME, name);
		rc = images_put(images, entry, name, e);
	} else {
		json_free(entry);
	}
	descriptor_free(&d);
	return rc;
}

int
image_import(struct store *s, const char *location, const char *ref, struct rt_err *e)
{
	cleanup_free char *name = NULL;
	char digest[72];
	struct place p;
	struct ref r;
	int rc;

	if (ref_parse(ref, &r, e) < 0)
		return -1;
	name = ref_full(&r);
	ref_free(&r);
	if (strncmp(location, "docker-image://", 15) == 0 && pull_all(s, location + 15, NULL, digest, e) < 0)
		return -1;
	rc = place_open(s, &p, NULL, location, e);
	if (rc == 0) {
		rc = import_place(s, &p, name, e);
		place_close(&p);
	}
	return rc < 0 ? rt_prefix(e, "import %s", location) : 0;
}
