/* Pulling: distribution-spec "Pull", index and manifest first, blobs by digest.  A download grows in the store's
   tmp/.part-HEX, which outlives a killed build so that the next one goes on from there, and becomes a blob by rename. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "registry.h"
#include "sha256.h"

enum { AT_ONCE = 4, TRIES = 5, MAX_INDEX_DEPTH = 4, PART_AGE = 24 * 3600 };

/* ---- one blob ----------------------------------------------------------------------------------- */

struct download {
	struct http *h;
	int fd;
	uint64_t got, size;
	struct sha256 sum;
	bool restarted; /* the registry had less than an earlier try left */
	bool begun;     /* this answer's first piece has been looked at */
	const char *what;
};

static int
restart(struct download *d, struct rt_err *e)
{
	d->got = 0;
	sha256_init(&d->sum);
	return ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0 ? rt_fail(e, errno, "truncate a download") : 0;
}

/* RFC 9110 14.4: a part that is not the one asked for must not be put behind what we have. */
static int
check_range(struct download *d, struct rt_err *e)
{
	cleanup_free char *range = http_header(d->h, "Content-Range", 0);

	if (d->h->from == 0)
		return 0;
	if (d->h->status == 200)
		return d->h->skips ? 0 : restart(d, e);
	if (range == NULL || strncmp(range, "bytes ", 6) != 0 || strtoull(range + 6, NULL, 10) != d->h->from)
		return rt_fail_status(e, RT_DIGEST, "%s: the registry sends another part than the one asked for", d->what);
	return 0;
}

static int
download_piece(void *arg, const char *p, size_t n, struct rt_err *e)
{
	struct download *d = arg;

	if (!d->begun && check_range(d, e) < 0)
		return -1;
	d->begun = true;
	if (n > d->size - d->got)
		return rt_fail_status(e, RT_DIGEST, "%s is larger than the %llu bytes its descriptor says", d->what, (unsigned long long)d->size);
	if (rt_write_all(d->fd, p, n, d->what, e) < 0)
		return -1;
	sha256_update(&d->sum, p, n);
	d->got += n;
	return 0;
}

/* Sums what an earlier try left. */
static int
resume(struct download *d, struct rt_err *e)
{
	char block[65536];
	struct stat st;
	ssize_t n;

	sha256_init(&d->sum);
	d->got = 0;
	if (fstat(d->fd, &st) < 0 || lseek(d->fd, 0, SEEK_SET) < 0)
		return rt_fail(e, errno, "read a partial download");
	if ((uint64_t)st.st_size > d->size)
		return restart(d, e);
	while ((n = read(d->fd, block, sizeof(block))) > 0) {
		sha256_update(&d->sum, block, (size_t)n);
		d->got += (uint64_t)n;
	}
	return n < 0 ? rt_fail(e, errno, "read a partial download") : 0;
}

/* One request; 1: try again. */
static int
download_once(struct registry *r, struct download *d, const char *digest, unsigned n, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("blobs/%s", digest), *url = registry_url(r, path);
	struct http h;
	int rc;

	http_init(&h, "GET", url);
	h.from = d->got;
	h.sink = download_piece;
	h.arg = d;
	d->h = &h;
	d->begun = false;
	rc = registry_ask(r, &h, false, e);
	if (rc == 0 && h.status == 416 && d->restarted)
		rc = rt_fail_status(e, RT_DIGEST, "%s is truncated: %llu of %llu bytes", d->what, (unsigned long long)d->got,
		                    (unsigned long long)d->size);
	else if (rc == 0 && h.status == 416) {
		d->restarted = true;
		rc = restart(d, e) < 0 ? -1 : 1;
	}
	else if (rc == 0 && !http_good(&h))
		rc = registry_refused(r, &h, d->what, e) < 0 && (h.status == 429 || h.status >= 500) ? 1 : -1;
	else if (rc == 0 && d->got < d->size)
		rc = rt_fail_status(e, RT_DIGEST, "%s is truncated: %llu of %llu bytes", d->what, (unsigned long long)d->got,
		                    (unsigned long long)d->size) < 0 ? 1 : 0;
	else if (rc < 0 && (h.temporary || (h.status == 0 && n == 0 && d->begun)))
		rc = 1;
	if (rc == 1 && d->got <= h.from && n + 1 < TRIES)
		registry_pause(&h, n + 1);
	http_free(&h);
	return rc;
}

static int
download(struct registry *r, struct download *d, const char *digest, struct rt_err *e)
{
	char sum[72];
	bool whole = d->got == 0;

	for (unsigned tries = 0; d->got < d->size;) {
		uint64_t before = d->got;
		int rc = download_once(r, d, digest, tries, e);

		if (rc <= 0 && d->got < d->size)
			return rc < 0 ? -1 : rt_fail_status(e, RT_DIGEST, "%s is truncated", d->what);
		if (rc < 0)
			return -1;
		tries = d->got > before ? 0 : tries + 1;
		if (tries == TRIES)
			return -1;
	}
	sha256_digest(&d->sum, sum);
	if (strcmp(sum, digest) == 0)
		return 0;
	if (restart(d, e) < 0)
		return -1;
	if (!whole) /* perhaps what was left of an earlier try is bad */
		return download(r, d, digest, e);
	return rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s", d->what, sum);
}

/* Opens and locks tmp/.part-HEX, the one that has that name now. */
static int
open_part(struct store *s, const char *name, struct rt_err *e)
{
	for (;;) {
		cleanup_fd int fd = openat(s->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat ours, there;
		int keep = fd;

		if (fd < 0)
			return rt_fail(e, errno, "create %s/%s", s->path, name);
		if (flock(fd, LOCK_EX) < 0 || fstat(fd, &ours) < 0)
			return rt_fail(e, errno, "lock %s/%s", s->path, name);
		if (fstatat(s->fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0 || ours.st_ino != there.st_ino)
			continue;
		fd = -1;
		return keep;
	}
}

static bool
have_blob(struct store *s, const struct descriptor *d)
{
	cleanup_free char *blob = blob_name(d->digest), *path = rt_printf("images/%s", blob);
	struct stat st;

	return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == d->size;
}

static int
publish(struct store *s, int fd, const char *part, const char *digest, struct rt_err *e)
{
	cleanup_free char *blob = blob_name(digest), *path = rt_printf("images/%s", blob);
	cleanup_fd int dir = -1;

	if (rt_mkdir_p(s->fd, "images/blobs/sha256", 0700, e) < 0)
		return -1;
	if (fsync(fd) < 0 || renameat(s->fd, part, s->fd, path) < 0)
		return rt_fail(e, errno, "publish %s/%s", s->path, path);
	dir = openat(s->fd, "images/blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || fsync(dir) < 0 ? rt_fail(e, errno, "fsync %s/images/blobs/sha256", s->path) : 0;
}

static int
pull_blob(struct store *s, const char *name, const struct descriptor *d, struct rt_err *e)
{
	cleanup_free char *part = rt_printf("tmp/.part-%s", d->digest + 7), *what = rt_printf("blob %s", d->digest);
	struct download load = { .size = d->size, .what = what };
	cleanup_fd int fd = -1;
	struct registry *r;
	int rc = -1;

	if (have_blob(s, d))
		return 0;
	fd = load.fd = open_part(s, part, e);
	if (fd < 0)
		return -1;
	if (have_blob(s, d)) {
		unlinkat(s->fd, part, 0);
		return 0;
	}
	if (resume(&load, e) < 0)
		return -1;
	for (unsigned nth = 0; rc < 0; nth++) {
		struct rt_err now;

		if ((r = registry_get(name, "pull", nth, &now)) == NULL) {
			if (now.text[0] != '\0')
				*e = now;
			break;
		}
		if (r->mirror && r->dead)
			continue;
		rc = download(r, &load, d->digest, e);
		if (rc < 0 && r->mirror)
			rt_warn("a mirror of %s: %s", r->name, e->text);
	}
	if (rc < 0 && load.got == 0)
		unlinkat(s->fd, part, 0);
	return rc == 0 ? publish(s, fd, part, d->digest, e) : -1;
}

/* ---- several blobs ------------------------------------------------------------------------------ */

struct job {
	pid_t pid;
	int fd; /* the child's story comes here, nothing when all is well */
};

static int
start_job(struct store *s, const char *name, const struct descriptor *d, struct job *job, struct rt_err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "pipe");
	job->pid = fork();
	if (job->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		if (pull_blob(s, name, d, e) == 0)
			_exit(0);
		_exit(write(ends[1], e, sizeof(*e)) < 0 ? 2 : 1);
	}
	close(ends[1]);
	job->fd = ends[0];
	if (job->pid < 0) {
		rt_close_fd(&job->fd);
		return rt_fail(e, errno, "fork");
	}
	return 0;
}

static int
end_job(struct job *job, bool stop, struct rt_err *e)
{
	struct rt_err story;
	int status = 0;
	ssize_t n = 0;

	if (job->pid <= 0)
		return 0;
	if (stop)
		kill(job->pid, SIGKILL);
	else
		n = read(job->fd, &story, sizeof(story));
	while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	rt_close_fd(&job->fd);
	job->pid = 0;
	if (stop || (n <= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return 0;
	if (n == sizeof(story)) {
		*e = story;
		return -1;
	}
	return rt_fail(e, 0, "a download ended unexpectedly");
}

/* Waits until one of the jobs ends; 0 or -1 as that did. */
static int
wait_job(struct job jobs[AT_ONCE], struct rt_err *e)
{
	struct pollfd fds[AT_ONCE];

	for (size_t i = 0; i < AT_ONCE; i++)
		fds[i] = (struct pollfd){ .fd = jobs[i].pid > 0 ? jobs[i].fd : -1, .events = POLLIN };
	if (poll(fds, AT_ONCE, -1) < 0)
		return errno == EINTR ? 0 : rt_fail(e, errno, "poll");
	for (size_t i = 0; i < AT_ONCE; i++)
		if (fds[i].revents != 0)
			return end_job(&jobs[i], false, e);
	return 0;
}

static int
run_jobs(struct store *s, const char *name, const struct descriptor *d, size_t n, struct rt_err *e)
{
	struct job jobs[AT_ONCE] = { 0 };
	size_t next = 0;
	int rc = 0;

	for (;;) {
		bool busy = false;

		for (size_t i = 0; rc == 0 && i < AT_ONCE; i++) {
			if (jobs[i].pid == 0 && next < n)
				rc = start_job(s, name, &d[next++], &jobs[i], e);
			busy = busy || jobs[i].pid > 0;
		}
		if (rc < 0 || !busy || (rc = wait_job(jobs, e)) < 0)
			break;
	}
	for (size_t i = 0; i < AT_ONCE; i++)
		end_job(&jobs[i], true, e);
	return rc;
}

/* Downloads that nobody went on with for a day. */
static void
clean_parts(struct store *s)
{
	int fd = openat(s->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);

	if (dir == NULL) {
		rt_close_fd(&fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		cleanup_fd int part = -1;
		struct stat st;

		if (strncmp(entry->d_name, ".part-", 6) != 0)
			continue;
		part = openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (part >= 0 && fstat(part, &st) == 0 && now - st.st_mtime > PART_AGE && flock(part, LOCK_EX | LOCK_NB) == 0)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(dir);
}

int
pull_blobs(struct store *s, const char *ref, const struct descriptor *d, size_t n, struct rt_err *e)
{
	struct ref r;
	int rc;

	if (ref_parse(ref, &r, e) < 0 || net_allowed(ref, e) < 0)
		return -1;
	clean_parts(s);
	rc = n == 1 ? pull_blob(s, r.name, d, e) : run_jobs(s, r.name, d, n, e);
	ref_free(&r);
	return rc;
}

/* ---- manifests ---------------------------------------------------------------------------------- */

struct document {
	struct descriptor d;
	struct json *json;
};

static void
document_free(struct document *m)
{
	descriptor_free(&m->d);
	json_free(m->json);
	*m = (struct document){ 0 };
}

static int
check_document(const struct http *h, const char *digest, struct document *m, const char *what, struct rt_err *e)
{
	cleanup_free char *claimed = http_header(h, "Docker-Content-Digest", 0), *type = http_header(h, "Content-Type", 0);
	const char *text = h->body.s != NULL ? h->body.s : "", *own;
	struct sha256 sum;

	sha256_init(&sum);
	sha256_update(&sum, text, h->body.len);
	sha256_digest(&sum, m->d.digest);
	m->d.size = h->body.len;
	if (digest == NULL && claimed != NULL && digest_valid(claimed))
		digest = claimed;
	if (digest != NULL && strcmp(digest, m->d.digest) != 0)
		return rt_fail_status(e, RT_DIGEST, "%s is damaged: its digest is %s, not %s", what, m->d.digest, digest);
	m->json = json_parse(text, h->body.len, what, e);
	if (m->json == NULL)
		return -1;
	own = json_string_at(m->json, "/mediaType");
	if (type != NULL)
		type[strcspn(type, "; ")] = '\0';
	m->d.type = rt_strdup(own != NULL ? own : type != NULL ? type : "");
	if (json_at(m->json, "/fsLayers") != NULL)
		return rt_fail_status(e, RT_DIGEST, "%s has the format of 2015 (schema 1), which is no longer read", what);
	return 0;
}

/* Gets one document and puts it among the blobs. `digest` NULL: by the tag alone. */
static int
get_document(struct store *s, struct registry *r, const char *reference, const char *digest, struct document *m, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("manifests/%s", reference), *url = registry_url(r, path), *blob = NULL,
	                  *what = rt_printf("manifest %s of %s", reference, r->name);
	struct http h;
	int rc;

	*m = (struct document){ 0 };
	http_init(&h, "GET", url);
	list_add(&h.headers, "Accept: " OCI_INDEX ", " OCI_MANIFEST ", application/vnd.docker.distribution.manifest.list.v2+json, "
	                     "application/vnd.docker.distribution.manifest.v2+json");
	rc = registry_ask(r, &h, true, e);
	if (rc == 0 && !http_good(&h))
		rc = registry_refused(r, &h, what, e);
	if (rc == 0)
		rc = check_document(&h, digest, m, what, e);
	if (rc == 0 && (rc = rt_mkdir_p(s->fd, "images/blobs/sha256", 0700, e)) == 0) {
		cleanup_free char *name = blob_name(m->d.digest);

		blob = rt_printf("images/%s", name);
		rc = rt_write_file(s->fd, blob, h.body.s, h.body.len, 0600, e);
	}
	http_free(&h);
	if (rc < 0)
		document_free(m);
	return rc;
}

static int
get_config(struct store *s, struct registry *r, const struct json *manifest, struct rt_err *e)
{
	const struct json *j = json_need(manifest, "/config", JSON_OBJECT, r->name, e);
	struct descriptor d;
	int rc;

	if (j == NULL || descriptor_parse(j, r->name, &d, e) < 0)
		return -1;
	rc = d.size <= JSON_MAX_BYTES ? pull_blob(s, r->name, &d, e)
	                              : rt_fail_status(e, RT_DIGEST, "the config of %s is larger than 16 MiB", r->name);
	descriptor_free(&d);
	return rc;
}

/* From what the name stands for down to a config. */
static int
descend(struct store *s, struct registry *r, struct document *m, const struct platform *p, struct rt_err *e)
{
	struct layout l = { .what = r->name, .dirfd = -1, .fd = -1 };

	for (int depth = 0; oci_is_index(&m->d, m->json); depth++) {
		struct descriptor next;
		struct document child;
		int rc;

		if (depth == MAX_INDEX_DEPTH)
			return rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", r->name, MAX_INDEX_DEPTH);
		if (oci_choose(&l, m->json, p, &next, e) < 0)
			return -1;
		rc = get_document(s, r, next.digest, next.digest, &child, e);
		if (rc == 0 && child.d.size != next.size) {
			rc = rt_fail_status(e, RT_DIGEST, "manifest %s has %llu bytes, its descriptor says %llu", next.digest,
			                    (unsigned long long)child.d.size, (unsigned long long)next.size);
			document_free(&child);
		}
		descriptor_free(&next);
		if (rc < 0)
			return -1;
		document_free(m);
		*m = child;
	}
	return get_config(s, r, m->json, e);
}

static int
pull_from(struct store *s, struct registry *r, const struct ref *ref, const struct platform *p, char digest[72], struct rt_err *e)
{
	cleanup_free char *full = ref_full(ref);
	struct document m;
	struct json *entry;
	int rc;

	if (get_document(s, r, ref->digest != NULL ? ref->digest : ref->tag, ref->digest, &m, e) < 0)
		return -1;
	memcpy(digest, m.d.digest, sizeof(m.d.digest));
	entry = descriptor_json(oci_is_index(&m.d, m.json) && *m.d.type == '\0' ? OCI_INDEX : *m.d.type != '\0' ? m.d.type : OCI_MANIFEST,
	                        m.d.digest, m.d.size);
	rc = descend(s, r, &m, p, e);
	document_free(&m);
	if (rc == 0)
		return images_name(s, entry, full, e);
	json_free(entry);
	return -1;
}

/* ---- what is there ------------------------------------------------------------------------------ */

/* Whether images/ has the name, and for the platform all documents down to the config.  What is there and damaged is
   not missing: who reads it says so. */
static bool
have_image(struct store *s, const char *text, const struct ref *ref, const struct platform *p)
{
	cleanup_free char *path = rt_printf("%s/images", s->path), *index = rt_printf("%s/index.json", path);
	struct descriptor d = { 0 }, config;
	struct rt_err ignored;
	struct layout l;
	bool have = false;

	if (access(index, F_OK) < 0 || layout_open(&l, path, -1, &ignored) < 0)
		return false;
	if (oci_top(&l, text, ref->digest, p, &d, &ignored) == 0)
		have = true;
	for (int depth = 0; have; depth++) {
		cleanup_free char *name = blob_name(d.digest);
		struct json *j = layout_has(&l, name) ? layout_document(&l, &d, NULL, &ignored) : NULL;
		bool index_here = j != NULL && oci_is_index(&d, j);

		have = layout_has(&l, name);
		if (j != NULL && !index_here && descriptor_parse(json_at(j, "/config"), "", &config, &ignored) == 0) {
			cleanup_free char *blob = blob_name(config.digest);

			have = layout_has(&l, blob);
			descriptor_free(&config);
		}
		descriptor_free(&d);
		if (index_here && oci_choose(&l, j, p, &d, &ignored) < 0)
			index_here = false;
		json_free(j);
		if (!index_here || depth == MAX_INDEX_DEPTH)
			break;
	}
	descriptor_free(&d);
	layout_close(&l);
	return have;
}

/* Whether the user wants us to look whatever is there; once a process. */
static bool
look_again(const char *full)
{
	static struct list seen;
	const char *wanted = getenv("DOCKCC_PULL");

	if (wanted == NULL || *wanted == '\0' || strcmp(wanted, "0") == 0)
		return false;
	for (size_t i = 0; i < seen.n; i++)
		if (strcmp(seen.v[i], full) == 0)
			return false;
	list_add(&seen, full);
	return true;
}

static int
pull_wanted(struct store *s, const struct ref *ref, const struct platform *p, const char *text, struct rt_err *e)
{
	struct registry *r;
	char digest[72];
	int rc = -1;

	if (net_allowed(text, e) < 0)
		return -1;
	for (unsigned nth = 0; rc < 0; nth++) {
		struct rt_err now;

		if ((r = registry_get(ref->name, "pull", nth, &now)) == NULL) {
			if (now.text[0] != '\0')
				*e = now;
			return -1;
		}
		if (r->mirror && r->dead)
			continue;
		rc = pull_from(s, r, ref, p, digest, e);
		if (rc < 0 && r->mirror)
			rt_warn("a mirror of %s: %s", r->name, e->text);
	}
	return rc;
}

int
pull_image(struct store *s, const char *text, const char *platform, struct rt_err *e)
{
	cleanup_free char *full = NULL, *key = NULL;
	struct platform p;
	struct ref ref;
	int rc = 0;

	if (ref_parse(text, &ref, e) < 0)
		return -1;
	full = ref_full(&ref);
	key = rt_printf("%s %s", full, platform != NULL ? platform : "");
	if (platform_parse(platform, &p, e) < 0)
		rc = -1;
	else if (look_again(key) || !have_image(s, text, &ref, &p))
		rc = pull_wanted(s, &ref, &p, text, e);
	ref_free(&ref);
	return rc;
}

int
pull_all(struct store *s, const char *ref, const char *platform, char digest[72], struct rt_err *e)
{
	struct place p = { .layout = { .dirfd = -1, .fd = -1 } };
	struct descriptor top = { 0 }, d = { 0 }, *layers = NULL;
	struct platform want;
	struct json *j = NULL, *list;
	size_t n = 0;
	int rc = -1;

	if (platform_parse(platform, &want, e) == 0 && pull_image(s, ref, platform, e) == 0 && place_open(s, &p, ref, NULL, e) == 0 &&
	    oci_top(&p.layout, p.tag, p.digest, &want, &top, e) == 0 && oci_find(&p.layout, p.tag, p.digest, &want, &d, e) == 0 &&
	    (j = layout_document(&p.layout, &d, NULL, e)) != NULL &&
	    (list = json_need(j, "/layers", JSON_ARRAY, ref, e)) != NULL) {
		layers = rt_alloc((list->n + 1) * sizeof(*layers));
		memcpy(digest, top.digest, sizeof(top.digest));
		for (rc = 0; rc == 0 && n < list->n; n++)
			rc = descriptor_parse(list->v[n], ref, &layers[n], e);
		if (rc == 0 && n > 0)
			rc = net_allowed(ref, &(struct rt_err){ 0 }) == 0 ? pull_blobs(s, ref, layers, n, e) : 0;
	}
	while (n > 0)
		descriptor_free(&layers[--n]);
	free(layers);
	json_free(j);
	descriptor_free(&d);
	descriptor_free(&top);
	place_close(&p);
	return rc;
}
