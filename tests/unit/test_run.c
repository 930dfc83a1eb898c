/* Runs commands in a root made of a static busybox and looks at what they see: security.md S5, execution.md 2 and 3. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/exec.h"

static int count, bad;
static char base[256]; /* the test's directory */
static char root[300];
static char left[256]; /* a directory a child could not remove */

static void
check(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++count, name);
	fflush(stdout);
	bad += !good;
}

struct result {
	int rc, status, signal;
	char out[65536];
	struct rt_err e;
};

/* The shell form of RUN with a fixed environment, changed by what the test sets in `spec`. */
static const char *const default_env[] = { "PATH=/bin", "A=b c", NULL };

static void
run(struct run_spec spec, const char *script, struct result *r)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	int p[2];
	size_t n = 0;
	ssize_t k;

	memset(r, 0, sizeof(*r));
	if (pipe2(p, O_CLOEXEC) < 0)
		abort();
	spec.root = spec.root != NULL ? spec.root : root;
	if (spec.argv == NULL)
		spec.argv = argv;
	spec.env = spec.env != NULL ? spec.env : default_env;
	spec.out_fd = p[1];
	r->rc = run_command(&spec, &r->status, &r->signal, &r->e);
	close(p[1]);
	while (n < sizeof(r->out) - 1 && (k = read(p[0], r->out + n, sizeof(r->out) - 1 - n)) > 0)
		n += (size_t)k;
	close(p[0]);
}

/* The usual test: the script ends with 0 and prints exactly `want`. */
static void
expect(const struct run_spec spec, const char *script, const char *want, const char *name)
{
	static struct result r;
	bool good;

	run(spec, script, &r);
	good = r.rc == 0 && r.status == 0 && strcmp(r.out, want) == 0;
	check(good, name);
	if (!good)
		printf("# rc %d status %d error \"%s\"\n# got:  \"%s\"\n# want: \"%s\"\n", r.rc, r.status, r.e.text, r.out, want);
}

static void
expect_status(const struct run_spec spec, const char *script, int status, const char *name)
{
	static struct result r;

	run(spec, script, &r);
	check(r.rc == 0 && r.status == status, name);
	if (r.rc != 0 || r.status != status)
		printf("# rc %d status %d want %d error \"%s\" out \"%s\"\n", r.rc, r.status, status, r.e.text, r.out);
}

/* ---- a root ------------------------------------------------------------------------------------ */

static void
put(const char *dir, const char *name, const char *text, mode_t mode)
{
	char *path = rt_printf("%s/%s/%s", base, dir, name);
	struct rt_err e;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || rt_write_all(fd, text, strlen(text), path, &e) < 0 || fchmod(fd, mode) < 0)
		printf("Bail out! %s: %s\n", path, strerror(errno)), exit(1);
	close(fd);
	free(path);
}

static void
make_dir(const char *dir, mode_t mode)
{
	char *path = rt_printf("%s/%s", base, dir);

	if ((mkdir(path, mode) < 0 && errno != EEXIST) || chmod(path, mode) < 0)
		printf("Bail out! %s: %s\n", path, strerror(errno)), exit(1);
	free(path);
}

static const char *
find_busybox(void)
{
	static const char *const paths[] = { "/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static" };

	for (size_t i = 0; i < 3; i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	return NULL;
}

static void
make_base(void)
{
	static const char *const names[] = { "sh", "true", "cat", "id", "ls", "hostname", "sleep", "mount", "umount", "unshare",
		"grep", "env", "stat", "chroot", "kill", "touch", "mkdir", "rm", "head", "wc", "echo", "ip", "mknod", "dd", "test",
		"mv", "sort", "tr", "readlink", "su", "setsid", "od", "sysctl", "pwd", "chmod", "ps", "df", "find" };
	static const struct timespec then[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct rt_err e = { 0 };
	struct str b = { 0 };
	char *path;
	int fd;

	make_dir("lower", 0755);
	make_dir("lower/bin", 0755);
	make_dir("lower/etc", 0755);
	make_dir("lower/opt", 0755);
	make_dir("lower/tmp", 01777);
	if (rt_read_file(AT_FDCWD, find_busybox(), 64 << 20, &b, &e) < 0)
		printf("Bail out! %s\n", e.text), exit(1);
	path = rt_printf("%s/lower/bin/busybox", base);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (fd < 0 || rt_write_all(fd, b.s, b.len, path, &e) < 0)
		printf("Bail out! %s\n", e.text), exit(1);
	close(fd);
	free(path);
	str_free(&b);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = rt_printf("%s/lower/bin/%s", base, names[i]);
		if (symlink("busybox", path) < 0)
			printf("Bail out! %s\n", path), exit(1);
		free(path);
	}
	put("lower/etc", "passwd", "root:x:0:0:root:/root:/bin/sh\nu1:x:55:66:u:/home/u1:/bin/sh\n", 0644);
	put("lower/etc", "group", "root:x:0:\nwheel:x:10:root,u1\ng1:x:66:\nmore:x:77:u1\n", 0644);
	put("lower/bin", "evil", "#!/proc/self/exe\n", 0755);
	path = rt_printf("%s/lower/etc", base);
	utimensat(AT_FDCWD, path, then, 0);
	free(path);
	path = rt_printf("%s/lower", base);
	utimensat(AT_FDCWD, path, then, 0);
	free(path);
}

/* A fresh upper over lower at root. */
static bool
mount_root(struct rt_err *e)
{
	char *dirs[3] = { rt_printf("%s/lower", base), rt_printf("%s/upper", base), rt_printf("%s/work", base) };
	struct list l = { 0 };
	bool good;

	make_dir("root", 0755);
	make_dir("upper", 0755);
	make_dir("work", 0755);
	snprintf(root, sizeof(root), "%s/root", base);
	list_add(&l, dirs[0]);
	good = overlay_mount(root, &l, dirs[1], dirs[2], e) == 0;
	list_free(&l);
	for (int i = 0; i < 3; i++)
		free(dirs[i]);
	return good;
}

static bool
make_tree(const char *name)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base, sizeof(base), "%s/%s.XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp", name);
	if (mkdtemp(base) == NULL)
		return false;
	chmod(base, 0755);
	make_base();
	return true;
}

static void
remove_tree(void)
{
	struct rt_err e;

	umount2(root, MNT_DETACH);
	if (rt_remove_tree(AT_FDCWD, base, &e) < 0)
		printf("# %s\n", e.text);
}

/* ---- the process ------------------------------------------------------------------------------- */

static void
test_exit(void)
{
	static const char *const gone[] = { "nosuch", NULL }, *const self[] = { "/proc/self/exe", NULL }, *const evil[] = { "evil", NULL };
	static struct result r;

	expect_status((struct run_spec){ 0 }, "exit 0", 0, "exit 0");
	expect_status((struct run_spec){ 0 }, "exit 42", 42, "exit 42");
	expect_status((struct run_spec){ 0 }, "nosuch", 127, "the shell's own 127");
	run((struct run_spec){ 0 }, "sh -c 'kill -9 $$'; exit $?", &r);
	check(r.rc == 0 && r.status == 137, "a child of the shell killed by 9 is 137");
	/* pid 1 of a namespace is deaf to its own signals but not to faults, pid_namespaces(7) */
	run((struct run_spec){ .argv = gone }, "", &r);
	check(r.rc == -1 && r.e.status == 1 && strstr(r.e.text, "nosuch") != NULL, "a missing program is an error of its own");
	run((struct run_spec){ .argv = self }, "", &r);
	check(r.rc == -1 && strstr(r.e.text, "builder's own") != NULL, "our own program does not start in the sandbox");
	run((struct run_spec){ .argv = evil }, "", &r);
	check(r.rc == -1 && strstr(r.e.text, "builder's own") != NULL, "nor by #!");
}

static void
on_alarm(int sig)
{
	(void)sig;
}

/* A signal from outside the namespace reaches pid 1. */
static void
test_signal(void)
{
	static struct result r;
	pid_t self = getpid(), killer = fork();

	if (killer == 0) {
		char *path = rt_printf("/proc/%d/task/%d/children", (int)self, (int)self);
		struct timespec t = { .tv_nsec = 300000000 };
		char text[256];
		int fd;
		ssize_t n;

		nanosleep(&t, NULL);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		for (char *p = strtok(text, " "); p != NULL; p = strtok(NULL, " "))
			if (atoi(p) != getpid())
				kill(atoi(p), SIGKILL);
		_exit(0);
	}
	run((struct run_spec){ 0 }, "sleep 5", &r);
	waitpid(killer, NULL, 0);
	check(r.rc == 0 && r.status == 128 + SIGKILL && r.signal == SIGKILL, "killed by signal 9 is 137");
}

static void
test_environment(void)
{
	static const char *const env_cmd[] = { "env", NULL };
	static const char *const home[] = { "PATH=/bin", "HOME=", NULL }, *const home2[] = { "PATH=/bin", "HOME=/x", NULL };
	static const char *const signals[] = { "grep", "-E", "Sig(Ign|Blk)", "/proc/self/status", NULL };
	struct sigaction ign = { .sa_handler = SIG_IGN }, old;

	setenv("SECRET_OF_THE_BUILDER", "1", 1);
	expect((struct run_spec){ .argv = env_cmd }, "", "PATH=/bin\nA=b c\nHOME=/root\n", "exactly the environment and HOME");
	expect((struct run_spec){ .argv = env_cmd, .env = home }, "", "PATH=/bin\nHOME=/root\n", "an empty HOME is replaced");
	expect((struct run_spec){ .argv = env_cmd, .env = home2 }, "", "PATH=/bin\nHOME=/x\n", "a HOME that is set stays");
	expect((struct run_spec){ .argv = env_cmd, .user = "1234" }, "", "PATH=/bin\nA=b c\nHOME=/\n", "HOME of an unknown uid is /");
	expect((struct run_spec){ 0 }, "tr '\\0' '\\n' </proc/1/environ | grep -c SECRET || true", "0\n", "nothing in /proc/1/environ");
	expect((struct run_spec){ 0 }, "hostname", "buildkitsandbox\n", "host name");
	expect((struct run_spec){ .hostname = "other" }, "hostname", "other\n", "another host name");
	expect((struct run_spec){ 0 }, "cat; echo end", "end\n", "stdin is empty");
	expect((struct run_spec){ 0 }, "umask; ulimit -c", "0022\n0\n", "umask and core limit");
	expect((struct run_spec){ 0 }, "echo $$; ls /proc | grep -c '^[0-9]'", "1\n3\n", "pid 1 is the command, no other process is seen");
	expect((struct run_spec){ 0 }, "echo err >&2; echo out", "err\nout\n", "both streams come in order");
	expect((struct run_spec){ 0 }, "ls /proc/self/fd | sort | tr '\\n' ' '", "0 1 2 3 ", "no descriptor is left open");
	sigaction(SIGPIPE, &ign, &old);
	expect((struct run_spec){ .argv = signals }, "", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", "no signal is blocked or ignored");
	sigaction(SIGPIPE, &old, NULL);
}

static void
test_users(void)
{
	static struct result r;

	expect((struct run_spec){ 0 }, "id -u; id -g; id -G", "0\n0\n0\n", "no USER is root");
	expect((struct run_spec){ .user = "u1" }, "id -u; id -g; id -G", "55\n66\n66 10 77\n", "a user brings his groups");
	expect((struct run_spec){ .user = "u1:wheel" }, "id -u; id -G", "55\n10\n", "an explicit group is the only one");
	expect((struct run_spec){ .user = "123:456" }, "id -u; id -G", "123\n456\n", "numbers need no entry");
	expect((struct run_spec){ .user = "123" }, "id -u; id -G", "123\n0\n", "a bare unknown number has gid 0");
	run((struct run_spec){ .user = "nobody" }, "true", &r);
	check(r.rc == -1 && r.e.status == 1 && strstr(r.e.text, "nobody") != NULL, "an unknown name fails");
	expect((struct run_spec){ .user = "u1" }, "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | tr -d '\\t\\n'",
	       "CapInh:0000000000000000CapPrm:0000000000000000CapEff:0000000000000000CapBnd:00000000800405fbCapAmb:0000000000000000",
	       "a user has no capabilities");
	expect((struct run_spec){ .user = "u1", .cwd = "/w/a" }, "pwd; stat -c '%u %g %a' /w /w/a", "/w/a\n55 66 755\n55 66 755\n",
	       "the working directory is made for the user");
	expect((struct run_spec){ .user = "u1" }, "echo x >/dev/stdout; echo y >/dev/stderr", "x\ny\n", "a user may open /dev/stdout");
}

/* ---- the sandbox --------------------------------------------------------------------------------- */

static void
test_kernel(void)
{
	expect((struct run_spec){ 0 }, "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | tr -d '\\t\\n'",
	       "CapInh:0000000000000000CapPrm:00000000800405fbCapEff:00000000800405fbCapBnd:00000000800405fbCapAmb:0000000000000000",
	       "root's capabilities");
	expect((struct run_spec){ 0 }, "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\t\\n'", "NoNewPrivs:0Seccomp:2",
	       "a filter and no no_new_privs");
	expect((struct run_spec){ .insecure = true }, "grep -E '^Seccomp:' /proc/self/status", "Seccomp:\t0\n", "insecure has no filter");
	expect((struct run_spec){ 0 }, "mount -t tmpfs none /tmp 2>&1 | grep -c -i permi", "1\n", "mount is refused");
	expect((struct run_spec){ 0 }, "umount /dev 2>&1 | grep -c 'not permitted'", "1\n", "umount is refused");
	expect((struct run_spec){ 0 }, "for o in m u i n p U; do unshare -$o true 2>&1 | grep -c 'not permitted'; done | sort -u", "1\n",
	       "unshare is refused");
	expect((struct run_spec){ 0 }, "mknod /tmp/n c 1 3 2>&1 | grep -c 'not permitted'", "1\n", "devices cannot be made");
	expect((struct run_spec){ 0 }, "for f in kcore keys timer_list interrupts latency_stats sched_debug; do [ ! -e /proc/$f ] || wc -c </proc/$f; done | sort -u",
	       "0\n", "/proc secrets are masked");
	expect((struct run_spec){ 0 }, "ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | grep -c . || true", "0\n",
	       "masked directories are empty");
	expect((struct run_spec){ 0 }, "for f in /proc/sys/kernel/hostname /sys/kernel/profiling; do "
	       "{ echo x >$f; } 2>&1 | grep -c -i 'read-only'; done", "1\n1\n", "/proc/sys and /sys are read-only");
	expect((struct run_spec){ 0 }, "ls /dev | tr '\\n' ' '; ls /dev/pts",
	       "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ptmx\n", "nothing else in /dev");
	expect((struct run_spec){ 0 }, "echo x >/dev/null; head -c 3 /dev/zero | od -An -tx1; stat -c %a /dev/shm /dev/null /dev", " 00 00 00\n1777\n666\n755\n",
	       "/dev works");
	expect((struct run_spec){ 0 }, "mkdir -p /tmp/x/y; cd /tmp; chroot /tmp/x /bin/true 2>/dev/null; ls -d /../../bin; ls / | tr '\\n' ' '; rm -r /tmp/x",
	       "/../../bin\nbin dev etc opt proc sys tmp w ", "the root is the top");
	expect((struct run_spec){ .net_none = true }, "ip -o addr | grep -c 'inet 127.0.0.1/8'; ls /sys/class/net", "1\nlo\n", "network none has lo only");
}

/* chroot to a subdirectory with a descriptor of the old root open, then climb. */
static void
test_escape(void)
{
	static const char *const argv[] = { "/tmp/escape", NULL };
	char *me = realpath("/proc/self/exe", NULL), *to = rt_printf("%s/tmp/escape", root);
	struct rt_err e;
	struct str b = { 0 };
	int fd;

	if (rt_read_file(AT_FDCWD, me, 64 << 20, &b, &e) < 0)
		abort();
	fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (fd < 0 || rt_write_all(fd, b.s, b.len, to, &e) < 0)
		abort();
	fchmod(fd, 0755);
	close(fd);
#ifdef __SANITIZE_ADDRESS__
	printf("ok %d - double chroot does not escape # SKIP the program is dynamic here\n", ++count);
	(void)argv;
#else
	{
		static const char *const env[] = { "TEST_RUN_ESCAPE=1", NULL };
		expect((struct run_spec){ .argv = argv, .env = env }, "", "inside\n", "double chroot does not escape");
	}
#endif
	unlink(to);
	str_free(&b);
	free(me);
	free(to);
}

static int
escape(void)
{
	struct stat st;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mkdir("/tmp/jail", 0755);
	if (chroot("/tmp/jail") < 0 || fchdir(fd) < 0)
		return puts("no chroot"), 1;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return 1;
	puts(stat("bin/evil", &st) == 0 && stat("usr/lib", &st) < 0 ? "inside" : "OUTSIDE");
	return 0;
}

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
test_strays(void)
{
	static struct result r;
	long start = now_ms();
	char *path = rt_printf("%s/upper/tmp/late", base);

	run((struct run_spec){ 0 }, "(sleep 1; touch /tmp/late) & setsid sh -c 'sleep 60; echo late' & echo early", &r);
	check(r.rc == 0 && r.status == 0 && strcmp(r.out, "early\n") == 0 && now_ms() - start < 900, "a daemon that holds stdout delays nothing");
	usleep(1200000);
	check(access(path, F_OK) < 0, "a background process is dead");
	free(path);
}

/* ---- mounts ------------------------------------------------------------------------------------ */

static void
test_names(void)
{
	static const char *const hosts[] = { "db 10.0.0.1", NULL };
	static struct result r;

	expect((struct run_spec){ 0 }, "cat /etc/hosts", "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n", "/etc/hosts");
	expect((struct run_spec){ .add_hosts = hosts }, "grep 10.0 /etc/hosts", "10.0.0.1\tdb\n", "--add-host");
	run((struct run_spec){ 0 }, "echo x >/etc/hosts; echo x >/etc/resolv.conf; rm /etc/hosts; mv /etc/resolv.conf /etc/r", &r);
	check(r.status != 0 && strstr(r.out, "ead-only") != NULL && strstr(r.out, "busy") != NULL, "neither can be written nor replaced");
}

static void
test_mounts(void)
{
	char *src = rt_printf("%s/src", base), *cache = rt_printf("%s/cache", base), *scratch = rt_printf("%s/scratch", base),
	     *scratch2 = rt_printf("%s/scratch2", base);
	struct run_mount m[8] = {
		{ .kind = RUN_MOUNT_BIND, .target = "/in", .root = src, .source = "", .readonly = true },
		{ .kind = RUN_MOUNT_BIND, .target = "/one/file", .root = src, .source = "../../f", .readonly = true },
		{ .kind = RUN_MOUNT_BIND, .target = "/rw", .root = src, .source = "/d", .rw_discard = true, .scratch = scratch },
		{ .kind = RUN_MOUNT_BIND, .target = "/rwf", .root = src, .source = "/f", .rw_discard = true, .scratch = scratch2 },
		{ .kind = RUN_MOUNT_CACHE, .target = "/root/.cache", .root = cache, .source = "" },
		{ .kind = RUN_MOUNT_TMPFS, .target = "/opt", .size = 1 << 20 },
		{ .kind = RUN_MOUNT_SECRET, .target = "/run/secrets/s", .secret = "hush\n", .secret_len = 5, .mode = 0400 },
		{ .kind = RUN_MOUNT_SECRET, .target = "/run/secrets/none" },
	};
	const struct run_spec spec = { .mounts = m, .nmounts = 8 };

	make_dir("src", 0755);
	make_dir("src/d", 0750);
	make_dir("cache", 0755);
	make_dir("scratch", 0755);
	make_dir("scratch2", 0755);
	put("src", "f", "eff\n", 0644);
	put("src/d", "g", "gee\n", 0644);
	expect(spec, "cat /in/f /one/file /rw/g /run/secrets/s; stat -c '%a %u' /run/secrets/s /rw; ls /run/secrets",
	       "eff\neff\ngee\nhush\n400 0\n750 0\ns\n", "mounts of each kind");
	rt_remove_tree(AT_FDCWD, scratch, &(struct rt_err){ 0 });
	rt_remove_tree(AT_FDCWD, scratch2, &(struct rt_err){ 0 });
	make_dir("scratch", 0755);
	make_dir("scratch2", 0755);
	expect(spec, "for f in /in/f /one/file /run/secrets/s; do { echo x >$f; } 2>&1 | grep -c -i read-only; done; echo x >/rw/g; echo y >/rw/new; "
	       "echo z >>/rwf; cat /rw/g /rw/new /rwf; echo c >/root/.cache/c; echo t >/opt/t; stat -c %a /opt; df -k /opt | tail -n 1 | tr -s ' ' | cut -d' ' -f2",
	       "1\n1\n1\nx\ny\neff\nz\n1777\n1024\n", "read-only is, rw can be written");
	{
		char *path = rt_printf("%s/cache/c", base), *g = rt_printf("%s/src/d/g", base);
		struct stat st;

		check(stat(path, &st) == 0 && stat(g, &st) == 0 && st.st_size == 4, "the cache keeps, the source is unchanged");
		free(path);
		free(g);
	}
	rt_remove_tree(AT_FDCWD, scratch, &(struct rt_err){ 0 });
	{
		const struct run_mount nested[] = {
			{ .kind = RUN_MOUNT_SECRET, .target = "/c/sub/s", .secret = "in\n", .secret_len = 3, .mode = 0444 },
			{ .kind = RUN_MOUNT_CACHE, .target = "/c", .root = cache, .source = "/" },
		};
		expect((struct run_spec){ .mounts = nested, .nmounts = 2 }, "cat /c/sub/s /c/c", "in\nc\n", "a mount inside another");
	}
	{
		static const char *const argv[] = { "/bin/sh", "/dev/pipes/EOF", NULL };
		expect((struct run_spec){ .argv = argv, .script_name = "EOF", .script = "echo $0\n", .script_len = 8 }, "", "/dev/pipes/EOF\n",
		       "a here-document as a file");
	}
	free(src);
	free(cache);
	free(scratch);
	free(scratch2);
}

static void
test_ssh(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct run_mount m[] = {
		{ .kind = RUN_MOUNT_SSH, .target = "/run/buildkit/ssh_agent.0", .secret = a.sun_path },
		{ .kind = RUN_MOUNT_SSH, .target = "/run/buildkit/ssh_agent.1" },
	};

	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/agent", base);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		printf("# bind: %s\n", strerror(errno));
	expect((struct run_spec){ .mounts = m, .nmounts = 2 }, "test -S /run/buildkit/ssh_agent.0 && ls /run/buildkit", "ssh_agent.0\n", "agent socket");
	close(s);
}

static int
mtime_of(const char *dir, const char *name)
{
	char *path = rt_printf("%s/%s/%s", base, dir, name);
	struct stat st;
	int rc = lstat(path, &st) < 0 ? -1 : (int)st.st_mtim.tv_sec;

	free(path);
	return rc;
}

/* A fresh upper, one RUN with mounts: afterwards only what the command wrote is there. */
static void
test_traces(void)
{
	struct rt_err e = { 0 };
	const struct run_mount m[] = {
		{ .kind = RUN_MOUNT_SECRET, .target = "/run/secrets/deep/s", .secret = "x", .secret_len = 1 },
		{ .kind = RUN_MOUNT_TMPFS, .target = "/opt/sub" },
		{ .kind = RUN_MOUNT_TMPFS, .target = "/tmp" },
	};

	umount2(root, MNT_DETACH);
	for (int i = 0; i < 2; i++) {
		char *path = rt_printf("%s/%s", base, i == 0 ? "upper" : "work");

		rt_remove_tree(AT_FDCWD, path, &e);
		free(path);
	}
	check(mount_root(&e), "a fresh root");
	expect((struct run_spec){ .mounts = m, .nmounts = 3 }, "echo x >/tmp/gone; echo x >/made", "", "a step with mounts");
	expect((struct run_spec){ 0 }, "ls -A /opt /tmp /run /etc 2>/dev/null | tr '\\n' ' '", "/etc: group hosts passwd resolv.conf  /opt:  /tmp: ",
	       "stubs come and go");
	check(mtime_of("root", "etc") == 1000, "the time of /etc is as it was");
	check(mtime_of("upper", "etc/hosts") == -1 && mtime_of("upper", "etc/resolv.conf") == -1 && mtime_of("upper", "run") == -1 &&
	      mtime_of("upper", "opt/sub") == -1 && mtime_of("upper", "tmp/gone") == -1, "no stub is left");
	check(mtime_of("upper", "made") > 1000, "the command's file is there");
	expect((struct run_spec){ .mounts = m, .nmounts = 1 }, "mkdir /run/kept; touch /etc/new", "", "a step that uses a stub's directory");
	check(mtime_of("upper", "run/kept") > 1000 && mtime_of("upper", "run/secrets") == -1, "what is no longer empty stays");
	check(mtime_of("root", "etc") > 1000, "a change by the command keeps its time");
}

/* Hostile roots: links where mount points should be. */
static void
test_hostile(void)
{
	static struct result r;
	struct stat before, after;

	stat("/etc/hosts", &before);
	expect((struct run_spec){ 0 }, "rm -rf /run /srv; ln -s /etc/../../../../../../etc /srv; ln -s ../../../../../../../../lnk/resolv.conf /etc/rl; echo ok", "ok\n", "make links");
	{
		const struct run_mount m[] = { { .kind = RUN_MOUNT_SECRET, .target = "/srv/hosts2", .secret = "x", .secret_len = 1, .mode = 0444 },
			{ .kind = RUN_MOUNT_SECRET, .target = "/etc/rl", .secret = "y", .secret_len = 1, .mode = 0444 } };
		expect((struct run_spec){ .mounts = m, .nmounts = 2 }, "cat /etc/hosts2 /lnk/resolv.conf", "xy", "links are resolved in the root");
	}
	check(access("/etc/hosts2", F_OK) < 0 && access("/lnk", F_OK) < 0, "the host is untouched");
	stat("/etc/hosts", &after);
	check(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_ino == after.st_ino, "the host's /etc/hosts is untouched");
	run((struct run_spec){ .cwd = "/etc/passwd" }, "true", &r);
	check(r.rc == -1 && strstr(r.e.text, "/etc/passwd") != NULL, "a file is no working directory");
}

/* ---- overlay ----------------------------------------------------------------------------------- */

static void
test_layers(int n)
{
	struct list l = { 0 };
	struct rt_err e = { 0 };
	char name[64], *target = rt_printf("%s/many/at", base);
	bool good = true;

	make_dir("many", 0755);
	make_dir("many/at", 0755);
	for (int i = 0; i < n; i++) {
		char *path;

		snprintf(name, sizeof(name), "many/layer,with:odd\\name-%d", i);
		make_dir(name, 0755);
		snprintf(name, sizeof(name), "%d", i);
		path = rt_printf("%s/many/layer,with:odd\\name-%d", base, i);
		put(path + strlen(base) + 1, name, name, 0644);
		put(path + strlen(base) + 1, "top", name, 0644);
		list_add(&l, path);
		free(path);
	}
	good = overlay_mount(target, &l, NULL, NULL, &e) == 0;
	if (!good)
		printf("# %s\n", e.text);
	for (int i = 0; good && i < n; i++) {
		snprintf(name, sizeof(name), "many/at/%d", i);
		good = mtime_of(".", name) > 0;
	}
	if (good) {
		struct str b = { 0 };
		int dir = open(target, O_PATH | O_CLOEXEC);

		snprintf(name, sizeof(name), "%d", n - 1);
		good = rt_read_file(dir, "top", 100, &b, &e) == 0 && strcmp(b.s, name) == 0;
		close(dir);
		str_free(&b);
		good &= overlay_umount(target, &e) == 0;
	}
	snprintf(name, sizeof(name), "%d layers, the last on top", n);
	check(good, name);
	list_free(&l);
	free(target);
}

/* ---- without root ------------------------------------------------------------------------------ */

/* subuid(5) and subgid(5) of our own, in a mount namespace that goes with the process. */
static void
give_range(void)
{
	struct rt_err e;
	char name[] = "/tmp/subid.XXXXXX";
	static const char text[] = "65534:300000:65536\n";
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd < 0 || write(fd, text, sizeof(text) - 1) < 0 || fchmod(fd, 0644) < 0 || ns_private(&e) < 0 ||
	    mount(name, "/etc/subuid", NULL, MS_BIND, NULL) < 0 || mount(name, "/etc/subgid", NULL, MS_BIND, NULL) < 0)
		printf("# no range: %s\n", strerror(errno));
	close(fd);
	unlink(name);
}

static int
as_user(const char *want)
{
	const char *mode = "";
	struct rt_err e = { 0 };
	static struct result r;

	if (strcmp(want, "userns") == 0)
		give_range();
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (!make_tree("dockcc-user"))
		return 1;
	if (ns_enter(want, &mode, &e) < 0) {
		printf("ok %d - %s # SKIP %s\n", ++count, want, e.text);
		remove_tree();
		return 0;
	}
	printf("# mode %s\n", mode);
	check(ns_overlay_user(), "overlay marks are user.*");
	check(mount_root(&e), "an overlay root in a user namespace");
	if (e.text[0] != '\0')
		printf("# %s\n", e.text);
	expect((struct run_spec){ 0 }, "id -u; hostname; echo x >/new; rm -r /tmp; echo $$", "0\nbuildkitsandbox\n1\n", "a step as a user");
	expect((struct run_spec){ 0 }, "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t\\n'",
	       "CapEff:00000000800405fbNoNewPrivs:1Seccomp:2", "capabilities, filter and no_new_privs");
	expect((struct run_spec){ 0 }, "echo x >/dev/null; ls /dev | tr '\\n' ' '; wc -c </proc/timer_list; mount -t tmpfs none /opt 2>&1 | grep -c -i permi",
	       "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero 0\n1\n", "devices, masks, refusals");
	expect((struct run_spec){ .net_none = true }, "ip -o addr | grep -c 'inet 127.0.0.1/8'", "1\n", "network none");
	run((struct run_spec){ .user = "u1" }, "id -u", &r);
	if (strcmp(mode, "userns") == 0)
		check(r.rc == 0 && strcmp(r.out, "55\n") == 0, "another user of the range");
	else
		check(r.rc == -1 && strstr(r.e.text, "range") != NULL, "another user needs a range");
	remove_tree();
	return bad != 0;
}

/* ---- inside a chroot, and with nothing but a chroot ------------------------------------------------ */

/* S5.1: the process is in a chroot itself, on a mount or on a plain directory. */
static int
in_chroot(const char *want)
{
	const char *mode;
	struct rt_err e = { 0 };

	if (!make_tree("dockcc-chroot") || ns_private(&e) < 0)
		return 1;
	snprintf(left, sizeof(left), "%s", base); /* the parent's to remove */
	make_dir("proc", 0755);
	make_dir("dev", 0755);
	if (strcmp(want, "mount") == 0 && mount(base, base, NULL, MS_BIND, NULL) < 0)
		return 1;
	if (chroot(base) < 0 || chdir("/") < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		return 1;
	base[0] = '\0';
	check(ns_enter(NULL, &mode, &e) == 0 && strcmp(mode, "root") == 0 && mount_root(&e), "an overlay root inside a chroot");
	expect((struct run_spec){ 0 }, "grep -E 'Cap(Eff|Bnd)' /proc/self/status | tr -d '\\t\\n'", "CapEff:00000000800005fbCapBnd:00000000800005fb",
	       "inside a chroot there is no CAP_SYS_CHROOT");
	expect((struct run_spec){ 0 }, "chroot /tmp /bin/true 2>&1 | grep -c -i permi; cd /..; pwd; ls -d lower upper 2>/dev/null || echo none", "1\n/\nnone\n",
	       "so nobody climbs out");
	expect((struct run_spec){ .user = "u1", .cwd = "/w" }, "id -u; hostname; pwd; wc -c </proc/timer_list", "55\nbuildkitsandbox\n/w\n0\n", "the rest is as usual");
	umount2("/root", MNT_DETACH);
	return bad != 0;
}

static int
only_chroot(const char *want)
{
	const char *mode;
	struct rt_err e = { 0 };
	static struct result r;
	const struct run_mount m = { .kind = RUN_MOUNT_TMPFS, .target = "/t" };

	(void)want;
	if (!make_tree("dockcc-chroot"))
		return 1;
	snprintf(root, sizeof(root), "%s/lower", base);
	check(ns_enter("chroot", &mode, &e) == 0 && strcmp(mode, "chroot") == 0, "mode chroot");
	expect((struct run_spec){ .user = "u1", .cwd = "/w" }, "id -u; id -G; pwd; echo x >/dev/null; cat; ls /dev | tr '\\n' ' '",
	       "55\n66 10 77\n/w\nfull null random urandom zero ", "a step with nothing but a chroot");
	expect((struct run_spec){ 0 }, "chroot /tmp /bin/true 2>&1 | grep -c -i permi; mount -t tmpfs none /tmp 2>&1 | grep -c -i permi", "1\n1\n",
	       "refusals hold");
	run((struct run_spec){ 0 }, "setsid sh -c 'sleep 1; echo late >/tmp/late' & (sleep 1; echo late >/tmp/late) & exit 3", &r);
	usleep(1200000);
	check(r.rc == 0 && r.status == 3 && mtime_of("lower", "tmp/late") == -1, "strays are dead");
	run((struct run_spec){ .mounts = &m, .nmounts = 1 }, "true", &r);
	check(r.rc == -1 && r.e.status == RT_NOMODE, "a mount is refused");
	run((struct run_spec){ .net_none = true }, "true", &r);
	check(r.rc == -1 && r.e.status == RT_NOMODE, "a network is refused");
	check(mtime_of("lower", "dev") == -1, "no device is left");
	remove_tree();
	return bad != 0;
}

/* Each of these enters something for good, so it runs in a child, which tells its counters. */
static void
in_child(int (*body)(const char *), const char *want)
{
	struct {
		int count, bad;
		char left[sizeof(left)];
	} tell = { .count = count, .bad = bad };
	pid_t pid;
	int w, p[2];

	fflush(stdout);
	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		int rc = body(want);

		tell.count = count;
		tell.bad = bad;
		memcpy(tell.left, left, sizeof(left));
		if (write(p[1], &tell, sizeof(tell)) < 0)
			rc = 1;
		fflush(stdout);
		_exit(rc);
	}
	waitpid(pid, &w, 0);
	close(p[1]);
	if (read(p[0], &tell, sizeof(tell)) != sizeof(tell) || !WIFEXITED(w))
		tell.bad++;
	count = tell.count;
	bad = tell.bad;
	if (WIFEXITED(w) && WEXITSTATUS(w) != 0 && bad == 0)
		check(false, want);
	if (tell.left[0] != '\0')
		rt_remove_tree(AT_FDCWD, tell.left, &(struct rt_err){ 0 });
	close(p[0]);
}

/* ---- speed, by hand ------------------------------------------------------------------------------ */

static int
bench(int n)
{
	static const char *const argv[] = { "/bin/true", NULL };
	static struct result r;
	long start = now_ms();

	for (int i = 0; i < n; i++)
		run((struct run_spec){ .argv = argv }, "", &r);
	printf("# %d steps: %ld ms, last rc %d status %d %s\n", n, now_ms() - start, r.rc, r.status, r.e.text);
	return r.rc != 0;
}

int
main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_alarm };
	const char *mode;
	struct rt_err e = { 0 };
	int rc = 0;

	if (getenv("TEST_RUN_ESCAPE") != NULL)
		return escape();
	if (geteuid() != 0 || find_busybox() == NULL) {
		printf("1..0 # SKIP %s\n", geteuid() != 0 ? "needs root" : "needs a static busybox");
		return 0;
	}
	sigaction(SIGALRM, &act, NULL);
	if (argc == 1) {
		in_child(as_user, "userns");
		in_child(as_user, "userns-single");
		in_child(in_chroot, "mount");
		in_child(in_chroot, "directory");
		in_child(only_chroot, "chroot");
	}
	if (!make_tree("dockcc-run") || ns_enter("root", &mode, &e) < 0 || !mount_root(&e)) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	if (argc > 1) {
		rc = bench(atoi(argv[1]));
		remove_tree();
		return rc;
	}
	test_exit();
	test_signal();
	test_environment();
	test_users();
	test_kernel();
	test_escape();
	test_strays();
	test_names();
	test_mounts();
	test_ssh();
	test_traces();
	test_hostile();
	test_layers(2);
	test_layers(100);
	test_layers(500);
	remove_tree();
	printf("1..%d\n", count);
	return bad != 0;
}
