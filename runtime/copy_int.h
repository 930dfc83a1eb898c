/* What the files behind copy.h share: sources found, trees walked, entries made. */
#ifndef RT_COPY_INT_H
#define RT_COPY_INT_H

#include "copy.h"
#include "remote.h"

#include <sys/stat.h>

/* ---- copy_source.c: source words -> what they name ---- */

/* Something in a source root, no link. */
struct found {
	int dirfd;        /* the directory that holds it */
	char *name;       /* in dirfd; "." for the root itself */
	char *path;       /* from the source root, clean, without links; "" the root itself */
	const char *base; /* name in a directory destination: as written, "" for the root */
	const struct ignore *include; /* --parents: only what this does not leave out is wanted; else NULL */
	struct stat st;
};
/* The object at a word without wildcards, all links followed inside the root.  1 found, 0 not there, ignored or leaving the
   root, -1.  found_free after 1. */
int source_lookup(const struct copy_source *from, const char *word, struct found *f, struct rt_err *e);
void found_free(struct found *f);
/* Calls `fn` for all that a source word names, in order.  A word without wildcards that names nothing: -1. */
typedef int source_fn(void *arg, const struct found *f, struct rt_err *e);
int source_each(const struct copy_source *from, const char *word, bool parents, source_fn *fn, void *arg,
                struct rt_err *e);
/* The descriptor of a found regular file, read only, and its status as opened. */
int source_open(int dirfd, const char *name, const char *what, struct stat *st, struct rt_err *e);

/* ---- copy_walk.c: a directory, sorted, filtered ---- */

/* Which entries are wanted. Each may be NULL. */
struct filter {
	const struct ignore *context; /* on paths from the context root */
	const char *prefix;           /* the walked directory's path from there */
	const struct ignore *exclude, *include; /* on paths from the walked directory */
	bool no_sockets;              /* a build context has none, language.md 7 */
};
struct node {
	struct node *up;  /* NULL: the walked directory */
	int dirfd;        /* where `name` is */
	const char *name;
	const char *path; /* from the walked directory, "" itself */
	struct stat st;   /* of the entry, no link followed */
	int out;          /* the visitor's, -1 at first; closed after leave */
	bool entered, existed; /* the walk's; the visitor's */
};
/* A directory is entered when something in it is wanted, at the latest before its first wanted entry; the walked
   directory itself is neither entered nor left.  A visitor's result other than 0 ends the walk and is the walk's. */
struct visitor {
	int (*enter)(void *arg, struct node *dir, struct rt_err *e);
	int (*leave)(void *arg, struct node *dir, struct rt_err *e);
	int (*leaf)(void *arg, struct node *leaf, struct rt_err *e);
	void *arg;
};
/* Walks the directory `dirfd` (open for reading).  `out` becomes the top node's. */
int tree_walk(int dirfd, int out, const struct filter *filter, const struct visitor *v, struct rt_err *e);
/* The sorted names in a directory, without "." and "..". */
int tree_names(int dirfd, struct list *names, struct rt_err *e);

/* ---- inodes.c: hard links ---- */

struct first;
struct inodes { /* zero-initialise */
	struct first *slots; /* open addressing, `cap` a power of two */
	size_t n, cap;
};
/* The path noted for this inode before; NULL after noting `path` as its first. */
const char *inodes_first(struct inodes *t, const struct stat *st, const char *path);
void inodes_free(struct inodes *t);

/* ---- memo.c: digests of unchanged files ---- */

struct memo;
/* Never fails: what is not readable is empty. */
struct memo *memo_open(const char *path);
bool memo_find(struct memo *m, const struct stat *st, unsigned char hash[32]);
/* Remembers, when it is safe, the digest of a file whose status was taken before and after reading. */
void memo_put(struct memo *m, const struct stat *before, const struct stat *after, const unsigned char hash[32]);
/* Writes what is new. */
void memo_close(struct memo *m);

/* ---- copy_tree.c: making entries ---- */

struct rules {
	int64_t uid, gid;  /* -1: the source's */
	const char *chmod; /* NULL: the source's mode */
	bool xattrs;       /* the source's are kept */
};
/* Mode of something with mode `mode` at the source. */
mode_t rules_mode(const struct rules *r, mode_t mode);
/* Copies what is no directory to `name` in `todir`, in place of any non-directory there. */
int tree_copy_leaf(const struct rules *r, int fromdir, const char *from, const struct stat *st, int todir, const char *name,
                   struct rt_err *e);
/* Merges the contents of directory `fromfd` into `tofd`.  `keep_existing`: leave the metadata of existing directories. */
int tree_copy(const struct rules *r, int fromfd, int tofd, const struct filter *filter, bool keep_existing,
              struct rt_err *e);
/* A new empty regular file in place of any non-directory. */
int tree_create(int dirfd, const char *name, struct rt_err *e);
int tree_copy_data(int in, int out, uint64_t size, const char *name, struct rt_err *e);
/* Owner, mode and (unless NULL) times of an open file or directory that was made. */
int tree_finish(int fd, uint32_t uid, uint32_t gid, mode_t mode, const struct timespec *mtime, const char *name,
                struct rt_err *e);
/* Extended attributes that may be kept (security.md S2.7): names of `fd`, sorted. */
int tree_xattrs(int fd, struct list *names);

/* ---- chmod.c ---- */

/* --chmod applied to a mode.  0, or -1 for bad syntax. */
int chmod_apply(const char *text, mode_t old, bool dir, mode_t *mode);
/* True, with the mode, for the octal form. */
bool chmod_octal(const char *text, mode_t *mode);

/* ---- copy.c: destinations, for add.c ---- */

struct place {
	int dirfd;       /* directory to make `name` in, or the destination directory itself */
	char *name;      /* NULL: none asked for */
	bool made;       /* the directory of dirfd was made */
};
/* Finds where something goes: `dir`: the destination must be a directory; else a file with this base name. */
int place_find(const struct copy_spec *spec, const struct rules *r, int rootfd, bool dir, const char *base,
               struct place *p, struct rt_err *e);
void place_free(struct place *p);
/* Copies one found source. */
int place_copy(const struct copy_spec *spec, const struct rules *r, int rootfd, const struct copy_source *from,
               const struct found *f, struct rt_err *e);
/* Makes the missing directories of a clean path without links below rootfd and opens the last.  `mtime` NULL: now. */
int place_mkdirs(int rootfd, const char *path, uint32_t uid, uint32_t gid, mode_t mode, const struct timespec *mtime,
                 bool *made, struct rt_err *e);

/* ---- add.c, fetch.c, git.c ---- */

/* Unpacks the open file when it is an archive: 1 done, 0 it is none, -1. */
int add_archive(const struct copy_spec *spec, const struct rules *r, int rootfd, int fd, const char *what,
                struct rt_err *e);
/* ADD of a word that is remote: 1 done, 0 it is not remote, -1. */
int add_remote(const struct copy_spec *spec, const struct rules *r, int rootfd, const char *word, struct rt_err *e);
int git_add(const struct copy_spec *spec, const struct rules *r, int rootfd, const char *url, struct rt_err *e);
/* Undoes %XX in place; false when malformed or when it hides a NUL. */
bool fetch_percent_decode(char *s);

/* ---- tool.c: programs of the host ---- */

struct tool {
	const char *const *argv; /* NULL-terminated, looked up in PATH */
	const char *const *env;  /* NAME=value to set, NAME to unset, NULL-terminated; or NULL */
	int out;                 /* its standard output, -1: the null device */
	int err;                 /* its standard error, -1: read and kept */
	struct str said;         /* err -1: what it wrote, at most 64 KiB; str_free it */
};
/* Runs it to its end without a shell.  0 when it exits with 0, 1 when it is not installed, -1 with the last line it
   wrote to standard error. */
int tool_run(struct tool *t, struct rt_err *e);

#endif
