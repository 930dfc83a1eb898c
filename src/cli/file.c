#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/mem.h"
#include "../base/source.h"

enum { FILE_LIMIT = 64 << 20 };

static bool
complain(const char *path, const char *why)
{
	fprintf(stderr, "dockcc: %s: %s\n", path, why);
	return false;
}

static bool
slurp(const void *ctx, int fd, const char *shown, size_t hint, char **text, size_t *len)
{
	size_t cap = hint + 1;
	ssize_t n;

	*text = talloc_array(ctx, char, cap);
	*len = 0;
	for (;;) {
		if (*len == cap)
			*text = talloc_realloc(ctx, *text, char, cap = cap * 2 + 4096);
		if (*text == NULL)
			return complain(shown, "out of memory");
		n = read(fd, *text + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain(shown, strerror(errno));
		if (n == 0)
			return true;
		*len += (size_t)n;
		if (*len > FILE_LIMIT)
			return complain(shown, "larger than 64 MiB");
	}
}

bool
file_read_fd(const void *ctx, int fd, const char *shown, char **text, size_t *len)
{
	return slurp(ctx, fd, shown, 4096, text, len);
}

struct source *
file_read(const void *ctx, const char *path, const char *shown)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct source *source = NULL;
	struct stat st;
	char *text;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0) {
		complain(shown, strerror(errno));
		return NULL;
	}
	if (fd != STDIN_FILENO && !S_ISREG(st.st_mode))
		complain(shown, S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file");
	else if (slurp(ctx, fd, shown, S_ISREG(st.st_mode) && st.st_size < FILE_LIMIT ? (size_t)st.st_size : 4096, &text, &len))
		source = source_new(ctx, shown, text, len);
	if (fd != STDIN_FILENO)
		close(fd);
	return source;
}

bool
file_write_fd(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool
file_write(const char *path, const char *text, size_t len, unsigned mode)
{
	struct stat st;
	char *tmp;
	int fd;
	bool good;

	if (strcmp(path, "-") == 0)
		return file_write_fd(STDOUT_FILENO, text, len) || complain("standard output", strerror(errno));
	/* a device or a pipe is written to, never replaced */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		good = fd >= 0 && file_write_fd(fd, text, len);
		good = (fd < 0 || close(fd) == 0) && good;
		return good || complain(path, strerror(errno));
	}
	tmp = talloc_asprintf(NULL, "%s.XXXXXX", path);
	fd = mkstemp(tmp);
	if (fd < 0) {
		talloc_free(tmp);
		return complain(path, strerror(errno));
	}
	good = file_write_fd(fd, text, len) && fchmod(fd, mode) == 0;
	good = close(fd) == 0 && good && rename(tmp, path) == 0;
	if (!good) {
		complain(path, strerror(errno));
		unlink(tmp);
	}
	talloc_free(tmp);
	return good;
}

bool
file_rewrite(const char *path, const char *text, size_t len)
{
	char *real = realpath(path, NULL);
	struct stat st;
	bool good = real != NULL && stat(real, &st) == 0;

	if (!good)
		fprintf(stderr, "dockcc: %s: %s\n", path, strerror(errno));
	else
		good = file_write(real, text, len, st.st_mode & 07777);
	free(real);
	return good;
}

int
file_memory(const char *name, const char *text, size_t len)
{
	int fd = memfd_create(name, 0);

	return fd >= 0 && file_write_fd(fd, text, len) && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}
