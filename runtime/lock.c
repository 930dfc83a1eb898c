#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "http.h"
#include "ref.h"
#include "remote.h"

enum { RT_LOCK = 4, MOST_LOCK = 16 << 20 };

/* ---- entries ------------------------------------------------------------------------------------ */

static bool
is_commit(const char *s)
{
	size_t n = strlen(s);

	return (n == 40 || n == 64) && s[strspn(s, "0123456789abcdef")] == '\0';
}

/* KIND and one blank in front, one blank and the digest behind; the name between them may hold blanks. */
static bool
entry_valid(const char *entry)
{
	size_t kind = strcspn(entry, " ");
	const char *last = strrchr(entry, ' ');

	if (entry[kind] == '\0' || last <= entry + kind + 1)
		return false;
	if (strncmp(entry, "git ", 4) == 0)
		return is_commit(last + 1);
	return (strncmp(entry, "image ", 6) == 0 || strncmp(entry, "url ", 4) == 0) && digest_valid(last + 1);
}

const char *
lock_find(const struct list *locked, const char *kind, const char *name)
{
	size_t nkind = strlen(kind), nname = strlen(name);

	for (size_t i = 0; locked != NULL && i < locked->n; i++) {
		const char *p = locked->v[i], *last = strrchr(p, ' ');

		if (strncmp(p, kind, nkind) == 0 && p[nkind] == ' ' && (size_t)(last - p) == nkind + 1 + nname &&
		    strncmp(p + nkind + 1, name, nname) == 0)
			return last + 1;
	}
	return NULL;
}

int
lock_option(struct build_options *o, const char *entry, struct rt_err *e)
{
	const char *last;

	o->strict = true;
	if (*entry == '\0')
		return 0;
	if (!entry_valid(entry))
		return rt_fail_status(e, RT_USAGE, "\"%s\" is no entry of a lock file: KIND NAME DIGEST", entry);
	list_add(&o->locked, entry);
	last = strrchr(entry, ' ');
	if (strncmp(entry, "image ", 6) == 0) {
		cleanup_free char *name = rt_strndup(entry + 6, (size_t)(last - entry - 6)),
		                  *pin = rt_printf("%s=docker-image://%s@%s", name, name, last + 1);

		list_add(&o->pins, pin);
	}
	return 0;
}

/* Lines of text that are neither empty nor a comment. */
static int
each_line(char *text, int (*see)(struct build_options *o, const char *line, struct rt_err *e), struct build_options *o,
          struct rt_err *e)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "\r")] = '\0';
		if (*line != '\0' && *line != '#' && see(o, line, e) < 0)
			return -1;
	}
	return 0;
}

int
lock_environment(struct build_options *o, struct rt_err *e)
{
	const char *given = getenv("DOCKCC_LOCKED");
	cleanup_free char *text = given != NULL ? rt_strdup(given) : NULL;

	if (text == NULL || *text == '\0')
		return 0;
	o->strict = true;
	return each_line(text, lock_option, o, e) < 0 ? rt_prefix(e, "$DOCKCC_LOCKED") : 0;
}

/* ---- what a plan uses --------------------------------------------------------------------------- */

typedef int see_fn(struct build *b, void *arg, const char *kind, const char *name, const struct plan_step *s, struct rt_err *e);

/* An image that is not named by its digest and not a directory given in its place; a URL given so is a source. */
static int
see_image(struct build *b, const char *name, const struct plan_step *s, see_fn *see, void *arg, struct rt_err *e)
{
	const char *given = build_given(b, name), *dir;

	/* fetched into a directory: what counts is where from */
	if (given != NULL && remote_is(given))
		return remote_fixed(given, NULL) ? 0 : see(b, arg, git_is_url(given) ? "git" : "url", given, s, e);
	if (strchr(name, '@') != NULL || build_directory(build_location(b, name), &dir))
		return 0;
	return see(b, arg, "image", name, s, e);
}

static int
see_step(struct build *b, const struct plan_step *s, see_fn *see, void *arg, struct rt_err *e)
{
	if (s->origin == FROM_IMAGE && see_image(b, s->from, s, see, arg, e) < 0)
		return -1;
	for (size_t i = 0; i < s->nmounts; i++)
		if (s->mounts[i].origin == FROM_IMAGE && see_image(b, s->mounts[i].from, s, see, arg, e) < 0)
			return -1;
	for (size_t i = 0; s->verb == VERB_ADD && i + 1 < s->nargs; i++) {
		const char *word = s->args[i];

		if (!remote_is(word) || remote_fixed(word, s->checksum))
			continue;
		if (see(b, arg, git_is_url(word) ? "git" : "url", word, s, e) < 0)
			return -1;
	}
	return 0;
}

static int
see_plan(struct build *b, see_fn *see, void *arg, struct rt_err *e)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t k = 0; k < b->plan.stages[i].nsteps; k++)
			if (see_step(b, &b->plan.stages[i].steps[k], see, arg, e) < 0)
				return -1;
	return 0;
}

/* ---- a locked build ----------------------------------------------------------------------------- */

static int
need_entry(struct build *b, void *arg, const char *kind, const char *name, const struct plan_step *s, struct rt_err *e)
{
	const char *want = lock_find(&b->o->locked, kind, name), *given = strcmp(kind, "image") == 0 ? build_given(b, name) : NULL;
	char digest[72];

	(void)arg;
	b->failing = s;
	if (want == NULL)
		return rt_fail_status(e, RT_DIGEST, "%s:%s: the %s %s is not in the lock file, and this build is locked; dockcc lock adds it",
		                      b->o->dockerfile, s->lines, strcmp(kind, "image") == 0 ? "image" : "source", name);
	if (given != NULL) {
		if (image_digest(&b->store, name, given, b->o->platform, digest, e) < 0)
			return -1;
		if (strcmp(digest, want) != 0)
			return rt_fail_status(e, RT_DIGEST, "%s is %s at %s, locked is %s", name, digest, given, want);
	}
	b->failing = NULL;
	return 0;
}

int
lock_image(const struct build *b, const char *name, struct rt_err *e)
{
	const char *dir;

	if (!b->o->strict || strchr(name, '@') != NULL || build_directory(build_location(b, name), &dir) ||
	    lock_find(&b->o->locked, "image", name) != NULL)
		return 0;
	return rt_fail_status(e, RT_DIGEST, "the image %s is not in the lock file, and this build is locked; dockcc lock adds it", name);
}

int
lock_stage(struct build *b, const struct plan_stage *stage, struct rt_err *e)
{
	for (size_t k = 0; b->o->strict && k < stage->nsteps; k++)
		if (see_step(b, &stage->steps[k], need_entry, NULL, e) < 0)
			return -1;
	return 0;
}

int
lock_plan(struct build *b, struct rt_err *e)
{
	return b->o->strict ? see_plan(b, need_entry, NULL, e) : 0;
}

/* ---- the file ----------------------------------------------------------------------------------- */

/* What is known while a file is made or checked. */
struct lock_job {
	struct build_options old; /* `locked`: what the file says */
	struct list now;          /* what the plan uses */
	bool update, check;
	unsigned bad;
};

static int
read_entry(struct build_options *o, const char *line, struct rt_err *e)
{
	if (!entry_valid(line))
		return rt_fail_status(e, RT_USAGE, "\"%s\" is no entry: want image, url or git, a name and a digest", line);
	list_add(&o->locked, line);
	return 0;
}

static int
read_file(struct lock_job *job, const char *path, struct rt_err *e)
{
	struct str text = { 0 };
	int rc;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	rc = rt_read_file(AT_FDCWD, path, MOST_LOCK, &text, e);
	if (rc == 0 && text.s != NULL)
		rc = each_line(text.s, read_entry, &job->old, e) < 0 ? rt_prefix(e, "%s", path) : 0;
	str_free(&text);
	return rc;
}

/* Works in a directory of the store that a later run removes when this one cannot. */
static int
look_up_commit(struct build *b, const char *name, char commit[72], struct rt_err *e)
{
	cleanup_free char *tmp = NULL, *dir = NULL;
	cleanup_fd int held = -1;
	int rc;

	if (store_tmp(&b->store, &tmp, &held, e) < 0)
		return -1;
	dir = rt_printf("%s/%s", b->store.path, tmp);
	rc = remote_commit(name, dir, commit, e);
	rt_remove_tree(b->store.fd, tmp, &(struct rt_err){ 0 });
	return rc;
}

static int
look_up(struct build *b, const char *kind, const char *name, char digest[72], struct rt_err *e)
{
	if (strcmp(kind, "image") == 0)
		return image_digest(&b->store, name, build_location(b, name), b->o->platform, digest, e);
	if (strcmp(kind, "url") == 0)
		return remote_digest(name, digest, e);
	return look_up_commit(b, name, digest, e);
}

static void
complain(struct lock_job *job, const struct build *b, const char *lines, const char *text)
{
	cleanup_free char *shown = rt_printable(text);

	job->bad++;
	if (lines != NULL)
		dprintf(STDERR_FILENO, "%s:%s: %s\n", b->o->dockerfile, lines, shown);
	else
		dprintf(STDERR_FILENO, "%s: %s\n", b->o->lock_file, shown);
}

/* One use: its entry into job.now, or what is wrong with it. */
static int
lock_use(struct build *b, void *arg, const char *kind, const char *name, const struct plan_step *s, struct rt_err *e)
{
	struct lock_job *job = arg;
	const char *old = lock_find(&job->old.locked, kind, name);
	cleanup_free char *text = NULL, *entry = NULL;
	char digest[72];

	b->failing = s;
	if (lock_find(&job->now, kind, name) != NULL)
		return 0;
	if (strchr(name, '\n') != NULL)
		return rt_fail_status(e, RT_USAGE, "%s:%s: a name with a line break cannot be locked", b->o->dockerfile, s->lines);
	if (job->check && old == NULL) {
		text = rt_printf("%s is not in %s", name, b->o->lock_file);
		complain(job, b, s->lines, text);
		b->failing = NULL;
		return 0;
	}
	snprintf(digest, sizeof(digest), "%s", old != NULL ? old : "");
	if ((old == NULL || job->update) && look_up(b, kind, name, digest, e) < 0)
		return rt_prefix(e, "%s:%s: %s", b->o->dockerfile, s->lines, name);
	if (job->check && strcmp(digest, old) != 0) {
		text = rt_printf("%s is %s now, locked is %s", name, digest, old);
		complain(job, b, s->lines, text);
	}
	entry = rt_printf("%s %s %s", kind, name, digest);
	list_add(&job->now, entry);
	b->failing = NULL;
	return 0;
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
write_lock(struct lock_job *job, const struct build *b, struct rt_err *e)
{
	struct str text = { 0 };
	cleanup_free char *tmp = rt_printf("%s.%ld", b->o->lock_file, (long)getpid());
	int rc;

	if (job->now.n > 0)
		qsort(job->now.v, job->now.n, sizeof(*job->now.v), by_bytes);
	str_puts(&text, "# What the images, URLs and git references of the Dockerfile stand for: dockcc lock writes it, --locked keeps to it.\n");
	for (size_t i = 0; i < job->now.n; i++)
		str_printf(&text, "%s\n", job->now.v[i]);
	rc = rt_write_file(AT_FDCWD, tmp, text.s, text.len, 0644, e);
	if (rc == 0 && rename(tmp, b->o->lock_file) < 0)
		rc = rt_fail(e, errno, "rename %s to %s", tmp, b->o->lock_file);
	if (rc < 0)
		unlink(tmp);
	str_free(&text);
	return rc;
}

static int
run_job(struct lock_job *job, struct build *b, struct rt_err *e)
{
	if (read_file(job, b->o->lock_file, e) < 0 || see_plan(b, lock_use, job, e) < 0)
		return -1;
	if (!job->check)
		return write_lock(job, b, e);
	for (size_t i = 0; i < job->old.locked.n; i++) {
		const char *old = job->old.locked.v[i], *last = strrchr(old, ' ');
		cleanup_free char *kind = rt_strndup(old, strcspn(old, " ")),
		                  *name = rt_strndup(old + strlen(kind) + 1, (size_t)(last - old) - strlen(kind) - 1);

		if (lock_find(&job->now, kind, name) == NULL) {
			cleanup_free char *text = rt_printf("%s is not used", name);

			complain(job, b, NULL, text);
		}
	}
	if (job->bad == 0)
		return 0;
	return rt_fail_status(e, RT_LOCK, "%s does not fit the Dockerfile: dockcc lock%s mends it", b->o->lock_file, job->update ? " --update" : "");
}

int
lock_write(struct build *b, struct rt_err *e)
{
	static const struct {
		const char *name;
		bool update, check;
	} modes[] = { { "add", false, false }, { "update", true, false }, { "check", false, true }, { "check-update", true, true } };
	struct lock_job job = { 0 };
	size_t i = 0;
	int rc;

	while (i < 4 && strcmp(b->o->lock_mode, modes[i].name) != 0)
		i++;
	if (i == 4 || b->o->lock_file == NULL)
		return rt_fail_status(e, RT_USAGE, "--lock is add, update, check or check-update, and needs --lock-file");
	job.update = modes[i].update;
	job.check = modes[i].check;
	if (job.update)
		net_option("--pull");
	rc = run_job(&job, b, e);
	list_free(&job.old.locked);
	list_free(&job.now);
	return rc;
}
