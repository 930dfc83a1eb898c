#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "box.h"

#if defined(__x86_64__)
#define ARCH_OURS AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH_OURS AUDIT_ARCH_AARCH64
#else
#error "seccomp.c knows x86-64 and aarch64 only"
#endif
#define X32_BIT 0x40000000u /* asm/unistd.h __X32_SYSCALL_BIT */

/* CLONE_NEW* but NEWTIME, which clone(2) does not know (its bit is part of the exit signal there). */
#define CLONE_NEW_ANY 0x7e020000u
#define CLONE_NEW_TIME 0x80u

/* Numbers since 5.1 are the same everywhere and newer than many headers: syscalls(2), asm-generic/unistd.h. */
enum {
	NR_IO_URING_SETUP = 425,
	NR_IO_URING_ENTER,
	NR_IO_URING_REGISTER,
	NR_OPEN_TREE,
	NR_MOVE_MOUNT,
	NR_FSOPEN,
	NR_FSCONFIG,
	NR_FSMOUNT,
	NR_FSPICK,
	NR_CLONE3 = 435,
	NR_MOUNT_SETATTR = 442,
	NR_QUOTACTL_FD,
	NR_OPEN_TREE_ATTR = 467,
};

/* security.md S5.3: EPERM whatever the arguments. */
static const short denied[] = {
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_setns, NR_OPEN_TREE, NR_MOVE_MOUNT, NR_FSOPEN, NR_FSCONFIG, NR_FSMOUNT,
	NR_FSPICK, NR_MOUNT_SETATTR, NR_OPEN_TREE_ATTR,
	SYS_keyctl, SYS_add_key, SYS_request_key,
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, NR_IO_URING_SETUP, NR_IO_URING_ENTER, NR_IO_URING_REGISTER,
	SYS_open_by_handle_at, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_create_module
	SYS_create_module, SYS_get_kernel_syms, SYS_query_module,
#endif
	SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, NR_QUOTACTL_FD, SYS_syslog,
	SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
#ifdef SYS_iopl
	SYS_iopl, SYS_ioperm,
#endif
	SYS_kcmp, SYS_vhangup, SYS_fanotify_init,
};
#define N_DENIED (sizeof(denied) / sizeof(denied[0]))

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define IF_EQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define IF_BITS(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, t, f)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define FAIL(errnum) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errnum))
/* The low half of an argument; both supported machines are little-endian. The kernel itself looks only at
   32 bits of the arguments we compare. */
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[n]))

/* Every other system call ABI of the machine: a filter by number would be blind there. */
static const struct sock_filter head[] = {
	LOAD(arch),
	IF_EQ(ARCH_OURS, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
#if defined(__x86_64__)
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
	FAIL(ENOSYS),
#endif
};

/* Calls judged by an argument.  clone3 hides its flags in memory: "not implemented" makes C libraries use clone. */
static const struct sock_filter tail[] = {
	IF_EQ(NR_CLONE3, 0, 1), FAIL(ENOSYS),
	IF_EQ(SYS_clone, 0, 4), LOAD_ARG(0), IF_BITS(CLONE_NEW_ANY, 0, 1), FAIL(EPERM), ALLOW,
	IF_EQ(SYS_unshare, 0, 4), LOAD_ARG(0), IF_BITS(CLONE_NEW_ANY | CLONE_NEW_TIME, 0, 1), FAIL(EPERM), ALLOW,
	/* personality(2): 0, 8 and the query */
	IF_EQ(SYS_personality, 0, 6), LOAD_ARG(0), IF_EQ(0, 3, 0), IF_EQ(8, 2, 0), IF_EQ(0xffffffff, 1, 0), FAIL(EPERM), ALLOW,
	/* socket(2): AF_PACKET, AF_ALG, AF_VSOCK */
	IF_EQ(SYS_socket, 0, 6), LOAD_ARG(0), IF_EQ(17, 2, 0), IF_EQ(38, 1, 0), IF_EQ(40, 0, 1), FAIL(EPERM), ALLOW,
	/* ioctl_tty(2): TIOCSTI, TIOCLINUX write into a terminal's input */
	IF_EQ(SYS_ioctl, 0, 5), LOAD_ARG(1), IF_EQ(0x5412, 1, 0), IF_EQ(0x541c, 0, 1), FAIL(EPERM), ALLOW,
	ALLOW,
	FAIL(EPERM), /* where the denied numbers jump to */
};
#define N_HEAD (sizeof(head) / sizeof(head[0]))
#define N_TAIL (sizeof(tail) / sizeof(tail[0]))

_Static_assert(N_DENIED + N_TAIL < 256, "a jump offset has 8 bits");

/* As root the filter goes in by CAP_SYS_ADMIN so that set-id programs keep working, as with the peers; a user's
   own namespace, and a root without that capability, gets no_new_privs (S5.3). */
int
seccomp_install(struct rt_err *e)
{
	struct sock_filter code[N_HEAD + N_DENIED + N_TAIL];
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	size_t n = 0;

	for (size_t i = 0; i < N_HEAD; i++)
		code[n++] = head[i];
	for (size_t i = 0; i < N_DENIED; i++, n++)
		code[n] = (struct sock_filter)IF_EQ((uint32_t)denied[i], (uint8_t)(N_DENIED - i - 1 + N_TAIL - 1), 0);
	for (size_t i = 0; i < N_TAIL; i++)
		code[n++] = tail[i];
	if (!ns_overlay_user() && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return rt_fail(e, errno, "set no_new_privs");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return rt_fail_status(e, RT_NOMODE, "this kernel takes no system call filter (seccomp, errno %d)", errno);
	return 0;
}
