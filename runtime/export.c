#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "export.h"
#include "oci.h"
#include "ref.h"
#include "stream.h"
#include "tar_entry.h"

static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

/* ---- documents --------------------------------------------------------------------------------- */

/* Writes a document as a blob; its descriptor is returned. */
static struct json *
put_document(struct export *x, const struct json *j, const char *type, char digest[72], struct rt_err *e)
{
	cleanup_free char *name = NULL;
	struct str text = { 0 };
	struct sha256 sum;
	struct json *d = NULL;

	json_write(j, &text);
	sha256_init(&sum);
	sha256_update(&sum, text.s, text.len);
	sha256_digest(&sum, digest);
	name = blob_name(digest);
	if (rt_write_file(x->out, name, text.s, text.len, 0644, e) == 0)
		d = descriptor_json(type, digest, text.len);
	str_free(&text);
	return d;
}

/* Of a squashed image no entry of the history has a layer but one that says so. */
static void
squash_history(struct json *config, size_t nlayers)
{
	struct json *history = json_at(config, "/history"), *last;
	cleanup_free char *text = rt_printf("%zu layers squashed", nlayers);
	const char *created = json_string_at(config, "/created");

	for (size_t i = 0; history != NULL && i < history->n; i++)
		if (history->v[i]->type == JSON_OBJECT)
			json_set(history->v[i], "empty_layer", json_new(JSON_BOOL))->i = 1;
	if (history == NULL || history->type != JSON_ARRAY)
		history = json_set(config, "history", json_new(JSON_ARRAY));
	last = json_push(history, json_new(JSON_OBJECT));
	if (created != NULL)
		json_set_string(last, "created", created);
	json_set_string(last, "comment", text);
}

static struct json *
put_config(struct export *x, struct json *ids, char digest[72], struct rt_err *e)
{
	struct json *config = json_parse(x->im->config_json, x->im->config_len, "the image config", e), *rootfs, *d;

	if (config != NULL && config->type != JSON_OBJECT) {
		json_free(config);
		config = NULL;
		rt_fail(e, 0, "the image config is not an object");
	}
	if (config == NULL) {
		json_free(ids);
		return NULL;
	}
	if (x->im->squash)
		squash_history(config, x->im->layers.n);
	rootfs = json_set(config, "rootfs", json_new(JSON_OBJECT));
	json_set_string(rootfs, "type", "layers");
	json_set(rootfs, "diff_ids", ids);
	if (x->im->os != NULL)
		json_set_string(config, "os", x->im->os);
	if (x->im->arch != NULL)
		json_set_string(config, "architecture", x->im->arch);
	if (x->im->variant != NULL && *x->im->variant != '\0')
		json_set_string(config, "variant", x->im->variant);
	d = put_document(x, config, OCI_CONFIG, digest, e);
	json_free(config);
	return d;
}

static void
set_annotations(struct json *object, const struct list *annotations)
{
	for (size_t i = 0; i < annotations->n; i++) {
		cleanup_free char *pair = rt_strdup(annotations->v[i]);
		char *eq = strchr(pair, '=');

		if (eq != NULL)
			*eq = '\0';
		json_set_string(object, pair, eq != NULL ? eq + 1 : "");
	}
}

static struct json *
index_entry(const struct export *x, const struct json *manifest, const char *tag)
{
	struct json *entry = json_copy(manifest), *annotations = json_new(JSON_OBJECT), *platform;
	struct rt_err e;
	struct ref r;

	if (x->im->epoch >= 0) {
		time_t t = (time_t)x->im->epoch;
		struct tm tm;
		char when[32];

		if (gmtime_r(&t, &tm) != NULL && strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
			json_set_string(annotations, "org.opencontainers.image.created", when);
	}
	if (tag != NULL && ref_parse(tag, &r, &e) == 0) {
		cleanup_free char *full = ref_full(&r);

		json_set_string(annotations, OCI_CONTAINERD_NAME, full);
		json_set_string(annotations, OCI_REF_NAME, r.tag != NULL ? r.tag : "latest");
		ref_free(&r);
	} else if (tag != NULL) {
		json_set_string(annotations, OCI_REF_NAME, tag);
	}
	set_annotations(annotations, &x->im->descriptor_annotations);
	if (annotations->n > 0)
		json_set(entry, "annotations", annotations);
	else
		json_free(annotations);
	if (x->im->os != NULL && x->im->arch != NULL) {
		platform = json_set(entry, "platform", json_new(JSON_OBJECT));
		json_set_string(platform, "os", x->im->os);
		json_set_string(platform, "architecture", x->im->arch);
		if (x->im->variant != NULL && *x->im->variant != '\0')
			json_set_string(platform, "variant", x->im->variant);
	}
	return entry;
}

static int
put_json(int dirfd, const char *name, const struct json *j, struct rt_err *e)
{
	struct str text = { 0 };
	int rc;

	json_write(j, &text);
	rc = rt_write_file(dirfd, name, text.s, text.len, 0644, e);
	str_free(&text);
	return rc;
}

static int
put_index(struct export *x, const struct json *manifest, struct rt_err *e)
{
	struct json *index = json_new(JSON_OBJECT), *list;
	int rc;

	json_set(index, "schemaVersion", json_new_int(2));
	json_set_string(index, "mediaType", OCI_INDEX);
	list = json_set(index, "manifests", x->others != NULL ? x->others : json_new(JSON_ARRAY));
	x->others = NULL;
	for (size_t i = 0; i < x->im->tags.n; i++)
		json_push(list, index_entry(x, manifest, x->im->tags.v[i]));
	if (x->im->tags.n == 0)
		json_push(list, index_entry(x, manifest, NULL));
	rc = put_json(x->out, "index.json", index, e);
	json_free(index);
	return rc == 0 ? rt_write_file(x->out, "oci-layout", layout_text, sizeof(layout_text) - 1, 0644, e) : -1;
}

/* manifest.json of `docker save`. */
static int
put_docker(struct export *x, const char *config, const struct json *layers, struct rt_err *e)
{
	struct json *list = json_new(JSON_ARRAY), *image = json_push(list, json_new(JSON_OBJECT)), *names;
	cleanup_free char *name = blob_name(config);
	int rc;

	json_set_string(image, "Config", name);
	names = json_set(image, "RepoTags", json_new(JSON_ARRAY));
	for (size_t i = 0; i < x->im->tags.n; i++) {
		cleanup_free char *full = NULL;
		struct rt_err ignored;
		struct ref r;
		const char *familiar;

		if (ref_parse(x->im->tags.v[i], &r, &ignored) < 0)
			continue;
		full = ref_full(&r);
		familiar = strncmp(full, "docker.io/library/", 18) == 0 ? full + 18 : full;
		json_push(names, json_new_string(familiar));
		ref_free(&r);
	}
	names = json_set(image, "Layers", json_new(JSON_ARRAY));
	for (size_t i = 0; i < layers->n; i++) {
		cleanup_free char *layer = blob_name(json_string_at(layers->v[i], "/digest"));

		json_push(names, json_new_string(layer));
	}
	rc = put_json(x->out, "manifest.json", list, e);
	json_free(list);
	return rc;
}

/* The one image of a layout of ours, copied; its entry in an index with the platform of the image. */
static int
put_part(struct export *x, const char *dir, struct json *list, struct rt_err *e)
{
	struct layout l;
	struct json *index = NULL;
	const struct json *entry;
	int rc = layout_open(&l, dir, -1, e);

	if (rc == 0)
		index = layout_json(&l, "index.json", e);
	entry = index != NULL ? json_at(index, "/manifests/0") : NULL;
	if (rc == 0 && (entry == NULL || oci_copy(&l, x->out, entry, e) < 0))
		rc = index == NULL || entry != NULL ? -1 : rt_fail(e, 0, "%s holds no image", dir);
	if (rc == 0)
		json_push(list, json_copy(entry));
	json_free(index);
	layout_close(&l);
	return rc;
}

/* Several platforms: their images into x->out, and an index of them as what the names stand for. */
static int
put_parts(struct export *x, struct export_result *r, struct rt_err *e)
{
	struct json *index = json_new(JSON_OBJECT), *list, *d = NULL;
	int rc = rt_mkdir_p(x->out, "blobs/sha256", 0755, e);

	json_set(index, "schemaVersion", json_new_int(2));
	json_set_string(index, "mediaType", OCI_INDEX);
	list = json_set(index, "manifests", json_new(JSON_ARRAY));
	for (size_t i = 0; rc == 0 && i < x->im->parts->n; i++)
		rc = put_part(x, x->im->parts->v[i], list, e);
	if (rc == 0) {
		if (x->im->annotations.n > 0)
			set_annotations(json_set(index, "annotations", json_new(JSON_OBJECT)), &x->im->annotations);
		d = put_document(x, index, OCI_INDEX, r->digest, e);
		r->size = d != NULL ? (uint64_t)json_at(d, "/size")->i : 0;
		rc = d != NULL ? put_index(x, d, e) : -1;
	}
	memcpy(r->config, r->digest, sizeof(r->config)); /* what there is of an id */
	json_free(d);
	json_free(index);
	return rc;
}

/* The whole layout into x->out. */
static int
put_layout(struct export *x, bool docker, struct export_result *r, struct rt_err *e)
{
	struct json *manifest, *layers, *ids, *config, *d = NULL;
	int rc;

	if (x->im->parts != NULL)
		return put_parts(x, r, e);
	manifest = json_new(JSON_OBJECT);
	ids = json_new(JSON_ARRAY);
	rc = rt_mkdir_p(x->out, "blobs/sha256", 0755, e);
	json_set(manifest, "schemaVersion", json_new_int(2));
	json_set_string(manifest, "mediaType", OCI_MANIFEST);
	layers = json_set(manifest, "layers", json_new(JSON_ARRAY));
	if (rc == 0 && x->im->squash)
		rc = export_squashed(x, layers, ids, e);
	for (size_t i = 0; rc == 0 && !x->im->squash && i < x->im->layers.n; i++)
		rc = export_layer(x, x->im->layers.v[i], layers, ids, e);
	if (rc == 0) {
		config = put_config(x, ids, r->config, e);
		ids = NULL;
		rc = config != NULL ? 0 : -1;
		if (rc == 0)
			json_set(manifest, "config", config);
	}
	if (rc == 0) {
		if (x->im->annotations.n > 0)
			set_annotations(json_set(manifest, "annotations", json_new(JSON_OBJECT)), &x->im->annotations);
		d = put_document(x, manifest, OCI_MANIFEST, r->digest, e);
		r->size = d != NULL ? (uint64_t)json_at(d, "/size")->i : 0;
		rc = d != NULL ? put_index(x, d, e) : -1;
	}
	if (rc == 0 && docker)
		rc = put_docker(x, r->config, layers, e);
	json_free(d);
	json_free(ids);
	json_free(manifest);
	return rc;
}

/* ---- to its place ------------------------------------------------------------------------------ */

/* What an existing layout holds besides what we write: its images stay, with their blobs. */
static int
keep_others(struct export *x, const char *dest, struct rt_err *e)
{
	cleanup_fd int old = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct layout l;
	struct json *index, *list;
	int rc = 0;

	if (old < 0)
		return errno == ENOENT ? 0 : rt_fail(e, errno, "open %s", dest);
	if (unlinkat(AT_FDCWD, dest, AT_REMOVEDIR) == 0) /* an empty one */
		return 0;
	if (layout_open(&l, dest, -1, e) < 0) {
		layout_close(&l);
		return rt_fail(e, 0, "%s exists and is not an OCI image layout", dest);
	}
	index = layout_json(&l, "index.json", e);
	list = index != NULL ? json_need(index, "/manifests", JSON_ARRAY, dest, e) : NULL;
	x->others = json_new(JSON_ARRAY);
	if (list == NULL)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		bool ours = json_at(list->v[i], "/annotations") == NULL;

		for (size_t k = 0; k < x->im->tags.n; k++)
			ours = ours || oci_entry_named(list->v[i], x->im->tags.v[k]);
		if (!ours && rt_mkdir_p(x->out, "blobs/sha256", 0755, e) == 0 && oci_copy(&l, x->out, list->v[i], e) < 0)
			rc = -1;
		if (!ours && rc == 0)
			json_push(x->others, json_copy(list->v[i]));
	}
	json_free(index);
	layout_close(&l);
	return rc;
}

int
export_oci_dir(struct export *x, const char *dest, struct export_result *r, struct rt_err *e)
{
	cleanup_free char *tmp = unfinished_name(dest);
	struct rt_err ignored;
	int rc;

	if (mkdir(tmp, 0755) < 0)
		return rt_fail(e, errno, "make %s", tmp);
	x->out = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = x->out < 0 ? rt_fail(e, errno, "open %s", tmp) : unfinished_hold(x->out, tmp, e);
	if (rc == 0)
		rc = keep_others(x, dest, e);
	if (rc == 0)
		rc = put_layout(x, false, r, e);
	if (rc == 0 && syncfs(x->out) < 0)
		rc = rt_fail(e, errno, "sync %s", dest);
	rt_close_fd(&x->out);
	if (rc == 0 && rename(tmp, dest) < 0) {
		/* an older layout is there: change places with it, then remove it under the other name */
		if (errno != ENOTEMPTY && errno != EEXIST)
			rc = rt_fail(e, errno, "rename to %s", dest);
		else if (syscall(SYS_renameat2, AT_FDCWD, tmp, AT_FDCWD, dest, RENAME_EXCHANGE) < 0)
			rc = rt_fail(e, errno, "exchange %s", dest);
		else
			return rt_remove_tree(AT_FDCWD, tmp, e);
	}
	if (rc < 0)
		rt_remove_tree(AT_FDCWD, tmp, &ignored);
	return rc;
}

/* Everything below `dirfd` as tar entries with fixed owners, modes and times, in order of the names. */
static int
put_tree(struct writer *w, int dirfd, struct str *path, int64_t mtime, struct rt_err *e)
{
	struct list names = { 0 };
	size_t base = path->len;
	int rc = list_directory(dirfd, &names, e);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		cleanup_fd int fd = openat(dirfd, names.v[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		struct tar_entry t = { .mtime = mtime };
		struct fd_reader r;
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0) {
			rc = rt_fail(e, errno, "open %s", names.v[i]);
			break;
		}
		str_puts(path, names.v[i]);
		if (S_ISDIR(st.st_mode))
			str_putc(path, '/');
		t.name = path->s;
		t.type = S_ISDIR(st.st_mode) ? '5' : '0';
		t.mode = S_ISDIR(st.st_mode) ? 0755 : 0644;
		t.size = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
		rc = tar_put_header(w, &t, e);
		fd_reader_init(&r, fd, 0, t.size, names.v[i]);
		if (rc == 0)
			rc = S_ISDIR(st.st_mode) ? put_tree(w, fd, path, mtime, e) : reader_copy(&r.reader, w, e);
		if (rc == 0)
			rc = tar_put_padding(w, t.size, e);
		path->s[path->len = base] = '\0';
	}
	list_free(&names);
	return rc;
}

int
export_oci_tar(struct export *x, bool docker, const char *dest, struct export_result *r, struct rt_err *e)
{
	cleanup_free char *tmp = NULL;
	cleanup_fd int lock = -1;
	struct str path = { 0 };
	struct output o;
	int rc;

	if (store_tmp(x->store, &tmp, &lock, e) < 0)
		return -1;
	x->out = lock;
	rc = put_layout(x, docker, r, e);
	if (rc == 0 && (rc = output_open(&o, dest, e)) == 0) {
		str_add(&path, "", 0);
		rc = put_tree(&o.file->writer, lock, &path, x->im->epoch >= 0 ? x->im->epoch : 0, e);
		if (rc == 0)
			rc = tar_put_end(&o.file->writer, e);
		rc = output_close(&o, rc == 0, e);
		str_free(&path);
	}
	x->out = -1;
	rt_remove_tree(x->store->fd, tmp, &(struct rt_err){ 0 });
	return rc;
}
