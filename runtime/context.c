#include "context.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"
#include "http.h"
#include "lock.h"
#include "remote.h"
#include "verbs.h"

enum { CONTEXT_FD = 3 }; /* where a script leaves its standard input */

/* ---- one context -------------------------------------------------------------------------------- */

/* docker's short form of a repository. */
static bool
is_github(const char *location)
{
	return strncmp(location, "github.com/", 11) == 0;
}

bool
context_is_made(const char *location)
{
	struct stat st;

	if (strcmp(location, "-") == 0 || is_github(location) || remote_is(location))
		return true;
	return stat(location, &st) == 0 && S_ISREG(st.st_mode);
}

/* All of a stream into a file without a name, so that it can be looked at first. */
static int
spool(int in, const char *tmp, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%s/stream", tmp), *block = rt_alloc(65536);
	int out = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;
	int rc = out < 0 ? rt_fail(e, errno, "create %s", name) : 0;

	unlink(name);
	while (rc == 0 && (n = read(in, block, 65536)) != 0)
		rc = n > 0 ? rt_write_all(out, block, (size_t)n, name, e) : errno == EINTR ? 0 : rt_fail(e, errno, "the context on standard input");
	if (rc == 0 && lseek(out, 0, SEEK_SET) == 0)
		return out;
	rt_close_fd(&out);
	return -1;
}

static int
open_archive(const char *location, const struct context_how *how, const char *tmp, struct rt_err *e)
{
	int64_t mtime;
	int fd;

	if (strcmp(location, "-") == 0)
		return spool(how->in, tmp, e);
	if (fetch_is_url(location))
		return fetch_url(location, tmp, lock_find(how->locked, "url", location), &mtime, e);
	fd = open(location, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 ? fd : rt_fail(e, errno, "open %s", location);
}

/* What is no archive: a Dockerfile of its own beside an empty context. */
static int
keep_lone(struct context_copy *c, int fd, const char *location, const char *tmp, struct rt_err *e)
{
	cleanup_free char *name = NULL;
	struct str text = { 0 };
	char block[16384];
	ssize_t n;
	int rc = 0;

	if (strcmp(location, "-") != 0 && !fetch_is_url(location))
		return rt_fail_status(e, RT_USAGE, "the context %s is neither a directory nor an archive", location);
	name = strcmp(location, "-") == 0 ? rt_strdup("Dockerfile") : fetch_name(location);
	c->lone = rt_printf("%s/%s", tmp, name);
	while ((n = read(fd, block, sizeof(block))) > 0 && text.len < 64 << 20)
		str_add(&text, block, (size_t)n);
	rc = n != 0 ? rt_fail(e, n < 0 ? errno : EFBIG, "%s", location) : rt_write_file(AT_FDCWD, c->lone, text.s != NULL ? text.s : "", text.len, 0600, e);
	str_free(&text);
	return rc;
}

static int
fill(struct context_copy *c, const char *location, const struct context_how *how, const char *tmp, struct rt_err *e)
{
	cleanup_free char *github = is_github(location) ? rt_printf("https://%s", location) : NULL;
	cleanup_fd int dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	int rc;

	if (dirfd < 0)
		return rt_fail(e, errno, "open %s", c->dir);
	if (github != NULL || git_is_url(location))
		return git_checkout(github != NULL ? github : location, how->keep_git, how->locked, tmp, dirfd, e);
	if ((fd = open_archive(location, how, tmp, e)) < 0)
		return -1;
	rc = archive_unpack(fd, dirfd, strcmp(location, "-") == 0 ? "standard input" : location, e);
	return rc != 0 ? rc < 0 ? -1 : 0 : keep_lone(c, fd, location, tmp, e);
}

int
context_make(struct store *s, const char *location, const struct context_how *how, struct context_copy *c, struct rt_err *e)
{
	cleanup_free char *tmp = NULL;

	*c = (struct context_copy){ .lock = -1 };
	if (store_tmp(s, &c->tmp, &c->lock, e) < 0)
		return -1;
	tmp = rt_printf("%s/%s", s->path, c->tmp);
	c->dir = rt_printf("%s/context", tmp);
	if (mkdir(c->dir, 0755) < 0)
		rt_fail(e, errno, "make %s", c->dir);
	else if (location == NULL || fill(c, location, how, tmp, e) == 0)
		return 0;
	context_drop(s, c);
	return location != NULL ? rt_prefix(e, "the context %s", strcmp(location, "-") == 0 ? "on standard input" : location) : -1;
}

void
context_drop(struct store *s, struct context_copy *c)
{
	if (c->tmp != NULL)
		rt_remove_tree(s->fd, c->tmp, &(struct rt_err){ 0 });
	rt_close_fd(&c->lock);
	free(c->tmp);
	free(c->dir);
	free(c->lone);
	*c = (struct context_copy){ .lock = -1 };
}

/* ---- of a build --------------------------------------------------------------------------------- */

/* The one at `location`, made once; NULL with `e`. */
static const char *
make_one(struct build *b, const char *location, struct rt_err *e)
{
	struct context_how how = { .in = CONTEXT_FD, .locked = b->o->strict ? &b->o->locked : NULL };
	struct context_copy *c;

	for (size_t i = 0; i < b->o->build_args.n; i++)
		if (strncmp(b->o->build_args.v[i], "BUILDKIT_CONTEXT_KEEP_GIT_DIR=", 30) == 0)
			how.keep_git = strcmp(b->o->build_args.v[i] + 30, "1") == 0 || strcasecmp(b->o->build_args.v[i] + 30, "true") == 0;
	b->copies = rt_grow(b->copies, (b->ncopies + 1) * sizeof(*b->copies));
	c = &b->copies[b->ncopies];
	if (context_make(&b->store, location, &how, c, e) < 0)
		return NULL;
	b->ncopies++;
	/* a named context that is one file: it lies in there under its name */
	if (c->lone != NULL && location != NULL && strcmp(location, "-") != 0) {
		cleanup_free char *to = rt_printf("%s/%s", c->dir, strrchr(c->lone, '/') + 1);

		if (rename(c->lone, to) < 0) {
			rt_fail(e, errno, "rename to %s", to);
			return NULL;
		}
	}
	return c->dir;
}

static int
make_named(struct build *b, enum origin origin, const char *name, struct rt_err *e)
{
	const char *location = origin == FROM_IMAGE ? build_given(b, name) : NULL, *dir;
	cleanup_free char *pair = NULL;

	if (location == NULL || strncmp(location, "oci-archive:", 12) == 0 || strncmp(location, "docker-archive:", 15) == 0 ||
	    !context_is_made(location))
		return 0;
	if ((dir = make_one(b, location, e)) == NULL)
		return -1;
	pair = rt_printf("%s=%s", name, dir);
	list_add(&b->own->contexts, pair); /* the last one counts */
	return 0;
}

int
contexts_make(struct build *b, struct rt_err *e)
{
	if (b->own->context == NULL || context_is_made(b->own->context)) {
		if ((b->own->context = make_one(b, b->own->context, e)) == NULL)
			return -1;
		b->made_context = true;
	}
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t k = 0; k < b->plan.stages[i].nsteps; k++) {
			const struct plan_step *s = &b->plan.stages[i].steps[k];

			b->failing = s;
			if (make_named(b, s->origin, s->from, e) < 0)
				return -1;
			for (size_t m = 0; m < s->nmounts; m++)
				if (make_named(b, s->mounts[m].origin, s->mounts[m].from, e) < 0)
					return -1;
		}
	b->failing = NULL;
	return 0;
}

void
contexts_drop(struct build *b)
{
	for (size_t i = 0; i < b->ncopies; i++)
		context_drop(&b->store, &b->copies[i]);
	free(b->copies);
	b->copies = NULL;
	b->ncopies = 0;
}

/* ---- the verb ----------------------------------------------------------------------------------- */

static pid_t child;

static void
forward(int sig)
{
	kill(child, sig);
}

/* Runs the command to its end, however we are asked to stop: the context has to go. */
static int
run(char **argv, const struct context_copy *c, bool no_input, struct rt_err *e)
{
	struct sigaction pass = { .sa_handler = forward, .sa_flags = SA_RESTART };
	int status;

	setenv("DOCKCC_CONTEXT_DIR", c->dir, 1);
	if (c->lone != NULL)
		setenv("DOCKCC_CONTEXT_FILE", c->lone, 1);
	child = fork();
	if (child < 0)
		return rt_fail(e, errno, "fork");
	if (child == 0) {
		int null = no_input ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

		if (null >= 0)
			dup2(null, STDIN_FILENO);
		execvp(argv[0], argv);
		dprintf(STDERR_FILENO, "dockcc-rt: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	sigaction(SIGTERM, &pass, NULL);
	sigaction(SIGHUP, &pass, NULL);
	signal(SIGINT, SIG_IGN); /* a terminal sends it to the command as well */
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	e->text[0] = '\0';
	e->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return e->status == 0 ? 0 : -1;
}

int
cmd_context(char **argv, struct rt_err *e)
{
	struct context_how how = { .in = STDIN_FILENO };
	struct context_copy c;
	struct store s;
	const char *store = NULL;
	int rc;

	for (; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv++) {
		if (strncmp(*argv, "--store=", 8) == 0)
			store = *argv + 8;
		else if (strcmp(*argv, "--keep-git-dir") == 0)
			how.keep_git = true;
		else if (!net_option(*argv))
			return rt_fail_status(e, RT_USAGE, "unknown option %s", *argv);
	}
	if (argv[0] == NULL || argv[1] == NULL)
		return rt_fail_status(e, RT_USAGE, "context takes a location and a command");
	if (store_open(&s, store, e) < 0)
		return -1;
	rc = context_make(&s, argv[0], &how, &c, e);
	if (rc == 0) {
		rc = run(argv + 1, &c, strcmp(argv[0], "-") == 0, e);
		context_drop(&s, &c);
	}
	store_close(&s);
	return rc;
}
