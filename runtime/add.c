/* What ADD does that COPY does not: archives and remote sources (spec execution.md 1.4, 1.5). */
#include "copy_int.h"
#include "fresh.h"
#include "lock.h"
#include "stream.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const uint64_t most_bytes = UINT64_C(64) << 30, most_entries = 4000000; /* security.md S2.9 */

/* Whether the content is a tar, perhaps compressed, whose first header parses.  1, 0, or -1 when it cannot be told for
   want of a program. */
static int
is_archive(int fd, const char *what, struct rt_err *e)
{
	unsigned char block[512];
	size_t have = 0;
	struct rt_err why = { .status = RT_IO };
	struct reader *r = decode_open(fd, what, &why);
	ssize_t n = r == NULL ? -1 : 1;

	while (n > 0 && have < sizeof(block)) {
		n = r->read(r, block + have, sizeof(block) - have, &why);
		have += n > 0 ? (size_t)n : 0;
	}
	if (r != NULL)
		decode_close(r);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rt_fail(e, errno, "%s", what);
	if (n < 0 && why.status == RT_NOMODE) {
		*e = why;
		return -1;
	}
	/* what does not decode is no archive: it is copied as it is [V] */
	return have == sizeof(block) && tar_is_header(block);
}

int
add_archive(const struct copy_spec *spec, const struct rules *r, int rootfd, int fd, const char *what,
            struct rt_err *e)
{
	/* owners and modes come from the archive; --chown overrides them, --chmod does not [V] */
	const struct tar_options options = { .mode = TAR_ARCHIVE, .max_bytes = most_bytes, .max_entries = most_entries,
		.chown_uid = spec->chown == NULL ? -1 : r->uid, .chown_gid = spec->chown == NULL ? -1 : r->gid,
		.what = what };
	struct rules made = *r;
	struct reader *reader;
	struct place p;
	int bad = is_archive(fd, what, e);

	if (bad <= 0)
		return bad;
	made.chmod = NULL;
	if (spec->chown == NULL)
		made.uid = made.gid = 0;
	if (place_find(spec, &made, rootfd, true, NULL, &p, e) < 0)
		return rt_prefix(e, "%s", what);
	reader = decode_open(fd, what, e);
	bad = reader == NULL ? -1 : tar_unpack(reader, p.dirfd, &options, e);
	if (reader != NULL)
		decode_close(reader);
	place_free(&p);
	return bad < 0 ? rt_prefix(e, "unpack %s", what) : 1;
}

int
archive_unpack(int fd, int dirfd, const char *what, struct rt_err *e)
{
	const struct tar_options options = { .mode = TAR_ARCHIVE, .max_bytes = most_bytes, .max_entries = most_entries,
		.chown_uid = geteuid(), .chown_gid = getegid(), .what = what };
	struct reader *reader;
	int bad = is_archive(fd, what, e);

	if (bad <= 0)
		return bad;
	reader = decode_open(fd, what, e);
	bad = reader == NULL ? -1 : tar_unpack(reader, dirfd, &options, e);
	if (bad == 0)
		bad = reader_drain(reader, e);
	if (reader != NULL)
		decode_close(reader);
	return bad < 0 ? -1 : 1;
}

bool
remote_is(const char *word)
{
	return git_is_url(word) || fetch_is_url(word);
}

/* The downloaded file, under its name: 0600 and root's unless told otherwise [V]. */
static int
put_download(const struct copy_spec *spec, const struct rules *r, int rootfd, int fd, const char *url, int64_t mtime,
             struct rt_err *e)
{
	const struct timespec at = { .tv_sec = (time_t)mtime };
	cleanup_free char *name = fetch_name(url);
	cleanup_fd int out = -1;
	struct stat st;
	struct place p;
	int bad = 0;

	if (fstat(fd, &st) < 0)
		return rt_fail(e, errno, "stat the download");
	if (place_find(spec, r, rootfd, false, name, &p, e) < 0)
		return -1;
	out = tree_create(p.dirfd, p.name, e);
	bad = out < 0 ? -1 : tree_copy_data(fd, out, (uint64_t)st.st_size, p.name, e);
	if (bad == 0)
		bad = tree_finish(out, r->uid < 0 ? 0 : (uint32_t)r->uid, r->gid < 0 ? 0 : (uint32_t)r->gid,
		                  rules_mode(r, S_IFREG | 0600), &at, p.name, e);
	place_free(&p);
	return bad;
}

/* A file that was downloaded when the key was worked out, from its beginning. */
static int
reopen(const struct fresh *known, int64_t *mtime, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("/proc/self/fd/%d", known->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*mtime = known->mtime;
	return fd >= 0 ? fd : rt_fail(e, errno, "open %s", path);
}

static int
add_url(const struct copy_spec *spec, const struct rules *r, int rootfd, const char *url, struct rt_err *e)
{
	int64_t mtime = 0;
	const char *sum = spec->checksum != NULL ? spec->checksum : lock_find(spec->locked, "url", url);
	const struct fresh *known = sum == NULL ? fresh_find(url) : NULL;
	cleanup_fd int fd = known != NULL && known->fd >= 0 ? reopen(known, &mtime, e)
	                                                    : fetch_url(url, spec->tmp, known != NULL ? known->sum : sum, &mtime, e);
	int done = 0;

	if (fd < 0)
		return -1;
	if (spec->unpack == 1)
		done = add_archive(spec, r, rootfd, fd, url, e);
	return done != 0 ? done : put_download(spec, r, rootfd, fd, url, mtime, e);
}

int
add_remote(const struct copy_spec *spec, const struct rules *r, int rootfd, const char *word, struct rt_err *e)
{
	int bad;

	if (git_is_url(word))
		bad = git_add(spec, r, rootfd, word, e);
	else if (fetch_is_url(word))
		bad = add_url(spec, r, rootfd, word, e);
	else
		return 0;
	return bad < 0 ? rt_prefix(e, "%s", word) : 1;
}
