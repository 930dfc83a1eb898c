/* COPY, ADD, WORKDIR into a mounted root; the build context and its ignore file. */
#ifndef RT_COPY_H
#define RT_COPY_H

#include "rt.h"

/* .dockerignore / --exclude pattern list (language.md 7). */
struct ignore;
/* Parses file text. NULL with `e` for a malformed pattern (names the line). */
struct ignore *ignore_parse(const char *text, size_t len, struct rt_err *e);
struct ignore *ignore_patterns(const struct list *patterns, struct rt_err *e);
void ignore_free(struct ignore *ig);
/* Whether `path` (relative, clean) is left out. */
bool ignore_match(const struct ignore *ig, const char *path);
/* False when nothing below the ignored directory `path` can be re-included: the walk may stop there. */
bool ignore_may_reinclude(const struct ignore *ig, const char *path);
/* Go path.Match of a COPY wildcard; 1 match, 0 no match, -1 bad pattern. */
int glob_match(const char *pattern, const char *name);

/* Where sources come from. */
struct copy_source {
	int rootfd;                 /* directory */
	const struct ignore *ignore; /* context and named directory contexts; NULL otherwise */
	bool is_context;            /* owners become 0:0, xattrs are lost */
	const char *what;           /* for messages: "the build context", "stage build", an image reference */
};

struct copy_file { const char *name, *data; size_t len; }; /* here-document source */

struct copy_spec {
	const char *const *paths;   /* sources, as expanded */
	size_t npaths;
	const struct copy_file *files;
	size_t nfiles;
	const char *dest;           /* as expanded, may be relative */
	const char *workdir;        /* absolute */
	const char *chown, *chmod;  /* NULL: absent */
	const struct ignore *exclude;
	bool parents, link, empty_root; /* empty_root: --chown by name is an error */
	/* ADD */
	bool add;                   /* unpack archives, fetch URLs, git */
	int unpack;                 /* -1 default, 0, 1 */
	const char *checksum;
	const struct list *locked;  /* entries of a lock file, or NULL: what URLs and git references have to be (lock.h) */
	bool keep_git_dir;
	const char *tmp;            /* absolute existing directory for downloads */
	int64_t epoch;              /* SOURCE_DATE_EPOCH seconds or -1 */
};
/* Everything execution.md 1 says, into the root at rootfd (a writable mounted overlay).  -1 with `e`: one sentence that
   names the source and the reason. */
int copy_run(const struct copy_source *from, int rootfd, const struct copy_spec *spec, struct rt_err *e);

/* Digest of all that copy_run would read: types, names, modes, owners (unless context), link targets, contents;
   not times. `hash` gets 32 bytes.  For URLs and git: the URL text and checksum only.  Content digests of context files are
   remembered in the file `memo` (NULL: none) by device, inode, size, mtime and ctime. Missing source: -1. */
int copy_digest(const struct copy_source *from, const struct copy_spec *spec, const char *memo,
                unsigned char hash[32], struct rt_err *e);

/* WORKDIR: makes the missing components of the clean absolute path, owned by uid:gid, 0755. */
int workdir_make(int rootfd, const char *path, uint32_t uid, uint32_t gid, int64_t epoch, struct rt_err *e);

#endif
