/* Files that commands read and write. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct source;

/* Reads a regular file, or standard input for "-", of at most 64 MiB (security.md S8).  NULL after a message. */
struct source *file_read(const void *ctx, const char *path, const char *shown);
/* Everything that can be read from `fd`, at most 64 MiB, owned by `ctx`.  False after a message. */
bool file_read_fd(const void *ctx, int fd, const char *shown, char **text, size_t *len);
/* Writes all of it or nothing: a temporary beside `path`, then a rename; "-" is standard output. */
bool file_write(const char *path, const char *text, size_t len, unsigned mode);
/* The same for a file that is there: it keeps its mode, and a symbolic link stays one. */
bool file_rewrite(const char *path, const char *text, size_t len);
/* A descriptor of a file in memory that holds the text, at its begin; programs that are started inherit it.  -1. */
int file_memory(const char *name, const char *text, size_t len);
bool file_write_fd(int fd, const char *text, size_t len);

#endif
