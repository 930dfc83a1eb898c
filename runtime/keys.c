/* Cache keys: sha256 over everything a step reads, worked out for the whole plan before anything runs.
   design.md "The store": format version, parent's key, the step after expansion, digests of what it reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "path.h"
#include "sha256.h"

static const char format_version[] = "dockcc-1";

/* Every field goes in with its length, so that no two lists of fields look alike. */
static void
put(struct sha256 *h, const char *s)
{
	uint64_t n = s != NULL ? strlen(s) + 1 : 0;

	sha256_update(h, &n, sizeof(n));
	if (s != NULL)
		sha256_update(h, s, n - 1);
}

static void
put_list(struct sha256 *h, const struct list *l)
{
	uint64_t n = l->n;

	sha256_update(h, &n, sizeof(n));
	for (size_t i = 0; i < l->n; i++)
		put(h, l->v[i]);
}

struct stage_build *
build_stage(const struct build *b, const char *id)
{
	const struct plan_stage *s = plan_stage(&b->plan, id);

	return s != NULL ? &b->stages[s->index] : NULL;
}

const char *
build_given(const struct build *b, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = b->o->contexts.n; i-- > 0;) {
		const char *c = b->o->contexts.v[i];

		if (strncasecmp(c, name, n) == 0 && c[n] == '=')
			return c + n + 1;
	}
	return NULL;
}

const char *
build_location(const struct build *b, const char *name)
{
	const char *given = build_given(b, name);
	size_t n = strlen(name);

	if (given != NULL)
		return given;
	for (size_t i = 0; i < b->o->pins.n; i++)
		if (strncmp(b->o->pins.v[i], name, n) == 0 && b->o->pins.v[i][n] == '=')
			return b->o->pins.v[i] + n + 1;
	return NULL;
}

bool
build_directory(const char *location, const char **path)
{
	if (location == NULL || strstr(location, "://") != NULL || strncmp(location, "oci-archive:", 12) == 0 ||
	    strncmp(location, "oci-bundle:", 11) == 0 ||
	    strncmp(location, "docker-archive:", 15) == 0)
		return false;
	*path = location;
	return true;
}

/* The ignore file beside the Dockerfile wins: spec/language.md 7. */
static int
read_ignore(struct build *b, struct rt_err *e)
{
	struct str text = { 0 };
	const char *names[2] = { NULL, ".dockerignore" };
	char *own = b->o->dockerfile != NULL ? rt_printf("%s.dockerignore", b->o->dockerfile) : NULL;
	int found = -1;

	if (b->o->ignore_file != NULL)
		found = rt_read_file(AT_FDCWD, b->o->ignore_file, 16 << 20, &text, e);
	names[0] = own;
	for (size_t i = 0; found < 0 && b->o->ignore_file == NULL && i < 2; i++) {
		struct stat st;
		int dir = i == 0 && !b->made_context ? AT_FDCWD : b->context_fd;

		if (names[i] == NULL || fstatat(dir, names[i], &st, 0) < 0)
			continue;
		if ((found = rt_read_file(dir, names[i], 16 << 20, &text, e)) < 0)
			return -1;
	}
	free(own);
	if (found < 0 && b->o->ignore_file != NULL)
		return -1;
	hidden_patterns(b->o, &text);
	if (found < 0 && text.len == 0)
		return 0;
	b->ignore = ignore_parse(text.s != NULL ? text.s : "", text.len, e);
	b->ignore_text = text;
	return b->ignore != NULL ? 0 : rt_prefix(e, "the ignore file");
}

int
build_context(struct build *b, struct rt_err *e)
{
	if (b->context_fd >= 0)
		return 0;
	if (b->o->context == NULL)
		return rt_fail_status(e, RT_USAGE, "the build has no context to take files from");
	b->context_fd = open(b->o->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->context_fd < 0)
		return rt_fail_status(e, errno == ENOENT || errno == ENOTDIR ? RT_USAGE : RT_IO, "the build context %s: %s",
		                      b->o->context, strerror(errno));
	return read_ignore(b, e);
}

/* The names of an image's layers, hexadecimal diff IDs, from its config alone. */
static int
layer_names(const struct image *im, const char *what, struct list *out, struct rt_err *e)
{
	struct json *config = json_parse(im->config_json, im->config_len, what, e);
	const struct json *ids = json_at(config, "/rootfs/diff_ids");
	int rc = config != NULL ? 0 : -1;

	for (size_t i = 0; rc == 0 && ids != NULL && i < ids->n; i++) {
		const char *id = ids->v[i]->s;

		if (id == NULL || strncmp(id, "sha256:", 7) != 0 || strlen(id) != 71 || id[7 + strspn(id + 7, "0123456789abcdef")] != '\0')
			rc = rt_fail_status(e, RT_DIGEST, "%s: /rootfs/diff_ids/%zu is no sha256 digest", what, i);
		else
			list_add(out, id + 7);
	}
	json_free(config);
	return rc;
}

/* What a step reads from (origin, from): the digest of files on this machine, or the name of a finished file
   system and the paths in it. */
static int
put_source(struct build *b, struct sha256 *h, enum origin origin, const char *from, const struct copy_spec *spec,
           struct rt_err *e)
{
	const char *dir = NULL, *location;
	struct source_view v;
	unsigned char sum[32];
	int rc;

	switch (origin) {
	case FROM_NOTHING:
		put(h, "nothing");
		return 0;
	case FROM_STAGE:
		put(h, "stage");
		put(h, build_stage(b, from)->fs);
		return 0;
	case FROM_IMAGE:
		location = build_location(b, from);
		if (!build_directory(location, &dir)) {
			struct list layers = { 0 };
			struct image im;

			if (image_config(&b->store, from, location, b->o->platform, &im, e) < 0)
				return -1;
			rc = layer_names(&im, from, &layers, e);
			put(h, "image");
			put_list(h, &layers);
			list_free(&layers);
			image_free(&im);
			return rc;
		}
		break;
	case FROM_CONTEXT:
		break;
	}
	if (view_open(b, origin, from, NULL, &v, e) < 0)
		return -1;
	char *memo = rt_printf("%s/memo", b->store.path);

	rc = copy_digest(&v.source, spec, memo, sum, e);
	free(memo);
	view_close(&v);
	sha256_update(h, sum, sizeof(sum));
	return rc;
}

int
source_digest(struct build *b, enum origin origin, const char *from, const struct copy_spec *spec, char out[65],
              struct rt_err *e)
{
	struct sha256 h;

	sha256_init(&h);
	if (put_source(b, &h, origin, from, spec, e) < 0)
		return -1;
	sha256_hex(&h, out);
	return 0;
}

static int
put_mount(struct build *b, struct sha256 *h, const struct state *st, const struct plan_mount *m, struct rt_err *e)
{
	char name[65];
	char *target = mount_target(st, m, 0);
	const char *source = m->source != NULL ? m->source : "/";
	struct copy_spec spec = { .paths = &source, .npaths = 1, .dest = "/", .workdir = "/", .unpack = -1, .epoch = -1 };

	sha256_update(h, &m->kind, sizeof(m->kind));
	put(h, target);
	free(target);
	put(h, m->source);
	put(h, m->readwrite ? "rw" : m->readonly ? "ro" : "");
	if (m->kind == RUN_MOUNT_BIND)
		return put_source(b, h, m->origin, m->from, &spec, e);
	if (m->kind == RUN_MOUNT_CACHE) {
		cache_name(b, m, name);
		put(h, name);
	} else {
		put(h, m->id);
	}
	put(h, m->mode);
	put(h, m->uid);
	put(h, m->gid);
	put(h, m->size);
	put(h, m->env);
	return 0;
}

static int
put_run(struct build *b, struct sha256 *h, const struct state *st, const struct plan_step *s, struct rt_err *e)
{
	struct list argv = { 0 }, env = { 0 };

	state_argv(st, s, &argv);
	state_env(st, &env);
	put_list(h, &argv);
	put_list(h, &env);
	put(h, s->script != NULL && s->nargs > 0 ? s->args[0] : NULL);
	put(h, state_workdir(st));
	put(h, state_user(st));
	put(h, s->network);
	put(h, s->security);
	put_list(h, &b->o->add_hosts);
	list_free(&argv);
	list_free(&env);
	for (size_t i = 0; i < s->nmounts; i++)
		if (put_mount(b, h, st, &s->mounts[i], e) < 0)
			return -1;
	return 0;
}

static int
put_copy(struct build *b, struct sha256 *h, const struct state *st, const struct plan_step *s, struct rt_err *e)
{
	struct copy_file *files = NULL;
	struct copy_spec spec;
	char flags[32];
	int rc;

	for (size_t i = 0; i < s->nargs; i++)
		put(h, s->args[i]);
	for (size_t i = 0; i < s->nfiles; i++) {
		put(h, s->files[i].name);
		put(h, s->files[i].data);
	}
	snprintf(flags, sizeof(flags), "%d%d%d%d", s->link, s->parents, s->keep_git_dir, s->unpack);
	put(h, flags);
	put(h, state_workdir(st));
	put(h, s->chown);
	put(h, s->chmod);
	put(h, s->checksum);
	put_list(h, &s->excludes);
	if (s->nargs == 1)
		return 0;
	copy_spec_of(s, st, b->o, &spec, &files);
	if (s->excludes.n > 0 && (spec.exclude = ignore_patterns(&s->excludes, e)) == NULL)
		return -1;
	rc = put_source(b, h, s->origin, s->from, &spec, e);
	if (spec.exclude != NULL)
		ignore_free((struct ignore *)(uintptr_t)spec.exclude);
	free(files);
	return rc;
}

/* Key of one layer step, given the file system below it. */
static int
step_key(struct build *b, const char *below, const struct state *st, const struct plan_step *s, char key[65],
         struct rt_err *e)
{
	struct sha256 h;
	char epoch[32];
	int rc = 0;

	sha256_init(&h);
	put(&h, format_version);
	put(&h, below);
	put(&h, verb_name(s->verb));
	put(&h, s->join ? "join" : ""); /* the layer holds the steps before it too */
	switch (s->verb) {
	case VERB_RUN:
		rc = put_run(b, &h, st, s, e);
		break;
	case VERB_COPY:
	case VERB_ADD:
		rc = put_copy(b, &h, st, s, e);
		break;
	case VERB_WORKDIR: {
		char *path = state_workdir_path(st, s->args[0]);

		snprintf(epoch, sizeof(epoch), "%lld", (long long)b->o->epoch);
		put(&h, path);
		put(&h, state_user(st));
		put(&h, epoch);
		free(path);
		break;
	}
	case VERB_FROM:
	case VERB_ARG:
	case VERB_SET:
		break;
	}
	sha256_hex(&h, key);
	return rc;
}

int
stage_settle(struct build *b, struct stage_build *sb, struct rt_err *e)
{
	const struct plan_step *s = &sb->plan->steps[0];
	struct list names = { 0 };
	struct image im;

	if (sb->settled)
		return 0;
	if (sb->base != NULL) {
		if (stage_settle(b, sb->base, e) < 0)
			return -1;
		for (size_t i = 0; i < sb->base->layers.n; i++)
			list_add(&names, sb->base->layers.v[i]);
	} else if (sb->base_image) {
		if (image_open(&b->store, s->from, sb->location, s->platform != NULL ? s->platform : b->o->platform, s->pin, &im, e) < 0)
			return -1;
		for (size_t i = 0; i < im.layers.n; i++)
			list_add(&names, im.layers.v[i]);
		image_free(&im);
	}
	sb->nbase = names.n;
	for (size_t i = 0; i < sb->nunits; i++)
		list_add(&names, sb->units[i].key);
	list_free(&sb->layers);
	sb->layers = names;
	sb->settled = true;
	return 0;
}

/* The steps behind FROM were compiled from the triggers of an image: it must be those that this one has. */
static int
same_triggers(const struct plan_step *s, const struct json *config, struct rt_err *e)
{
	const struct json *triggers = json_at(config, "/config/OnBuild");
	size_t n = triggers != NULL && triggers->type == JSON_ARRAY ? triggers->n : 0, i = 0;

	while (i < n && i < s->triggers.n && triggers->v[i]->s != NULL && strcmp(triggers->v[i]->s, s->triggers.v[i]) == 0)
		i++;
	if (i == n && i == s->triggers.n)
		return 0;
	if (i == n)
		return rt_fail_status(e, RT_USAGE, "%s has no ONBUILD %s here, which this script was compiled for: compile again with this image",
		                      s->from, s->triggers.v[i]);
	return rt_fail_status(e, RT_USAGE, "%s brings along ONBUILD %s, which this script was not compiled for: compile again with "
	                      "--build-context %s=LOCATION of the image, or with --store where it is in the store", s->from,
	                      triggers->v[i]->s != NULL ? triggers->v[i]->s : "of a wrong type", s->from);
}

static int
base_image(struct build *b, struct stage_build *sb, const struct plan_step *s, struct rt_err *e)
{
	struct image im;
	int rc;

	sb->base_image = true;
	sb->location = build_location(b, s->from);
	if (image_config(&b->store, s->from, sb->location, s->platform != NULL ? s->platform : b->o->platform, &im, e) < 0)
		return -1;
	if (s->pin != NULL && strcmp(s->pin, im.digest) != 0) {
		rc = rt_fail_status(e, RT_DIGEST, "%s is %s here, the script was made for %s", s->from, im.digest, s->pin);
		image_free(&im);
		return rc;
	}
	rc = layer_names(&im, s->from, &sb->layers, e);
	for (size_t i = 0; i < sb->layers.n; i++)
		sb->base_missing = sb->base_missing || !store_has_layer(&b->store, sb->layers.v[i]);
	if (rc == 0)
		rc = state_image(&sb->begin, im.config_json, im.config_len, s->from, e);
	if (rc == 0) {
		struct json *raw = json_parse(im.config_json, im.config_len, s->from, e);

		rc = raw != NULL ? same_triggers(s, raw, e) : -1;
		json_free(raw);
	}
	image_free(&im);
	return rc;
}

int
stage_base(struct build *b, struct stage_build *sb, struct rt_err *e)
{
	const struct plan_step *s = &sb->plan->steps[0];
	struct sha256 h;
	char created[32];

	b->failing = s;
	switch (s->origin) {
	case FROM_NOTHING:
	case FROM_CONTEXT:
		state_scratch(&sb->begin, b->os, b->arch, b->variant);
		break;
	case FROM_STAGE:
		sb->base = build_stage(b, s->from);
		for (size_t i = 0; i < sb->base->layers.n; i++)
			list_add(&sb->layers, sb->base->layers.v[i]);
		state_inherit(&sb->begin, &sb->base->end);
		break;
	case FROM_IMAGE:
		if (base_image(b, sb, s, e) < 0)
			return -1;
		break;
	}
	free(sb->begin.created);
	sb->begin.created = rt_strdup(build_created(b->o, created));
	sb->nbase = sb->layers.n;
	sha256_init(&h);
	put(&h, "base");
	put_list(&h, &sb->layers);
	sha256_hex(&h, sb->fs);
	return 0;
}

/* Adds step `i` to the unit it continues, or begins one; its key becomes the unit's. */
static void
add_unit(struct stage_build *sb, size_t i, bool join, const char key[65])
{
	struct unit *u = sb->nunits > 0 ? &sb->units[sb->nunits - 1] : NULL;

	if (!join || u == NULL || u->end != i) {
		sb->units = rt_grow(sb->units, (sb->nunits + 1) * sizeof(*u));
		u = &sb->units[sb->nunits++];
		u->first = i;
	}
	u->end = i + 1;
	memcpy(u->key, key, sizeof(u->key));
}

int
stage_steps(struct build *b, struct stage_build *sb, struct rt_err *e)
{
	state_copy(&sb->end, &sb->begin);
	for (size_t i = 1; i < sb->plan->nsteps; i++) {
		const struct plan_step *s = &sb->plan->steps[i];

		b->failing = s;
		if (state_layer(&sb->end, s)) {
			if (step_key(b, sb->fs, &sb->end, s, sb->fs, e) < 0)
				return rt_prefix(e, "%s:%s", b->o->dockerfile, s->lines);
			add_unit(sb, i, s->join, sb->fs);
		}
		if (state_apply(&sb->end, s, e) < 0)
			return rt_prefix(e, "%s:%s", b->o->dockerfile, s->lines);
	}
	b->failing = NULL;
	for (size_t i = 0; i < sb->nunits; i++) {
		list_add(&sb->layers, sb->units[i].key);
		sb->units[i].again = b->o->no_cache;
		sb->units[i].cached = !b->o->no_cache && store_has_layer(&b->store, sb->units[i].key);
	}
	return 0;
}

static void need(struct build *b, struct stage_build *sb);

static void
need_origin(struct build *b, enum origin origin, const char *from)
{
	if (origin == FROM_STAGE)
		need(b, build_stage(b, from));
}

/* A stage is needed when its layers are wanted; what its missing steps read is needed then too. */
static void
need(struct build *b, struct stage_build *sb)
{
	bool missing = false;

	if (sb->needed)
		return;
	sb->needed = true;
	for (size_t u = 0; u < sb->nunits; u++) {
		if (sb->units[u].cached)
			continue;
		missing = true;
		for (size_t i = sb->units[u].first; i < sb->units[u].end; i++) {
			const struct plan_step *s = &sb->plan->steps[i];

			need_origin(b, s->origin, s->from);
			for (size_t m = 0; m < s->nmounts; m++)
				need_origin(b, s->mounts[m].origin, s->mounts[m].from);
		}
	}
	if (sb->base != NULL)
		need(b, sb->base);
	sb->done = !missing && !sb->base_missing && (sb->base == NULL || sb->base->done);
}

void
build_need(struct build *b)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		b->stages[i].needed = b->stages[i].done = false;
	need(b, b->target);
}

int
build_keys(struct build *b, struct rt_err *e)
{
	struct rt_err *err = e;

	b->stages = rt_alloc((b->plan.nstages + 1) * sizeof(*b->stages));
	for (size_t i = 0; i < b->plan.nstages; i++) {
		b->stages[i].plan = &b->plan.stages[i];
		if (stage_base(b, &b->stages[i], err) < 0 || stage_steps(b, &b->stages[i], err) < 0)
			return -1;
	}
	if (b->plan.nstages == 0)
		return rt_fail_status(e, RT_USAGE, "the plan has no stage");
	b->target = b->o->target != NULL ? build_stage(b, b->o->target) : &b->stages[b->plan.nstages - 1];
	if (b->target == NULL)
		return rt_fail_status(e, RT_USAGE, "the plan has no stage %s", b->o->target);
	if (goal_again(b, e) < 0)
		return -1;
	need(b, b->target);
	return 0;
}
