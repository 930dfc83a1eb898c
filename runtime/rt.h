/* What every file of dockcc-rt shares: errors with a story, descriptors that close themselves,
   strings that grow.  libc only. */
#ifndef RT_H
#define RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit statuses (ux.md). A failing RUN's own status passes through. */
enum {
	RT_OK = 0,
	RT_USAGE = 64,
	RT_DIGEST = 65,   /* digest mismatch, damaged or truncated image */
	RT_NOMODE = 69,   /* no working isolation mode, a needed program is missing */
	RT_IO = 74,
	RT_MISSING = 75,  /* step --if-cached: something would have to run */
	RT_INTERRUPTED = 130,
};

/* What went wrong.  The innermost layer fills it with rt_fail, outer layers put their part in
   front with rt_prefix, main prints it and exits. */
struct rt_err {
	int status;      /* exit status, RT_IO when nobody says otherwise */
	char text[1024]; /* one sentence, no newline, made printable only when shown */
};

/* Store the story and return -1.  `errnum` 0 means there is no errno to tell. */
int rt_fail(struct rt_err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with an exit status of its own. */
int rt_fail_status(struct rt_err *e, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "PREFIX: " before the story told so far; returns -1. */
int rt_prefix(struct rt_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void
rt_close_fd(int *fd)
{
	extern int close(int);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
static inline void
rt_free_ptr(void *p)
{
	extern void free(void *);
	free(*(void **)p);
}
#define cleanup_fd   __attribute__((cleanup(rt_close_fd)))
#define cleanup_free __attribute__((cleanup(rt_free_ptr)))

/* Allocation that does not return NULL: out of memory ends the process with RT_IO. */
void *rt_alloc(size_t size);                 /* zeroed */
void *rt_grow(void *p, size_t size);         /* realloc */
char *rt_strdup(const char *s);
char *rt_strndup(const char *s, size_t n);
char *rt_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* malloc'd */

/* A growing byte string, NUL-terminated behind `len`. Zero-initialise; str_free when done. */
struct str {
	char *s;
	size_t len, cap;
};
void str_add(struct str *b, const void *p, size_t n);
void str_puts(struct str *b, const char *s);
void str_putc(struct str *b, int c);
void str_printf(struct str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_free(struct str *b);

/* A list of strings, NULL-terminated behind `n`; strings are owned. Zero-initialise. */
struct list {
	char **v;
	size_t n, cap;
};
void list_add(struct list *l, const char *s);
void list_free(struct list *l);

/* Whole reads and writes; -1 with `e` filled. `what` names the file for the message. */
int rt_write_all(int fd, const void *p, size_t n, const char *what, struct rt_err *e);
/* Reads a regular file below dirfd completely, at most `limit` bytes, into b (appended). O_NOFOLLOW|O_NONBLOCK. */
int rt_read_file(int dirfd, const char *name, size_t limit, struct str *b, struct rt_err *e);
/* Writes name.tmp-RANDOM, fsyncs, renames onto name. */
int rt_write_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, struct rt_err *e);
/* Length of the UTF-8 sequence at s, which ends with a NUL, and its character; 0 when it is not one. */
size_t rt_utf8(const unsigned char *s, uint32_t *code);
/* The words this process was started with: main tells them; a copy of it whose words others can read blanks them. */
void rt_keep_words(char **argv);
void rt_hide_words(void);
/* Writes a file that a user named: a regular one as rt_write_file does, a device or pipe is written to. */
int rt_write_named(const char *path, const void *p, size_t n, struct rt_err *e);
/* Removes name below dirfd with all it holds, following nothing; no error when it is absent. */
int rt_remove_tree(int dirfd, const char *name, struct rt_err *e);
int rt_mkdir_p(int dirfd, const char *path, mode_t mode, struct rt_err *e);

/* `s` with control bytes, DEL, C1 and bidi controls as \xNN (security.md S7), malloc'd. */
char *rt_printable(const char *s);

/* One warning line on standard error, "dockcc-rt: warning: ...". */
void rt_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Gives such lines to somebody else; NULL: standard error again. */
void rt_warn_watch(void (*watch)(void *arg, const char *line), void *arg);

/* The signal that asks this process to end, 0: none did.  rt_write_all then fails, so that what is half written is removed on
   the usual way out.  The first sets handlers for SIGINT, SIGTERM and SIGHUP that set the flag. */
void rt_catch_signals(void);
int rt_stopped(void);
/* From now on this process writes again: what there is to say about the end. */
void rt_forget_signal(void);

#endif
