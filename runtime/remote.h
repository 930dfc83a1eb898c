/* Sources that are fetched: ADD's URLs and git repositories, for those that look at them without copying. */
#ifndef RT_REMOTE_H
#define RT_REMOTE_H

#include "rt.h"

/* Whether a word of ADD is remote: a git repository, or another URL. */
bool remote_is(const char *word);
bool git_is_url(const char *word);
bool fetch_is_url(const char *word);
/* Whether word and --checksum (or NULL) leave no doubt about what will be fetched. */
bool remote_fixed(const char *word, const char *checksum);
/* Unpacks the open file, at its beginning, into a directory when it is an archive, owned by us: 1 done, 0 it is none, -1. */
int archive_unpack(int fd, int dirfd, const char *what, struct rt_err *e);
/* The commit that a git URL names, with its subdirectory, into a directory; `git`: with .git.  Works below `tmp`. */
int git_checkout(const char *word, bool git, const struct list *locked, const char *tmp, int dirfd, struct rt_err *e);
/* The name a URL gives a file; malloc'd. */
char *fetch_name(const char *url);
/* Downloads into a new nameless or unlinked file in tmp; *mtime from Last-Modified, else 0. Descriptor or -1. */
int fetch_url(const char *url, const char *tmp, const char *checksum, int64_t *mtime, struct rt_err *e);
/* fetch.c: sha256 of what the URL gives now. */
int remote_digest(const char *url, char digest[72], struct rt_err *e);
/* git.c: the commit that the reference of `word` means now, hexadecimal; works below `dir`. */
int remote_commit(const char *word, const char *dir, char commit[72], struct rt_err *e);

#endif
