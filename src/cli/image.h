/* Images that compiling looks at. */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "../sema/sema.h"
#include "options.h"

struct image_search {
	const struct options *o;
	const struct named_context *contexts;
	size_t ncontexts;
};

/* dockcc-rt: $DOCKCC_RT, else the one beside this program, else what the PATH has. */
const char *helper_path(const void *ctx);
/* The ONBUILD triggers of `ref` where it is at hand (sema_triggers_fn; `arg` is a struct image_search). */
const char *const *image_triggers(void *arg, const void *ctx, const char *ref, const char *platform, size_t *n);

#endif
