/* Blobs from registries: distribution-spec "Pulling blobs".  A download grows in the store's tmp/.part-HEX, which outlives a
   killed build so that the next one goes on from there, and becomes a blob by rename. */
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

#include "meter.h"
#include "registry.h"
#include "sha256.h"

enum { AT_ONCE = 4, TRIES = 5, PART_AGE = 24 * 3600 };

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
	meter_add(METER_PULL, n, 0);
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
		http_pause(&h, n + 1);
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

int
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
		meter_watch(NULL, NULL);
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
	uint64_t bytes = 0;
	struct ref r;
	int rc;

	if (ref_parse(ref, &r, e) < 0 || net_allowed(ref, e) < 0)
		return -1;
	clean_parts(s);
	for (size_t i = 0; i < n; i++)
		bytes += d[i].size;
	meter_begin(METER_PULL, NULL, bytes);
	rc = n == 1 ? pull_blob(s, r.name, d, e) : run_jobs(s, r.name, d, n, e);
	meter_end();
	ref_free(&r);
	return rc;
}
