#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec.h"
#include "path.h"

enum { FILE_LIMIT = 16 << 20 }; /* security.md S4.3 */

/* Reads /etc/passwd or /etc/group of the image: in-root, never a fifo or device.  1: there is none. */
static int
read_image_file(int rootfd, const char *path, struct str *b, struct rt_err *e)
{
	cleanup_fd int fd = path_open(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	ssize_t k = 1;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 1 : rt_fail(e, errno, "open the image's %s", path);
	if (fstat(fd, &st) < 0)
		return rt_fail(e, errno, "stat the image's %s", path);
	if (!S_ISREG(st.st_mode))
		return rt_fail(e, 0, "the image's %s is not a regular file", path);
	while (k > 0) {
		char block[4096];

		k = read(fd, block, sizeof(block));
		if (k < 0)
			return rt_fail(e, errno, "read the image's %s", path);
		if ((size_t)k > FILE_LIMIT - b->len)
			return rt_fail(e, 0, "the image's %s is larger than 16 MiB", path);
		str_add(b, block, (size_t)k);
	}
	return 0;
}

/* A decimal id 0..2^32-2; the last value means "unchanged" to the kernel, setresuid(2). */
static bool
parse_id(const char *s, size_t n, uint32_t *id)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*id = (uint32_t)v;
	return v < UINT32_MAX;
}

/* One line of passwd(5) or group(5) cut at its colons. */
struct entry {
	const char *field[7];
	size_t len[7];
	uint32_t uid, gid; /* group: gid only */
};

static bool
field_is(const struct entry *t, size_t i, const char *s, size_t n)
{
	return t->len[i] == n && memcmp(t->field[i], s, n) == 0;
}

/* Takes the next well-formed line off *at; lines that are not count as absent. */
static bool
next_entry(const char **at, const char *end, bool passwd, struct entry *t)
{
	while (*at < end) {
		const char *p = *at, *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl != NULL ? nl : end;

		*at = nl != NULL ? nl + 1 : end;
		*t = (struct entry){ 0 };
		for (size_t i = 0; i < 7; i++) {
			const char *colon = i < 6 ? memchr(p, ':', (size_t)(stop - p)) : NULL;

			t->field[i] = p;
			t->len[i] = (size_t)((colon != NULL ? colon : stop) - p);
			p = colon != NULL ? colon + 1 : stop;
		}
		if (t->len[0] == 0 || t->field[0][0] == '#')
			continue;
		if (passwd ? parse_id(t->field[2], t->len[2], &t->uid) && parse_id(t->field[3], t->len[3], &t->gid)
		           : parse_id(t->field[2], t->len[2], &t->gid))
			return true;
	}
	return false;
}

/* The first entry with this name or, where the word is a number, this id. */
static bool
find_entry(const struct str *b, bool passwd, const char *s, size_t n, struct entry *t)
{
	const char *at = b->s, *end = b->s + b->len;
	uint32_t id;
	bool number = parse_id(s, n, &id);

	while (b->len > 0 && next_entry(&at, end, passwd, t))
		if (field_is(t, 0, s, n) || (number && (passwd ? t->uid : t->gid) == id))
			return true;
	return false;
}

static bool
lists_member(const struct entry *t, const struct entry *who)
{
	const char *p = t->field[3], *end = p + t->len[3];

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma != NULL ? comma : end) - p);

		if (n == who->len[0] && memcmp(p, who->field[0], n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

static int
add_group(struct user *u, uint32_t gid, struct rt_err *e)
{
	for (size_t i = 0; i < u->ngroups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->ngroups == sizeof(u->groups) / sizeof(u->groups[0]))
		return rt_fail(e, 0, "a user in more than %zu groups of the image's /etc/group", u->ngroups);
	u->groups[u->ngroups++] = gid;
	return 0;
}

/* Bare user: every group that lists the name; spec execution.md 2 "User".  Root is in its own group only. */
static int
add_groups(int rootfd, struct user *u, const struct entry *who, struct rt_err *e)
{
	struct str b = { 0 };
	int rc = read_image_file(rootfd, "/etc/group", &b, e);
	const char *at = b.s, *end = b.s + b.len;
	struct entry t;

	while (rc == 0 && b.len > 0 && next_entry(&at, end, false, &t))
		if (lists_member(&t, who))
			rc = add_group(u, t.gid, e);
	str_free(&b);
	return rc < 0 ? -1 : 0;
}

/* The group part of a USER string: a name of the image, else a number. */
static int
find_group(int rootfd, const char *s, uint32_t *gid, struct rt_err *e)
{
	struct str b = { 0 };
	struct entry t;
	int rc = read_image_file(rootfd, "/etc/group", &b, e);

	if (rc >= 0) {
		if (rc == 0 && find_entry(&b, false, s, strlen(s), &t))
			*gid = t.gid, rc = 0;
		else
			rc = parse_id(s, strlen(s), gid) ? 0 : rt_fail_status(e, 1, "unable to find group %s in the image's /etc/group", s);
	}
	str_free(&b);
	return rc;
}

/* The part of user_resolve that needs passwd's text in `b`. */
static int
resolve_in(int rootfd, const struct str *b, const char *spec, struct user *u, struct rt_err *e)
{
	const char *colon = strchr(spec, ':');
	size_t n = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
	struct entry t;
	bool known;

	if (n == 0)
		spec = "0", n = 1;
	known = find_entry(b, true, spec, n, &t);
	if (!known && !parse_id(spec, n, &u->uid))
		return rt_fail_status(e, 1, "unable to find user %.*s in the image's /etc/passwd", (int)n, spec);
	if (known) {
		u->uid = t.uid;
		u->gid = t.gid;
	}
	u->home = known ? rt_strndup(t.field[5], t.len[5]) : rt_strdup("/");
	if (colon != NULL && colon[1] != '\0' && find_group(rootfd, colon + 1, &u->gid, e) < 0)
		return -1;
	if (add_group(u, u->gid, e) < 0)
		return -1;
	return known && u->uid != 0 && (colon == NULL || colon[1] == '\0') ? add_groups(rootfd, u, &t, e) : 0;
}

int
user_resolve(int rootfd, const char *spec, struct user *u, struct rt_err *e)
{
	struct str b = { 0 };
	int rc = read_image_file(rootfd, "/etc/passwd", &b, e);
	bool none = spec == NULL || *spec == '\0';

	*u = (struct user){ 0 };
	if (rc >= 0)
		rc = resolve_in(rootfd, &b, none ? "0" : spec, u, e);
	if (rc == 0 && none) { /* without USER a step is 0:0 whatever the image calls uid 0 */
		u->uid = u->gid = u->groups[0] = 0;
		u->ngroups = 1;
	}
	str_free(&b);
	if (rc < 0)
		rt_prefix(e, "USER %s", none ? "0" : spec);
	return rc;
}

/* spec language.md 6 "--chown": unknown names silently become 0. */
static int
chown_id(int rootfd, bool passwd, const char *s, size_t n, bool empty, struct entry *t, uint32_t *id, struct rt_err *e)
{
	struct str b = { 0 };
	int rc;

	*id = 0;
	if (n == 0 || parse_id(s, n, id))
		return 0;
	if (empty)
		return rt_fail_status(e, 1, "--chown=%.*s: a name on an empty file system", (int)n, s);
	rc = read_image_file(rootfd, passwd ? "/etc/passwd" : "/etc/group", &b, e);
	if (rc == 0 && find_entry(&b, passwd, s, n, t))
		*id = passwd ? t->uid : t->gid;
	else
		*t = (struct entry){ 0 };
	str_free(&b);
	return rc < 0 ? -1 : 0;
}

int
user_chown(int rootfd, const char *spec, bool empty, uint32_t *uid, uint32_t *gid, struct rt_err *e)
{
	const char *colon = strchr(spec, ':');
	size_t n = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
	struct entry t = { 0 };

	if (chown_id(rootfd, true, spec, n, empty, &t, uid, e) < 0)
		return -1;
	if (colon != NULL)
		return chown_id(rootfd, false, colon + 1, strlen(colon + 1), empty, &t, gid, e);
	*gid = parse_id(spec, n, uid) ? *uid : t.gid; /* 55 is 55:55, a name brings its own group */
	return 0;
}
