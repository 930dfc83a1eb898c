/* How steps are isolated where the host allows less, overlay roots, and what the system call filter says: security.md S5.1, S5.3. */
#include "runbox.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

static char left[256]; /* a directory a child could not remove */

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

/* An upper layer is mounted a second time, and alone. */
static void
test_again(void)
{
	struct rt_err e = { 0 };
	struct list none = { 0 };
	char *upper = rt_printf("%s/upper", base);

	check(mount_root(&e), "a fresh layer");
	expect((struct run_spec){ 0 }, "rm /etc/group; mv /opt /opt2; echo x >/x", "", "a step");
	check(overlay_umount(root, &e) == 0 && mount_root(&e), "the same layer again");
	expect((struct run_spec){ 0 }, "ls -d /etc/group /opt /opt2 2>/dev/null; cat /x", "/opt2\nx\n", "it kept what the step did");
	overlay_umount(root, &e);
	check(overlay_mount(root, &none, upper, NULL, &e) == 0 && mtime_of("root", "x") > 0, "an upper without lower layers");
	check(overlay_umount(root, &e) == 0 && mtime_of("root", "x") == -1, "unmounted");
	check(overlay_mount(root, &none, NULL, NULL, &e) == -1, "nothing is an error");
	free(upper);
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
	const struct run_mount secret = { .kind = RUN_MOUNT_SECRET, .target = "/run/secrets/s", .secret = "x", .secret_len = 1, .mode = 0400 };
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
	/* the change of user has made our memory undumpable, prctl(2), and /proc/self somebody else's */
	expect((struct run_spec){ .mounts = &secret, .nmounts = 1 }, "cat /run/secrets/s", "x", "and one more step with a mount");
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

/* ---- an old kernel --------------------------------------------------------------------------------- */

/* Before 5.1: no fsopen, open_tree, move_mount, mount_setattr, openat2, close_range. */
static int
old_kernel(const char *want)
{
#define NR(n, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, skip, 0)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		NR(428, 9), NR(429, 8), NR(430, 7), NR(431, 6), NR(432, 5), NR(433, 4), NR(436, 3), NR(437, 2), NR(442, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	const char *mode;
	struct rt_err e = { 0 };
	char *src;
	struct run_mount m[2] = {
		{ .kind = RUN_MOUNT_BIND, .target = "/in" },
		{ .kind = RUN_MOUNT_SECRET, .target = "/run/s", .secret = "x", .secret_len = 1, .mode = 0400 },
	};

	(void)want;
	if (!make_tree("dockcc-old") || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return 1;
	m[0].root = src = rt_printf("%s/lower/etc", base);
	check(ns_enter(NULL, &mode, &e) == 0 && mount_root(&e), "an overlay root on an old kernel");
	expect((struct run_spec){ .mounts = m, .nmounts = 2 }, "cat /run/s; ls /in; { echo >/run/s; } 2>&1 | grep -c -i read-only; "
	       "touch /in/x 2>&1 | grep -c -i read-only; { echo x >/proc/sys/kernel/hostname; } 2>&1 | grep -c -i read-only; ls /proc/self/fd | tr '\\n' ' '",
	       "xgroup\npasswd\n1\n1\n1\n0 1 2 3 ", "a step on an old kernel");
	test_layers(100);
	test_layers(500);
	remove_tree();
	free(src);
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

int
main(void)
{
	const char *mode;
	struct rt_err e = { 0 };

	need_root();
	in_child(as_user, "userns");
	in_child(as_user, "userns-single");
	in_child(in_chroot, "mount");
	in_child(in_chroot, "directory");
	in_child(only_chroot, "chroot");
	in_child(old_kernel, "old");
	if (!make_tree("dockcc-box") || ns_enter("root", &mode, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	test_again();
	test_layers(2);
	test_layers(100);
	test_layers(500);
	remove_tree();
	printf("1..%d\n", count);
	return bad != 0;
}
