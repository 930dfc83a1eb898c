/* Where the finished image goes: --output and --tag. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "registry.h"

struct output {
	bool keep, push;     /* no file: into the store, to registries */
	struct list names;   /* of those; empty: the tags */
	enum export_kind kind;
	enum export_compression compression;
	int level;
	char *dest;
};

char *
output_field(const char *csv, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = csv; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, key, n) == 0 && p[n] == '=')
			return rt_strndup(p + n + 1, strcspn(p + n + 1, ","));
	}
	return NULL;
}

static bool
is_false(const char *s)
{
	return s != NULL && (strcmp(s, "false") == 0 || strcmp(s, "0") == 0);
}

/* The values of name= and dest= as a list: names behind each other with commas between them, in a quoted field of the CSV
   (RFC 4180) or in fields that are no KEY=VALUE. */
static void
collect_names(const char *csv, struct list *names)
{
	bool in_names = false;

	for (const char *p = csv; *p != '\0';) {
		size_t n;

		p += strspn(p, "\",");
		n = strcspn(p, "\",");
		cleanup_free char *word = rt_strndup(p, n);
		char *eq = strchr(word, '=');

		if (eq != NULL)
			in_names = strncmp(word, "name=", 5) == 0 || strncmp(word, "dest=", 5) == 0;
		if (in_names && *(eq != NULL ? eq + 1 : word) != '\0')
			list_add(names, eq != NULL ? eq + 1 : word);
		p += n;
	}
}

/* type=image and type=registry: no file. */
static int
parse_names(const char *spec, struct output *out, struct rt_err *e)
{
	cleanup_free char *push = output_field(spec, "push"), *how = output_field(spec, "compression");
	bool image = strstr(spec, "type=image") != NULL;

	out->keep = image;
	out->push = image ? push != NULL && !is_false(push) : !is_false(push);
	if (how == NULL)
		out->compression = COMPRESS_GZIP;
	collect_names(spec, &out->names);
	for (size_t i = 0; i < out->names.n; i++) {
		struct ref r;

		if (ref_parse(out->names.v[i], &r, e) < 0)
			return rt_prefix(e, "--output %s", spec);
		ref_free(&r);
	}
	return 0;
}

static int
parse_type(const char *spec, struct output *out, struct rt_err *e)
{
	cleanup_free char *type = output_field(spec, "type"), *tar = output_field(spec, "tar"), *how = output_field(spec, "compression"),
	                  *level = output_field(spec, "compression-level");

	out->dest = output_field(spec, "dest");
	if (out->dest == NULL)
		out->dest = output_field(spec, "destination");
	if (strcmp(type, "oci") == 0)
		out->kind = is_false(tar) ? EXPORT_OCI_DIR : EXPORT_OCI_TAR;
	else if (strcmp(type, "docker") == 0)
		out->kind = EXPORT_DOCKER;
	else if (strcmp(type, "local") == 0)
		out->kind = EXPORT_ROOTFS_DIR;
	else if (strcmp(type, "tar") == 0)
		out->kind = EXPORT_ROOTFS_TAR;
	else if (strcmp(type, "registry") == 0 || strcmp(type, "image") == 0)
		out->keep = true;
	else
		return rt_fail_status(e, RT_USAGE, "--output %s: the types are oci, docker, tar, local, image and registry", spec);
	if (how != NULL && strcmp(how, "gzip") == 0)
		out->compression = COMPRESS_GZIP;
	else if (how != NULL && strcmp(how, "zstd") == 0)
		out->compression = COMPRESS_ZSTD;
	else if (how != NULL && strcmp(how, "uncompressed") != 0)
		return rt_fail_status(e, RT_USAGE, "--output %s: compression is gzip, zstd or uncompressed", spec);
	if (level != NULL)
		out->level = atoi(level);
	if (out->keep)
		return parse_names(spec, out, e);
	if (out->dest == NULL && out->kind != EXPORT_ROOTFS_DIR && out->kind != EXPORT_OCI_DIR)
		out->dest = rt_strdup("-");
	return out->dest != NULL && *out->dest != '\0' ? 0 : rt_fail_status(e, RT_USAGE, "--output %s: there is no dest", spec);
}

static int
parse(const char *spec, struct output *out, struct rt_err *e)
{
	static const struct {
		const char *prefix;
		enum export_kind kind;
	} shorts[] = {
		{ "oci:", EXPORT_OCI_DIR }, { "oci-archive:", EXPORT_OCI_TAR }, { "docker:", EXPORT_DOCKER },
		{ "docker-archive:", EXPORT_DOCKER }, { "tar:", EXPORT_ROOTFS_TAR }, { "local:", EXPORT_ROOTFS_DIR },
	};

	*out = (struct output){ .compression = COMPRESS_NONE, .level = 6 };
	if (strncmp(spec, "type=", 5) == 0 || strstr(spec, ",type=") != NULL)
		return parse_type(spec, out, e);
	for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++) {
		size_t n = strlen(shorts[i].prefix);

		if (strncmp(spec, shorts[i].prefix, n) == 0 && spec[n] != '\0') {
			out->kind = shorts[i].kind;
			out->dest = rt_strdup(spec + n);
			return 0;
		}
	}
	if (*spec == '\0')
		return rt_fail_status(e, RT_USAGE, "--output is empty");
	/* docker's short forms: a directory, or the tar on standard output */
	out->kind = strcmp(spec, "-") == 0 ? EXPORT_ROOTFS_TAR : EXPORT_ROOTFS_DIR;
	out->dest = rt_strdup(spec);
	return 0;
}

static void
output_free(struct output *out)
{
	free(out->dest);
	list_free(&out->names);
}

int
output_check(const struct build_options *o, struct rt_err *e)
{
	for (size_t i = 0; i < o->outputs.n; i++) {
		struct output out;
		int rc = parse(o->outputs.v[i], &out, e);

		if (rc == 0 && (out.push || out.keep) && out.names.n == 0 && o->tags.n == 0)
			rc = rt_fail_status(e, RT_USAGE, "--output %s: the image has no name: give one with --tag or name=", o->outputs.v[i]);
		if (rc == 0 && out.push)
			rc = net_allowed("the registry to push to", e);
		output_free(&out);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* JSON is UTF-8: what is none becomes U+FFFD, byte by byte, as Go's encoder has it. */
static char *
replace_invalid(const struct str *text, size_t *len)
{
	struct str out = { 0 };
	uint32_t c;

	for (size_t i = 0, n; i < text->len; i += n) {
		n = rt_utf8((const unsigned char *)text->s + i, &c);
		if (n > 0)
			str_add(&out, text->s + i, n);
		else
			str_puts(&out, "\\ufffd");
		n += n == 0;
	}
	*len = out.len;
	return out.s;
}

/* The config without rootfs; its creation time is that of the last history entry. */
static char *
final_config(struct build *b, size_t *len)
{
	struct state *st = &b->target->end;
	struct str text = { 0 };
	struct json *last;
	char *out;

	for (size_t i = 0; i < b->o->labels.n; i++)
		state_label(st, b->o->labels.v[i]);
	last = json_at(st->config, "/history");
	last = last != NULL && last->n > 0 ? json_at(last->v[last->n - 1], "/created") : NULL;
	json_set_string(st->config, "created", last != NULL && last->type == JSON_STRING ? last->s : st->created);
	json_write(st->config, &text);
	out = replace_invalid(&text, len);
	str_free(&text);
	return out;
}

/* Under its names into the store, where a later FROM finds it, and to registries. */
static int
deliver(struct build *b, const struct export_image *im, const struct output *out, char digest[72], struct rt_err *e)
{
	const struct list *names = out->names.n > 0 ? &out->names : &b->o->tags;
	char *tmp = NULL, *dir, *location;
	struct descriptor top = { 0 };
	struct layout l = { .dirfd = -1, .fd = -1 };
	int lock = -1, rc;

	if (store_tmp(&b->store, &tmp, &lock, e) < 0)
		return -1;
	dir = rt_printf("%s/%s/image", b->store.path, tmp);
	rc = image_export(&b->store, im, EXPORT_OCI_DIR, out->compression, out->level, dir, digest, e);
	location = rt_printf("oci-layout://%s@%s", dir, digest);
	for (size_t i = 0; rc == 0 && out->keep && i < names->n; i++)
		rc = image_import(&b->store, location, names->v[i], e);
	if (rc == 0 && out->push) {
		struct platform any;

		if (platform_parse(b->o->platform, &any, e) < 0 || layout_open(&l, dir, -1, e) < 0 ||
		    oci_top(&l, NULL, digest, &any, &top, e) < 0 || push_image(&b->store, &l, &top, names, e) < 0)
			rc = -1;
	}
	layout_close(&l);
	descriptor_free(&top);
	rt_remove_tree(b->store.fd, tmp, rc == 0 ? e : &(struct rt_err){ 0 });
	rt_close_fd(&lock);
	free(location);
	free(dir);
	free(tmp);
	return rc;
}

static int
write_note(const char *path, const char *text, struct rt_err *e)
{
	return path == NULL ? 0 : rt_write_file(AT_FDCWD, path, text, strlen(text), 0644, e);
}

static int
write_notes(struct build *b, const char *digest, struct rt_err *e)
{
	struct json *meta;
	struct str text = { 0 };
	int rc;

	if (*digest == '\0')
		return 0;
	meta = json_new(JSON_OBJECT);
	json_set_string(meta, "containerimage.digest", digest);
	if (b->o->tags.n > 0)
		json_set_string(meta, "image.name", b->o->tags.v[0]);
	json_write(meta, &text);
	str_putc(&text, '\n');
	json_free(meta);
	rc = write_note(b->o->iidfile, digest, e);
	if (rc == 0)
		rc = write_note(b->o->metadata_file, text.s, e);
	str_free(&text);
	return rc;
}

static void
report(struct build *b, const char *digest, const char *where)
{
	if (b->o->progress == PROGRESS_QUIET) {
		if (*digest != '\0')
			dprintf(STDOUT_FILENO, "%s\n", digest);
	} else if (b->o->progress != PROGRESS_JSON) {
		dprintf(STDERR_FILENO, "%-10s %s%s%s\n", "image", digest, *digest != '\0' ? " -> " : "", where);
	}
}

int
output_write(struct build *b, struct rt_err *e)
{
	struct export_image im = { .epoch = b->o->epoch, .os = b->os, .arch = b->arch, .variant = b->variant };
	struct output out;
	char digest[72] = "";
	size_t len;
	char *config = final_config(b, &len);
	int rc = stage_settle(b, b->target, e);

	im.layers = b->target->layers;
	im.config_json = config;
	im.config_len = len;
	im.tags = b->o->tags;
	im.annotations = b->o->annotations;
	im.os = json_string_at(b->target->end.config, "/os");
	im.arch = json_string_at(b->target->end.config, "/architecture");
	im.variant = json_string_at(b->target->end.config, "/variant");
	for (size_t i = 0; rc == 0 && i < b->o->outputs.n; i++) {
		char one[72] = "";

		rc = parse(b->o->outputs.v[i], &out, e);
		if (rc == 0 && (out.keep || out.push))
			rc = deliver(b, &im, &out, one, e);
		else if (rc == 0)
			rc = image_export(&b->store, &im, out.kind, out.compression, out.level, out.dest, one, e);
		if (rc == 0)
			report(b, one, b->o->outputs.v[i]);
		if (one[0] != '\0')
			memcpy(digest, one, sizeof(digest));
		output_free(&out);
	}
	if (rc == 0 && b->o->outputs.n == 0 && b->o->tags.n > 0) {
		rc = deliver(b, &im, &(struct output){ .keep = true, .compression = COMPRESS_NONE }, digest, e);
		if (rc == 0)
			report(b, digest, b->o->tags.v[0]);
	}
	if (rc == 0)
		rc = write_notes(b, digest, e);
	free(config);
	return rc;
}
