#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "box.h"
#include "path.h"

/* ---- /dev -------------------------------------------------------------------------------------- */

/* Linux Documentation/admin-guide/devices.txt; nothing else is in a step's /dev (S5.4). */
static const struct node {
	const char *name;
	unsigned major, minor;
} nodes[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};
static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
};

/* A user namespace may not make devices, mknod(2): the host's node is shown instead. */
static int
node_bind(int dev, const struct node *n, struct rt_err *e)
{
	cleanup_free char *host = rt_printf("/dev/%s", n->name);
	cleanup_fd int src = open(host, O_PATH | O_CLOEXEC), file = -1;
	struct stat st;

	if (src < 0 || fstat(src, &st) < 0)
		return rt_fail(e, errno, "open %s", host);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(n->major, n->minor))
		return rt_fail(e, 0, "the host's %s is not that device", host);
	file = openat(dev, n->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (file < 0)
		return rt_fail(e, errno, "make %s", host);
	return mount_bind_at(src, dev, n->name, BOX_NOSUID | BOX_NOEXEC, false, e);
}

static int
make_nodes(int dev, struct rt_err *e)
{
	bool bind = ns_overlay_user();

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		if (!bind && mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) == 0)
			continue;
		if (!bind && errno != EPERM)
			return rt_fail(e, errno, "make /dev/%s", nodes[i].name);
		bind = true;
		if (node_bind(dev, &nodes[i], e) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return rt_fail(e, errno, "make /dev/%s", links[i].name);
	return 0;
}

/* gid 5 is "tty" everywhere; where that id is not mapped the slaves stay with their user, kernel
   Documentation/filesystems/devpts.rst. */
static int
make_pts(int dev, struct rt_err *e)
{
	static const char options[] = "newinstance,ptmxmode=0666,mode=0620,gid=5", without[] = "newinstance,ptmxmode=0666,mode=0620";
	cleanup_fd int fd = -1;

	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 01777) < 0)
		return rt_fail(e, errno, "make /dev/pts and /dev/shm");
	fd = openat(dev, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mount_fd(fd, "devpts", MS_NOSUID | MS_NOEXEC, options, e) == 0)
		return 0;
	return mount_fd(fd, "devpts", MS_NOSUID | MS_NOEXEC, without, e);
}

/* A here-document that is its own program, language.md "RUN", lies in /dev/pipes: no stub in the image. */
static int
make_script(int dev, const struct run_spec *s, struct rt_err *e)
{
	cleanup_fd int dir = -1, fd = -1;

	if (s->script == NULL)
		return 0;
	if (s->script_name == NULL || *s->script_name == '\0' || *s->script_name == '.' || strchr(s->script_name, '/') != NULL)
		return rt_fail(e, 0, "a here-document cannot be called \"%s\"", s->script_name != NULL ? s->script_name : "");
	if (mkdirat(dev, "pipes", 0755) < 0)
		return rt_fail(e, errno, "make /dev/pipes");
	dir = openat(dev, "pipes", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, s->script_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0)
		return rt_fail(e, errno, "make /dev/pipes/%s", s->script_name);
	return rt_write_all(fd, s->script, s->script_len, s->script_name, e);
}

/* One tmpfs is /dev and /dev/shm, hence twice the 64 MiB each of them has with docker. */
int
dev_make(int rootfd, const struct run_spec *s, struct rt_err *e)
{
	cleanup_fd int at = path_open(rootfd, "/dev", O_PATH | O_DIRECTORY, 0), dev = -1;
	int fd;

	if (at < 0)
		return rt_fail(e, errno, "open /dev of the root");
	if (mount_fd(at, "tmpfs", MS_NOSUID, "mode=755,size=128m", e) < 0)
		return rt_prefix(e, "/dev");
	dev = path_open(rootfd, "/dev", O_PATH | O_DIRECTORY, 0);
	if (dev < 0)
		return rt_fail(e, errno, "open /dev");
	if (make_nodes(dev, e) < 0 || make_pts(dev, e) < 0 || make_script(dev, s, e) < 0)
		return -1;
	fd = dev;
	dev = -1;
	return fd;
}

/* Between two commands of one sandbox: what the first has left in /dev is not for the second. */
int
dev_tidy(struct rt_err *e)
{
	static const char *const keep[] = { ".", "..", "pts", "shm" };
	DIR *d = opendir("/dev");
	int rc = 0;

	for (struct dirent *entry; d != NULL && rc == 0 && (entry = readdir(d)) != NULL;) {
		bool known = false;

		for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
			known = known || strcmp(entry->d_name, keep[i]) == 0;
		for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
			known = known || strcmp(entry->d_name, nodes[i].name) == 0;
		for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
			known = known || strcmp(entry->d_name, links[i].name) == 0;
		rc = known ? 0 : rt_remove_tree(dirfd(d), entry->d_name, e);
	}
	if (d != NULL && rc == 0 && (rc = rt_remove_tree(dirfd(d), "shm", e)) == 0)
		rc = mkdirat(dirfd(d), "shm", 01777) < 0 || fchmodat(dirfd(d), "shm", 01777, 0) < 0 ? rt_fail(e, errno, "make /dev/shm") : 0;
	if (d != NULL)
		closedir(d);
	return rc;
}

/* ---- /proc and /sys ------------------------------------------------------------------------------ */

/* The host's /sys cannot be mounted anew by a user namespace that does not own the network; it is shown read-only
   with all below it, or not at all. */
static int
make_sys(int rootfd, struct rt_err *e)
{
	cleanup_fd int at = path_open(rootfd, "/sys", O_PATH | O_DIRECTORY, 0), host = -1;
	struct rt_err unused;

	if (at < 0)
		return rt_fail(e, errno, "open /sys of the root");
	if (mount_fd(at, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, &unused) == 0)
		return 0;
	host = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host >= 0)
		(void)mount_bind_at(host, rootfd, "/sys", BOX_RDONLY | BOX_NOSUID | BOX_NODEV | BOX_NOEXEC, true, &unused);
	return 0;
}

int
dev_kernel(int rootfd, struct rt_err *e)
{
	cleanup_fd int at = path_open(rootfd, "/proc", O_PATH | O_DIRECTORY, 0);

	if (at < 0)
		return rt_fail(e, errno, "open /proc of the root");
	if (mount_fd(at, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, e) < 0) {
		if (errno == EPERM)
			rt_fail(e, 0, "no own /proc: the host hides parts of its /proc from us, as inside another container");
		e->status = RT_NOMODE;
		return -1;
	}
	return make_sys(rootfd, e);
}

/* The kernel's own file systems hold no names of the image, so plain paths are safe once "/" is the root: security.md S5.4.
   What a kernel does not have needs no mask. */
int
dev_mask(struct rt_err *e)
{
	static const char *const hidden[] = {
		"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/timer_stats", "/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	};
	static const char *const fixed[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
	const unsigned long safe = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	const char *empty = NULL; /* one empty file system serves every directory: making them is what costs */

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (mount("/dev/null", hidden[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
			continue;
		if (errno == ENOTDIR && empty != NULL && mount(empty, hidden[i], NULL, MS_BIND, NULL) == 0)
			continue;
		if (errno == ENOTDIR && mount("tmpfs", hidden[i], "tmpfs", safe, "mode=555,size=0") == 0) {
			empty = hidden[i];
			continue;
		}
		return rt_fail(e, errno, "mask %s", hidden[i]);
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (mount(fixed[i], fixed[i], NULL, MS_BIND, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			return rt_fail(e, errno, "bind %s", fixed[i]);
		}
		if (mount_attr_add(fixed[i], BOX_RDONLY, false) < 0)
			return rt_fail(e, errno, "make %s read-only", fixed[i]);
	}
	return 0;
}

/* ---- names and the network ------------------------------------------------------------------------- */

/* resolv.conf(5) without name servers that are not there once the network is our own. */
static void
add_resolv(struct str *out, const char *text, bool net_none)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		const char *arg = text + 10 + strspn(text + (n >= 10 ? 10 : n), " \t");
		bool loop = n > 10 && strncmp(text, "nameserver", 10) == 0 && (strncmp(arg, "127.", 4) == 0 || strncmp(arg, "::1", 3) == 0);

		if (!net_none || !loop) {
			str_add(out, text, n);
			str_putc(out, '\n');
		}
		text += text[n] == '\n' ? n + 1 : n;
	}
}

static int
read_resolv(struct str *out, bool net_none)
{
	cleanup_fd int fd = open("/etc/resolv.conf", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char text[16384];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	str_add(out, "", 0);
	if (n > 0) {
		text[n] = '\0';
		add_resolv(out, text, net_none);
	}
	return 0;
}

static void
hosts_text(struct str *b, const struct run_spec *s)
{
	str_printf(b, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n",
	           s->hostname != NULL ? s->hostname : "buildkitsandbox");
	for (size_t i = 0; s->add_hosts != NULL && s->add_hosts[i] != NULL; i++) {
		const char *line = s->add_hosts[i];
		size_t name = strcspn(line, " \t"), gap = strspn(line + name, " \t");

		str_printf(b, "%s\t%.*s\n", line + name + gap, (int)name, line);
	}
}

int
dev_names(int rootfd, int devfd, const struct run_spec *s, struct rt_err *e)
{
	struct str hosts = { 0 }, resolv = { 0 };
	int rc;

	hosts_text(&hosts, s);
	read_resolv(&resolv, s->net_none);
	rc = mounts_bytes(rootfd, devfd, "/etc/hosts", hosts.s, hosts.len, 0644, 0, 0, e);
	if (rc == 0)
		rc = mounts_bytes(rootfd, devfd, "/etc/resolv.conf", resolv.s, resolv.len, 0644, 0, 0, e);
	str_free(&hosts);
	str_free(&resolv);
	return rc;
}

/* netdevice(7); the addresses 127.0.0.1 and ::1 come with the flag. */
int
dev_loopback(struct rt_err *e)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return rt_fail(e, errno, "start the loopback device");
	return 0;
}
