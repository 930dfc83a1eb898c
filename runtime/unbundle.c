/* Bundles being read: verified index first, then each piece when it is used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "path.h"
#include "ref.h"
#include "stream.h"
#include "verbs.h"

static const char mark[] = "\nbundle=";

int
bundle_mark(const struct str *text, const char *value, struct str *out, struct rt_err *e)
{
	const char *at = text->len > 0 ? strstr(text->s, mark) : NULL;
	size_t n;

	if (at == NULL || at[sizeof(mark) - 1] != '\n')
		return rt_fail_status(e, RT_USAGE, at == NULL ? "this is no script of dockcc's" : "this script is a bundle already");
	n = (size_t)(at - text->s) + sizeof(mark) - 1;
	str_add(out, text->s, n);
	str_puts(out, value);
	str_add(out, text->s + n, text->len - n);
	return 0;
}

int
bundle_script(const char *path, uint64_t limit, struct str *text, struct rt_err *e)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char block[65536];
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rt_fail(e, errno, "open the script %s", path);
	if (!S_ISREG(st.st_mode))
		return rt_fail_status(e, RT_USAGE, "%s is not a file: a bundle is made from and is a script in a file", path);
	while (text->len < limit && n > 0) {
		uint64_t left = limit - text->len;

		n = read(fd, block, left < sizeof(block) ? (size_t)left : sizeof(block));
		if (n < 0)
			return rt_fail(e, errno, "read %s", path);
		str_add(text, block, (size_t)n);
	}
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

/* The text without what bundle_mark put in. */
static int
unmark(struct str *text, const char *path, struct rt_err *e)
{
	char *at = text->len > 0 ? strstr(text->s, mark) : NULL, *end = at != NULL ? strchr(at + 1, '\n') : NULL;

	if (end == NULL)
		return rt_fail_status(e, RT_DIGEST, "%s is damaged: its script does not say where the bundle is", path);
	at += sizeof(mark) - 1;
	memmove(at, end, text->len - (size_t)(end - text->s) + 1);
	text->len -= (size_t)(end - at);
	return 0;
}

static int
check_sum(const struct str *text, const char *want, const char *what, const char *path, struct rt_err *e)
{
	struct sha256 sum;
	char got[72];

	sha256_init(&sum);
	sha256_update(&sum, text->s, text->len);
	sha256_digest(&sum, got);
	if (want != NULL && strcmp(got, want) == 0)
		return 0;
	return rt_fail_status(e, RT_DIGEST, "%s is damaged: its %s is %s, not %s", path, what, got, want != NULL ? want : "known");
}

/* OFFSET:HEX:SCRIPT or dir:HEX:SCRIPT. */
static int
parse_place(struct bundle *u, const char *place, char digest[72], const char **script, struct rt_err *e)
{
	const char *hex = strchr(place, ':'), *slash;

	if (hex == NULL || strlen(hex) < 1 + 64 + 2 || hex[65] != ':')
		return rt_fail_status(e, RT_USAGE, "%s: want OFFSET:DIGEST:SCRIPT", place);
	snprintf(digest, 72, "sha256:%.64s", hex + 1);
	*script = hex + 66;
	if (strncmp(place, "dir:", 4) != 0) {
		u->start = strtoull(place, NULL, 10);
		u->path = rt_strdup(*script);
		return u->start > 0 ? 0 : rt_fail_status(e, RT_USAGE, "%s: the offset is no number", place);
	}
	slash = strrchr(*script, '/');
	u->path = slash == NULL ? rt_strdup(".") : rt_strndup(*script, (size_t)(slash - *script) + (slash == *script));
	return 0;
}

int
bundle_open(struct bundle *u, const char *place, struct rt_err *e)
{
	const char *script = NULL;
	char digest[72];

	*u = (struct bundle){ .layout = { .dirfd = -1, .fd = -1 } };
	if (parse_place(u, place, digest, &script, e) < 0)
		return -1;
	if (layout_open_at(&u->layout, u->path, u->start, e) < 0 || layout_bytes(&u->layout, "index.json", &u->text, e) < 0 ||
	    check_sum(&u->text, digest, "index", u->path, e) < 0)
		return -1;
	if ((u->index = json_parse(u->text.s, u->text.len, u->path, e)) == NULL ||
	    json_need(u->index, "/manifests", JSON_ARRAY, u->path, e) == NULL)
		return -1;
	if (bundle_script(script, u->start > 0 ? u->start : 64 << 20, &u->script, e) < 0 || unmark(&u->script, u->path, e) < 0)
		return -1;
	return check_sum(&u->script, json_string_at(json_at(u->index, "/annotations"), "/" BUNDLE_SCRIPT), "script", u->path, e);
}

void
bundle_close(struct bundle *u)
{
	layout_close(&u->layout);
	json_free(u->index);
	str_free(&u->text);
	str_free(&u->script);
	free(u->path);
	*u = (struct bundle){ .layout = { .dirfd = -1, .fd = -1 } };
}

/* ---- for a build ------------------------------------------------------------------------------------- */

static const char *
annotation(const struct json *entry, const char *pointer)
{
	return json_string_at(json_at(entry, "/annotations"), pointer);
}

/* What was named last wins: the bundle's images go first. */
static void
add_front(struct list *l, const struct list *front)
{
	struct list all = { 0 };

	for (size_t i = 0; i < front->n; i++)
		list_add(&all, front->v[i]);
	for (size_t i = 0; i < l->n; i++)
		list_add(&all, l->v[i]);
	list_free(l);
	*l = all;
}

int
bundle_images(struct build_options *o, struct rt_err *e)
{
	const char *place = getenv("DOCKCC_BUNDLE");
	const struct json *list;
	struct list front = { 0 };
	cleanup_free char *path = NULL;
	struct bundle u;

	if (place == NULL || *place == '\0')
		return 0;
	if (bundle_open(&u, place, e) < 0 || (path = realpath(u.path, NULL)) == NULL) {
		bundle_close(&u);
		return e->text[0] != '\0' ? -1 : rt_fail(e, errno, "find the bundle");
	}
	list = json_at(u.index, "/manifests");
	for (size_t i = 0; i < list->n; i++) {
		const char *from = annotation(list->v[i], "/" BUNDLE_FROM), *digest = json_string_at(list->v[i], "/digest");
		cleanup_free char *one = NULL;

		if (from == NULL || digest == NULL)
			continue;
		one = u.start > 0 ? rt_printf("%s=oci-bundle:%llu:%s@%s", from, (unsigned long long)u.start, path, digest)
		                  : rt_printf("%s=oci-layout://%s@%s", from, path, digest);
		list_add(&front, one);
	}
	add_front(&o->contexts, &front);
	list_free(&front);
	bundle_close(&u);
	return 0;
}

/* One context into tmp/RANDOM/N. */
static int
unpack(struct bundle *u, const struct descriptor *d, int to, struct rt_err *e)
{
	struct tar_options t = { .mode = TAR_ARCHIVE, .chown_uid = (int64_t)geteuid(), .chown_gid = (int64_t)getegid(), .what = u->path };
	cleanup_free char *name = blob_name(d->digest);
	struct sum_reader sum;
	struct reader *r;
	struct blob b;
	char got[72];
	int rc;

	if (layout_blob(&u->layout, name, &b, e) < 0)
		return -1;
	r = blob_reader_open(&b, u->path);
	sum_reader_init(&sum, r);
	rc = tar_unpack(&sum.reader, to, &t, e) < 0 || reader_drain(&sum.reader, e) < 0 ? -1 : 0;
	sha256_digest(&sum.sum, got);
	/* a damaged tar is damaged, whatever it was in it that gave it away */
	if ((rc == 0 || e->status == RT_DIGEST) && (strcmp(got, d->digest) != 0 || b.size != d->size))
		rc = rt_fail_status(e, RT_DIGEST, "%s is damaged: the digest of a build context is not %s", u->path, d->digest);
	blob_reader_close(r);
	blob_close(&b);
	return rc;
}

/* Makes the unpacked directory the context of that name. */
static void
use(struct build_options *o, const char *name, const char *dir, struct list *front)
{
	cleanup_free char *one = NULL;

	if (*name == '\0') {
		o->context = rt_printf("%s/context", dir);
		o->ignore_file = rt_printf("%s/ignore", dir);
		return;
	}
	one = rt_printf("%s=%s/context", name, dir);
	list_add(front, one);
}

static int
unpack_all(struct bundle *u, struct build_options *o, struct store *s, const char *tmp, struct rt_err *e)
{
	const struct json *list = json_at(u->index, "/manifests");
	struct list front = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		const char *name = annotation(list->v[i], "/" BUNDLE_NAME);
		cleanup_free char *dir = rt_printf("%s/%zu", tmp, i), *path = rt_printf("%s/%s", s->path, dir);
		struct descriptor d;
		cleanup_fd int fd = -1;

		if (name == NULL || (*name == '\0' && o->context != NULL))
			continue;
		if (descriptor_parse(list->v[i], u->path, &d, e) < 0)
			return -1;
		if (mkdirat(s->fd, dir, 0700) < 0 || (fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			rc = rt_fail(e, errno, "make %s", path);
		else
			rc = unpack(u, &d, fd, e);
		descriptor_free(&d);
		if (rc == 0)
			use(o, name, path, &front);
	}
	add_front(&o->contexts, &front);
	list_free(&front);
	return rc;
}

int
bundle_contexts(struct build_options *o, struct store *s, char **name, int *lock, struct rt_err *e)
{
	const char *place = getenv("DOCKCC_BUNDLE");
	struct bundle u;
	int rc;

	*name = NULL;
	*lock = -1;
	if (place == NULL || *place == '\0')
		return 0;
	rc = bundle_open(&u, place, e);
	if (rc == 0)
		rc = store_tmp(s, name, lock, e);
	if (rc == 0)
		rc = unpack_all(&u, o, s, *name, e);
	bundle_close(&u);
	return rc;
}

/* ---- dockcc-rt unbundle -------------------------------------------------------------------------------- */

static int
all_parts(struct bundle *u, struct parts *parts, struct rt_err *e)
{
	const struct json *list = json_at(u->index, "/manifests");

	for (size_t i = 0; i < list->n; i++) {
		struct descriptor d;
		int rc = 0;

		if (descriptor_parse(list->v[i], u->path, &d, e) < 0)
			return -1;
		if (annotation(list->v[i], "/" BUNDLE_NAME) != NULL) {
			struct part part = { .size = d.size, .from = &u->layout };

			memcpy(part.digest, d.digest, sizeof(part.digest));
			parts_add(parts, &part);
		} else {
			rc = parts_image(parts, &u->layout, &d, NULL, e);
		}
		descriptor_free(&d);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
cmd_unbundle(char **argv, struct rt_err *e)
{
	const char *to = NULL, *script = "build.sh", *place = getenv("DOCKCC_BUNDLE");
	struct parts parts = { 0 };
	struct bundle u;
	int rc;

	for (; *argv != NULL; argv++) {
		if (strncmp(*argv, "--to-directory=", 15) == 0)
			to = *argv + 15;
		else if (strncmp(*argv, "--script=", 9) == 0)
			script = *argv + 9;
		else
			return rt_fail_status(e, RT_USAGE, "unbundle does not know %s", *argv);
	}
	if (place == NULL || *place == '\0')
		return rt_fail_status(e, RT_USAGE, "unbundle wants OFFSET:DIGEST:SCRIPT in DOCKCC_BUNDLE, as a bundle sets it");
	rc = bundle_open(&u, place, e);
	if (rc == 0)
		rc = all_parts(&u, &parts, e);
	if (rc == 0)
		rc = to == NULL ? parts_verify(&parts, u.path, e) : bundle_write(&parts, to, true, script, &u.script, &u.text, e);
	if (rc == 0)
		dprintf(STDERR_FILENO, to == NULL ? "bundle     %zu pieces, all as they should be\n" : "bundle     %zu pieces in %s\n", parts.n, to);
	parts_free(&parts);
	bundle_close(&u);
	return rc;
}
