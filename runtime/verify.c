#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy_int.h"
#include "export.h"
#include "tar.h"

enum { MOST_TOLD = 20, BLOCK = 65536 };

struct compare {
	size_t files, differences;
	struct rt_err *e;
};

/* ---- what is written down ------------------------------------------------------------------------------ */

/* The config without what may differ between two ways to build the same files. */
static struct json *
comparable(const struct json *config)
{
	struct json *j = json_copy(config);

	json_remove(j, "rootfs");
	json_remove(j, "history");
	json_remove(j, "created");
	return j;
}

int
verify_record(struct build *b, const char *file, struct rt_err *e)
{
	struct json *j = json_new(JSON_OBJECT), *layers;
	struct str text = { 0 };
	int rc;

	if (stage_settle(b, b->target, e) < 0) {
		json_free(j);
		return -1;
	}
	json_set(j, "config", comparable(b->target->end.config));
	layers = json_set(j, "layers", json_new(JSON_ARRAY));
	for (size_t i = 0; i < b->target->layers.n; i++)
		json_push(layers, json_new_string(b->target->layers.v[i]));
	json_write(j, &text);
	str_putc(&text, '\n');
	rc = rt_write_named(file, text.s, text.len, e);
	json_free(j);
	str_free(&text);
	return rc < 0 ? rt_prefix(e, "--record=%s", file) : 0;
}

/* ---- telling ------------------------------------------------------------------------------------------- */

static void
differs(struct compare *c, const char *path, const char *what)
{
	cleanup_free char *shown = rt_printable(*path != '\0' ? path : "/");

	if (c->differences++ < MOST_TOLD)
		dprintf(STDERR_FILENO, "verify: %s: %s\n", shown, what);
}

static void
compare_json(struct compare *c, const char *path, const struct json *a, const struct json *b)
{
	struct str left = { 0 }, right = { 0 };
	char *what;

	if (a != NULL && b != NULL && a->type == JSON_OBJECT && b->type == JSON_OBJECT) {
		for (size_t i = 0; i < a->n + b->n; i++) {
			const char *key = i < a->n ? a->v[i]->key : b->v[i - a->n]->key;
			const struct json *l = NULL, *r = NULL;
			char *below = rt_printf("%s/%s", path, key);

			for (size_t k = 0; k < a->n; k++)
				l = strcmp(a->v[k]->key, key) == 0 ? a->v[k] : l;
			for (size_t k = 0; k < b->n; k++)
				r = strcmp(b->v[k]->key, key) == 0 ? b->v[k] : r;
			if (i < a->n || l == NULL)
				compare_json(c, below, l, r);
			free(below);
		}
		return;
	}
	if (a != NULL)
		json_write(a, &left);
	if (b != NULL)
		json_write(b, &right);
	if (left.len != right.len || memcmp(left.s != NULL ? left.s : "", right.s != NULL ? right.s : "", left.len) != 0) {
		what = rt_printf("%.200s in the recorded build, %.200s in this one", a != NULL ? left.s : "absent",
		                 b != NULL ? right.s : "absent");
		differs(c, path, what);
		free(what);
	}
	str_free(&left);
	str_free(&right);
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* The time that the image will have: what the build made has none. */
static int64_t
shown_time(const struct stat *st)
{
	return st->st_mtim.tv_nsec == TIME_MADE ? 0 : st->st_mtim.tv_sec;
}

static const char *
type_word(mode_t mode)
{
	return S_ISREG(mode) ? "a file" : S_ISDIR(mode) ? "a directory" : S_ISLNK(mode) ? "a symbolic link" : "a device, fifo or socket";
}

static void
compare_stat(struct compare *c, const char *path, const struct stat *a, const struct stat *b)
{
	char what[160] = "";

	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		snprintf(what, sizeof(what), "%s in the recorded build, %s in this one", type_word(a->st_mode), type_word(b->st_mode));
	else if (a->st_mode != b->st_mode)
		snprintf(what, sizeof(what), "mode %04o in the recorded build, %04o in this one", a->st_mode & 07777, b->st_mode & 07777);
	else if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		snprintf(what, sizeof(what), "owner %u:%u in the recorded build, %u:%u in this one", a->st_uid, a->st_gid, b->st_uid, b->st_gid);
	else if (shown_time(a) != shown_time(b))
		snprintf(what, sizeof(what), "time %lld in the recorded build, %lld in this one", (long long)shown_time(a),
		         (long long)shown_time(b));
	else if (!S_ISREG(a->st_mode) && !S_ISDIR(a->st_mode) && a->st_rdev != b->st_rdev)
		snprintf(what, sizeof(what), "another device");
	if (what[0] != '\0')
		differs(c, path, what);
}

static bool
same_bytes(int a, int b, struct rt_err *e)
{
	static char left[BLOCK], right[BLOCK];
	ssize_t n, m;

	do {
		n = read(a, left, BLOCK);
		m = 0;
		while (n > 0 && m < n) {
			ssize_t k = read(b, right + m, (size_t)(n - m));

			if (k <= 0)
				return false;
			m += k;
		}
		if (n > 0 && memcmp(left, right, (size_t)n) != 0)
			return false;
	} while (n > 0);
	if (n < 0)
		rt_fail(e, errno, "read a file to compare");
	return n == 0 && read(b, right, 1) == 0;
}

static void
compare_attributes(struct compare *c, const char *path, int a, int b)
{
	struct list left = { 0 }, right = { 0 };
	bool same = tree_xattrs(a, &left) == 0 && tree_xattrs(b, &right) == 0 && left.n == right.n;

	for (size_t i = 0; same && i < left.n; i++) {
		char one[4096], other[4096];
		ssize_t n = fgetxattr(a, left.v[i], one, sizeof(one)), m = fgetxattr(b, left.v[i], other, sizeof(other));

		same = strcmp(left.v[i], right.v[i]) == 0 && n == m && (n <= 0 || memcmp(one, other, (size_t)n) == 0);
	}
	if (!same)
		differs(c, path, "other extended attributes");
	list_free(&left);
	list_free(&right);
}

static void
compare_link(struct compare *c, const char *path, int a, int b, const char *name)
{
	char left[4096], right[4096];
	ssize_t n = readlinkat(a, name, left, sizeof(left)), m = readlinkat(b, name, right, sizeof(right));

	if (n < 0 || n != m || memcmp(left, right, (size_t)n) != 0)
		differs(c, path, "a link to somewhere else");
}

static int compare_trees(struct compare *c, const char *path, int a, int b);

/* An entry that both have. */
static int
compare_entry(struct compare *c, const char *path, int a, int b, const char *name)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	cleanup_fd int left = -1, right = -1;
	struct stat sa, sb;

	if (fstatat(a, name, &sa, AT_SYMLINK_NOFOLLOW) < 0 || fstatat(b, name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
		return rt_fail(c->e, errno, "look at %s", path);
	c->files++;
	compare_stat(c, path, &sa, &sb);
	if ((sa.st_mode & S_IFMT) != (sb.st_mode & S_IFMT))
		return 0;
	if (S_ISLNK(sa.st_mode))
		compare_link(c, path, a, b, name);
	if (!S_ISREG(sa.st_mode) && !S_ISDIR(sa.st_mode))
		return 0;
	if ((left = openat(a, name, flags)) < 0 || (right = openat(b, name, flags)) < 0)
		return rt_fail(c->e, errno, "open %s", path);
	compare_attributes(c, path, left, right);
	if (S_ISDIR(sa.st_mode))
		return compare_trees(c, path, left, right);
	if (sa.st_size != sb.st_size || !same_bytes(left, right, c->e))
		differs(c, path, "other bytes");
	return 0;
}

static int
compare_trees(struct compare *c, const char *path, int a, int b)
{
	struct list left = { 0 }, right = { 0 };
	int rc = list_directory(a, &left, c->e) < 0 || list_directory(b, &right, c->e) < 0 ? -1 : 0;

	for (size_t i = 0, k = 0; rc == 0 && (i < left.n || k < right.n);) {
		int order = i == left.n ? 1 : k == right.n ? -1 : strcmp(left.v[i], right.v[k]);
		cleanup_free char *below = rt_printf("%s/%s", path, order <= 0 ? left.v[i] : right.v[k]);

		if (order < 0)
			differs(c, below, "only in the recorded build");
		else if (order > 0)
			differs(c, below, "only in this build");
		else
			rc = compare_entry(c, below, a, b, left.v[i]);
		i += order <= 0;
		k += order >= 0;
	}
	list_free(&left);
	list_free(&right);
	return rc;
}

/* ---- both builds ---------------------------------------------------------------------------------------- */

/* Shows the layers at tmp/NAME; its descriptor, or -1. */
static int
mount_layers(struct build *b, const char *tmp, const char *name, const struct list *layers, struct rt_err *e)
{
	cleanup_free char *target = rt_printf("%s/%s/%s", b->store.path, tmp, name);
	struct list lower = { 0 };
	int fd = -1, rc = mkdir(target, 0755) < 0 ? rt_fail(e, errno, "make %s", target) : 0;

	for (size_t i = 0; i < layers->n; i++) {
		cleanup_free char *dir = rt_printf("%s/layers/%s/diff", b->store.path, layers->v[i]);

		if (rc == 0 && !store_has_layer(&b->store, layers->v[i]))
			rc = rt_fail(e, 0, "the store does not have the layer %.12s: both builds need the same --store", layers->v[i]);
		list_add(&lower, dir);
	}
	if (rc == 0 && (lower.n == 0 || overlay_mount(target, &lower, NULL, NULL, e) == 0) &&
	    (fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rt_fail(e, errno, "open %s", target);
	list_free(&lower);
	return fd;
}

/* In a process of its own, whose mounts end with it. */
static int
compare_layers(struct build *b, struct compare *c, const struct list *recorded)
{
	cleanup_free char *tmp = NULL;
	cleanup_fd int lock = -1, a = -1, other = -1;
	struct rt_err ignored;
	int rc = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ns_private(c->e) < 0 || store_tmp(&b->store, &tmp, &lock, c->e) < 0)
		return -1;
	if ((a = mount_layers(b, tmp, "recorded", recorded, c->e)) >= 0 &&
	    (other = mount_layers(b, tmp, "this", &b->target->layers, c->e)) >= 0)
		rc = compare_trees(c, "", a, other);
	for (size_t i = 0; i < 2; i++) {
		cleanup_free char *target = rt_printf("%s/%s/%s", b->store.path, tmp, i == 0 ? "recorded" : "this");

		overlay_umount(target, &ignored);
	}
	rt_remove_tree(b->store.fd, tmp, &ignored);
	return rc;
}

/* Ends the process that compares: 0 the same, 1 not, else what failed was told. */
static void __attribute__((noreturn))
compare_main(struct build *b, const struct json *recorded, struct rt_err *e)
{
	struct json *config = comparable(b->target->end.config);
	const struct json *names = json_at(recorded, "/layers");
	struct compare c = { .e = e };
	struct list layers = { 0 };

	for (size_t i = 0; names != NULL && i < names->n; i++)
		list_add(&layers, names->v[i]->s != NULL ? names->v[i]->s : "");
	compare_json(&c, "config", json_at(recorded, "/config"), config);
	if (compare_layers(b, &c, &layers) < 0) {
		dprintf(STDERR_FILENO, "verify: %s\n", e->text);
		_exit(2);
	}
	if (c.differences > MOST_TOLD)
		dprintf(STDERR_FILENO, "verify: and %zu more\n", c.differences - MOST_TOLD);
	if (c.differences == 0 && b->o->progress != PROGRESS_QUIET && b->o->progress != PROGRESS_JSON)
		dprintf(STDERR_FILENO, "%-10s the same: %zu files and the config\n", "verify", c.files);
	_exit(c.differences > 0);
}

int
verify_compare(struct build *b, const char *file, struct rt_err *e)
{
	struct str text = { 0 };
	struct json *recorded = NULL;
	int w = 0;
	pid_t pid;

	if (rt_read_file(AT_FDCWD, file, JSON_MAX_BYTES, &text, e) < 0 ||
	    (recorded = json_parse(text.s != NULL ? text.s : "", text.len, file, e)) == NULL || stage_settle(b, b->target, e) < 0) {
		str_free(&text);
		json_free(recorded);
		return rt_prefix(e, "--verify");
	}
	pid = fork();
	if (pid == 0)
		compare_main(b, recorded, e);
	while (pid > 0 && waitpid(pid, &w, 0) < 0 && errno == EINTR)
		;
	str_free(&text);
	json_free(recorded);
	if (pid > 0 && WIFEXITED(w) && WEXITSTATUS(w) == 0)
		return 0;
	if (pid > 0 && WIFEXITED(w) && WEXITSTATUS(w) == 1)
		return rt_fail_status(e, RT_DIGEST, "--verify: this build is not the recorded one");
	return rt_fail(e, 0, "--verify: the builds could not be compared");
}
