/* A bundle: what a build reads, behind its script in one file, or beside it in a directory.  It is an OCI image layout: base
   images under the names that the Dockerfile has for them, and each context as a blob of its own, a tar.  The script holds
   the digest of index.json, which names everything else by digest.  docs/dockcc-bundle.7.scd. */
#ifndef RT_BUNDLE_H
#define RT_BUNDLE_H

#include "build.h"
#include "oci.h"

#define BUNDLE_CONTEXT "application/vnd.dockcc.context.v1.tar" /* media type of a context */
#define BUNDLE_NAME    "dockcc.context"                        /* annotation: its name, "" for the build context */
#define BUNDLE_FROM    "dockcc.from"                           /* annotation: an image as the Dockerfile names it */
#define BUNDLE_SCRIPT  "dockcc.script"                         /* annotation of the index: sum of the script's text */

/* ---- parts.c: the blobs of a layout in the making ---- */

struct part {
	char digest[72];
	uint64_t size;
	struct layout *from;     /* where its bytes are, or: */
	char *data;              /* malloc'd, or: */
	int (*make)(void *arg, struct writer *w, struct rt_err *e); /* makes the same bytes each time it is called */
	void *arg;
};
struct parts { /* zero-initialise */
	struct part *v;
	size_t n, cap;
};
/* Adds one unless a part of that digest is there; `data` becomes the list's. */
void parts_add(struct parts *p, const struct part *part);
/* Everything that the image or index `d` of the layout names.  `platform`: of an index only the manifest for it, NULL: all
   that are there.  The layout has to stay open. */
int parts_image(struct parts *p, struct layout *l, const struct descriptor *d, const struct platform *platform, struct rt_err *e);
/* Reads each part to its end: RT_DIGEST for the first that is not what its digest says.  `what` is for the message. */
int parts_verify(const struct parts *p, const char *what, struct rt_err *e);
/* The layout with this index and these parts as a tar, in order of digests, verified on the way. */
int parts_write_tar(struct parts *p, const struct str *index, struct writer *w, struct rt_err *e);
/* The same as files below the empty directory `dirfd`. */
int parts_write_dir(struct parts *p, const struct str *index, int dirfd, struct rt_err *e);
void parts_free(struct parts *p);

/* ---- unbundle.c ---- */

struct bundle {
	struct layout layout;
	struct json *index;
	struct str text;   /* of the index */
	struct str script; /* without the line that says where the bundle is */
	char *path;        /* of the file, or of the directory */
	uint64_t start;    /* where the archive begins; 0: a directory */
};
/* Opens what $DOCKCC_BUNDLE or the script's own words describe, OFFSET:DIGEST:SCRIPT (offset "dir": the directory of the
   script), and verifies the index and the text of the script. */
int bundle_open(struct bundle *u, const char *place, struct rt_err *e);
void bundle_close(struct bundle *u);
/* Puts the images of the bundle in front of o->contexts. Nothing without $DOCKCC_BUNDLE. */
int bundle_images(struct build_options *o, struct rt_err *e);
/* Unpacks the contexts below the store's tmp/ and makes them those of `o`, unless it has one already.  `lock` keeps the
   directory, *name tells it; both stay -1 and NULL when there is nothing to unpack. */
int bundle_contexts(struct build_options *o, struct store *s, char **name, int *lock, struct rt_err *e);

/* The script's text with `value` behind the first "bundle=" that begins a line and is empty; RT_USAGE without one. */
int bundle_mark(const struct str *text, const char *value, struct str *out, struct rt_err *e);
/* Writes the bundle: a file ("-": standard output), or a directory with the script as `name` in it.  It appears when it is
   whole. */
int bundle_write(struct parts *parts, const char *to, bool directory, const char *name, const struct str *script,
                 const struct str *index, struct rt_err *e);
/* Reads a script, at most `limit` bytes of it. */
int bundle_script(const char *path, uint64_t limit, struct str *text, struct rt_err *e);

#endif
