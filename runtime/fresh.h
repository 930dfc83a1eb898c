/* What ADD's sources mean today. */
#ifndef RT_FRESH_H
#define RT_FRESH_H

#include "rt.h"

struct build;
struct plan_stage;

struct fresh {
	char *word;
	char *key;      /* stands for the content in cache keys */
	char sum[72];   /* sha256:HEX of a file, the commit of a git reference */
	int fd;         /* the file, downloaded already; -1: it is as an earlier build saw it */
	int64_t mtime;
};
/* What was found out about a source, NULL: nothing. */
const struct fresh *fresh_find(const char *word);
/* Asks for all sources of a stage that neither --checksum nor a lock file fixes.  Without the network, or in a dry run,
   an earlier build's answer counts. */
int fresh_look(struct build *b, const struct plan_stage *stage, struct rt_err *e);

#endif
