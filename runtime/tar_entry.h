/* One tar entry, with everything that pax and GNU put in front of it applied. */
#ifndef RT_TAR_ENTRY_H
#define RT_TAR_ENTRY_H

#include "tar.h"

struct tar_piece { uint64_t off, len; };

struct tar_xattr {
	char *name, *value;
	size_t len;
};

struct tar_entry {
	char type;             /* '0' to '6': file, hard link, symlink, char, block, directory, fifo */
	char *name, *link;     /* as in the archive */
	uint32_t mode, major, minor;
	int64_t uid, gid, mtime;
	long nsec;
	uint64_t stored, size; /* bytes in the archive, bytes of the file */
	bool sparse;
	struct tar_piece *map;
	size_t nmap;
	struct tar_xattr *xattrs;
	size_t nxattrs;
};

/* A tar being read. `off` and `entry` (1-based) are for messages. */
struct tar_in {
	struct reader *src;
	const char *what;
	uint64_t off, entry;
	uint64_t left, pad; /* of the current entry's data */
	bool warned;
};

/* The next entry: 1, 0 at the end, -1 with `e` (RT_DIGEST).  What is left of the one before is skipped. */
int tar_next(struct tar_in *in, struct tar_entry *t, struct rt_err *e);
/* Exactly n bytes of the entry's data. */
int tar_data(struct tar_in *in, void *p, size_t n, struct rt_err *e);
void tar_entry_free(struct tar_entry *t);

/* Header (and pax header) of an entry; the names are written as they are.  Data and tar_put_padding follow. */
int tar_put_header(struct writer *w, const struct tar_entry *t, struct rt_err *e);
int tar_put_padding(struct writer *w, uint64_t size, struct rt_err *e);
int tar_put_end(struct writer *w, struct rt_err *e);

#endif
