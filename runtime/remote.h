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
/* What is known of a URL's content: its sum ("" nothing), and the headers that came with it. */
struct fetch_note {
	char sum[72];
	char *etag, *modified; /* malloc'd or NULL */
};
/* Downloads what is not as `note` says: 1, and *fd, *mtime as fetch_url, the note anew; 0 when it is; -1. */
int fetch_changed(const char *url, const char *tmp, struct fetch_note *note, int *fd, int64_t *mtime, struct rt_err *e);
/* The commit that the reference of `word` has on its server, "" when that cannot be told without fetching. */
int remote_ref(const char *word, const char *dir, char commit[72], struct rt_err *e);
/* fetch.c: sha256 of what the URL gives now. */
int remote_digest(const char *url, char digest[72], struct rt_err *e);
/* git.c: the commit that the reference of `word` means now, hexadecimal; works below `dir`. */
int remote_commit(const char *word, const char *dir, char commit[72], struct rt_err *e);

#endif
