#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "path.h"

/* The poor man's mode, only when asked for: no namespace, no mount.  What cannot be had is refused, not imitated; /dev
   consists of stubs that go away after the step. */

int
chroot_refuse(const struct run_spec *s, struct rt_err *e)
{
	for (size_t i = 0; i < s->nmounts; i++) {
		bool skip;

		if (mounts_is_file(&s->mounts[i], &skip, e) < 0)
			return -1;
		if (!skip)
			return rt_fail_status(e, RT_NOMODE, "a mount on %s needs a mount namespace, which mode chroot has not",
			                      s->mounts[i].target);
	}
	if (s->net_none)
		return rt_fail_status(e, RT_NOMODE, "network=none needs a network namespace, which mode chroot has not");
	return 0;
}

static int
make_node(int dev, const char *name, unsigned minor, struct stubs *stubs)
{
	if (mknodat(dev, name, S_IFCHR | 0666, makedev(1, minor)) < 0)
		return errno == EEXIST || errno == EPERM ? 0 : -1;
	(void)fchmodat(dev, name, 0666, 0);
	return stubs_note(dev, name, STUB_ANY, stubs);
}

/* The here-document of a step, where the other modes have it. */
static int
make_script(int rootfd, const struct run_spec *s, struct stubs *stubs, struct rt_err *e)
{
	cleanup_fd int dir = -1, fd = -1;

	if (s->script == NULL)
		return 0;
	if (s->script_name == NULL || *s->script_name == '\0' || strchr(s->script_name, '/') != NULL)
		return rt_fail(e, 0, "a here-document without a name");
	if (stubs_make(rootfd, "/dev/pipes", true, stubs, e) < 0)
		return -1;
	dir = path_open(rootfd, "/dev/pipes", O_PATH | O_DIRECTORY, 0);
	fd = openat(dir, s->script_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
	if (fd < 0 || stubs_note(dir, s->script_name, STUB_ANY, stubs) < 0)
		return rt_fail(e, errno, "make /dev/pipes/%s", s->script_name);
	return rt_write_all(fd, s->script, s->script_len, s->script_name, e);
}

int
chroot_points(int rootfd, const struct run_spec *s, struct stubs *stubs, struct rt_err *e)
{
	static const struct {
		const char *name;
		unsigned minor;
	} nodes[] = { { "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 } };
	cleanup_fd int dev = -1;

	if (stubs_make(rootfd, "/dev", true, stubs, e) < 0)
		return -1;
	dev = path_open(rootfd, "/dev", O_PATH | O_DIRECTORY, 0);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (make_node(dev, nodes[i].name, nodes[i].minor, stubs) < 0)
			return rt_fail(e, errno, "make /dev/%s", nodes[i].name);
	return make_script(rootfd, s, stubs, e);
}

int
chroot_enter(const struct run_spec *s, struct rt_err *e)
{
	if (chroot(s->root) < 0 || chdir("/") < 0)
		return rt_fail(e, errno, "change the root to %s", s->root);
	return 0;
}

/* Our children's numbers, blank after each: proc(5) "children".  Empty where the kernel does not tell. */
static void
list_children(char *text, size_t size)
{
	char path[64];
	cleanup_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text[0] = ' '; /* so that every number stands between blanks */
	n = fd < 0 ? 0 : read(fd, text + 1, size - 2);
	text[n > 0 ? n + 1 : 1] = '\0';
}

void
chroot_watch(struct strays *w)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	list_children(w->before, sizeof(w->before));
}

/* Orphans of the step have become our children, prctl(2) PR_SET_CHILD_SUBREAPER; killing one may bring more. */
void
chroot_kill(const struct strays *w, pid_t session)
{
	char now[sizeof(w->before)], one[16];
	bool again = true;

	kill(-session, SIGKILL);
	while (again) {
		char *save = NULL;

		again = false;
		list_children(now, sizeof(now));
		for (char *p = strtok_r(now, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save)) {
			snprintf(one, sizeof(one), " %s ", p);
			if (strstr(w->before, one) != NULL || kill(atoi(p), SIGKILL) < 0)
				continue;
			while (waitpid(atoi(p), NULL, 0) < 0 && errno == EINTR)
				continue;
			again = true;
		}
	}
}
