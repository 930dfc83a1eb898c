#include "context.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/mem.h"
#include "image.h"

enum { BLOCK = 512 };

const char *
context_directory(void)
{
	return getenv("DOCKCC_CONTEXT_DIR");
}

const char *
context_lone(void)
{
	return context_directory() != NULL ? getenv("DOCKCC_CONTEXT_FILE") : NULL;
}

const char *
context_file(const void *ctx, const char *name)
{
	char *root = realpath(context_directory(), NULL), *path = realpath(mem_printf(ctx, "%s/%s", context_directory(), name), NULL);
	const char *inside = NULL;

	if (root != NULL && path != NULL && strncmp(path, root, strlen(root)) == 0 && path[strlen(root)] == '/')
		inside = mem_str(ctx, path);
	else
		fprintf(stderr, "dockcc: there is no %s in the context\n", name);
	free(root);
	free(path);
	return inside;
}

/* ---- standard input ----------------------------------------------------------------------------- */

/* Whether a tar begins with this block: its checksum is right (POSIX pax, "ustar Interchange Format"). */
static bool
is_tar_header(const unsigned char block[BLOCK])
{
	unsigned sum = 0, want = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : block[i];
	for (size_t i = 148; i < 156; i++)
		if (block[i] >= '0' && block[i] <= '7')
			want = want * 8 + (unsigned)(block[i] - '0');
	return sum == want && sum != 8 * ' ';
}

/* What `-` brings: an archive, perhaps compressed, or a Dockerfile. */
static bool
is_archive(const unsigned char *p, size_t n)
{
	static const struct {
		const char *magic;
		size_t n;
	} formats[] = { { "\x1f\x8b\x08", 3 }, { "BZh", 3 }, { "\xfd" "7zXZ", 6 }, { "\x28\xb5\x2f\xfd", 4 } };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (n >= formats[i].n && memcmp(p, formats[i].magic, formats[i].n) == 0)
			return true;
	return n == BLOCK && is_tar_header(p);
}

/* In a child of its own: what was read already, then the rest. */
static void
feed(int to, const unsigned char *p, size_t n)
{
	static unsigned char block[65536];
	ssize_t got = (ssize_t)n;

	memcpy(block, p, n);
	do {
		for (ssize_t done = 0, k; done < got; done += k)
			if ((k = write(to, block + done, (size_t)(got - done))) <= 0)
				_exit(1);
		got = read(STDIN_FILENO, block, sizeof(block));
	} while (got > 0 || (got < 0 && errno == EINTR));
	_exit(got < 0);
}

/* Puts the bytes in front of standard input again. */
static bool
unread(const unsigned char *p, size_t n)
{
	int ends[2];
	pid_t pid;

	if (lseek(STDIN_FILENO, -(off_t)n, SEEK_CUR) >= 0)
		return true;
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		return false;
	if (pid == 0) {
		/* a grandchild: nobody waits for it */
		close(ends[0]);
		if (fork() == 0)
			feed(ends[1], p, n);
		_exit(0);
	}
	close(ends[1]);
	return dup2(ends[0], STDIN_FILENO) >= 0 && close(ends[0]) == 0;
}

/* 1: an archive comes on standard input, 0: a Dockerfile; -1. */
static int
peek(void)
{
	unsigned char block[BLOCK];
	size_t n = 0;
	ssize_t got;

	while (n < BLOCK && (got = read(STDIN_FILENO, block + n, BLOCK - n)) != 0) {
		if (got < 0 && errno != EINTR)
			return -1;
		n += got > 0 ? (size_t)got : 0;
	}
	return unread(block, n) ? is_archive(block, n) : -1;
}

/* ---- the helper --------------------------------------------------------------------------------- */

static bool
is_remote(const char *context)
{
	static const char *const begin[] = { "http://", "https://", "git://", "ssh://", "git@", "github.com/" };

	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		if (strncmp(context, begin[i], strlen(begin[i])) == 0)
			return true;
	return false;
}

static int
become_helper(const void *ctx, const struct options *o)
{
	const char *store = option_value(&o->store, NULL), *ca = option_value(&o->tls_ca, NULL);
	struct string_list argv = { 0 };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	string_add(ctx, &argv, helper_path(ctx));
	string_add(ctx, &argv, "context");
	if (store != NULL)
		string_add(ctx, &argv, mem_printf(ctx, "--store=%s", store));
	if (o->offline.n > 0)
		string_add(ctx, &argv, "--offline");
	if (ca != NULL)
		string_add(ctx, &argv, mem_printf(ctx, "--tls-ca=%s", ca));
	for (size_t i = 0; i < o->build_arg.n; i++)
		if (strcmp(o->build_arg.v[i], "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1") == 0)
			string_add(ctx, &argv, "--keep-git-dir");
	string_add(ctx, &argv, o->context);
	string_add(ctx, &argv, self);
	for (char **p = o->argv; *p != NULL; p++)
		string_add(ctx, &argv, *p);
	execvp(argv.v[0], (char *const *)(uintptr_t)argv.v);
	fprintf(stderr, "dockcc: %s, which fetches the context: %s\n", argv.v[0], strerror(errno));
	return EXIT_HOST;
}

int
context_enter(const void *ctx, const struct options *o)
{
	const char *context = o->context != NULL ? o->context : ".";
	struct stat st;
	int archive = 0;

	if (context_directory() != NULL)
		return EXIT_GOOD;
	if (strcmp(context, "-") == 0) {
		if (strcmp(option_value(&o->file, ""), "-") == 0) {
			fputs("dockcc: standard input is the context or the Dockerfile, it cannot be both\n", stderr);
			return EXIT_USAGE;
		}
		if ((archive = peek()) < 0) {
			fprintf(stderr, "dockcc: standard input: %s\n", strerror(errno));
			return EXIT_HOST;
		}
	}
	if (archive > 0 || is_remote(context) || (strcmp(context, "-") != 0 && stat(context, &st) == 0 && S_ISREG(st.st_mode)))
		return become_helper(ctx, o);
	return EXIT_GOOD;
}
