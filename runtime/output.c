/* Where the finished image goes: --output and --tag. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "registry.h"
#include "verbs.h"

int
output_check(const struct build_options *o, struct rt_err *e)
{
	unsigned to_stdout = 0;

	for (size_t i = 0; i < o->outputs.n; i++) {
		struct output_spec out;
		int rc = output_parse(o->outputs.v[i], &out, e);

		for (size_t k = 0; rc == 0 && k < o->annotations.n; k++)
			rc = output_annotation(&out, o->annotations.v[k], e);
		if (rc == 0 && (out.push || out.keep) && out.names.n == 0 && o->tags.n == 0)
			rc = rt_fail_status(e, RT_USAGE, "--output %s: the image has no name: give one with --tag or name=", o->outputs.v[i]);
		if (rc == 0 && out.push)
			rc = net_allowed("the registry to push to", e);
		if (rc == 0 && out.dest != NULL && strcmp(out.dest, "-") == 0 && !out.push && !out.keep && to_stdout++ > 0)
			rc = rt_fail_status(e, RT_USAGE, "--output %s: only one output can go to standard output", o->outputs.v[i]);
		if (rc == 0 && to_stdout == 1 && isatty(STDOUT_FILENO))
			rc = rt_fail_status(e, RT_USAGE, "--output %s: a terminal cannot take that: give a dest", o->outputs.v[i]);
		output_spec_free(&out);
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
deliver(struct build *b, const struct export_image *im, const struct output_spec *out, struct export_result *r, struct rt_err *e)
{
	char *tmp = NULL, *dir, *location;
	struct descriptor top = { 0 };
	struct layout l = { .dirfd = -1, .fd = -1 };
	int lock = -1, rc;

	if (store_tmp(&b->store, &tmp, &lock, e) < 0)
		return -1;
	dir = rt_printf("%s/%s/image", b->store.path, tmp);
	rc = image_export(&b->store, im, EXPORT_OCI_DIR, dir, r, e);
	location = rt_printf("oci-layout://%s@%s", dir, r->digest);
	for (size_t i = 0; rc == 0 && out->keep && i < im->tags.n; i++)
		rc = image_import(&b->store, location, im->tags.v[i], e);
	if (rc == 0 && out->push) {
		struct platform any;

		if (platform_parse(b->o->platform, &any, e) < 0 || layout_open(&l, dir, -1, e) < 0 ||
		    oci_top(&l, NULL, r->digest, &any, &top, e) < 0 || push_image(&b->store, &l, &top, &im->tags, e) < 0)
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
	return path == NULL ? 0 : rt_write_named(path, text, strlen(text), e);
}

/* The names in full, with commas between them: what buildx calls image.name. */
static char *
full_names(const struct list *names)
{
	struct str all = { 0 };

	str_add(&all, "", 0);
	for (size_t i = 0; i < names->n; i++) {
		struct rt_err ignored;
		struct ref r;

		if (ref_parse(names->v[i], &r, &ignored) < 0)
			continue;
		cleanup_free char *full = ref_full(&r);

		str_printf(&all, "%s%s", all.len > 0 ? "," : "", full);
		ref_free(&r);
	}
	return all.s;
}

/* --iidfile: what docker calls the image's id, the digest of its config.  --metadata-file: as buildx names things. */
static int
write_notes(struct build *b, const struct export_result *r, const struct list *names, struct rt_err *e)
{
	struct json *meta = json_new(JSON_OBJECT);
	cleanup_free char *full = full_names(names);
	struct str text = { 0 };
	int rc = 0;

	if (r->digest[0] != '\0') {
		json_set_string(meta, "containerimage.config.digest", r->config);
		json_set(meta, "containerimage.descriptor", descriptor_json(OCI_MANIFEST, r->digest, r->size));
		json_set_string(meta, "containerimage.digest", r->digest);
		if (*full != '\0')
			json_set_string(meta, "image.name", full);
		rc = write_note(b->o->iidfile, r->config, e);
	} else if (b->o->iidfile != NULL) {
		rt_warn("--iidfile: no image was made, only files");
	}
	json_write(meta, &text);
	str_putc(&text, '\n');
	json_free(meta);
	if (rc == 0)
		rc = write_note(b->o->metadata_file, text.s, e);
	str_free(&text);
	return rc;
}

/* Those of "PLATFORM KEY=VALUE" that are for our platform; a later one of the same key wins when it is written. */
static void
select_annotations(const struct build *b, const struct list *from, struct list *to)
{
	struct platform ours, theirs;
	struct rt_err ignored;

	for (size_t i = 0; i < from->n; i++) {
		const char *blank = strchr(from->v[i], ' ');
		cleanup_free char *platform = rt_strndup(from->v[i], (size_t)(blank - from->v[i]));
		cleanup_free char *own = rt_printf("%s/%s%s%s", b->os, b->arch, b->variant != NULL ? "/" : "", b->variant != NULL ? b->variant : "");

		if (*platform != '\0' && (platform_parse(platform, &theirs, &ignored) < 0 || platform_parse(own, &ours, &ignored) < 0 ||
		                          memcmp(&ours, &theirs, sizeof(ours)) != 0))
			continue;
		list_add(to, blank + 1);
	}
}

static int
write_one(struct build *b, struct export_image *im, struct output_spec *out, struct export_result *r, struct rt_err *e)
{
	struct export_image one = *im;
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < b->o->annotations.n; k++)
		rc = output_annotation(out, b->o->annotations.v[k], e);
	one.annotations = one.descriptor_annotations = (struct list){ 0 };
	select_annotations(b, &out->annotations, &one.annotations);
	select_annotations(b, &out->descriptor_annotations, &one.descriptor_annotations);
	one.compression = out->compression;
	one.level = out->level;
	one.force = out->force;
	one.squash = out->squash || b->o->squash;
	if (out->names.n > 0)
		one.tags = out->names;
	if (rc == 0)
		rc = out->keep || out->push ? deliver(b, &one, out, r, e) : image_export(&b->store, &one, out->kind, out->dest, r, e);
	if (rc == 0 && r->digest[0] != '\0' && b->o->progress == PROGRESS_QUIET)
		memcpy(b->quiet, r->config, sizeof(b->quiet));
	list_free(&one.annotations);
	list_free(&one.descriptor_annotations);
	return rc;
}

/* Every --output, else the store under the tags. */
static int
write_all(struct build *b, struct export_image *im, struct rt_err *e)
{
	struct export_result last = { 0 };
	struct list names = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->o->outputs.n + (b->o->outputs.n == 0 && b->o->tags.n > 0); i++) {
		/* without any --output the image goes into the store */
		const char *spec = i < b->o->outputs.n ? b->o->outputs.v[i] : "type=image,compression=uncompressed";
		struct output_spec out;
		struct export_result r = { 0 };

		rc = output_parse(spec, &out, e);
		meter_begin(METER_EXPORT, i < b->o->outputs.n ? spec : b->o->tags.v[0], 0);
		if (rc == 0)
			rc = write_one(b, im, &out, &r, e);
		meter_end();
		if (rc == 0)
			progress_image(b, r.digest, i < b->o->outputs.n ? spec : b->o->tags.v[0]);
		if (r.digest[0] != '\0')
			last = r;
		for (size_t k = 0; k < out.names.n; k++)
			list_add(&names, out.names.v[k]);
		output_spec_free(&out);
	}
	if (rc == 0 && b->quiet[0] != '\0')
		dprintf(STDOUT_FILENO, "%s\n", b->quiet);
	if (rc == 0)
		rc = write_notes(b, &last, names.n > 0 ? &names : &b->o->tags, e);
	list_free(&names);
	return rc;
}

int
output_write(struct build *b, struct rt_err *e)
{
	struct export_image im = { .epoch = b->o->epoch, .tags = b->o->tags };
	char *config = final_config(b, &im.config_len);
	int rc = stage_settle(b, b->target, e);

	im.layers = b->target->layers;
	im.config_json = config;
	im.os = json_string_at(b->target->end.config, "/os");
	im.arch = json_string_at(b->target->end.config, "/architecture");
	im.variant = json_string_at(b->target->end.config, "/variant");
	if (rc == 0)
		rc = write_all(b, &im, e);
	free(config);
	return rc;
}

int
cmd_index(char **argv, struct rt_err *e)
{
	struct build_options o;
	struct build b = { .o = &o, .own = &o, .context_fd = -1, .store.fd = -1 };
	struct list parts = { 0 };
	struct export_image im = { .parts = &parts };
	int rc = 0;

	build_options_begin(&o);
	for (; rc == 0 && *argv != NULL; argv++) {
		if (strncmp(*argv, "--part=", 7) == 0)
			list_add(&parts, *argv + 7);
		else
			rc = build_option(&o, *argv, e);
	}
	if (rc < 0 || build_options_end(&o, e) < 0 || build_platform(&b, e) < 0)
		return -1;
	for (size_t i = 0; i < o.outputs.n; i++) {
		struct output_spec out;

		if (output_parse(o.outputs.v[i], &out, e) < 0)
			return -1;
		if (!out.keep && !out.push && out.kind != EXPORT_OCI_DIR && out.kind != EXPORT_OCI_TAR)
			rc = rt_fail_status(e, RT_USAGE, "--output %s: several platforms go into type=oci, image or registry; build the others one by one",
			                    o.outputs.v[i]);
		output_spec_free(&out);
	}
	if (rc < 0 || parts.n == 0)
		return rc;
	im.epoch = o.epoch;
	im.tags = o.tags;
	return store_open(&b.store, o.store, e) < 0 ? -1 : write_all(&b, &im, e);
}
