/* What --output and --annotation say, as buildx has them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "output.h"
#include "ref.h"

/* ---- one record of CSV ---------------------------------------------------------------------------- */

/* RFC 4180: fields between commas, one in quotes may hold commas, and quotes when they are doubled. */
static int
csv_fields(const char *text, struct list *fields, struct rt_err *e)
{
	for (const char *p = text;; p++) {
		struct str field = { 0 };
		bool quoted = *p == '"';

		str_add(&field, "", 0);
		for (p += quoted; *p != '\0' && (quoted || *p != ','); p++) {
			if (quoted && *p == '"' && p[1] != '"')
				break;
			p += quoted && *p == '"';
			str_putc(&field, *p);
		}
		if (quoted && (*p != '"' || (p[1] != ',' && p[1] != '\0'))) {
			str_free(&field);
			return rt_fail_status(e, RT_USAGE, "%s: a quote is not closed, or something follows it", text);
		}
		p += quoted;
		list_add(fields, field.s);
		str_free(&field);
		if (*p == '\0')
			return 0;
	}
}

char *
output_field(const char *csv, const char *key)
{
	struct list fields = { 0 };
	struct rt_err ignored;
	char *value = NULL;
	size_t n = strlen(key);

	if (csv_fields(csv, &fields, &ignored) == 0)
		for (size_t i = 0; value == NULL && i < fields.n; i++)
			if (strncasecmp(fields.v[i], key, n) == 0 && fields.v[i][n] == '=')
				value = rt_strdup(fields.v[i] + n + 1);
	list_free(&fields);
	return value;
}

/* ---- annotations ---------------------------------------------------------------------------------- */

/* TYPE or TYPE[PLATFORM]; the manifest is all that an image of one platform has besides its descriptor. */
static int
annotate(struct output_spec *out, const char *type, size_t n, const char *pair, struct rt_err *e)
{
	const char *bracket = memchr(type, '[', n);
	size_t ntype = bracket != NULL ? (size_t)(bracket - type) : n;
	cleanup_free char *where = NULL, *whole = NULL;

	if (bracket != NULL && (type[n - 1] != ']' || n - ntype < 3))
		return rt_fail_status(e, RT_USAGE, "annotation %s: the platform stands in brackets", pair);
	where = bracket != NULL ? rt_strndup(bracket + 1, n - ntype - 2) : rt_strdup("");
	whole = rt_printf("%s %s", where, pair);
	if (ntype == 0 || (ntype == 8 && strncmp(type, "manifest", 8) == 0))
		list_add(&out->annotations, whole);
	else if (ntype == 19 && strncmp(type, "manifest-descriptor", 19) == 0)
		list_add(&out->descriptor_annotations, whole);
	else if ((ntype == 5 && strncmp(type, "index", 5) == 0) || (ntype == 16 && strncmp(type, "index-descriptor", 16) == 0))
		return rt_fail_status(e, RT_USAGE, "annotation %s: an image of one platform has no index", pair);
	else
		return rt_fail_status(e, RT_USAGE, "annotation %s: unknown type %.*s", pair, (int)ntype, type);
	return 0;
}

int
output_annotation(struct output_spec *out, const char *text, struct rt_err *e)
{
	size_t key = strcspn(text, "="), types = strcspn(text, ":=");

	if (text[key] == '\0' || key == 0)
		return rt_fail_status(e, RT_USAGE, "--annotation %s: want [TYPE:]KEY=VALUE", text);
	if (types == key)
		return annotate(out, "", 0, text, e);
	for (const char *p = text; p < text + types + 1;) {
		size_t n = strcspn(p, ",:");

		if (n == 0 || annotate(out, p, n, text + types + 1, e) < 0)
			return n == 0 ? rt_fail_status(e, RT_USAGE, "--annotation %s: there is no type", text) : -1;
		p += n + 1;
	}
	return 0;
}

/* annotation.KEY, annotation-TYPE.KEY, annotation-TYPE[PLATFORM].KEY */
static int
field_annotation(struct output_spec *out, const char *field, struct rt_err *e)
{
	const char *type = field + strlen("annotation"), *end = type + strcspn(type, ".[=");

	if (*end == '[')
		end += strcspn(end, "]=") + 1;
	if (*end != '.' || end[1] == '=' || end[1] == '\0')
		return rt_fail_status(e, RT_USAGE, "--output: %s: want annotation[-TYPE][[PLATFORM]].KEY=VALUE", field);
	type += *type == '-';
	return annotate(out, type, (size_t)(end - type), end + 1, e);
}

/* ---- the fields of an output ---------------------------------------------------------------------- */

/* strconv.ParseBool */
static int
boolean(const char *key, const char *value, bool *to, struct rt_err *e)
{
	static const char *const words[] = { "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(value, words[i]) == 0) {
			*to = i < 6;
			return 0;
		}
	return rt_fail_status(e, RT_USAGE, "--output: %s=%s is neither true nor false", key, value);
}

static int
set_type(struct output_spec *out, const char *value, struct rt_err *e)
{
	static const struct {
		const char *name;
		enum export_kind kind;
		bool keep, push;
	} types[] = {
		{ "oci", EXPORT_OCI_TAR, false, false }, { "docker", EXPORT_DOCKER, false, false },
		{ "local", EXPORT_ROOTFS_DIR, false, false }, { "tar", EXPORT_ROOTFS_TAR, false, false },
		{ "image", EXPORT_OCI_DIR, true, false }, { "registry", EXPORT_OCI_DIR, false, true },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(value, types[i].name) == 0) {
			out->kind = types[i].kind;
			out->keep = types[i].keep;
			out->push = types[i].push;
			return 0;
		}
	return rt_fail_status(e, RT_USAGE, "--output: type=%s: the types are oci, docker, tar, local, image and registry", value);
}

static int
set_compression(struct output_spec *out, const char *value, struct rt_err *e)
{
	if (strcmp(value, "gzip") == 0)
		out->compression = COMPRESS_GZIP;
	else if (strcmp(value, "zstd") == 0)
		out->compression = COMPRESS_ZSTD;
	else if (strcmp(value, "uncompressed") == 0)
		out->compression = COMPRESS_NONE;
	else
		return rt_fail_status(e, RT_USAGE, "--output: compression=%s: want gzip, zstd or uncompressed", value);
	out->compressed = true;
	return 0;
}

static int
set_level(struct output_spec *out, const char *value, struct rt_err *e)
{
	char *end;
	long level;

	errno = 0;
	level = strtol(value, &end, 10);
	if (*value == '\0' || *end != '\0' || errno != 0 || level < 0 || level > 22)
		return rt_fail_status(e, RT_USAGE, "--output: compression-level=%s: want 0 to 9 for gzip, 0 to 22 for zstd", value);
	out->level = (int)level;
	return 0;
}

/* Names, with commas between them. */
static int
set_names(struct output_spec *out, const char *value, struct rt_err *e)
{
	for (const char *p = value; *p != '\0'; p += *p == ',') {
		size_t n = strcspn(p, ",");
		cleanup_free char *name = rt_strndup(p, n);
		struct ref r;

		p += n;
		if (*name == '\0')
			continue;
		if (ref_parse(name, &r, e) < 0)
			return rt_prefix(e, "--output");
		ref_free(&r);
		list_add(&out->names, name);
	}
	return 0;
}

static int
set_field(struct output_spec *out, const char *field, struct rt_err *e)
{
	const char *eq = strchr(field, '='), *value = eq != NULL ? eq + 1 : "";
	cleanup_free char *key = rt_strndup(field, eq != NULL ? (size_t)(eq - field) : strlen(field));
	bool yes = false;

	if (eq == NULL)
		return rt_fail_status(e, RT_USAGE, "--output: %s is no KEY=VALUE", field);
	if (strncmp(key, "annotation", 10) == 0)
		return field_annotation(out, field, e);
	for (char *p = key; *p != '\0'; p++)
		*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
	if (strcmp(key, "type") == 0)
		return 0; /* known already */
	if (strcmp(key, "dest") == 0 || strcmp(key, "destination") == 0) {
		free(out->dest);
		out->dest = rt_strdup(value);
	} else if (strcmp(key, "name") == 0) {
		return set_names(out, value, e);
	} else if (strcmp(key, "compression") == 0) {
		return set_compression(out, value, e);
	} else if (strcmp(key, "compression-level") == 0) {
		return set_level(out, value, e);
	} else if (strcmp(key, "force-compression") == 0) {
		return boolean(key, value, &out->force, e);
	} else if (strcmp(key, "squash") == 0) {
		return boolean(key, value, &out->squash, e);
	} else if (strcmp(key, "push") == 0) {
		return boolean(key, value, &out->push, e);
	} else if (strcmp(key, "tar") == 0) {
		if (boolean(key, value, &yes, e) < 0)
			return -1;
		if (out->kind == EXPORT_OCI_TAR && !yes)
			out->kind = EXPORT_OCI_DIR;
	} else if (strcmp(key, "oci-mediatypes") == 0 || strcmp(key, "rewrite-timestamp") == 0) {
		if (boolean(key, value, &yes, e) < 0)
			return -1;
		if (!yes)
			rt_warn("--output: %s=false is without effect", key);
	} else {
		rt_warn("--output: %s is unknown and without effect", key);
	}
	return 0;
}

/* What can be said when all fields are known. */
static int
settle(const char *spec, struct output_spec *out, struct rt_err *e)
{
	bool files = out->kind == EXPORT_ROOTFS_DIR || out->kind == EXPORT_ROOTFS_TAR;

	if (out->compression == COMPRESS_GZIP && out->level > 9)
		return rt_fail_status(e, RT_USAGE, "--output %s: the levels of gzip are 0 to 9", spec);
	if (out->keep || out->push) {
		if (files || out->kind == EXPORT_DOCKER || out->kind == EXPORT_OCI_TAR)
			return rt_fail_status(e, RT_USAGE, "--output %s: push goes with type=image and type=registry", spec);
		if (!out->compressed)
			out->compression = COMPRESS_GZIP;
		if (out->dest != NULL && out->names.n == 0 && set_names(out, out->dest, e) < 0)
			return -1;
		return 0;
	}
	if (out->dest == NULL && out->kind != EXPORT_ROOTFS_DIR && out->kind != EXPORT_OCI_DIR)
		out->dest = rt_strdup("-");
	if (out->dest == NULL || *out->dest == '\0')
		return rt_fail_status(e, RT_USAGE, "--output %s: there is no dest", spec);
	if (strcmp(out->dest, "-") == 0 && (out->kind == EXPORT_ROOTFS_DIR || out->kind == EXPORT_OCI_DIR))
		return rt_fail_status(e, RT_USAGE, "--output %s: a directory cannot go to standard output", spec);
	return 0;
}

static int
parse_fields(const char *spec, struct output_spec *out, struct rt_err *e)
{
	cleanup_free char *type = output_field(spec, "type");
	struct list fields = { 0 };
	int rc = csv_fields(spec, &fields, e);

	if (rc == 0 && type == NULL)
		rc = rt_fail_status(e, RT_USAGE, "--output %s: there is no type", spec);
	if (rc == 0)
		rc = set_type(out, type, e);
	for (size_t i = 0; rc == 0 && i < fields.n; i++)
		rc = set_field(out, fields.v[i], e);
	list_free(&fields);
	return rc < 0 ? -1 : settle(spec, out, e);
}

int
output_parse(const char *spec, struct output_spec *out, struct rt_err *e)
{
	static const struct {
		const char *prefix;
		enum export_kind kind;
	} shorts[] = {
		{ "oci:", EXPORT_OCI_DIR }, { "oci-archive:", EXPORT_OCI_TAR }, { "docker:", EXPORT_DOCKER },
		{ "docker-archive:", EXPORT_DOCKER }, { "tar:", EXPORT_ROOTFS_TAR }, { "local:", EXPORT_ROOTFS_DIR },
	};

	*out = (struct output_spec){ .compression = COMPRESS_NONE, .level = -1 };
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
	if (strchr(spec, '=') != NULL)
		return parse_fields(spec, out, e);
	/* docker's short forms: a directory, or the tar on standard output */
	out->kind = strcmp(spec, "-") == 0 ? EXPORT_ROOTFS_TAR : EXPORT_ROOTFS_DIR;
	out->dest = rt_strdup(spec);
	return 0;
}

void
output_spec_free(struct output_spec *out)
{
	free(out->dest);
	list_free(&out->names);
	list_free(&out->annotations);
	list_free(&out->descriptor_annotations);
}
