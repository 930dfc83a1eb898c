/* What a command sees of its sandbox: security.md S5, execution.md 2 and 3. */
#include "runbox.h"

static void
expect_status(const struct run_spec spec, const char *script, int status, const char *name)
{
	static struct result r;

	run(spec, script, &r);
	check(r.rc == 0 && r.status == status, name);
	if (r.rc != 0 || r.status != status)
		printf("# rc %d status %d want %d error \"%s\" out \"%s\"\n", r.rc, r.status, status, r.e.text, r.out);
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
	expect((struct run_spec){ .insecure = true }, "mknod /tmp/n c 1 3; { echo x >/tmp/n; } 2>&1 | grep -c -i permi; rm /tmp/n", "1\n",
	       "and would not open");
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

/* kill -9 of the caller takes the step with it, S6. */
static void
test_orphan(const char *user)
{
	int p[2];
	long start;
	char c;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		const char *argv[] = { "/bin/sh", "-c", "echo; sleep 5", NULL };
		struct run_spec spec = { .root = root, .argv = argv, .env = default_env, .out_fd = p[1], .user = user };
		int status, sig;
		struct rt_err e;

		run_command(&spec, &status, &sig, &e);
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		check(false, "the step started");
	start = now_ms();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check(read(p[0], &c, 1) == 0 && now_ms() - start < 2000, "a step dies with its caller");
	close(p[0]);
}

/* ---- this program in the sandbox ------------------------------------------------------------------- */

/* chroot to a subdirectory with a descriptor of the old root open, then climb; MARK is a path of the host. */
static int
probe_escape(const char *mark)
{
	struct stat st;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mkdir("/tmp/jail", 0755);
	if (chroot("/tmp/jail") < 0 || fchdir(fd) < 0)
		return puts("no chroot"), 1;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return 1;
	puts(stat("bin/evil", &st) == 0 && stat(mark + 1, &st) < 0 ? "inside" : "OUTSIDE");
	return 0;
}

static void
call(const char *name, int want, long nr, long a, long b, long c)
{
	long rc = syscall(nr, a, b, c, 0L, 0L, 0L);
	int got = rc < 0 ? errno : 0;

	if (got != want)
		printf("%s: errno %d, not %d\n", name, got, want);
}

/* S5.3.  Most are calls that would fail otherwise, or not fail, for somebody without capabilities. */
static int
probe_filter(void)
{
	static char zero[256];
	long z = (long)zero;

	call("mount", EPERM, SYS_mount, z, z, z);
	call("umount2", EPERM, SYS_umount2, z, 0, 0);
	call("pivot_root", EPERM, SYS_pivot_root, z, z, 0);
	for (long nr = 428; nr <= 433; nr++)
		call("new mount family", EPERM, nr, -1, z, 0);
	call("mount_setattr", EPERM, 442, -1, z, 0);
	call("open_tree_attr", EPERM, 467, -1, z, 0);
	call("setns", EPERM, SYS_setns, -1, 0, 0);
	call("unshare user", EPERM, SYS_unshare, 0x10000000, 0, 0);
	call("unshare time", EPERM, SYS_unshare, 0x80, 0, 0);
	call("unshare files", 0, SYS_unshare, 0x400, 0, 0);
	call("clone user", EPERM, SYS_clone, 0x10000000 | SIGCHLD, 0, 0);
	call("clone3", ENOSYS, 435, z, 0, 0);
	call("keyctl", EPERM, SYS_keyctl, 0, 0, 0);
	call("add_key", EPERM, SYS_add_key, z, z, z);
	call("request_key", EPERM, SYS_request_key, z, z, z);
	call("bpf", EPERM, SYS_bpf, 99, 0, 0);
	call("perf_event_open", EPERM, SYS_perf_event_open, 0, 0, 0);
	call("userfaultfd", EPERM, SYS_userfaultfd, -1, 0, 0);
	for (long nr = 425; nr <= 427; nr++)
		call("io_uring", EPERM, nr, -1, 0, 0);
	call("open_by_handle_at", EPERM, SYS_open_by_handle_at, -1, 0, 0);
	call("kexec_load", EPERM, SYS_kexec_load, 0, 0, 0);
	call("init_module", EPERM, SYS_init_module, 0, 0, 0);
	call("reboot", EPERM, SYS_reboot, 0, 0, 0);
	call("swapoff", EPERM, SYS_swapoff, z, 0, 0);
	call("quotactl", EPERM, SYS_quotactl, 0, 0, 0);
	call("syslog", EPERM, SYS_syslog, 99, 0, 0);
	call("settimeofday", EPERM, SYS_settimeofday, 0, 0, 0);
	call("clock_settime", EPERM, SYS_clock_settime, -1, 0, 0);
	call("adjtimex", EPERM, SYS_adjtimex, 0, 0, 0);
	call("personality", EPERM, SYS_personality, 0x40000, 0, 0);
	call("personality 8", 0, SYS_personality, 8, 0, 0);
	call("personality query", 0, SYS_personality, 0xffffffff, 0, 0);
	call("personality 0", 0, SYS_personality, 0, 0, 0);
	call("kcmp", EPERM, SYS_kcmp, 0, 0, 0);
	call("vhangup", EPERM, SYS_vhangup, 0, 0, 0);
	call("fanotify_init", EPERM, SYS_fanotify_init, -1, 0, 0);
	call("socket packet", EPERM, SYS_socket, 17, 3, 0);
	call("socket alg", EPERM, SYS_socket, 38, 5, 0);
	call("socket vsock", EPERM, SYS_socket, 40, 1, 0);
	call("socket unix", 0, SYS_socket, 1, 1, 0);
	call("TIOCSTI", EPERM, SYS_ioctl, 0, 0x5412, z);
	call("TIOCSTI, 64 bits", EPERM, SYS_ioctl, 0, 0x7700005412, z);
	call("TIOCLINUX", EPERM, SYS_ioctl, 0, 0x541c, z);
	call("another ioctl", ENOTTY, SYS_ioctl, 0, 0x5401, z);
#ifdef __x86_64__
	call("iopl", EPERM, SYS_iopl, 9, 0, 0);
	call("x32 getpid", ENOSYS, 0x40000000 + SYS_getpid, 0, 0, 0);
#endif
	return puts("done"), 0;
}

/* Shows the program, and the libraries it may need, in the root. */
static void
test_probes(void)
{
	static const char *const argv[] = { "/probe", NULL };
	static struct run_mount m[6];
	char *me = realpath("/proc/self/exe", NULL), *name = strrchr(me, '/'), *escape = rt_printf("TEST_PROBE=%s/lower", base);
	const char *env[] = { escape, "ASAN_OPTIONS=detect_leaks=0", NULL };
	static const char *const libs[] = { "/lib", "/lib64", "/usr/lib" };
	struct run_spec spec = { .argv = argv, .env = env, .mounts = m };

	*name = '\0';
	m[spec.nmounts++] = (struct run_mount){ .kind = RUN_MOUNT_BIND, .target = "/probe", .root = *me != '\0' ? me : "/", .source = name + 1 };
	for (size_t i = 0; i < 3; i++)
		if (access(libs[i], F_OK) == 0)
			m[spec.nmounts++] = (struct run_mount){ .kind = RUN_MOUNT_BIND, .target = libs[i], .root = libs[i] };
	/* it is the same program as we are, so "/probe" has to be another file */
	{
		struct str b = { 0 };
		struct rt_err e;
		int dir = open(*me != '\0' ? me : "/", O_PATH | O_CLOEXEC);
		static struct result r;

		run(spec, "", &r);
		check(r.rc == -1 && strstr(r.e.text, "builder's own") != NULL, "our program does not start by a bind mount either");
		if (rt_read_file(dir, name + 1, 256 << 20, &b, &e) < 0)
			printf("# %s\n", e.text);
		close(dir);
		put_bytes("src", "probe", b.s, b.len, 0755);
		str_free(&b);
	}
	free(me);
	me = rt_printf("%s/src", base);
	m[0].root = me;
	m[0].source = "probe";
	expect(spec, "", "inside\n", "double chroot does not escape");
	env[0] = "TEST_PROBE=filter";
	expect(spec, "", "done\n", "the filter refuses and allows");
	spec.user = "u1";
	expect(spec, "", "done\n", "a user's too");
	free(me);
	free(escape);
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
	{
		int in = 0;

		for (int fd = 0; fd < 32; fd++) {
			char cwd[32];

			snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
			run((struct run_spec){ .cwd = cwd }, "true", &r);
			in += r.rc == 0;
		}
		check(in == 0, "no descriptor of ours is a way out");
	}
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
	const char *mode, *probe = getenv("TEST_PROBE");
	struct rt_err e = { 0 };
	int rc = 0;

	if (probe != NULL)
		return *probe == '/' ? probe_escape(probe) : probe_filter();
	need_root();
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
	test_strays();
	test_orphan(NULL);
	test_orphan("u1");
	test_names();
	test_mounts();
	test_probes();
	test_ssh();
	test_traces();
	test_hostile();
	remove_tree();
	printf("1..%d\n", count);
	return bad != 0;
}
