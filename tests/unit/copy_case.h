/* One COPY or ADD after another: a source folder, a destination folder, what comes out.  Included by the test
   programs that run such cases. */
#ifndef COPY_CASE_H
#define COPY_CASE_H

#include "../../runtime/copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy_case {
	const char *rule;
	const char *source, *target; /* shell commands that fill the folders; run inside them */
	const char *words[4];
	const char *dest;
	const char *want; /* what `describe` says of the destination, or "!" and a part of the error */
	const char *workdir, *chown, *chmod, *ignore, *checksum;
	const char *exclude[3];
	bool stage;       /* the source is a stage, not a context */
	bool parents, empty_root, add;
	int no_unpack, unpack; /* --unpack=false, --unpack=true */
	struct copy_file files[2];
};

static char case_top[4096]; /* holds S, D and T (temporaries) */
static unsigned case_count, case_failed;

static inline void
check(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++case_count, what);
	fflush(stdout);
	case_failed += !good;
}

static inline void
shell(const char *dir, const char *commands)
{
	char *line = NULL;

	if (asprintf(&line, "umask 022; cd '%s/%s' && { %s\n}", case_top, dir, commands) < 0 || system(line) != 0)
		printf("# failed: %s\n", line);
	free(line);
}

/* ` [MODE,UID:GID]` where it is not the usual. */
static inline void
describe_owner(struct str *out, const struct stat *st, mode_t usual)
{
	if ((st->st_mode & 07777) != usual || st->st_uid != 0 || st->st_gid != 0)
		str_printf(out, "[%03o,%u:%u]", (unsigned)st->st_mode & 07777, (unsigned)st->st_uid, (unsigned)st->st_gid);
}

static inline void
describe(struct str *out, int dirfd, const char *above)
{
	struct dirent **names;
	char path[4096];
	int n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		struct stat st;
		char text[4097] = "";
		int fd;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
		str_printf(out, "%s%s/%s", out->len == 0 ? "" : " ", above, name);
		switch (st.st_mode & S_IFMT) {
		case S_IFDIR:
			str_putc(out, '/');
			describe_owner(out, &st, 0755);
			snprintf(path, sizeof(path), "%s/%s", above, name);
			fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			describe(out, fd, path);
			close(fd);
			break;
		case S_IFLNK:
			if (readlinkat(dirfd, name, text, sizeof(text) - 1) >= 0)
				str_printf(out, "->%s", text);
			describe_owner(out, &st, 0777);
			break;
		case S_IFREG:
			fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
			if (st.st_size < 100 && read(fd, text, sizeof(text) - 1) >= 0)
				str_printf(out, "=%.*s", (int)strcspn(text, "\n"), text);
			close(fd);
			describe_owner(out, &st, 0644);
			break;
		default:
			str_printf(out, "%s", S_ISFIFO(st.st_mode) ? "|" : S_ISCHR(st.st_mode) ? "%" : "!");
			describe_owner(out, &st, 0644);
		}
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
}

/* A folder below case_top, empty. */
static inline int
fresh(const char *name)
{
	struct rt_err e = { 0 };
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", case_top, name);
	rt_remove_tree(AT_FDCWD, path, &e);
	if (mkdir(path, 0755) < 0)
		printf("# mkdir %s failed\n", path);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline struct ignore *
case_exclude(const struct copy_case *c)
{
	struct list list = { 0 };
	struct rt_err e = { 0 };
	struct ignore *ig;

	if (c->exclude[0] == NULL)
		return NULL;
	for (size_t i = 0; c->exclude[i] != NULL; i++)
		list_add(&list, c->exclude[i]);
	ig = ignore_patterns(&list, &e);
	list_free(&list);
	return ig;
}

/* Runs copy_run as the case says; the error's text or "". */
static inline int
case_copy(const struct copy_case *c, int source, int target, struct rt_err *e)
{
	char tmp[8192];
	struct ignore *ignore = c->ignore == NULL ? NULL : ignore_parse(c->ignore, strlen(c->ignore), e);
	struct ignore *exclude = case_exclude(c);
	struct copy_source from = { .rootfd = source, .is_context = !c->stage, .what = c->stage ? "stage s" : "the build context",
		.ignore = ignore };
	struct copy_spec spec = { .paths = c->words, .dest = c->dest, .workdir = c->workdir == NULL ? "/" : c->workdir,
		.chown = c->chown, .chmod = c->chmod, .exclude = exclude, .parents = c->parents, .empty_root = c->empty_root,
		.add = c->add, .unpack = c->unpack ? 1 : c->no_unpack ? 0 : -1, .checksum = c->checksum, .tmp = tmp, .epoch = -1,
		.files = c->files };
	int bad;

	snprintf(tmp, sizeof(tmp), "%s/T", case_top);
	while (spec.npaths < 4 && c->words[spec.npaths] != NULL)
		spec.npaths++;
	while (spec.nfiles < 2 && c->files[spec.nfiles].name != NULL)
		spec.nfiles++;
	bad = copy_run(&from, target, &spec, e);
	ignore_free(ignore);
	ignore_free(exclude);
	return bad;
}

static inline void
run_case(const struct copy_case *c)
{
	struct rt_err e = { 0 };
	struct str got = { 0 };
	int source = fresh("S"), target = fresh("D");
	bool good;

	if (c->source != NULL)
		shell("S", c->source);
	if (c->target != NULL)
		shell("D", c->target);
	if (case_copy(c, source, target, &e) < 0) {
		str_printf(&got, "!%s", e.text);
		good = c->want[0] == '!' && strstr(e.text, c->want + 1) != NULL;
	} else {
		str_puts(&got, "");
		describe(&got, target, "");
		good = strcmp(got.s, c->want) == 0;
	}
	check(good, c->rule);
	if (!good) {
		char *shown = rt_printable(got.s);

		printf("#  want %s\n#  got  %s\n", c->want, shown);
		free(shown);
	}
	str_free(&got);
	close(source);
	close(target);
}

/* Makes the scratch folder, prints the plan; false: skip. */
static inline bool
cases_begin(size_t n)
{
	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root: owners and devices\n");
		return false;
	}
	snprintf(case_top, sizeof(case_top), "%s/copy-test.XXXXXX", getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
	if (mkdtemp(case_top) == NULL) {
		printf("Bail out! no scratch folder\n");
		return false;
	}
	close(fresh("T"));
	printf("1..%zu\n", n);
	fflush(stdout);
	return true;
}

static inline int
cases_end(void)
{
	struct rt_err e = { 0 };

	rt_remove_tree(AT_FDCWD, case_top, &e);
	return case_failed != 0;
}

#endif
