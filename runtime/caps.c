#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box.h"

/* security.md S5.2: chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap. */
#define CAPS_STEP UINT64_C(0x800405fb)
#define CAPS_SYS_CHROOT (UINT64_C(1) << CAP_SYS_CHROOT)

static uint64_t
caps_wanted(bool sys_chroot)
{
	return sys_chroot ? CAPS_STEP : CAPS_STEP & ~CAPS_SYS_CHROOT;
}

/* The bounding set has to shrink while CAP_SETPCAP is held and is what exec as uid 0 turns into the
   permitted set, capabilities(7).  Numbers end where the kernel says EINVAL. */
int
caps_bound(bool sys_chroot, struct rt_err *e)
{
	uint64_t want = caps_wanted(sys_chroot);

	for (unsigned long cap = 0; cap < 64; cap++) {
		if (want >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break;
			return rt_fail(e, errno, "drop capability %lu", cap);
		}
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return rt_fail(e, errno, "clear the ambient capabilities");
	return 0;
}

/* capset(2): inheritable empty, permitted and effective cut to `want`, which must be held. */
static int
caps_set(uint64_t want, struct rt_err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return rt_fail(e, errno, "read the capabilities");
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(want >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return rt_fail(e, errno, "set the capabilities");
	return 0;
}

/* A user namespace in which only one group is mapped, somebody else's as well as ours, user_namespaces(7). */
static bool
groups_denied(void)
{
	cleanup_fd int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	char word[5];

	return fd >= 0 && read(fd, word, 4) == 4 && memcmp(word, "deny", 4) == 0;
}

/* Plain system calls: the C library's wrappers signal every thread of the process, and the caller may
   share its memory with its parent. */
int
caps_become(const struct user *u, bool full, bool sys_chroot, struct rt_err *e)
{
	if (ns_get_mode() != NS_SINGLE && syscall(SYS_setgroups, u->ngroups, u->groups) < 0 && (errno != EPERM || !groups_denied()))
		return rt_fail(e, errno, "set %zu supplementary groups", u->ngroups);
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0)
		return rt_fail(e, errno, errno == EINVAL ? "group %u needs a range of group ids (subgid(5), newgidmap)"
		                                         : "become group %u", u->gid);
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return rt_fail(e, errno, errno == EINVAL ? "user %u needs a range of user ids (subuid(5), newuidmap)"
		                                         : "become user %u", u->uid);
	if (full && u->uid == 0)
		return 0;
	return caps_set(u->uid == 0 ? caps_wanted(sys_chroot) : 0, e);
}
