/* Where COPY, ADD and RUN mounts take their files from. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "path.h"
#include "sha256.h"

void
build_contexts(struct build_options *o)
{
	const char *p = getenv("DOCKCC_BUILD_CONTEXTS");

	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, "\n");
		char *one = rt_strndup(p, n);

		if (strchr(one, '=') != NULL)
			list_add(&o->contexts, one);
		free(one);
		p += n + (p[n] == '\n');
	}
}

static int
open_directory(struct source_view *v, const char *path, struct rt_err *e)
{
	v->dir = rt_strdup(path);
	v->source.rootfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return v->source.rootfd >= 0 ? 0 : rt_fail(e, errno, "%s (%s)", v->what, path);
}

/* A directory given as a named context, with its own ignore file. */
static int
open_named(struct source_view *v, const char *path, struct rt_err *e)
{
	struct str text = { 0 };
	struct stat st;

	v->source.is_context = true;
	if (open_directory(v, path, e) < 0)
		return -1;
	if (fstatat(v->source.rootfd, ".dockerignore", &st, 0) < 0)
		return 0;
	if (rt_read_file(v->source.rootfd, ".dockerignore", 16 << 20, &text, e) < 0)
		return -1;
	v->ignore = ignore_parse(text.s != NULL ? text.s : "", text.len, e);
	v->source.ignore = v->ignore;
	str_free(&text);
	return v->ignore != NULL ? 0 : rt_prefix(e, "%s/.dockerignore", path);
}

/* Mounts layers read-only in a fresh directory below `scratch`. */
static int
mount_view(struct build *b, const struct list *layers, const char *scratch, struct source_view *v, struct rt_err *e)
{
	struct list lower = { 0 };
	char *dir = rt_printf("%s/view-XXXXXX", scratch);
	int rc = 0;

	if (mkdtemp(dir) == NULL) {
		rc = rt_fail(e, errno, "make %s", dir);
	} else {
		for (size_t i = 0; i < layers->n; i++) {
			char *path = rt_printf("%s/layers/%s/diff", b->store.path, layers->v[i]);

			list_add(&lower, path);
			free(path);
		}
		if (lower.n > 0)
			rc = overlay_mount(dir, &lower, NULL, NULL, e);
		if (rc == 0)
			rc = open_directory(v, dir, e);
	}
	list_free(&lower);
	free(dir);
	return rc;
}

static int
open_image(struct build *b, const char *ref, const char *scratch, struct source_view *v, struct rt_err *e)
{
	const char *location = build_location(b, ref), *path;
	struct image im;
	int rc;

	if (build_directory(location, &path))
		return open_named(v, path, e);
	if (image_open(&b->store, ref, location, b->o->platform, NULL, &im, e) < 0)
		return -1;
	rc = mount_view(b, &im.layers, scratch, v, e);
	image_free(&im);
	return rc;
}

int
view_open(struct build *b, enum origin origin, const char *from, const char *scratch, struct source_view *v,
            struct rt_err *e)
{
	struct list none = { 0 };
	int rc = -1;

	*v = (struct source_view){ .source.rootfd = -1 };
	v->what = origin == FROM_CONTEXT ? rt_strdup("the build context")
	          : origin == FROM_NOTHING ? rt_strdup("scratch")
	          : rt_printf(origin == FROM_STAGE ? "stage %s" : "%s", from);
	v->source.what = v->what;
	switch (origin) {
	case FROM_CONTEXT:
		if (build_context(b, e) < 0)
			break;
		v->source.is_context = true;
		v->source.ignore = b->ignore;
		v->dir = rt_strdup(b->o->context);
		v->source.rootfd = fcntl(b->context_fd, F_DUPFD_CLOEXEC, 3);
		rc = v->source.rootfd >= 0 ? 0 : rt_fail(e, errno, "the build context");
		break;
	case FROM_STAGE:
		rc = stage_settle(b, build_stage(b, from), e);
		if (rc == 0)
			rc = mount_view(b, &build_stage(b, from)->layers, scratch, v, e);
		break;
	case FROM_IMAGE:
		rc = open_image(b, from, scratch, v, e);
		break;
	case FROM_NOTHING:
		rc = mount_view(b, &none, scratch, v, e);
		break;
	}
	if (rc < 0)
		view_close(v);
	return rc;
}

void
view_close(struct source_view *v)
{
	rt_close_fd(&v->source.rootfd);
	ignore_free(v->ignore);
	free(v->what);
	free(v->dir);
	*v = (struct source_view){ .source.rootfd = -1 };
}

void
view_end(struct source_view *v)
{
	cleanup_free char *dir = v->dir != NULL ? rt_strdup(v->dir) : NULL;
	struct rt_err ignored;

	view_close(v);
	if (dir != NULL && strstr(dir, "/view-") != NULL)
		overlay_umount(dir, &ignored);
}

void
copy_spec_of(const struct plan_step *s, const struct state *st, const struct build_options *o, struct copy_spec *spec,
             struct copy_file **files)
{
	*files = rt_alloc((s->nfiles + 1) * sizeof(**files));
	for (size_t i = 0; i < s->nfiles; i++)
		(*files)[i] = (struct copy_file){ .name = s->files[i].name, .data = s->files[i].data,
		                                  .len = strlen(s->files[i].data) };
	*spec = (struct copy_spec){
		.paths = s->args, .npaths = s->nargs - 1, .files = *files, .nfiles = s->nfiles,
		.dest = s->args[s->nargs - 1], .workdir = state_workdir(st),
		.chown = s->chown, .chmod = s->chmod, .parents = s->parents, .link = s->link, .empty_root = st->scratch,
		.add = s->verb == VERB_ADD, .unpack = s->unpack, .checksum = s->checksum, .locked = o->strict ? &o->locked : NULL, .keep_git_dir = s->keep_git_dir,
		.epoch = o->epoch,
	};
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The target as the step sees it: spec/language.md 6, RUN --mount. */
char *
mount_target(const struct state *st, const struct plan_mount *m, unsigned nssh)
{
	const char *id = m->id != NULL ? m->id : m->source != NULL ? m->source : "";
	char *joined, *clean;

	if (m->target == NULL && m->kind == RUN_MOUNT_SECRET)
		return rt_printf("/run/secrets/%s", base_name(id));
	if (m->target == NULL && m->kind == RUN_MOUNT_SSH)
		return rt_printf("/run/buildkit/ssh_agent.%u", nssh);
	joined = m->target != NULL && *m->target == '/' ? rt_strdup(m->target)
	         : path_join(state_workdir(st), m->target != NULL ? m->target : "");
	clean = path_clean(joined);
	free(joined);
	return clean;
}

void
cache_name(const struct build *b, const struct plan_mount *m, char out[65])
{
	struct sha256 h;
	char *clean = path_clean(m->id != NULL ? m->id : m->target != NULL ? m->target : "");
	const char *fields[] = { m->id != NULL ? m->id : clean, m->from != NULL ? m->from : "", m->source != NULL ? m->source : "" };

	sha256_init(&h);
	for (size_t i = 0; i < b->o->build_args.n; i++)
		if (strncmp(b->o->build_args.v[i], "BUILDKIT_CACHE_MOUNT_NS=", 24) == 0)
			sha256_update(&h, b->o->build_args.v[i], strlen(b->o->build_args.v[i]) + 1);
	for (size_t i = 0; i < 3; i++)
		sha256_update(&h, fields[i], strlen(fields[i]) + 1);
	sha256_hex(&h, out);
	free(clean);
}
