/* Byte streams: over descriptors, through a sum, through a host program. */
#ifndef RT_STREAM_H
#define RT_STREAM_H

#include "sha256.h"
#include "tar.h"

/* Bytes [off, off + left) of fd by pread when `off` >= 0, else whatever read(2) gives.  A file that ends before its range
   is RT_DIGEST.  The descriptor stays the caller's. */
struct fd_reader {
	struct reader reader;
	int fd;
	int64_t off;
	uint64_t left;
	const char *what;
};
void fd_reader_init(struct fd_reader *r, int fd, int64_t off, uint64_t left, const char *what);

/* Passes through, summing and counting. */
struct sum_reader {
	struct reader reader;
	struct reader *src;
	struct sha256 sum;
	uint64_t size;
};
void sum_reader_init(struct sum_reader *r, struct reader *src);

/* To a descriptor, through a buffer: fd_writer_flush at the end. */
struct fd_writer {
	struct writer writer;
	int fd;
	const char *what;
	size_t n;
	unsigned char buf[65536];
};
void fd_writer_init(struct fd_writer *w, int fd, const char *what);
int fd_writer_flush(struct fd_writer *w, struct rt_err *e);

/* Sums and counts, and passes on when `dst` is not NULL. */
struct sum_writer {
	struct writer writer;
	struct writer *dst;
	struct sha256 sum;
	uint64_t size;
};
void sum_writer_init(struct sum_writer *w, struct writer *dst);

/* Reads to the end; -1 on errors. */
int reader_drain(struct reader *r, struct rt_err *e);
/* All of it into the writer. */
int reader_copy(struct reader *r, struct writer *w, struct rt_err *e);

/* A host program (argv[0] looked up in PATH) between us: its standard input and output are ours, no shell. */
struct program {
	int in, out; /* what we write to (non-blocking) and read from; -1 when closed */
	pid_t pid;
	const char *name;
};
/* RT_NOMODE when it is not there. */
int program_start(struct program *p, const char *const argv[], struct rt_err *e);
/* Waits for its end; -1 when it failed. */
int program_end(struct program *p, struct rt_err *e);
/* Kills it when it still runs. */
void program_kill(struct program *p);

/* Compresses through a program, as a writer. */
struct writer *filter_open(const char *const argv[], struct writer *dst, struct rt_err *e);
int filter_finish(struct writer *w, struct rt_err *e);
void filter_close(struct writer *w);

/* What a program makes of src, as a reader. */
struct reader *through_open(const char *const argv[], struct reader *src, struct rt_err *e);
void through_close(struct reader *r);

/* decode_open on a stream; src stays the caller's, `what` must live on. */
struct reader *decode_reader(struct reader *src, const char *what, struct rt_err *e);

#endif
