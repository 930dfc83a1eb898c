/* Running commands in a root: isolation, overlay roots, mounts, users. */
#ifndef RT_EXEC_H
#define RT_EXEC_H

#include "rt.h"

/* Enters, once per process and for everything that follows, what the host allows: as root a private
   mount namespace; else a user namespace (uid range by newuidmap/newgidmap when the host grants one, else the
   single uid) with a mount namespace.  `want`: NULL or "auto", "root", "userns", "chroot" ($DOCKCC_MODE).
   *mode receives the static word that was chosen.  RT_NOMODE with the reason when nothing works. */
int ns_enter(const char *want, const char **mode, struct rt_err *e);
/* True when overlay marks must be user.overlay.* (inside our user namespace). */
bool ns_overlay_user(void);
/* A further private mount namespace for a forked worker. */
int ns_private(struct rt_err *e);

/* Mounts at `target` the layers `lower` (absolute directories, lowest first, any number) with `upper` and `work`
   on top (both NULL: read-only), volatile,xino=off,index=off,metacopy=off.  One lower directory and no upper
   is a read-only bind. Works for 500 layers (fsconfig lowerdir+, else a scratch directory of short names). */
int overlay_mount(const char *target, const struct list *lower, const char *upper, const char *work, struct rt_err *e);
int overlay_umount(const char *target, struct rt_err *e);

/* Who a USER string means inside the root (spec execution.md 2 "User"). */
struct user {
	uint32_t uid, gid;
	uint32_t groups[64];
	size_t ngroups;
	char *home; /* malloc'd */
};
int user_resolve(int rootfd, const char *spec, struct user *u, struct rt_err *e);
/* --chown (language.md 6 COPY/ADD): unknown names become 0; on `empty` root a name is an error. */
int user_chown(int rootfd, const char *spec, bool empty, uint32_t *uid, uint32_t *gid, struct rt_err *e);

enum run_mount_kind { RUN_MOUNT_BIND, RUN_MOUNT_CACHE, RUN_MOUNT_TMPFS, RUN_MOUNT_SECRET, RUN_MOUNT_SSH };
struct run_mount {
	enum run_mount_kind kind;
	const char *target;   /* absolute in the root */
	const char *root;     /* bind, cache: absolute host directory `source` is resolved in (in-root); NULL: none.  For a
	                         cache this is the cache directory itself, which exists */
	const char *source;   /* path inside root, "" or "/" : its root */
	bool readonly, rw_discard; /* rw_discard: a throw-away overlay over the bind */
	const char *scratch;  /* rw_discard: an existing empty host directory for upper and work */
	const char *secret;   /* secret: the bytes; ssh: host path of the agent socket or NULL */
	size_t secret_len;
	uint32_t mode, uid, gid;
	uint64_t size;        /* tmpfs, 0: no limit */
};

struct run_spec {
	const char *root;       /* mounted root directory */
	const char *const *argv; /* NULL-terminated */
	const char *const *env;  /* NULL-terminated, complete but for HOME */
	const char *cwd;        /* absolute; created when missing */
	const char *user;       /* USER string or NULL */
	const char *hostname;   /* NULL: buildkitsandbox */
	const char *const *add_hosts; /* NULL-terminated "name ip" lines or NULL */
	const struct run_mount *mounts;
	size_t nmounts;
	const char *script_name, *script; /* shape 1 here-document: shown as /dev/pipes/NAME, mode 0755; or NULL */
	size_t script_len;
	bool net_none;          /* only loopback */
	bool insecure;          /* no capability drop, no seccomp filter */
	int out_fd;             /* stdout and stderr of the command: a pipe's write end */
	int in_fd;              /* its stdin; 0: nothing */
	bool terminal;          /* in_fd and out_fd are a terminal of its own, which becomes its controlling one */
};
/* Runs the command to its end (security.md S5: own mnt, pid, ipc, uts, cgroup namespaces, own /proc, /dev, masked
   paths, capabilities, seccomp, every process of it dead when this returns), stubs for mount points
   removed again.  *status: 0..255 exit status, 128+N for signal N (`*signal` = N). -1: could not be run (status 127 is
   NOT used for that; e->status is 1 when the program is not there). */
int run_command(const struct run_spec *spec, int *status, int *signal, struct rt_err *e);

/* Several commands in one sandbox, for a chain of RUNs that make one layer: root, namespaces and mounts are made
   once, every process of a command is dead before the next one starts. */
struct run_session {
	int pid, ctl;            /* of the sandbox's pid 1 */
	struct session_memory *memory; /* shared with it */
	int rootfd;
	void *stubs;
};
/* True when the commands may share a sandbox: no mounts, no script, the host's network, confined. */
bool run_session_fits(const struct run_spec *specs, size_t n);
/* Starts the sandbox of `specs`, which must stay as they are; all have the same root, host name and hosts. */
int run_session_start(const struct run_spec *specs, size_t n, struct run_session *s, struct rt_err *e);
/* As run_command, for specs[i]. */
int run_session_step(struct run_session *s, size_t i, int *status, int *signal, struct rt_err *e);
void run_session_end(struct run_session *s);

#endif
