/* Images and layers: what the store holds and what goes in and out of it. */
#ifndef RT_IMAGE_H
#define RT_IMAGE_H

#include "rt.h"

/* An open store (--store, else $DOCKCC_STORE, else dockcc/store in the XDG cache directory).  Layout (dockcc-store(5)):
     layers/NAME/diff/   the layer as overlayfs wants it below: whiteouts are 0/0 character devices,
                         opaque directories carry trusted.overlay.opaque (user.overlay.opaque without root)
     layers/NAME/meta    "diffid sha256:...\nsize N\n", written when the tar was first made or read; with "epoch N" for
                         a layer of ours, with "blob sha256:...", "blob-size N", "blob-type T" for a base layer
     layers/NAME/implied directories that the base layer's tar had no entry for, NUL-terminated
     layers/NAME/start   decimal nanoseconds since the epoch when the step began: times at or after it were
                         made by the build (see tar_time)
     keys/KEY            a finished step: the name of its layer and what else it left
     images/             an OCI image layout: index.json, blobs/
     remote/HASH         of a URL that ADD fetched: sum, ETag and Last-Modified
     cache/HASH/         cache mounts
     tmp/                everything unfinished; each entry is flock'ed by its maker, the rest is garbage
   NAME is the hex diff ID of a base layer (or, for one with implied directories, a sum that also covers how those look
   in the layers below) or the hex key of a step. Mode 0700 throughout. */
struct store {
	char *path; /* absolute */
	int fd;     /* the directory */
};

int store_open(struct store *s, const char *path, struct rt_err *e);
void store_close(struct store *s);
/* A fresh directory tmp/RANDOM, held by an flock on *lockfd until that is closed; `name` receives
   "tmp/RANDOM" (malloc'd). */
int store_tmp(struct store *s, char **name, int *lockfd, struct rt_err *e);
/* Moves the directory `tmp` to layers/`layer` after syncing it; somebody else's equal layer wins silently. */
int store_publish_layer(struct store *s, const char *tmp, const char *layer, struct rt_err *e);
bool store_has_layer(struct store *s, const char *layer);
/* When the step that made the layer began, ns since the epoch; -1 when nobody said. */
int64_t layer_start(struct store *s, const char *layer);
/* Removes what dead builds left in tmp/. */
int store_clean(struct store *s, struct rt_err *e);

/* Config of an image, parsed.  `json` keeps the whole document byte-exact for fields that we do not
   model (unknown keys survive into a derived image). */
struct image {
	char *ref;              /* as asked for */
	char digest[72];        /* manifest digest, "sha256:..." */
	char *config_json;
	size_t config_len;
	struct list layers;     /* names below layers/, lowest first; unpacked and published */
	char *os, *arch, *variant;
};
void image_free(struct image *im);

/* Finds `ref` in the store's images/, or at `location` when that is not NULL:
   oci-layout://DIR[:TAG|@DIGEST], oci-archive:FILE, docker-archive:FILE, docker-image://REF.
   Verifies digests, picks the manifest for `platform` ("linux/amd64"; NULL: this machine), unpacks missing layers (gzip, zstd, plain)
   into the store.  `pin` (or NULL) must equal the digest. */
int image_open(struct store *s, const char *ref, const char *location, const char *platform, const char *pin,
               struct image *im, struct rt_err *e);
/* Only the config; layers stay where they are. */
int image_config(struct store *s, const char *ref, const char *location, const char *platform, struct image *im,
                 struct rt_err *e);
/* What the name stands for there, perhaps an index: its digest. */
int image_digest(struct store *s, const char *ref, const char *location, const char *platform, char digest[72], struct rt_err *e);
/* Copies an image into the store's images/ under `ref`. */
int image_import(struct store *s, const char *location, const char *ref, struct rt_err *e);

enum export_compression { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD };

/* What export writes. */
struct export_image {
	struct list layers;       /* names, lowest first */
	const char *config_json;  /* without rootfs.diff_ids filled: export puts them in place of "rootfs" */
	size_t config_len;
	int64_t epoch;            /* SOURCE_DATE_EPOCH in seconds, or -1 */
	struct list tags;         /* "name:tag" for docker and OCI annotations */
	struct list annotations, descriptor_annotations; /* "key=value" for the manifest, for its entry in index.json */
	const char *os, *arch, *variant;
	enum export_compression compression;
	int level;                /* -1: the usual one */
	bool force;               /* base layers are compressed so as well, else they go out as they came in */
	bool squash;              /* everything in one layer */
	const struct list *parts; /* not NULL: instead of all that, OCI layouts of images for several platforms, to become one index */
};
struct export_result {
	char digest[72], config[72]; /* of the manifest and of the config; "" for root file systems */
	uint64_t size;               /* of the manifest, bytes */
};
enum export_kind { EXPORT_OCI_DIR, EXPORT_OCI_TAR, EXPORT_DOCKER, EXPORT_ROOTFS_DIR, EXPORT_ROOTFS_TAR };
/* Writes to `dest` ("-": standard output for the tar kinds); appears only when complete. */
int image_export(struct store *s, const struct export_image *im, enum export_kind kind, const char *dest,
                 struct export_result *r, struct rt_err *e);

/* The diff ID and tar size of a layer, made and remembered on first use. */
int layer_diffid(struct store *s, const char *layer, int64_t epoch, char diffid[72], uint64_t *size, struct rt_err *e);

#endif
