/* Tar, both ways.  POSIX pax interchange format, ustar, GNU long names and sparse maps. */
#ifndef RT_TAR_H
#define RT_TAR_H

#include "rt.h"

/* A byte stream that is pulled: fills up to n bytes, returns the count, 0 at the end, -1 with `e`. */
struct reader {
	ssize_t (*read)(struct reader *r, void *p, size_t n, struct rt_err *e);
};

/* A byte stream that is pushed. */
struct writer {
	int (*write)(struct writer *w, const void *p, size_t n, struct rt_err *e);
};

/* Decompression by content: gzip (multi-member), zstd, bzip2, xz, or plain; gzip in this process,
   the others through the host's programs.  `fd` is read from its current offset. */
struct reader *decode_open(int fd, const char *what, struct rt_err *e);
void decode_close(struct reader *r);

enum tar_mode {
	TAR_LAYER,   /* whiteouts become overlay whiteouts and opaque marks */
	TAR_ARCHIVE, /* ADD: names as they are, merged into what exists */
};

struct tar_options {
	enum tar_mode mode;
	bool opaque_user;         /* user.overlay.* instead of trusted.overlay.* */
	int64_t chown_uid, chown_gid; /* -1: as in the archive */
	uint64_t max_bytes, max_entries; /* 0: 64 GiB, 4,000,000 */
	struct list *implied;     /* NULL, or receives the directories that had to be made without an entry of their own */
	const char *what;         /* for messages */
};
/* Unpacks into the directory rootfd. Hostile input: security.md S2. */
int tar_unpack(struct reader *r, int rootfd, const struct tar_options *o, struct rt_err *e);
/* True when the decoded stream begins with a tar header that parses (ADD's test); reads at most 512 bytes. */
bool tar_is_header(const unsigned char block[512]);

/* The nanoseconds of an mtime that say: the build made this.  They travel with the file when COPY or cp -p keeps its
   time; the seconds stay true, so that make still sees what is older. */
enum { TIME_MADE = 987654321 };
/* Gives TIME_MADE to everything below the directory whose mtime is `start` (ns since the epoch) or later. */
int layer_mark(int dirfd, int64_t start, struct rt_err *e);
/* The time an entry gets in a layer: with an epoch (>= 0) min(mtime, epoch); without one, what the build made (see
   TIME_MADE, or at or after `start`) becomes 0, other times are kept. Whole seconds. */
int64_t tar_time(int64_t mtime_ns, int64_t epoch, int64_t start_ns);

/* Writes the tar of one layer directory (overlay upper form) in canonical order and encoding. */
int tar_write_layer(struct writer *w, int dirfd, int64_t epoch, int64_t start_ns, struct rt_err *e);
/* Writes a merged root file system read from a mounted or plain directory. With epoch all times are set to it. */
int tar_write_tree(struct writer *w, int dirfd, int64_t epoch, struct rt_err *e);

#endif
