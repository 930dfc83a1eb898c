/* Paths inside a root that is not ours to trust (security.md S2.1, S4). */
#ifndef RT_PATH_H
#define RT_PATH_H

#include "rt.h"

/* Opens `path` below `rootfd` as if rootfd were "/" (absolute links re-rooted, ".." clamped): openat2 with
   RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS, else a component walk.  `flags` as for open; O_CLOEXEC is added.
   -1 with errno. */
int path_open(int rootfd, const char *path, int flags, mode_t mode);
/* For tests: use the component walk even where openat2 works. */
extern bool path_no_openat2;

/* Opens the directory that holds `path`'s last component (all links before it resolved inside the
   root); *base points at that component inside `path` copied to *store (malloc'd).  The last component is
   never "." or ".." ("" means the root itself). */
int path_parent(int rootfd, const char *path, char **store, const char **base, struct rt_err *e);

/* Resolves all links in `path`, the last included, as COPY does for its destination; what does not
   exist is kept as written.  Malloc'd absolute path without links, or NULL with errno. */
char *path_resolve(int rootfd, const char *path);

/* Go's path.Clean and a join, textual only; malloc'd. */
char *path_clean(const char *path);
char *path_join(const char *dir, const char *path);

#endif
