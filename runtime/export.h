/* What the kinds of export share. */
#ifndef RT_EXPORT_H
#define RT_EXPORT_H

#include "image.h"
#include "stream.h"

struct json;
struct layer_meta;
struct descriptor;

struct export {
	struct store *store;
	const struct export_image *im;
	int out;             /* the directory that becomes the layout */
	int root;            /* the mounted file system that becomes its one layer */
	struct json *others; /* index entries that stay */
};

/* unfinished.c.  The name under which an output is made, malloc'd; what killed builds have left under such names goes. */
char *unfinished_name(const char *dest);
/* Locks it while it is made; a file system without locks does without. */
int unfinished_hold(int fd, const char *what, struct rt_err *e);

/* A file that appears under its name only when it is whole; standard output ("-"), a device or a pipe, which are written to. */
struct output {
	char *name, *tmp; /* tmp NULL: written to as it is */
	struct fd_writer *file;
	int fd;
};
int output_open(struct output *o, const char *dest, struct rt_err *e);
/* Publishes when `good`, else removes; -1 also when not good. */
int output_close(struct output *o, bool good, struct rt_err *e);

/* The sorted names in a directory. */
int list_directory(int dirfd, struct list *names, struct rt_err *e);

/* Copies a tree (o->mode TAR_LAYER: a layer) into the directory `to`. */
int layer_copy(int from, int to, int64_t epoch, const struct tar_options *o, struct rt_err *e);

/* One layer as a blob of x->out, which `d` describes; of `m` diff ID, size and epoch are set. */
int export_pack(struct export *x, const char *layer, struct layer_meta *m, struct descriptor *d, struct rt_err *e);
/* The same with what the store remembers of it, a base layer as it came in or as im->force wants it; appended to both lists. */
int export_layer(struct export *x, const char *layer, struct json *layers, struct json *ids, struct rt_err *e);
/* All layers as one. */
int export_squashed(struct export *x, struct json *layers, struct json *ids, struct rt_err *e);
/* Calls `work` with the merged file system, mounted. */
int export_mounted(struct export *x, int (*work)(struct export *x, int root, void *arg, struct rt_err *e), void *arg,
                   struct rt_err *e);
int export_oci_dir(struct export *x, const char *dest, struct export_result *r, struct rt_err *e);
int export_oci_tar(struct export *x, bool docker, const char *dest, struct export_result *r, struct rt_err *e);

#endif
