/* OCI image layouts as they lie on disk: a directory, or a tar of one; a docker archive is made to look like one. */
#ifndef RT_OCI_H
#define RT_OCI_H

#include "image.h"
#include "json.h"
#include "tar.h"

#define OCI_INDEX     "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST  "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG    "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER     "application/vnd.oci.image.layer.v1.tar"
#define OCI_REF_NAME  "org.opencontainers.image.ref.name"
#define OCI_CONTAINERD_NAME "io.containerd.image.name"

/* Something in a layout: bytes of a file, or of memory when `data` is not NULL. */
struct blob {
	int fd; /* owned */
	const char *data;
	uint64_t off, size;
};

struct member {
	char *name;  /* clean and relative */
	char *link;  /* target of a link, clean and relative; NULL for a file */
	char *data;  /* made by us; NULL for bytes of the archive */
	uint64_t off, size;
};

struct layout {
	char *what; /* for messages */
	int dirfd;  /* a directory, or -1 */
	int fd;     /* an archive, or -1 */
	uint64_t start; /* where in its file the archive begins */
	struct member *v;
	size_t n;
};

/* A content descriptor. */
struct descriptor {
	char digest[72];
	char *type; /* media type, "" when not said; malloc'd */
	uint64_t size;
};

/* Opens a directory or an archive (which may be compressed: then it is unpacked into an unnamed file below tmpdir).
   A docker archive (`docker` or no index.json but a manifest.json) gets an index, manifests and aliases for its blobs. */
int layout_open(struct layout *l, const char *path, int tmpdir, struct rt_err *e);
/* The same for an uncompressed archive behind `start` bytes of something else. */
int layout_open_at(struct layout *l, const char *path, uint64_t start, struct rt_err *e);
void layout_close(struct layout *l);
bool layout_has(struct layout *l, const char *name);
int layout_blob(struct layout *l, const char *name, struct blob *b, struct rt_err *e);
void blob_close(struct blob *b);
/* Adds a file of our own; `data` becomes the layout's.  NULL: an alias for the member `from`. */
void layout_add(struct layout *l, const char *name, char *data, size_t size, const struct member *from);
const struct member *layout_member(const struct layout *l, const char *name);
/* docker.c */
int docker_to_oci(struct layout *l, struct rt_err *e);

/* The parsed document `name`. */
struct json *layout_json(struct layout *l, const char *name, struct rt_err *e);
/* Its bytes, at most 16 MiB; appended. */
int layout_bytes(struct layout *l, const char *name, struct str *text, struct rt_err *e);
/* The document a descriptor means: size and digest are verified.  text: the bytes, or NULL. */
struct json *layout_document(struct layout *l, const struct descriptor *d, struct str *text, struct rt_err *e);
char *blob_name(const char *digest); /* blobs/sha256/HEX, malloc'd */

int descriptor_parse(const struct json *j, const char *what, struct descriptor *d, struct rt_err *e);
void descriptor_free(struct descriptor *d);
struct json *descriptor_json(const char *type, const char *digest, uint64_t size);

/* A platform in pieces, names normalised (x86_64 -> amd64, armhf -> arm/v7, ...). */
struct platform { char os[32], arch[32], variant[32]; };
/* NULL: this machine. */
int platform_parse(const char *text, struct platform *p, struct rt_err *e);
/* How well a descriptor's or config's os, architecture and variant suit: 0 not at all, more is better. */
int platform_score(const struct platform *want, const char *os, const char *arch, const char *variant);

/* Finds the manifest: by `digest`, else by name `tag` (either may be NULL; both: the only image there is), then
   through indexes by platform. */
int oci_find(struct layout *l, const char *tag, const char *digest, const struct platform *p, struct descriptor *d,
             struct rt_err *e);

/* The same at the top level only: what the name stands for, perhaps an index. */
int oci_top(struct layout *l, const char *tag, const char *digest, const struct platform *p, struct descriptor *d,
            struct rt_err *e);
/* The entry of an index that suits a platform best. */
int oci_choose(struct layout *l, const struct json *index, const struct platform *p, struct descriptor *d, struct rt_err *e);
bool oci_is_index(const struct descriptor *d, const struct json *document);
/* Whether an index entry carries the name. */
bool oci_entry_named(const struct json *entry, const char *tag);

/* Where an image is: a layout and what is asked of it. */
struct place {
	struct layout layout;
	char *tag, *digest;
	bool store; /* the store's own images/ */
};
/* `location` as image_open has it, or the store for `ref`. */
int place_open(struct store *s, struct place *p, const char *ref, const char *location, struct rt_err *e);
void place_close(struct place *p);
/* The same; an image named by reference is looked for in a registry when the store lacks it. */
int place_fetch(struct store *s, struct place *p, const char *ref, const char *location, const char *platform, struct rt_err *e);

/* Copies a blob to blobs/sha256/ below dirfd, verifying it; one that is there already stays. */
int blob_put(int dirfd, const struct blob *b, const char *digest, uint64_t size, const char *what, struct rt_err *e);

/* The same for an image or index and all it names; blobs that `to` has may be missing in `l`. */
int oci_copy(struct layout *l, int to, const struct json *entry, struct rt_err *e);

/* `entry` (consumed) becomes what the store's images/ has under `name`. */
int images_name(struct store *s, struct json *entry, const char *name, struct rt_err *e);

/* The index of a layout with `entry` (consumed) in place of what had its name; blobs have to be there, and the directory locked. */
int images_put(int images, struct json *entry, const char *name, struct rt_err *e);

/* A blob as a reader that says RT_DIGEST when the file is shorter than `size`. */
struct reader *blob_reader_open(const struct blob *b, const char *what);
void blob_reader_close(struct reader *r);

/* What layers/NAME/meta remembers. */
struct layer_meta {
	char diffid[72];
	uint64_t size;
	int64_t epoch;     /* of which diffid is true; -2: of every one (base layers) */
	char blob[72];     /* "" or the digest of the blob in images/ it came from */
	uint64_t blob_size;
	char *blob_type;   /* media type, malloc'd */
};
/* 1 read, 0 there is none, -1 with e. */
int layer_meta_read(struct store *s, const char *layer, struct layer_meta *m, struct rt_err *e);
int layer_meta_write(struct store *s, const char *dir, const struct layer_meta *m, struct rt_err *e);
void layer_meta_free(struct layer_meta *m);
/* The name of the layer to use on top of `lower`: itself, or a copy of it whose implied directories (those without an
   entry in its tar) look as they do below.  Malloc'd, NULL with e. */
char *layer_settle(struct store *s, const char *layer, const struct list *lower, struct rt_err *e);
/* A blob into the directory dirfd; both its digest and that of the tar in it are verified. */
int layer_unpack(const struct blob *b, const struct descriptor *d, const char *diffid, int dirfd, struct list *implied,
                 uint64_t *size, const char *what, struct rt_err *e);
/* The tar of a layer. */
int layer_write(struct store *s, const char *layer, int64_t epoch, struct writer *w, struct rt_err *e);

#endif
