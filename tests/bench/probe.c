/* The physical limits that dockcc is measured against (tests/bench/bench.sh):
     probe noop                    an empty static process
     probe stage ROOT N            limit A: namespaces and overlay entered once, then N times vfork and exec of
                                   `sh -c true` in it, each in a pid namespace of its own
     probe step ROOT               limit B: one step by itself: namespaces, overlay, proc, exec, wait
     probe walk DIR                a stat of everything below DIR
   and the clock that all of them are measured with:
     probe time ROUNDS COMMAND...  runs COMMAND, says nothing of its output; prints the median in microseconds
   ROOT is a directory to be used as the lower layer.  Linked statically. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char stack[65536];

static int
command(void *root)
{
	char *const argv[] = { "sh", "-c", "true", NULL }, *const env[] = { "PATH=/bin", NULL };

	if (chroot(root) < 0 || chdir("/") < 0)
		_exit(120);
	execve("/bin/sh", argv, env);
	_exit(121);
}

static int
enter(const char *root, const char *scratch, char *merged, size_t n)
{
	char options[4096], dir[1024];

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	strcpy(dir, scratch);
	mkdir(strcat(dir, "/u"), 0755);
	strcpy(dir, scratch);
	mkdir(strcat(dir, "/w"), 0755);
	strcpy(merged, scratch);
	mkdir(strcat(merged, "/m"), 0755);
	strcpy(options, "volatile,lowerdir=");
	strcat(options, root);
	strcat(strcat(strcat(options, ",upperdir="), scratch), "/u");
	strcat(strcat(strcat(options, ",workdir="), scratch), "/w");
	return mount("overlay", merged, "overlay", 0, options);
}

static int
run(char *root)
{
	int status;
	pid_t pid = clone(command, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_NEWPID | SIGCHLD, root);

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void
walk(int dir)
{
	DIR *d = fdopendir(dir);
	struct stat st;

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.'))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			walk(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY));
	}
	if (d != NULL)
		closedir(d);
}

static int
ascending(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static int
clock_command(int rounds, char **argv)
{
	long *us = calloc((size_t)rounds, sizeof(*us));
	posix_spawn_file_actions_t quiet;
	int status;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < rounds; i++) {
		struct timespec begin, end;
		pid_t pid;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		if (posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &end);
		us[i] = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
		if (status != 0) {
			fprintf(stderr, "probe: %s failed\n", argv[0]);
			return 1;
		}
	}
	qsort(us, (size_t)rounds, sizeof(*us), ascending);
	return printf("%ld\n", us[rounds / 2]) < 0;
}

int
main(int argc, char **argv)
{
	char scratch[] = "/tmp/probe-XXXXXX", merged[1024];
	int n = argc > 3 ? atoi(argv[3]) : 1;

	if (argc < 3)
		return 0;
	if (strcmp(argv[1], "time") == 0 && argc > 3)
		return clock_command(atoi(argv[2]), argv + 3);
	if (strcmp(argv[1], "walk") == 0) {
		walk(open(argv[2], O_RDONLY | O_DIRECTORY));
		return 0;
	}
	if (mkdtemp(scratch) == NULL || enter(argv[2], scratch, merged, sizeof(merged)) < 0)
		return 1;
	while (n-- > 0)
		if (run(merged) < 0)
			return 2;
	return 0;
}
