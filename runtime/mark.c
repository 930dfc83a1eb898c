/* Which files of a layer the build itself made: their times are of no interest to anybody who wants the same
   image tomorrow, but make and its like compare them while the build goes on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar.h"

static int mark_directory(int dir, int64_t start, const char *what, struct rt_err *e);

static int
mark_entry(int dir, const char *name, int64_t start, struct rt_err *e)
{
	struct stat st;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	int fd, rc = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return rt_fail(e, errno, "%s", name);
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = fd < 0 ? rt_fail(e, errno, "open %s", name) : mark_directory(fd, start, name, e);
	}
	if (rc < 0 || (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec < start ||
	    st.st_mtim.tv_nsec == TIME_MADE || (S_ISCHR(st.st_mode) && st.st_rdev == 0))
		return rc;
	times[1] = (struct timespec){ .tv_sec = st.st_mtim.tv_sec, .tv_nsec = TIME_MADE };
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? rt_fail(e, errno, "mark %s", name) : 0;
}

/* Takes `dir`. */
static int
mark_directory(int dir, int64_t start, const char *what, struct rt_err *e)
{
	DIR *d = fdopendir(dir);
	int rc = 0;

	if (d == NULL) {
		close(dir);
		return rt_fail(e, errno, "read %s", what);
	}
	for (struct dirent *entry; rc == 0 && (entry = readdir(d)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = mark_entry(dirfd(d), entry->d_name, start, e);
	closedir(d);
	return rc;
}

int
layer_mark(int dirfd_, int64_t start, struct rt_err *e)
{
	int fd = openat(dirfd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? rt_fail(e, errno, "open a layer") : mark_directory(fd, start, "a layer", e);
}
