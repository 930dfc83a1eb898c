/* WORKDIR (spec execution.md 1.6). */
#include "copy_int.h"
#include "path.h"

#include <errno.h>

int
workdir_make(int rootfd, const char *path, uint32_t uid, uint32_t gid, int64_t epoch, struct rt_err *e)
{
	const struct timespec at = { .tv_sec = (time_t)epoch };
	cleanup_free char *real = path_resolve(rootfd, path);
	cleanup_fd int fd = -1;
	bool made;

	if (real == NULL)
		return rt_fail(e, errno, "working directory %s", path);
	fd = place_mkdirs(rootfd, real, uid, gid, 0755, epoch < 0 ? NULL : &at, &made, e);
	return fd < 0 ? rt_prefix(e, "working directory %s", path) : 0;
}
