#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image.h"
#include "path.h"

/* $DOCKCC_STORE, else dockcc/store in the XDG cache directory; malloc'd, NULL when nothing is set. */
static char *
default_path(void)
{
	const char *store = getenv("DOCKCC_STORE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (store != NULL && *store != '\0')
		return rt_strdup(store);
	if (xdg != NULL && *xdg == '/')
		return rt_printf("%s/dockcc/store", xdg);
	return home != NULL && *home != '\0' ? rt_printf("%s/.cache/dockcc/store", home) : NULL;
}

int
store_open(struct store *s, const char *path, struct rt_err *e)
{
	cleanup_free char *otherwise = NULL;

	static const char *const parts[] = { "layers", "keys", "images", "cache", "tmp" };
	char cwd[PATH_MAX];

	*s = (struct store){ .fd = -1 };
	if (path == NULL || *path == '\0')
		path = otherwise = default_path();
	if (path == NULL)
		return rt_fail_status(e, RT_USAGE, "there is no place for the store: set DOCKCC_STORE or HOME");
	if (*path != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return rt_fail(e, errno, "find the working directory");
	s->path = *path == '/' ? path_clean(path) : path_join(cwd, path);
	if (rt_mkdir_p(AT_FDCWD, s->path, 0700, e) < 0)
		return rt_prefix(e, "store");
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0)
		return rt_fail(e, errno, "open the store %s", s->path);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (mkdirat(s->fd, parts[i], 0700) < 0 && errno != EEXIST)
			return rt_fail(e, errno, "make %s/%s", s->path, parts[i]);
	return 0;
}

void
store_close(struct store *s)
{
	rt_close_fd(&s->fd);
	free(s->path);
	s->path = NULL;
}

/* Opens tmp/NAME and locks it; -1 when somebody else took it away or holds it. */
static int
lock_tmp(struct store *s, const char *name, int how)
{
	cleanup_fd int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, there;
	int keep = -1;

	if (fd >= 0 && flock(fd, how) == 0 && fstat(fd, &ours) == 0 &&
	    fstatat(s->fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == there.st_ino) {
		keep = fd;
		fd = -1;
	}
	return keep;
}

int
store_tmp(struct store *s, char **name, int *lockfd, struct rt_err *e)
{
	unsigned char r[8];

	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(r, sizeof(r), 0) != sizeof(r))
			return rt_fail(e, errno, "get random bytes");
		*name = rt_printf("tmp/%02x%02x%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
		if (mkdirat(s->fd, *name, 0700) < 0 && errno != EEXIST) {
			rt_fail(e, errno, "make %s/%s", s->path, *name);
			free(*name);
			*name = NULL;
			return -1;
		}
		*lockfd = lock_tmp(s, *name, LOCK_EX | LOCK_NB);
		if (*lockfd >= 0)
			return 0;
		free(*name); /* a cleaner saw it between the two calls */
		*name = NULL;
	}
	return rt_fail(e, 0, "cannot keep a directory in %s/tmp", s->path);
}

static bool
is_layer_name(const char *name)
{
	return *name != '\0' && strlen(name) < 200 && name[strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-_")] == '\0';
}

int
store_publish_layer(struct store *s, const char *tmp, const char *layer, struct rt_err *e)
{
	cleanup_free char *to = rt_printf("layers/%s", layer);
	cleanup_fd int dir = openat(s->fd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (!is_layer_name(layer))
		return rt_fail(e, 0, "%s is not the name of a layer", layer);
	if (dir < 0)
		return rt_fail(e, errno, "open %s/layers", s->path);
	if (syncfs(dir) < 0)
		return rt_fail(e, errno, "sync the store %s", s->path);
	rc = (int)syscall(SYS_renameat2, s->fd, tmp, s->fd, to, RENAME_NOREPLACE);
	if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
		rc = renameat(s->fd, tmp, s->fd, to);
	if (rc < 0 && (errno == EEXIST || errno == ENOTEMPTY))
		return rt_remove_tree(s->fd, tmp, e);
	if (rc < 0)
		return rt_fail(e, errno, "rename %s to %s in the store", tmp, to);
	if (fsync(dir) < 0)
		return rt_fail(e, errno, "fsync %s/layers", s->path);
	return 0;
}

bool
store_has_layer(struct store *s, const char *layer)
{
	cleanup_free char *diff = rt_printf("layers/%s/diff", layer);
	struct stat st;

	return is_layer_name(layer) && fstatat(s->fd, diff, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int
store_clean(struct store *s, struct rt_err *e)
{
	int fd = openat(s->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int rc = 0;

	if (d == NULL) {
		rt_close_fd(&fd);
		return rt_fail(e, errno, "open %s/tmp", s->path);
	}
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		cleanup_free char *name = rt_printf("tmp/%s", entry->d_name);
		cleanup_fd int lock = -1;

		if (entry->d_name[0] == '.')
			continue;
		lock = lock_tmp(s, name, LOCK_EX | LOCK_NB);
		if (lock >= 0 && rt_remove_tree(s->fd, name, e) < 0)
			rc = -1;
	}
	closedir(d);
	return rc;
}
