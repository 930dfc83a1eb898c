#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box.h"

/* fsopen(2) and friends came with 5.2, "lowerdir+" with 6.5.  The C libraries in use have no
   wrappers and their headers clash with the kernel's. */
enum { NR_MOVE_MOUNT = 429, NR_FSOPEN = 430, NR_FSCONFIG = 431, NR_FSMOUNT = 432 };
enum { CONFIG_FLAG = 0, CONFIG_STRING = 1, CONFIG_CREATE = 6 };
enum { OPEN_CLOEXEC = 1, MOVE_FROM_EMPTY = 0x04, MOVE_TO_LINKS = 0x10 }; /* links: a target may be /proc/self/fd/N */

/* kernel Documentation/filesystems/overlayfs.rst.  volatile: no sync of the whole upper file system at unmount.
   redirect_dir=nofollow (in a user namespace nothing else is taken): a rename of a lower directory fails with EXDEV and is done
   by copying, so that an upper directory never means a tree that is somewhere else. */
static const struct option {
	const char *key, *value;
	bool optional; /* younger than the oldest kernel we run on */
} options[] = {
	{ "volatile", NULL, true },      /* 5.10 */
	{ "xino", "off", true },         /* 4.17 */
	{ "index", "off", true },        /* 4.13 */
	{ "metacopy", "off", true },     /* 4.19 */
	{ "redirect_dir", "nofollow", true }, /* 4.15 */
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int
config(int fs, int what, const char *key, const char *value)
{
	return (int)syscall(NR_FSCONFIG, fs, what, key, value, 0);
}

/* Backslashes (and for an option string `also`) get a backslash, overlayfs takes it away again. */
static char *
escaped(const char *path, const char *also)
{
	struct str b = { 0 };

	for (; *path != '\0'; path++) {
		if (*path == '\\' || strchr(also, *path) != NULL)
			str_putc(&b, '\\');
		str_putc(&b, *path);
	}
	return b.s;
}

/* The kernel's own words for what fsconfig refused, fsopen(2) "message retrieval". */
static int
config_fail(int fs, const char *what, struct rt_err *e)
{
	int errnum = errno;
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 0)
		return rt_fail(e, errnum, "overlay: %s", what);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return rt_fail(e, errnum, "overlay: %s (%s)", what, text);
}

static int
config_options(int fs, bool writable, struct rt_err *e)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (i == 0 && !writable)
			continue;
		if (config(fs, options[i].value != NULL ? CONFIG_STRING : CONFIG_FLAG, options[i].key, options[i].value) < 0 &&
		    !options[i].optional)
			return config_fail(fs, options[i].key, e);
	}
	if (ns_overlay_user() && config(fs, CONFIG_FLAG, "userxattr", NULL) < 0)
		return config_fail(fs, "userxattr", e);
	return 0;
}

/* 1: this kernel cannot do it this way. */
static int
mount_by_config(const char *target, const struct list *lower, const char *upper, const char *work, struct rt_err *e)
{
	cleanup_fd int fs = (int)syscall(NR_FSOPEN, "overlay", OPEN_CLOEXEC), mnt = -1;
	cleanup_free char *up = upper != NULL ? escaped(upper, "") : NULL, *wk = upper != NULL ? escaped(work, "") : NULL;

	if (fs < 0)
		return errno == ENOSYS || errno == EPERM ? 1 : rt_fail(e, errno, "overlay");
	for (size_t i = lower->n; i-- > 0;) {
		if (config(fs, CONFIG_STRING, "lowerdir+", lower->v[i]) == 0)
			continue;
		return errno == EINVAL && i + 1 == lower->n ? 1 : config_fail(fs, lower->v[i], e);
	}
	if (upper != NULL && (config(fs, CONFIG_STRING, "upperdir", up) < 0 || config(fs, CONFIG_STRING, "workdir", wk) < 0))
		return config_fail(fs, upper, e);
	if (config_options(fs, upper != NULL, e) < 0)
		return -1;
	if (config(fs, CONFIG_CREATE, NULL, NULL) < 0)
		return config_fail(fs, target, e);
	mnt = (int)syscall(NR_FSMOUNT, fs, OPEN_CLOEXEC, BOX_NODEV);
	if (mnt < 0)
		return config_fail(fs, target, e);
	if (syscall(NR_MOVE_MOUNT, mnt, "", AT_FDCWD, target, MOVE_FROM_EMPTY | MOVE_TO_LINKS) < 0)
		return rt_fail(e, errno, "overlay: attach at %s", target);
	return 0;
}

static void
options_text(struct str *b, bool writable, size_t first)
{
	for (size_t i = first; i < N_OPTIONS; i++)
		if (i > 0 || writable)
			str_printf(b, ",%s%s%s", options[i].key, options[i].value != NULL ? "=" : "",
			           options[i].value != NULL ? options[i].value : "");
	if (ns_overlay_user())
		str_puts(b, ",userxattr");
}

/* mount(2) takes one page of options: the layers are opened and called by their descriptor numbers, relative
   to /proc/self/fd as working directory.  *fds are the caller's to close. */
static int
lower_names(const struct list *lower, struct str *b, int *fds, struct rt_err *e)
{
	for (size_t i = lower->n; i-- > 0;) {
		fds[i] = open(lower->v[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			return rt_fail(e, errno, "open layer %s", lower->v[i]);
		str_printf(b, "%s%d", i + 1 < lower->n ? ":" : "lowerdir=", fds[i]);
	}
	return 0;
}

static int
mount_in_fds(const char *target, const char *lower, const char *upper, const char *work, struct rt_err *e)
{
	cleanup_free char *up = upper != NULL ? escaped(upper, ",:") : NULL, *wk = upper != NULL ? escaped(work, ",:") : NULL;
	int rc = -1;

	for (size_t first = 0; rc < 0 && first <= N_OPTIONS; first += first == 0 ? 1 : N_OPTIONS - 1) {
		struct str b = { 0 };

		str_puts(&b, lower);
		if (upper != NULL)
			str_printf(&b, ",upperdir=%s,workdir=%s", up, wk);
		options_text(&b, upper != NULL, first);
		rc = b.len < 4096 ? mount("overlay", target, "overlay", MS_NODEV, b.s)
		                  : rt_fail(e, 0, "overlay: %zu bytes of options", b.len);
		str_free(&b);
		if (rc < 0 && errno != EINVAL)
			break;
	}
	return rc < 0 ? rt_fail(e, errno, "mount overlay on %s", target) : 0;
}

static int
mount_by_numbers(const char *target, const struct list *lower, const char *upper, const char *work, struct rt_err *e)
{
	cleanup_fd int cwd = open(".", O_PATH | O_CLOEXEC);
	cleanup_free int *fds = rt_alloc((lower->n + 1) * sizeof(*fds));
	struct rlimit files;
	struct str b = { 0 };
	int rc;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	memset(fds, 0xff, (lower->n + 1) * sizeof(*fds));
	rc = lower_names(lower, &b, fds, e);
	if (rc == 0 && chdir("/proc/self/fd") < 0)
		rc = rt_fail(e, errno, "overlay: /proc/self/fd");
	if (rc == 0)
		rc = mount_in_fds(target, b.s, upper, work, e);
	if (cwd < 0 || fchdir(cwd) < 0) /* the old directory is gone: any will do */
		rc |= chdir("/");
	for (size_t i = 0; i < lower->n; i++)
		rt_close_fd(&fds[i]);
	str_free(&b);
	return rc;
}

/* One directory alone needs no overlay. */
static int
mount_bind(const char *target, const char *source, bool readonly, struct rt_err *e)
{
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return rt_fail(e, errno, "bind %s on %s", source, target);
	if (mount_attr_add(target, readonly ? BOX_NODEV | BOX_RDONLY : BOX_NODEV, false) < 0)
		return rt_fail(e, errno, "remount %s", target);
	return 0;
}

/* A volatile layer keeps a mark that forbids its next mount, also when the last one ended well (overlayfs.rst "Volatile
   mount").  Whether an upper is whole is for the caller's own marks to say, so ours goes.  True: try again. */
static bool
forget_volatile(const char *work)
{
	cleanup_free char *mark = rt_printf("%s/work/incompat", work);
	struct rt_err unused;

	return access(mark, F_OK) == 0 && rt_remove_tree(AT_FDCWD, mark, &unused) == 0;
}

int
overlay_mount(const char *target, const struct list *lower, const char *upper, const char *work, struct rt_err *e)
{
	int rc = -1;

	if (lower->n == 0 && upper == NULL)
		return rt_fail(e, 0, "overlay on %s: no layers", target);
	if (lower->n == 0)
		return mount_bind(target, upper, false, e);
	if (lower->n == 1 && upper == NULL)
		return mount_bind(target, lower->v[0], true, e);
	for (int again = 0; again < 2; again++) {
		rc = mount_by_config(target, lower, upper, work, e);
		if (rc == 1)
			rc = mount_by_numbers(target, lower, upper, work, e);
		if (rc == 0 || upper == NULL || !forget_volatile(work))
			break;
	}
	return rc;
}

int
overlay_umount(const char *target, struct rt_err *e)
{
	if (umount2(target, UMOUNT_NOFOLLOW) == 0 || (errno == EBUSY && umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0))
		return 0;
	return rt_fail(e, errno, "unmount %s", target);
}
