/* What the tests of running commands share: a root made of a static busybox, one run, its expectation. */
#ifndef RUNBOX_H
#define RUNBOX_H

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
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/exec.h"

static int count, bad;
static char base[256]; /* the test's directory */
static char root[300];

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

/* ---- a root ------------------------------------------------------------------------------------ */

static void
put_bytes(const char *dir, const char *name, const void *p, size_t n, mode_t mode)
{
	char *path = rt_printf("%s/%s/%s", base, dir, name);
	struct rt_err e;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || rt_write_all(fd, p, n, path, &e) < 0 || fchmod(fd, mode) < 0)
		printf("Bail out! %s: %s\n", path, strerror(errno)), exit(1);
	close(fd);
	free(path);
}

static void
put(const char *dir, const char *name, const char *text, mode_t mode)
{
	put_bytes(dir, name, text, strlen(text), mode);
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

	make_dir("lower", 0755);
	make_dir("lower/bin", 0755);
	make_dir("lower/etc", 0755);
	make_dir("lower/opt", 0755);
	make_dir("lower/tmp", 01777);
	if (rt_read_file(AT_FDCWD, find_busybox(), 64 << 20, &b, &e) < 0)
		printf("Bail out! %s\n", e.text), exit(1);
	put_bytes("lower/bin", "busybox", b.s, b.len, 0755);
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

static int
mtime_of(const char *dir, const char *name)
{
	char *path = rt_printf("%s/%s/%s", base, dir, name);
	struct stat st;
	int rc = lstat(path, &st) < 0 ? -1 : (int)st.st_mtim.tv_sec;

	free(path);
	return rc;
}

/* Ends the test program where it cannot work. */
static void
need_root(void)
{
	if (geteuid() == 0 && find_busybox() != NULL)
		return;
	printf("1..0 # SKIP %s\n", geteuid() != 0 ? "needs root" : "needs a static busybox");
	exit(0);
}

#endif
