#include "prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
own(struct prepared *m, char *s)
{
	list_add(&m->owned, s);
	free(s);
	return m->owned.v[m->owned.n - 1];
}

static int
octal(const char *s, uint32_t otherwise, uint32_t *out, const char *what, struct rt_err *e)
{
	char *end;

	if (s == NULL || *s == '\0') {
		*out = otherwise;
		return 0;
	}
	*out = (uint32_t)strtoul(s, &end, 8);
	return *end == '\0' && *out <= 07777 ? 0 : rt_fail_status(e, RT_USAGE, "--mount: %s=%s is no octal mode", what, s);
}

static int
number(const char *s, uint32_t *out, const char *what, struct rt_err *e)
{
	char *end;
	unsigned long n;

	*out = 0;
	if (s == NULL || *s == '\0')
		return 0;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (*end != '\0' || errno != 0 || n > UINT32_MAX - 1 || *s == '-')
		return rt_fail_status(e, RT_USAGE, "--mount: %s=%s is no id", what, s);
	*out = (uint32_t)n;
	return 0;
}

/* Bytes with an optional k, m or g suffix, powers of 1024. */
static int
bytes(const char *s, uint64_t *out, struct rt_err *e)
{
	char *end;
	unsigned shift = 0;

	*out = 0;
	if (s == NULL || *s == '\0')
		return 0;
	*out = strtoull(s, &end, 10);
	switch (*end | 0x20) {
	case 'k': shift = 10; break;
	case 'm': shift = 20; break;
	case 'g': shift = 30; break;
	case 't': shift = 40; break;
	}
	if (shift != 0)
		end += end[1] == 'b' || end[1] == 'B' ? 2 : 1;
	else if ((*end | 0x20) == 'b')
		end++;
	if (*end != '\0' || end == s || *out > (UINT64_MAX >> shift))
		return rt_fail_status(e, RT_USAGE, "--mount: size=%s is no size", s);
	*out <<= shift;
	return 0;
}

static char *
scratch_dir(const char *scratch, struct rt_err *e)
{
	char *dir = rt_printf("%s/mount-XXXXXX", scratch);

	if (mkdtemp(dir) != NULL && chmod(dir, 0755) == 0)
		return dir;
	rt_fail(e, errno, "make %s", dir);
	free(dir);
	return NULL;
}

/* Copies `source` of a view into `dir` as the step will see it: filtered, owned by root. */
static int
copy_view(struct source_view *v, const char *source, const char *dir, struct rt_err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *path = source != NULL && *source != '\0' ? source : "/";
	struct copy_spec spec = { .paths = &path, .npaths = 1, .dest = "/source", .workdir = "/", .unpack = -1, .epoch = -1 };
	int rc = fd < 0 ? rt_fail(e, errno, "open %s", dir) : copy_run(&v->source, fd, &spec, e);

	rt_close_fd(&fd);
	return rc;
}

static int
prepare_bind(struct build *b, const struct plan_mount *p, const char *scratch, struct prepared *m, struct run_mount *r,
             struct rt_err *e)
{
	struct source_view v;
	char *dir;
	int rc = 0;

	if (view_open(b, p->origin, p->from, scratch, &v, e) < 0)
		return -1;
	r->source = p->source;
	if (v.source.is_context) {
		if ((dir = scratch_dir(scratch, e)) == NULL)
			rc = -1;
		else {
			rc = copy_view(&v, p->source, dir, e);
			r->root = own(m, dir);
			r->source = "/source";
		}
	} else {
		r->root = own(m, rt_strdup(v.dir));
	}
	view_close(&v);
	r->readonly = !p->readwrite;
	if (rc == 0 && p->readwrite) {
		r->rw_discard = true;
		if ((dir = scratch_dir(scratch, e)) == NULL)
			return -1;
		r->scratch = own(m, dir);
	}
	return rc;
}

/* A fresh cache directory: empty, or a copy of what `from` and `source` name. */
static int
fill_cache(struct build *b, const struct plan_mount *p, const struct run_mount *r, const char *dir, const char *scratch,
           struct rt_err *e)
{
	char *fresh = scratch_dir(scratch, e), *from = NULL;
	struct source_view v;
	int rc;

	if (fresh == NULL)
		return -1;
	if (p->origin == FROM_NOTHING) {
		rc = chmod(fresh, r->mode) < 0 || chown(fresh, r->uid, r->gid) < 0 ? rt_fail(e, errno, "make %s", dir) : 0;
	} else {
		rc = view_open(b, p->origin, p->from, scratch, &v, e);
		if (rc == 0) {
			rc = copy_view(&v, p->source, fresh, e);
			view_end(&v);
		}
		from = rt_printf("%s/source", fresh);
	}
	if (rc == 0 && rename(from != NULL ? from : fresh, dir) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		rc = rt_fail(e, errno, "make %s", dir);
	free(from);
	free(fresh);
	return rc;
}

static int
lock_cache(struct prepared *m, const char *path, int how, struct rt_err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return rt_fail(e, errno, "open %s", path);
	while (flock(fd, how) < 0) {
		if (errno == EINTR)
			continue;
		close(fd);
		return errno == EWOULDBLOCK ? 1 : rt_fail(e, errno, "lock %s", path);
	}
	if (m->nlocks == sizeof(m->locks) / sizeof(m->locks[0])) {
		close(fd);
		return rt_fail_status(e, RT_USAGE, "a step has more than 64 cache mounts");
	}
	m->locks[m->nlocks++] = fd;
	return 0;
}

static int
prepare_cache(struct build *b, const struct plan_mount *p, const char *scratch, struct prepared *m,
              struct run_mount *r, struct rt_err *e)
{
	const char *sharing = p->sharing != NULL ? p->sharing : "shared";
	bool private = strcmp(sharing, "private") == 0, locked = strcmp(sharing, "locked") == 0;
	char name[65];
	struct stat st_dir;

	cache_name(b, p, name);
	rt_mkdir_p(b->store.fd, "cache", 0700, e);
	for (unsigned n = 0;; n++) {
		/* a private cache in use: the second user gets one of its own */
		char *dir = n == 0 ? rt_printf("%s/cache/%s", b->store.path, name) : rt_printf("%s/cache/%s.%u", b->store.path, name, n);
		char *lock = rt_printf("%s.lock", dir);
		int rc = lock_cache(m, lock, locked ? LOCK_EX : private ? LOCK_EX | LOCK_NB : LOCK_SH, e);

		free(lock);
		if (rc == 1) {
			free(dir);
			continue;
		}
		if (rc == 0 && stat(dir, &st_dir) < 0)
			rc = fill_cache(b, p, r, dir, scratch, e);
		r->root = own(m, dir);
		r->source = "/";
		r->readonly = p->readonly;
		return rc;
	}
}

/* The value of `key` in a list such as id=x,src=y; malloc'd. */
static char *
csv_value(const char *csv, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = csv; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, key, n) == 0 && p[n] == '=')
			return rt_strndup(p + n + 1, strcspn(p + n + 1, ","));
	}
	return NULL;
}

/* --secret id=ID[,src=FILE|,env=NAME]: 1 found, 0 not given. */
static int
find_secret(const struct build_options *o, const char *id, struct str *out, struct rt_err *e)
{
	for (size_t i = 0; i < o->secrets.n; i++) {
		const char *s = o->secrets.v[i], *value;
		char *sid = csv_value(s, "id"), *src = csv_value(s, "src"), *env = csv_value(s, "env");
		int rc = 0;

		if (src == NULL)
			src = csv_value(s, "source");
		if (sid != NULL && strcmp(sid, id) == 0) {
			rc = 1;
			value = getenv(env != NULL ? env : id);
			if (src == NULL && value != NULL)
				str_puts(out, value);
			else if (src != NULL)
				rc = rt_read_file(AT_FDCWD, src, 512 << 10, out, e) < 0 ? -1 : 1;
			else
				rc = rt_fail_status(e, RT_USAGE, "--secret %s: neither a file nor a variable holds it", id);
		}
		free(sid);
		free(src);
		free(env);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
prepare_secret(struct build *b, const struct plan_mount *p, struct prepared *m, struct run_mount *r, struct list *env,
               bool *skip, struct rt_err *e)
{
	const char *id = p->id != NULL ? p->id : p->source != NULL ? p->source : p->target != NULL ? p->target : "";
	struct str *value = &m->secrets[m->nsecrets++];
	int rc;

	if (strrchr(id, '/') != NULL && p->id == NULL && p->source == NULL)
		id = strrchr(id, '/') + 1;
	rc = find_secret(b->o, id, value, e);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		*skip = true;
		return p->required ? rt_fail_status(e, RT_USAGE, "the secret %s is required: give --secret id=%s,src=FILE", id, id) : 0;
	}
	str_add(value, "", 0);
	r->secret = value->s != NULL ? value->s : "";
	r->secret_len = value->len;
	if (p->env != NULL) {
		char *pair = rt_printf("%s=%s", p->env, r->secret);
		size_t n = strlen(p->env) + 1;

		/* it wins over an ENV of that name */
		for (size_t i = 0; i < env->n; i++)
			if (strncmp(env->v[i], pair, n) == 0)
				env->v[i][0] = '\0';
		list_add(env, pair);
		free(pair);
		*skip = p->target == NULL;
	}
	return 0;
}

static int
prepare_ssh(struct build *b, const struct plan_mount *p, struct prepared *m, struct run_mount *r, struct list *env,
            struct rt_err *e)
{
	const char *id = p->id != NULL ? p->id : "default", *socket = NULL;
	size_t n = strlen(id);
	char *pair;

	for (size_t i = 0; i < b->o->ssh.n; i++) {
		const char *s = b->o->ssh.v[i];

		if (strncmp(s, id, n) == 0 && (s[n] == '\0' || s[n] == '='))
			socket = s[n] == '=' ? s + n + 1 : getenv("SSH_AUTH_SOCK");
	}
	if (socket == NULL && p->required)
		return rt_fail_status(e, RT_USAGE, "the ssh agent %s is required: give --ssh %s", id, id);
	r->secret = socket != NULL ? own(m, rt_strdup(socket)) : NULL;
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], "SSH_AUTH_SOCK=", 14) == 0)
			return 0;
	pair = rt_printf("SSH_AUTH_SOCK=%s", r->target);
	list_add(env, pair);
	free(pair);
	return 0;
}

static int
prepare_one(struct build *b, const struct state *st, const struct plan_mount *p, const char *scratch, struct prepared *m,
            unsigned *nssh, struct list *env, struct rt_err *e)
{
	struct run_mount *r = &m->v[m->n];
	uint32_t mode = p->kind == RUN_MOUNT_CACHE ? 0755 : p->kind == RUN_MOUNT_SSH ? 0600 : 0400;
	bool skip = false;
	int rc = 0;

	*r = (struct run_mount){ .kind = p->kind, .target = own(m, mount_target(st, p, *nssh)) };
	if (strcmp(r->target, "/") == 0)
		return rt_fail_status(e, RT_USAGE, "--mount: the target is /");
	if (octal(p->mode, mode, &r->mode, "mode", e) < 0 || number(p->uid, &r->uid, "uid", e) < 0 ||
	    number(p->gid, &r->gid, "gid", e) < 0 || bytes(p->size, &r->size, e) < 0)
		return -1;
	switch (p->kind) {
	case RUN_MOUNT_BIND:
		rc = prepare_bind(b, p, scratch, m, r, e);
		break;
	case RUN_MOUNT_CACHE:
		rc = prepare_cache(b, p, scratch, m, r, e);
		break;
	case RUN_MOUNT_TMPFS:
		r->readonly = p->readonly;
		break;
	case RUN_MOUNT_SECRET:
		rc = prepare_secret(b, p, m, r, env, &skip, e);
		break;
	case RUN_MOUNT_SSH:
		rc = prepare_ssh(b, p, m, r, env, e);
		(*nssh)++;
		break;
	}
	if (!skip)
		m->n++;
	return rc;
}

int
prepare_mounts(struct build *b, const struct state *st, const struct plan_step *s, const char *scratch,
               struct prepared *m, struct list *env, struct rt_err *e)
{
	unsigned nssh = 0;
	size_t kept = 0;

	m->v = rt_alloc((s->nmounts + 1) * sizeof(*m->v));
	m->secrets = rt_alloc((s->nmounts + 1) * sizeof(*m->secrets));
	for (size_t i = 0; i < s->nmounts; i++)
		if (prepare_one(b, st, &s->mounts[i], scratch, m, &nssh, env, e) < 0)
			return -1;
	/* variables that a secret replaced */
	for (size_t i = 0; i < env->n; i++) {
		if (env->v[i][0] != '\0')
			env->v[kept++] = env->v[i];
		else
			free(env->v[i]);
	}
	env->n = kept;
	if (env->v != NULL)
		env->v[kept] = NULL;
	return 0;
}

void
prepare_release(struct prepared *m)
{
	struct rt_err ignored;

	/* stages and images that were mounted for the command */
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].root != NULL && strstr(m->v[i].root, "/view-") != NULL)
			overlay_umount(m->v[i].root, &ignored);
	for (size_t i = 0; i < m->nlocks; i++)
		close(m->locks[i]);
	for (size_t i = 0; i < m->nsecrets; i++) {
		if (m->secrets[i].s != NULL)
			explicit_bzero(m->secrets[i].s, m->secrets[i].len);
		str_free(&m->secrets[i]);
	}
	free(m->secrets);
	free(m->v);
	list_free(&m->owned);
	*m = (struct prepared){ 0 };
}
