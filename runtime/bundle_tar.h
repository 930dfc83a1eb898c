/* A build context as one tar. */
#ifndef RT_BUNDLE_TAR_H
#define RT_BUNDLE_TAR_H

#include "copy.h"
#include "tar.h"

/* A directory as a tar of its own: context/ with the files that the patterns leave in, and the patterns in `ignore`. Owners
   are 0, times whole seconds.  The same directory gives the same bytes. */
struct context_tar {
	int fd;
	const struct ignore *ignore;
	const struct str *patterns;
};
int context_tar_write(void *context_tar, struct writer *w, struct rt_err *e);

#endif
