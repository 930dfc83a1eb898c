#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "path.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define FLAG_NEWCGROUP 0x02000000
enum { NR_CLOSE_RANGE = 436 };

/* ---- before: in the caller's process --------------------------------------------------------------- */

static const char *
env_get(const char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/* The step's environment and HOME, also where it is set but empty: execution.md 2 "Environment".  *home is the string
   to free. */
const char **
run_env(const char *const *env, const struct user *u, char **home)
{
	const char *set = env_get(env, "HOME");
	size_t n = 0, k = 0;
	const char **out;

	while (env[n] != NULL)
		n++;
	out = rt_alloc((n + 2) * sizeof(*out));
	*home = set == NULL || *set == '\0' ? rt_printf("HOME=%s", u->home) : NULL;
	for (size_t i = 0; i < n; i++)
		if (*home == NULL || strncmp(env[i], "HOME=", 5) != 0)
			out[k++] = env[i];
	out[k] = *home;
	return out;
}

/* /proc /sys /dev /etc stay when they had to be made, all other mount points go again: execution.md 2 "Mount points". */
int
run_points(int rootfd, struct job *j)
{
	static const char *const dirs[] = { "/proc", "/sys", "/dev", "/etc" };
	static const char *const files[] = { "/etc/hosts", "/etc/resolv.conf" };

	for (size_t i = 0; i < 4; i++)
		if (stubs_make(rootfd, dirs[i], true, NULL, j->e) < 0)
			return -1;
	for (size_t i = 0; i < 2; i++)
		if (stubs_make(rootfd, files[i], false, &j->stubs, j->e) < 0)
			return -1;
	for (size_t i = 0; i < j->s->nmounts; i++) {
		bool skip;
		int file = mounts_is_file(&j->s->mounts[i], &skip, j->e);

		if (file < 0 || (!skip && stubs_make(rootfd, j->s->mounts[i].target, !file, &j->stubs, j->e) < 0))
			return -1;
	}
	return 0;
}

/* ---- the child ------------------------------------------------------------------------------------- */

/* The command itself becomes pid 1 of its namespace, as with docker: no second process has to stay and share memory with
   us in there.  Like any pid 1 it hears no signal from inside that it has no handler for, pid_namespaces(7). */

/* Mounts everything below the new root and makes it "/": pivot_root(2), "pivot_root(".", ".")". */
int
run_enter_root(struct job *j)
{
	const struct run_spec *s = j->s;
	cleanup_fd int root = -1, dev = -1;

	if (mount(s->root, s->root, NULL, MS_BIND | MS_REC, NULL) < 0 || mount_attr_add(s->root, BOX_NODEV, false) < 0)
		return rt_fail(j->e, errno, "bind the root %s", s->root);
	root = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return rt_fail(j->e, errno, "open the root %s", s->root);
	if (dev_kernel(root, j->e) < 0 || (dev = dev_make(root, s, j->e)) < 0 || dev_names(root, dev, s, j->e) < 0 ||
	    mounts_attach(s, root, dev, j->e) < 0)
		return -1;
	if (fchdir(root) < 0)
		return rt_fail(j->e, errno, "enter the root %s", s->root);
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return rt_fail(j->e, errno, "let go of the host's root");
	} else if (!ns_in_chroot() || errno != EINVAL || chroot(".") < 0) { /* no mount to pivot from: S5.1 */
		return rt_fail(j->e, errno, "change the root to %s", s->root);
	}
	if (chdir("/") < 0)
		return rt_fail(j->e, errno, "enter the new root");
	return s->insecure ? 0 : dev_mask(j->e);
}

/* The working directory, made for the user where it is missing: execution.md 2 "cwd". */
static int
make_cwd(const char *cwd, const struct user *u, struct rt_err *e)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *real = path_resolve(root, cwd);

	for (char *p = real; p != NULL && p[1] != '\0';) {
		char *end = strchrnul(p + 1, '/'), c = *end;

		*end = '\0';
		if (mkdir(real, 0755) == 0) {
			if (chown(real, u->uid, u->gid) < 0 || chmod(real, 0755) < 0)
				return rt_fail(e, errno, "owner of the working directory %s", real);
		} else if (errno != EEXIST) {
			return rt_fail(e, errno, "make working directory %s", real);
		}
		*end = c;
		p = c != '\0' ? end : NULL;
	}
	return 0;
}

static int
enter_cwd(const struct job *j)
{
	const char *cwd = j->s->cwd != NULL && *j->s->cwd != '\0' ? j->s->cwd : "/";
	char where[PATH_MAX];

	if (strcmp(cwd, "/") != 0 && chdir(cwd) < 0) {
		if (errno == ENOENT && make_cwd(cwd, &j->user, j->e) < 0)
			return -1;
		if (chdir(cwd) < 0)
			return rt_fail(j->e, errno, "working directory %s", cwd);
	}
	/* "(unreachable)": outside the root, getcwd(3) */
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0 || where[0] != '/')
		return rt_fail(j->e, 0, "working directory %s is outside the root", cwd);
	return 0;
}

/* stdin null (or a shell's input), stdout and stderr the caller's pipe, nothing else (S5.5), before a path of the image is followed: none may
   lead through /proc/self/fd to what we had open outside.  The pipe is a user's to open again by /dev/stdout. */
static int
set_descriptors(const struct job *j, int null)
{
	int out = j->s->out_fd < 3 ? fcntl(j->s->out_fd, F_DUPFD_CLOEXEC, 3) : j->s->out_fd;

	if (j->s->in_fd > 0)
		null = j->s->in_fd;
	else if (null < 0)
		null = open("/dev/null", O_RDONLY); /* not O_CLOEXEC: it may be 0 already */
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		return rt_fail(j->e, errno, "standard input and output");
	if (j->user.uid != 0 && fchown(1, j->user.uid, j->user.gid) < 0 && errno != EPERM && errno != EINVAL)
		return rt_fail(j->e, errno, "give standard output to user %u", j->user.uid);
	if (syscall(NR_CLOSE_RANGE, 3, ~0u, 0) < 0)
		for (int fd = 3, end = (int)sysconf(_SC_OPEN_MAX); fd < end; fd++)
			close(fd);
	return 0;
}

/* All signals as a fresh process has them: handlers go by themselves at exec, "ignored" would stay, execve(2). */
void
run_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Our own program must not be started in the sandbox, where a second process could then write to it through
   /proc/1/exe (S5.5): neither by name (/proc/self/exe) nor as "#!" of a script, which the kernel looks up while
   we still are ourselves.  Five levels are what execve(2) follows. */
static bool
is_ourselves(const char *path, const struct stat *own)
{
	char line[256], *interp, name[256];
	struct stat st;

	for (int level = 0; level < 6; level++) {
		cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		ssize_t n;

		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return false;
		if (st.st_dev == own->st_dev && st.st_ino == own->st_ino)
			return true;
		n = read(fd, line, sizeof(line) - 1);
		if (n < 3 || line[0] != '#' || line[1] != '!')
			return false;
		line[n] = '\0';
		interp = line + 2 + strspn(line + 2, " \t");
		interp[strcspn(interp, " \t\n")] = '\0';
		path = strcpy(name, interp);
	}
	return false;
}

/* Tries the program in every directory of the step's PATH as execvp(3) does; `each` ends the search by not returning 0. */
static int
each_candidate(const struct job *j, int (*each)(const struct job *, const char *path))
{
	const char *prog = j->s->argv[0], *dirs = env_get(j->env, "PATH");
	int rc = 0;

	if (strchr(prog, '/') != NULL)
		return each(j, prog);
	if (dirs == NULL || *dirs == '\0')
		dirs = DEFAULT_PATH;
	for (; rc == 0; dirs++) {
		size_t n = strcspn(dirs, ":");
		cleanup_free char *path = n > 0 ? rt_printf("%.*s/%s", (int)n, dirs, prog) : rt_strdup(prog);

		rc = each(j, path);
		dirs += n;
		if (*dirs == '\0')
			break;
	}
	return rc;
}

static int
check_candidate(const struct job *j, const char *path)
{
	return is_ourselves(path, &j->own) ? rt_fail_status(j->e, 1, "%s is the builder's own program", path) : 0;
}

/* The machine that a program is for when that is not this one, elf(5); NULL when it is, or cannot be told. */
static const char *
other_machine(const char *path, const struct utsname *here)
{
	static const struct { uint16_t id; const char *name; } machines[] = {
		{ 3, "i386" }, { 21, "ppc64le" }, { 22, "s390x" }, { 40, "arm" }, { 62, "x86_64" }, { 183, "aarch64" }, { 243, "riscv64" },
	};
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	unsigned char head[20];
	uint16_t id;

	if (fd < 0 || read(fd, head, sizeof(head)) != (ssize_t)sizeof(head) || memcmp(head, "\177ELF", 4) != 0)
		return NULL;
	id = head[5] == 2 ? (uint16_t)(head[18] << 8 | head[19]) : (uint16_t)(head[19] << 8 | head[18]);
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].id == id && strcmp(machines[i].name, here->machine) != 0)
			return machines[i].name;
	return NULL;
}

/* Returns at all only when the program did not start; 0: look further. */
static int
exec_candidate(const struct job *j, const char *path)
{
	struct utsname here;
	const char *other;
	int reason;

	execve(path, (char *const *)j->s->argv, (char *const *)j->env);
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	reason = errno;
	rt_fail(j->e, reason, "start %s", path);
	j->e->status = 1;
	if (reason == ENOEXEC && uname(&here) == 0 && (other = other_machine(path, &here)) != NULL)
		rt_fail_status(j->e, 1, "start %s: it is a program for %s and this machine is %s: register qemu-%s with binfmt_misc "
		               "(qemu-user-static has it)", path, other, here.machine, other);
	return reason == EACCES ? 0 : -1;
}

/* Gives up everything and becomes the command.  The filter goes in while CAP_SYS_ADMIN is still there (S5.3), the death
   signal after the change of user, which resets it, prctl(2). */
static int
become_command(const struct job *j)
{
	bool sys_chroot = !ns_in_chroot();

	if (each_candidate(j, check_candidate) < 0)
		return -1;
	if (!j->confined && !j->s->insecure && (caps_bound(sys_chroot, j->e) < 0 || seccomp_install(j->e) < 0))
		return -1;
	if (caps_become(&j->user, j->s->insecure, sys_chroot, j->e) < 0)
		return -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!j->confined) /* pid 1 of a session has done it */
		run_signals();
	rt_fail_status(j->e, 1, "%s: no such program", j->s->argv[0]);
	return each_candidate(j, exec_candidate);
}

/* What belongs to the process and outlives exec. */
static int
prepare_process(const struct job *j)
{
	const struct rlimit no_core = { 0, 0 };

	if (setsid() < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
		return rt_fail(j->e, errno, "make a session without core files");
	if (j->s->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return rt_fail(j->e, errno, "take the terminal");
	umask(022);
	return 0;
}

int
run_hostname(const struct job *j)
{
	const char *host = j->s->hostname != NULL ? j->s->hostname : "buildkitsandbox";

	return sethostname(host, strlen(host)) < 0 ? rt_fail(j->e, errno, "set host name %s", host) : 0;
}

void
run_become(const struct job *j, int null)
{
	if (set_descriptors(j, null) == 0 && enter_cwd(j) == 0 && prepare_process(j) == 0)
		become_command(j);
	j->report->failed = true;
	_exit(127);
}

static int
child_main(void *arg)
{
	struct job *j = arg;
	int null = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	umask(0);
	if (!j->boxed) /* a root without mounts may have no device that can be opened */
		null = open("/dev/null", O_RDONLY);
	if ((j->boxed ? run_enter_root(j) : chroot_enter(j->s, j->e)) == 0 && (!j->s->net_none || dev_loopback(j->e) == 0) &&
	    (!j->boxed || run_hostname(j) == 0))
		run_become(j, null);
	j->report->failed = true;
	_exit(127);
}

/* ---- the caller again ---------------------------------------------------------------------------- */

/* The child borrows our memory until it execs, clone(2) CLONE_VM|CLONE_VFORK: nothing is copied however big we
   are.  Signals wait so that no handler of ours runs in it.  Under a sanitizer, which keeps notes about stacks, memory
   is copied. */
static pid_t
start_child(struct job *j)
{
	int flags = SIGCHLD;
	_Alignas(16) char stack[128 << 10]; /* only what is used is ever touched */
	sigset_t all, old;
	pid_t pid;
	int errnum;

	if (j->boxed)
		flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | FLAG_NEWCGROUP;
#ifndef __SANITIZE_ADDRESS__
	flags |= CLONE_VM | CLONE_VFORK;
#endif
	if (j->s->net_none)
		flags |= CLONE_NEWNET;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = clone(child_main, stack + sizeof(stack), flags, j);
	errnum = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = errnum;
	return pid;
}

/* The kernel kills every process of the namespace with its pid 1 and lets go of it only when they are gone,
   pid_namespaces(7), so no stray outlives this wait or holds the pipe. */
static int
finish_child(pid_t pid, const struct job *j, int *status, int *signal)
{
	int w;

	while (waitpid(pid, &w, 0) < 0)
		if (errno != EINTR)
			return rt_fail(j->e, errno, "wait for the command");
	if (j->report->failed)
		return -1;
	*signal = WIFSIGNALED(w) ? WTERMSIG(w) : 0;
	*status = WIFSIGNALED(w) ? 128 + *signal : WEXITSTATUS(w);
	return 0;
}

static int
run_boxed(struct job *j, int rootfd, int *status, int *signal)
{
	pid_t pid;

	if (run_points(rootfd, j) < 0)
		return -1;
	pid = start_child(j);
	if (pid < 0) {
		rt_fail(j->e, errno, "make the namespaces of a step");
		j->e->status = RT_NOMODE;
		return -1;
	}
	return finish_child(pid, j, status, signal);
}

static int
run_chroot(struct job *j, int rootfd, int *status, int *signal)
{
	struct strays strays;
	pid_t pid;
	int rc;

	if (chroot_refuse(j->s, j->e) < 0 || chroot_points(rootfd, j->s, &j->stubs, j->e) < 0)
		return -1;
	chroot_watch(&strays);
	pid = start_child(j);
	if (pid < 0)
		return rt_fail(j->e, errno, "start a process");
	rc = finish_child(pid, j, status, signal);
	chroot_kill(&strays, pid);
	return rc;
}

static int
run_job(struct job *j, int *status, int *signal)
{
	cleanup_fd int rootfd = open(j->s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *home = NULL;
	mode_t mask;
	int rc;

	if (rootfd < 0)
		return rt_fail(j->e, errno, "open the root %s", j->s->root);
	if (user_resolve(rootfd, j->s->user, &j->user, j->e) < 0)
		return -1;
	if (stat("/proc/self/exe", &j->own) < 0)
		return rt_fail(j->e, errno, "look at /proc/self/exe");
	j->env = run_env(j->s->env, &j->user, &home);
	mask = umask(022);
	rc = (j->boxed ? run_boxed : run_chroot)(j, rootfd, status, signal);
	umask(mask);
	stubs_remove(&j->stubs);
	return rc;
}

int
run_command(const struct run_spec *spec, int *status, int *signal, struct rt_err *e)
{
	struct report local = { 0 };
	struct job j = { .s = spec, .report = &local, .boxed = ns_get_mode() != NS_CHROOT };
	int rc;

#ifdef __SANITIZE_ADDRESS__
	j.report = mmap(NULL, sizeof(local), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j.report == MAP_FAILED)
		return rt_fail(e, errno, "memory for a report");
#endif
	j.e = &j.report->err;
	rc = run_job(&j, status, signal);
	if (rc < 0)
		*e = *j.e;
	free(j.env);
	free(j.user.home);
#ifdef __SANITIZE_ADDRESS__
	munmap(j.report, sizeof(local));
#endif
	return rc;
}
