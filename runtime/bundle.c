/* `dockcc-rt bundle`: from a plan to the bundle of what it reads.  Nothing is built; layers go from where they are into the
   result in one pass, verified on the way, and the result appears when it is whole. */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle_tar.h"
#include "export.h"
#include "lock.h"
#include "remote.h"
#include "verbs.h"

struct bundle_job {
	struct build *b;
	const char *to, *text; /* the result; the script */
	bool directory;
	struct parts parts;
	struct list named;     /* names that are done */
	struct place **images; /* kept open until their blobs are written */
	size_t nimages;
	struct context_tar **contexts;
	size_t ncontexts;
	struct json *manifests;
};

/* ---- what goes in ------------------------------------------------------------------------------- */

static void
add_entry(struct bundle_job *j, const char *type, const char *digest, uint64_t size, const char *key, const char *name, bool image)
{
	struct json *entry = json_push(j->manifests, descriptor_json(type, digest, size));
	struct json *annotations = json_set(entry, "annotations", json_new(JSON_OBJECT));

	json_set_string(annotations, key, name);
	if (image)
		json_set_string(annotations, OCI_REF_NAME, name);
}

/* The tar is made twice: for its digest, and when it is written. */
static int
add_context(struct bundle_job *j, const char *name, int fd, const struct ignore *ignore, const struct str *patterns, struct rt_err *e)
{
	struct context_tar *c = rt_alloc(sizeof(*c));
	struct part part = { .make = context_tar_write, .arg = c };
	struct sum_writer sum;

	*c = (struct context_tar){ .fd = fd, .ignore = ignore, .patterns = patterns };
	j->contexts = rt_grow(j->contexts, (j->ncontexts + 1) * sizeof(*j->contexts));
	j->contexts[j->ncontexts++] = c;
	sum_writer_init(&sum, NULL);
	if (context_tar_write(c, &sum.writer, e) < 0)
		return -1;
	sha256_digest(&sum.sum, part.digest);
	part.size = sum.size;
	parts_add(&j->parts, &part);
	add_entry(j, BUNDLE_CONTEXT, part.digest, part.size, BUNDLE_NAME, name, false);
	return 0;
}

static int
add_directory(struct bundle_job *j, const char *name, enum origin origin, struct rt_err *e)
{
	static const struct str none = { 0 };
	struct source_view v;
	int fd;

	if (view_open(j->b, origin, name, NULL, &v, e) < 0)
		return -1;
	fd = fcntl(v.source.rootfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		view_close(&v);
		return rt_fail(e, errno, "open a context");
	}
	/* the view's patterns live on in the context_tar, as its descriptor does: until the end of the process */
	return add_context(j, origin == FROM_CONTEXT ? "" : name, fd, v.source.ignore,
	                   origin == FROM_CONTEXT ? &j->b->ignore_text : &none, e);
}

static int
add_image(struct bundle_job *j, const char *ref, const char *location, const char *platform, struct rt_err *e)
{
	struct place *p = rt_alloc(sizeof(*p));
	struct descriptor d = { 0 };
	struct platform want;
	bool again = false;
	int rc;

	if (platform_parse(platform, &want, e) < 0 || place_fetch(&j->b->store, p, ref, location, platform, e) < 0) {
		free(p);
		return -1;
	}
	j->images = rt_grow(j->images, (j->nimages + 1) * sizeof(*j->images));
	j->images[j->nimages++] = p;
	rc = oci_top(&p->layout, p->tag, p->digest, &want, &d, e);
	if (rc == 0)
		rc = parts_image(&j->parts, &p->layout, &d, &want, e);
	for (size_t i = 0; rc == 0 && i < j->manifests->n; i++) {
		const char *name = json_string_at(json_at(j->manifests->v[i], "/annotations"), "/" BUNDLE_FROM);

		again = again || (name != NULL && strcasecmp(name, ref) == 0);
	}
	if (rc == 0 && !again)
		add_entry(j, *d.type != '\0' ? d.type : OCI_MANIFEST, d.digest, d.size, BUNDLE_FROM, ref, true);
	descriptor_free(&d);
	return rc < 0 ? rt_prefix(e, "image %s", ref) : 0;
}

/* One source of a step, once for each name and platform. */
static int
add_source(struct bundle_job *j, enum origin origin, const char *from, const char *platform, struct rt_err *e)
{
	cleanup_free char *key = NULL;
	const char *location, *dir;

	if (origin != FROM_CONTEXT && origin != FROM_IMAGE)
		return 0;
	if (platform == NULL || origin == FROM_CONTEXT)
		platform = j->b->o->platform;
	key = rt_printf("%d %s %s", (int)origin, platform != NULL ? platform : "", origin == FROM_IMAGE ? from : "");
	for (size_t i = 0; i < j->named.n; i++)
		if (strcasecmp(j->named.v[i], key) == 0)
			return 0;
	list_add(&j->named, key);
	location = origin == FROM_IMAGE ? build_location(j->b, from) : NULL;
	if (origin == FROM_CONTEXT || build_directory(location, &dir))
		return add_directory(j, from, origin, e);
	return add_image(j, from, location, platform, e);
}

static int
add_step(struct bundle_job *j, const struct plan_step *s, struct rt_err *e)
{
	bool copies = (s->verb == VERB_COPY || s->verb == VERB_ADD) && s->nargs > 1;

	for (size_t i = 0; s->verb == VERB_ADD && i + 1 < s->nargs; i++)
		if (remote_is(s->args[i]))
			rt_warn("%s:%s: %s is not part of the bundle, which is built without a network unless DOCKCC_OFFLINE=0", j->b->o->dockerfile, s->lines, s->args[i]);
	if ((s->verb == VERB_FROM || copies) && (s->verb != VERB_FROM || s->origin == FROM_IMAGE) &&
	    add_source(j, s->origin, s->from, s->verb == VERB_FROM ? s->platform : NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < s->nmounts; i++) {
		const struct plan_mount *m = &s->mounts[i];

		if ((m->kind == RUN_MOUNT_BIND || m->kind == RUN_MOUNT_CACHE) && add_source(j, m->origin, m->from, NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int
collect(struct bundle_job *j, struct rt_err *e)
{
	const struct plan *p = &j->b->plan;

	j->manifests = json_new(JSON_ARRAY);
	for (size_t i = 0; i < p->nstages; i++)
		for (size_t k = 0; k < p->stages[i].nsteps; k++) {
			j->b->failing = &p->stages[i].steps[k];
			if (add_step(j, j->b->failing, e) < 0)
				return -1;
		}
	j->b->failing = NULL;
	return 0;
}

/* ---- where it goes -------------------------------------------------------------------------------- */

static void
make_index(struct bundle_job *j, const struct str *script, struct str *text)
{
	struct json *index = json_new(JSON_OBJECT), *annotations = json_new(JSON_OBJECT);
	struct sha256 sum;
	char digest[72];

	sha256_init(&sum);
	sha256_update(&sum, script->s, script->len);
	sha256_digest(&sum, digest);
	json_set(index, "schemaVersion", json_new_int(2));
	json_set_string(index, "mediaType", OCI_INDEX);
	json_set_string(annotations, BUNDLE_SCRIPT, digest);
	json_set(index, "annotations", annotations);
	json_set(index, "manifests", j->manifests);
	j->manifests = NULL;
	json_write(index, text);
	json_free(index);
}

static int
write_file(struct parts *parts, const char *to, const struct str *script, const struct str *index, struct rt_err *e)
{
	struct output o;
	int rc;

	if (output_open(&o, to, e) < 0)
		return -1;
	rc = o.tmp != NULL && fchmod(o.fd, 0755) < 0 ? rt_fail(e, errno, "chmod %s", to) : 0;
	if (rc == 0)
		rc = o.file->writer.write(&o.file->writer, script->s, script->len, e);
	if (rc == 0)
		rc = parts_write_tar(parts, index, &o.file->writer, e);
	return output_close(&o, rc == 0, e);
}

static int
write_directory(struct parts *parts, const char *to, const char *name, const struct str *script, const struct str *index,
                struct rt_err *e)
{
	cleanup_free char *tmp = rt_printf("%s.tmp-%d", to, (int)getpid());
	cleanup_fd int fd = -1;
	int rc;

	if (mkdir(tmp, 0755) < 0 || (fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return rt_fail(e, errno, "make %s", tmp);
	rc = rt_write_file(fd, name, script->s, script->len, 0755, e);
	if (rc == 0)
		rc = parts_write_dir(parts, index, fd, e);
	if (rc == 0 && rmdir(to) < 0 && errno != ENOENT)
		rc = rt_fail(e, errno, "%s is in the way", to);
	if (rc == 0 && rename(tmp, to) < 0)
		rc = rt_fail(e, errno, "rename to %s", to);
	if (rc < 0)
		rt_remove_tree(AT_FDCWD, tmp, &(struct rt_err){ 0 });
	return rc;
}

int
bundle_write(struct parts *parts, const char *to, bool directory, const char *name, const struct str *script, const struct str *index,
             struct rt_err *e)
{
	struct str marked = { 0 };
	struct sha256 sum;
	char hex[65];
	cleanup_free char *value = NULL;
	int rc;

	sha256_init(&sum);
	sha256_update(&sum, index->s, index->len);
	sha256_hex(&sum, hex);
	/* always as long, so that the place of the archive does not depend on what is said about it */
	value = directory ? rt_printf("dir:%s", hex)
	                  : rt_printf("%012llu:%s", (unsigned long long)script->len + 12 + 1 + 64, hex);
	rc = bundle_mark(script, value, &marked, e);
	if (rc == 0)
		rc = directory ? write_directory(parts, to, name, &marked, index, e) : write_file(parts, to, &marked, index, e);
	str_free(&marked);
	return rc;
}

static int
write_bundle(struct bundle_job *j, struct rt_err *e)
{
	struct str script = { 0 }, marked = { 0 }, index = { 0 };
	int rc = bundle_script(j->text, 64 << 20, &script, e);

	if (rc == 0)
		rc = bundle_mark(&script, "", &marked, e);
	if (rc == 0) {
		make_index(j, &script, &index);
		rc = bundle_write(&j->parts, j->to, j->directory, j->b->o->script, &script, &index, e);
	}
	str_free(&script);
	str_free(&marked);
	str_free(&index);
	return rc;
}

/* What a build reads, and where; all else is for the build itself. */
static bool
is_reading(const char *word)
{
	static const char *const names[] = { "--script", "--context", "--dockerfile", "--dockerignore", "--store", "--target", "--platform",
		"--build-arg", "--build-context", "--hide", "--offline", "--pull", "--tls-ca", "--progress" };
	size_t n = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && strncmp(names[i], word, n) == 0)
			return true;
	return false;
}

static int
parse(struct bundle_job *j, struct build_options *o, char **argv, struct rt_err *e)
{
	build_options_begin(o);
	for (; *argv != NULL; argv++) {
		if (strncmp(*argv, "--to=", 5) == 0) {
			j->to = *argv + 5;
		} else if (strncmp(*argv, "--to-directory=", 15) == 0) {
			j->to = *argv + 15;
			j->directory = true;
		} else if (strncmp(*argv, "--text=", 7) == 0) {
			j->text = *argv + 7;
		} else if (build_option(o, *argv, e) < 0) {
			return -1;
		} else if (!is_reading(*argv)) {
			return rt_fail_status(e, RT_USAGE, "a bundle is not built: give %.*s when it is", (int)strcspn(*argv, "="), *argv);
		}
	}
	if (j->to == NULL || *j->to == '\0' || j->text == NULL)
		return rt_fail_status(e, RT_USAGE, "bundle takes --to=FILE or --to-directory=DIR, and --text=SCRIPT");
	return build_options_end(o, e);
}

int
cmd_bundle(char **argv, struct rt_err *e)
{
	struct build_options o;
	struct build b = { .o = &o, .context_fd = -1 };
	struct bundle_job j = { .b = &b };

	if (parse(&j, &o, argv, e) == 0 && build_platform(&b, e) == 0 && plan_read(STDIN_FILENO, &b.plan, e) == 0 &&
	    store_open(&b.store, o.store, e) == 0 && lock_plan(&b, e) == 0 && collect(&j, e) == 0 && write_bundle(&j, e) == 0) {
		if (strcmp(j.to, "-") != 0)
			dprintf(STDERR_FILENO, "bundle     %s\n", j.to);
		return 0;
	}
	build_failed(&b, e);
	return -1;
}
