/* What compiling asks of images: the ONBUILD triggers that they bring along.  dockcc-rt knows how to find an image, so it
   is asked. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/mem.h"
#include "file.h"
#include "image.h"

const char *
helper_path(const void *ctx)
{
	const char *given = getenv("DOCKCC_RT");
	char self[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given != NULL && *given != '\0')
		return given;
	if (n <= 0)
		return "dockcc-rt";
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL || (size_t)(slash - self) + sizeof("/dockcc-rt") > sizeof(self))
		return "dockcc-rt";
	strcpy(slash, "/dockcc-rt");
	return access(self, X_OK) == 0 ? mem_str(ctx, self) : "dockcc-rt";
}

/* Runs `argv` with its output into `out`; whether it ended well.  What it complains of is not for the user: an image
   that cannot be read now is one that is not at hand. */
static bool
ask(const struct string_list *argv, int out)
{
	posix_spawn_file_actions_t actions;
	int error, status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawnp(&pid, argv->v[0], &actions, NULL, (char *const *)(uintptr_t)argv->v, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The strings of `text`, each ended by a NUL. */
static const char *const *
split(const void *ctx, const char *text, size_t len, size_t *n)
{
	const char **v;
	size_t at = 0;

	*n = 0;
	for (size_t i = 0; i < len; i++)
		*n += text[i] == '\0';
	v = mem_array(ctx, const char *, *n + 1);
	for (size_t i = 0; i < *n; i++, at += strlen(text + at) + 1)
		v[i] = text + at;
	return v;
}

/* Only images that the user speaks of are looked at, so that a script never depends on what a store happens to hold:
   those of a --build-context, of the --store that is named, and with `build` those that it will use anyway. */
static bool
at_hand(const struct image_search *search, const void *ctx, const char *ref)
{
	const struct options *o = search->o;
	const char *name = reference_familiar(ctx, ref);

	for (size_t i = 0; i < search->ncontexts; i++)
		if (strcmp(reference_familiar(ctx, search->contexts[i].name), name) == 0)
			return true;
	return o->store.n > 0 || o->command == COMMAND_BUILD;
}

const char *const *
image_triggers(void *arg, const void *ctx, const char *ref, const char *platform, size_t *n)
{
	const struct image_search *search = arg;
	const char *store = option_value(&search->o->store, NULL);
	struct string_list argv = { 0 };
	bool good;
	size_t len;
	char *text;
	int fd;

	*n = 0;
	if (!at_hand(search, ctx, ref) || (fd = memfd_create("triggers", MFD_CLOEXEC)) < 0)
		return NULL;
	string_add(ctx, &argv, helper_path(ctx));
	string_add(ctx, &argv, "image-onbuild");
	if (search->o->command != COMMAND_BUILD || search->o->offline.n > 0)
		string_add(ctx, &argv, "--offline");
	if (store != NULL)
		string_add(ctx, &argv, mem_printf(ctx, "--store=%s", store));
	if (platform != NULL)
		string_add(ctx, &argv, mem_printf(ctx, "--platform=%s", platform));
	for (size_t i = 0; i < search->ncontexts; i++)
		string_add(ctx, &argv, mem_printf(ctx, "--build-context=%s=%s", search->contexts[i].name, search->contexts[i].location));
	string_add(ctx, &argv, "--");
	string_add(ctx, &argv, ref);
	good = ask(&argv, fd) && lseek(fd, 0, SEEK_SET) == 0 && file_read_fd(ctx, fd, "the triggers of the image", &text, &len);
	close(fd);
	return good ? split(ctx, text, len, n) : NULL;
}
