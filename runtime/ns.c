#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"

/* What the process is, like its uid: written once by ns_enter. */
static struct {
	enum ns_mode mode;
	bool in_chroot;
} self;

enum ns_mode
ns_get_mode(void)
{
	return self.mode;
}

bool
ns_in_chroot(void)
{
	return self.in_chroot;
}

bool
ns_overlay_user(void)
{
	return self.mode == NS_RANGE || self.mode == NS_SINGLE;
}

/* Changes the working directory to the top of the mount namespace, though the root be elsewhere: ".." stops at the
   root only, path_resolution(7), so the root has to step aside; CAP_SYS_CHROOT.  True when that is not the root,
   which is to say that this process lives in a chroot. */
static bool
climb(int root)
{
	struct stat at = { 0 }, up = { 0 };
	bool out = false;

	if ((chroot("/proc") < 0 && chroot("/dev") < 0 && chroot("/etc") < 0) || fchdir(root) < 0)
		return false;
	for (int i = 0; i < 4096 && stat(".", &at) == 0 && stat("..", &up) == 0; i++) {
		if (at.st_dev == up.st_dev && at.st_ino == up.st_ino)
			break;
		out = true;
		if (chdir("..") < 0)
			break;
	}
	return out;
}

/* Finds out whether we are in a chroot and makes all mounts private from the top of the namespace.  In a chroot "/"
   need not be a mount, so that mount(2) cannot be told to start there. */
static int
private_mounts(bool *in_chroot)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int failed;

	if (root < 0 || cwd < 0)
		return -1;
	*in_chroot = climb(root);
	failed = mount(NULL, *in_chroot ? "." : "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0;
	if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0)
		return -1;
	errno = failed;
	return failed != 0 ? -1 : 0;
}

int
ns_private(struct rt_err *e)
{
	bool in_chroot;

	if (unshare(CLONE_NEWNS) < 0)
		return rt_fail(e, errno, "make a mount namespace");
	if (private_mounts(&in_chroot) < 0)
		return rt_fail(e, errno, "make the mounts private");
	self.in_chroot |= in_chroot;
	return 0;
}

static int
enter_root(struct rt_err *e)
{
	if (geteuid() != 0)
		return rt_fail_status(e, RT_NOMODE, "mode root needs uid 0");
	if (ns_private(e) < 0) {
		e->status = RT_NOMODE;
		return -1;
	}
	self.mode = NS_ROOT;
	if (self.in_chroot)
		rt_warn("this process is itself in a chroot: steps run without CAP_SYS_CHROOT");
	return 0;
}

static int
enter_chroot(struct rt_err *e)
{
	if (geteuid() != 0)
		return rt_fail_status(e, RT_NOMODE, "mode chroot needs uid 0");
	self.mode = NS_CHROOT;
	self.in_chroot = true; /* so CAP_SYS_CHROOT goes: the host's tree is next door */
	return 0;
}

/* subuid(5): "NAME-or-uid:START:COUNT"; the first range of the user. */
static bool
find_range(const char *file, uid_t uid, unsigned long *start, unsigned long *count)
{
	const struct passwd *pw = getpwuid(uid);
	FILE *f = fopen(file, "re");
	char line[512], *end;
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');

		if (colon == NULL)
			continue;
		*colon = '\0';
		if (!(pw != NULL && strcmp(line, pw->pw_name) == 0) && (strtoul(line, &end, 10) != uid || *end != '\0' || end == line))
			continue;
		found = sscanf(colon + 1, "%lu:%lu", start, count) == 2 && *count > 0;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static void
run_idmap(const char *name, pid_t pid, unsigned long own, unsigned long start, unsigned long count)
{
	static const char *const dirs[] = { "/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin" };
	char path[64], number[4][24];

	snprintf(number[0], sizeof(number[0]), "%ld", (long)pid);
	snprintf(number[1], sizeof(number[1]), "%lu", own);
	snprintf(number[2], sizeof(number[2]), "%lu", start);
	snprintf(number[3], sizeof(number[3]), "%lu", count);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		execle(path, name, number[0], "0", number[1], "1", "1", number[2], number[3], (char *)NULL, (char *[]){ NULL });
	}
	_exit(127);
}

static bool
exited_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Runs in a child that stayed outside: newuidmap and newgidmap map `pid` once it says go. */
static void
map_from_outside(int go, pid_t pid, uid_t uid, gid_t gid, const unsigned long range[4])
{
	char c;
	pid_t child;

	if (read(go, &c, 1) != 1)
		_exit(1);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDERR_FILENO);
		run_idmap("newgidmap", pid, gid, range[2], range[3]);
	}
	if (child < 0 || !exited_well(child))
		_exit(1);
	run_idmap("newuidmap", pid, uid, range[0], range[1]);
}

static int
write_proc(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);

	return fd >= 0 && write(fd, text, n) == (ssize_t)n ? 0 : -1;
}

/* user_namespaces(7): an unprivileged process may map its own ids only, and not before giving up setgroups. Root
   of the host maps everything. */
static int
map_self(uid_t uid, gid_t gid, struct rt_err *e)
{
	char text[64];

	if (uid == 0 && write_proc("/proc/self/uid_map", "0 0 4294967295\n") == 0 &&
	    write_proc("/proc/self/gid_map", "0 0 4294967295\n") == 0) {
		self.mode = NS_RANGE;
		return 0;
	}
	self.mode = NS_SINGLE;
	snprintf(text, sizeof(text), "0 %u 1\n", uid);
	if (write_proc("/proc/self/setgroups", "deny") < 0 || write_proc("/proc/self/uid_map", text) < 0)
		return rt_fail_status(e, RT_NOMODE, "the user namespace takes no uid map (errno %d)", errno);
	snprintf(text, sizeof(text), "0 %u 1\n", gid);
	if (write_proc("/proc/self/gid_map", text) < 0)
		return rt_fail_status(e, RT_NOMODE, "the user namespace takes no gid map (errno %d)", errno);
	return 0;
}

static int
no_userns(int errnum, struct rt_err *e)
{
	return rt_fail_status(e, RT_NOMODE, "no user namespace: %s%s", strerror(errnum),
	                      errnum == EPERM    ? " (forbidden by the host, or this process is in a chroot)"
	                      : errnum == ENOSPC ? " (user.max_user_namespaces is used up)" : "");
}

/* With `range`, by the help of newuidmap; 1: it did not work and nothing has changed but the namespace. */
static int
unshare_user(bool range, const unsigned long ids[4], struct rt_err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int go[2] = { -1, -1 }, failed;
	pid_t parent = getpid(), child = -1;

	if (range && pipe2(go, O_CLOEXEC) == 0 && (child = fork()) == 0) {
		close(go[1]);
		map_from_outside(go[0], parent, uid, gid, ids);
	}
	failed = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno : 0;
	rt_close_fd(&go[0]);
	if (child > 0 && failed == 0 && write(go[1], "g", 1) != 1)
		failed = errno;
	rt_close_fd(&go[1]);
	if (child > 0 && exited_well(child) && failed == 0) {
		self.mode = NS_RANGE;
		return 0;
	}
	return failed != 0 ? no_userns(failed, e) : map_self(uid, gid, e);
}

/* `only_single`: never ask for a range. */
static int
enter_user(bool only_single, struct rt_err *e)
{
	unsigned long ids[4];
	bool range = !only_single && geteuid() != 0 && find_range("/etc/subuid", geteuid(), &ids[0], &ids[1]) &&
	             find_range("/etc/subgid", geteuid(), &ids[2], &ids[3]);

	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* else /proc/self/uid_map belongs to root, proc(5) */
	if (unshare_user(range, ids, e) < 0)
		return -1;
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return rt_fail_status(e, RT_NOMODE, "become root of the user namespace (errno %d)", errno);
	if (self.mode == NS_RANGE)
		setgroups(0, NULL);
	if (private_mounts(&self.in_chroot) < 0)
		return rt_fail_status(e, RT_NOMODE, "make the mounts private (errno %d)", errno);
	return 0;
}

int
ns_enter(const char *want, const char **mode, struct rt_err *e)
{
	static const char *const names[] = {
		[NS_ROOT] = "root", [NS_RANGE] = "userns", [NS_SINGLE] = "userns-single", [NS_CHROOT] = "chroot",
	};
	int rc;

	if (want == NULL || *want == '\0')
		want = "auto";
	if (strcmp(want, "auto") == 0) {
		struct rt_err first = { 0 };

		rc = enter_root(&first);
		if (rc < 0 && enter_user(false, e) == 0)
			rc = 0;
		else if (rc < 0 && geteuid() == 0)
			rt_prefix(e, "%s", first.text);
	} else if (strcmp(want, "root") == 0) {
		rc = enter_root(e);
	} else if (strcmp(want, "userns") == 0 || strcmp(want, "userns-single") == 0) {
		rc = enter_user(want[6] != '\0', e);
	} else if (strcmp(want, "chroot") == 0) {
		rc = enter_chroot(e);
	} else {
		return rt_fail_status(e, RT_USAGE, "unknown mode \"%s\": auto, root, userns, userns-single or chroot", want);
	}
	if (rc == 0)
		*mode = names[self.mode];
	return rc;
}
