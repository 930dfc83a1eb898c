/* Outputs grow under another name beside their own, DEST.tmp-PID, and are locked while they do: what a killed build has left
   there is removed by the next one that writes the same output. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "export.h"

/* Between the making of one and its lock nobody may take it for a left one. */
enum { YOUNG = 5 }; /* seconds */

/* Whether `name` is `base` with ".tmp-" and a number behind it. */
static bool
is_unfinished(const char *name, const char *base)
{
	size_t n = strlen(base);

	if (strncmp(name, base, n) != 0 || strncmp(name + n, ".tmp-", 5) != 0 || name[n + 5] == '\0')
		return false;
	return name[n + 5 + strspn(name + n + 5, "0123456789")] == '\0';
}

static void
remove_left(int dir, const char *name)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct rt_err ignored;
	struct stat st;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
	    st.st_uid == geteuid() && time(NULL) - st.st_ctime > YOUNG)
		rt_remove_tree(dir, name, &ignored);
}

char *
unfinished_name(const char *dest)
{
	const char *slash = strrchr(dest, '/'), *base = slash != NULL ? slash + 1 : dest;
	cleanup_free char *path = slash == NULL ? rt_strdup(".") : rt_strndup(dest, slash == dest ? 1 : (size_t)(slash - dest));
	DIR *d = *base != '\0' ? opendir(path) : NULL;

	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
		if (is_unfinished(entry->d_name, base))
			remove_left(dirfd(d), entry->d_name);
	if (d != NULL)
		closedir(d);
	return rt_printf("%s.tmp-%d", dest, (int)getpid());
}

int
unfinished_hold(int fd, const char *what, struct rt_err *e)
{
	return flock(fd, LOCK_EX) == 0 || errno == ENOLCK || errno == EOPNOTSUPP ? 0 : rt_fail(e, errno, "lock %s", what);
}
