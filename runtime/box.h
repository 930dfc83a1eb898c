/* Inside of the sandbox a command runs in: what ns.c, run.c, mounts.c, dev.c, caps.c and seccomp.c share. */
#ifndef RT_BOX_H
#define RT_BOX_H

#include <sys/stat.h>

#include "exec.h"

/* How the process is isolated, chosen once by ns_enter. */
enum ns_mode {
	NS_ROOT,   /* root of the host (or of an outer container) */
	NS_RANGE,  /* our user namespace with a range of ids */
	NS_SINGLE, /* our user namespace, only uid 0 and gid 0 exist */
	NS_CHROOT, /* no namespaces at all */
};
enum ns_mode ns_get_mode(void);
/* True when the process itself lives in a chroot: pivot_root then hides nothing from CAP_SYS_CHROOT (S5.1). */
bool ns_in_chroot(void);

/* Mount points that were made for a step and go away with it (execution.md 2 "Mount points"). */
enum stub_kind {
	STUB_DIR,  /* removed when empty */
	STUB_FILE, /* removed when empty */
	STUB_ANY,  /* not a directory, removed whatever is in it */
};
struct stub {
	int parent; /* descriptor of the directory it was made in */
	char *name;
	enum stub_kind kind;
};
struct stubs {
	struct stub *v;
	size_t n;
};
/* Makes sure `path` exists below rootfd (links resolved inside the root), as a directory or an empty file; missing
   parents are made too, 0755.  What was made is noted in `s` (NULL: it stays).  The parent's time is
   left as it was. */
int stubs_make(int rootfd, const char *path, bool dir, struct stubs *s, struct rt_err *e);
/* Notes one that the caller has made in directory `dir`. */
int stubs_note(int dir, const char *name, enum stub_kind kind, struct stubs *s);
/* Removes the stubs that are still empty, last made first, keeping the parents' times; frees the list. */
void stubs_remove(struct stubs *s);

/* Attaches a new file system at the object `fd` refers to, never by the path that led there (S4.2). */
int mount_fd(int fd, const char *type, unsigned long flags, const char *data, struct rt_err *e);
/* Shows the object `src` refers to (`all`: with the mounts below it) at `path` below rootfd, with the BOX_ attributes. */
int mount_bind_at(int src, int rootfd, const char *path, uint64_t attr, bool all, struct rt_err *e);
enum {
	BOX_RDONLY = 0x1, /* MOUNT_ATTR_*, mount_setattr(2): <linux/mount.h> and <sys/mount.h> exclude each other */
	BOX_NOSUID = 0x2,
	BOX_NODEV = 0x4,
	BOX_NOEXEC = 0x8,
};
/* Adds attributes to the mount on `path` (`all`: and to those below it), keeping what the host locked.  Tells by errno. */
int mount_attr_add(const char *path, uint64_t attr, bool all);

/* Whether the mount shows a file, so that its stub is one; -1 with `e`.  *skip: there is nothing to mount. */
int mounts_is_file(const struct run_mount *m, bool *skip, struct rt_err *e);
/* Attaches the step's mounts below rootfd.  devfd is the sandbox's /dev tmpfs, where secrets and
   copies live without a name. */
int mounts_attach(const struct run_spec *s, int rootfd, int devfd, struct rt_err *e);
/* Puts bytes into a file on the /dev tmpfs, takes its name away and shows it at `path` read-only. */
int mounts_bytes(int rootfd, int devfd, const char *path, const void *p, size_t n, mode_t mode, uint32_t uid,
                 uint32_t gid, struct rt_err *e);

/* /dev: attaches the tmpfs below rootfd and fills it; its descriptor, or -1. */
int dev_make(int rootfd, const struct run_spec *s, struct rt_err *e);
/* Inside the root, between two commands: /dev as it was made. */
int dev_tidy(struct rt_err *e);
/* /proc and /sys below rootfd, before the root changes; their masks after it. */
int dev_kernel(int rootfd, struct rt_err *e);
int dev_mask(struct rt_err *e);
/* /etc/hosts and /etc/resolv.conf as copies nobody can write. */
int dev_names(int rootfd, int devfd, const struct run_spec *s, struct rt_err *e);
/* The address of the loopback device in a new network namespace comes up. */
int dev_loopback(struct rt_err *e);

/* Mode chroot, chroot.c. -1 when the step needs what this mode has not. */
int chroot_refuse(const struct run_spec *s, struct rt_err *e);
/* Device nodes and the here-document as stubs in the root itself. */
int chroot_points(int rootfd, const struct run_spec *s, struct stubs *stubs, struct rt_err *e);
/* In the child. */
int chroot_enter(const struct run_spec *s, struct rt_err *e);
/* The children this process had before the step; what comes to it until the end is killed. */
struct strays {
	char before[4096];
};
void chroot_watch(struct strays *w);
void chroot_kill(const struct strays *w, pid_t session);

/* Takes from the process and its children all but the capabilities a step has (S5.2). */
int caps_bound(bool sys_chroot, struct rt_err *e);
/* Changes to `u` for good; `full`: keep what the kernel gives this user. */
int caps_become(const struct user *u, bool full, bool sys_chroot, struct rt_err *e);
/* Installs the system call filter (S5.3). */
int seccomp_install(struct rt_err *e);

/* ---- one command, run.c ------------------------------------------------------------------------------ */

/* What the child leaves behind when it could not become the command. */
struct report {
	bool failed;
	struct rt_err err;
};

/* What the child gets ready-made. */
struct job {
	const struct run_spec *s;
	const char **env;
	struct user user;
	struct stubs stubs;
	struct stat own; /* our own program */
	bool boxed;      /* namespaces and mounts; else mode chroot */
	bool confined;   /* capabilities and filter are in place already (session.c) */
	struct report *report;
	struct rt_err *e; /* the report's, in the child and out of it */
};

/* The environment with HOME; *home is the string to free. */
const char **run_env(const char *const *env, const struct user *u, char **home);
/* The mount points a step needs, made where they are missing. */
int run_points(int rootfd, struct job *j);
/* In the child: mounts everything and makes the new root "/". */
int run_enter_root(struct job *j);
int run_hostname(const struct job *j);
/* Becomes the command or ends with the report filled. */
/* All signals as a fresh process has them. */
void run_signals(void);
void run_become(const struct job *j, int null) __attribute__((noreturn));

#endif
