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
/* fetch.c: sha256 of what the URL gives now. */
int remote_digest(const char *url, char digest[72], struct rt_err *e);
/* git.c: the commit that the reference of `word` means now, hexadecimal; works below `dir`. */
int remote_commit(const char *word, const char *dir, char commit[72], struct rt_err *e);

#endif
