#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meter.h"
#include "stream.h"

static ssize_t
fd_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct fd_reader *r = (struct fd_reader *)reader;
	ssize_t k;

	if (r->off >= 0 && n > r->left)
		n = (size_t)r->left;
	if (n == 0)
		return 0;
	do
		k = r->off >= 0 ? pread(r->fd, p, n, r->off) : read(r->fd, p, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return rt_fail(e, errno, "read %s", r->what);
	if (r->off >= 0) {
		if (k == 0)
			return rt_fail_status(e, RT_DIGEST, "%s: truncated, %llu bytes are missing", r->what, (unsigned long long)r->left);
		r->off += k;
		r->left -= (uint64_t)k;
	}
	return k;
}

void
fd_reader_init(struct fd_reader *r, int fd, int64_t off, uint64_t left, const char *what)
{
	*r = (struct fd_reader){ .reader.read = fd_read, .fd = fd, .off = off, .left = left, .what = what };
}

static ssize_t
sum_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct sum_reader *r = (struct sum_reader *)reader;
	ssize_t k = r->src->read(r->src, p, n, e);

	if (k > 0) {
		sha256_update(&r->sum, p, (size_t)k);
		r->size += (uint64_t)k;
	}
	return k;
}

void
sum_reader_init(struct sum_reader *r, struct reader *src)
{
	*r = (struct sum_reader){ .reader.read = sum_read, .src = src };
	sha256_init(&r->sum);
}

int
fd_writer_flush(struct fd_writer *w, struct rt_err *e)
{
	size_t n = w->n;

	w->n = 0;
	meter_add(METER_EXPORT, n, 0);
	return rt_write_all(w->fd, w->buf, n, w->what, e);
}

static int
fd_write(struct writer *writer, const void *p, size_t n, struct rt_err *e)
{
	struct fd_writer *w = (struct fd_writer *)writer;

	if (n > sizeof(w->buf) - w->n && fd_writer_flush(w, e) < 0)
		return -1;
	if (n >= sizeof(w->buf)) {
		meter_add(METER_EXPORT, n, 0);
		return rt_write_all(w->fd, p, n, w->what, e);
	}
	memcpy(w->buf + w->n, p, n);
	w->n += n;
	return 0;
}

void
fd_writer_init(struct fd_writer *w, int fd, const char *what)
{
	w->writer.write = fd_write;
	w->fd = fd;
	w->what = what;
	w->n = 0;
}

static int
sum_write(struct writer *writer, const void *p, size_t n, struct rt_err *e)
{
	struct sum_writer *w = (struct sum_writer *)writer;

	sha256_update(&w->sum, p, n);
	w->size += n;
	return w->dst != NULL ? w->dst->write(w->dst, p, n, e) : 0;
}

void
sum_writer_init(struct sum_writer *w, struct writer *dst)
{
	*w = (struct sum_writer){ .writer.write = sum_write, .dst = dst };
	sha256_init(&w->sum);
}

int
reader_copy(struct reader *r, struct writer *w, struct rt_err *e)
{
	cleanup_free char *block = rt_grow(NULL, 65536);
	ssize_t n;

	while ((n = r->read(r, block, 65536, e)) > 0)
		if (w != NULL && w->write(w, block, (size_t)n, e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

int
reader_drain(struct reader *r, struct rt_err *e)
{
	return reader_copy(r, NULL, e);
}

/* ---- host programs ----------------------------------------------------------------------------- */

int
program_start(struct program *p, const char *const argv[], struct rt_err *e)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	int in[2], out[2], rc;

	*p = (struct program){ .in = -1, .out = -1, .pid = -1, .name = argv[0] };
	/* a socket: MSG_NOSIGNAL spares us SIGPIPE when the program dies */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
		return rt_fail(e, errno, "make a socket for %s", argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0) {
		rt_fail(e, errno, "make a pipe for %s", argv[0]);
		close(in[0]);
		close(in[1]);
		return -1;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	rc = posix_spawnp(&p->pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(in[1]);
	close(out[1]);
	p->in = in[0];
	p->out = out[0];
	if (rc != 0) {
		p->pid = -1;
		program_kill(p);
		return rc == ENOENT ? rt_fail_status(e, RT_NOMODE, "the program %s is needed and not on PATH", argv[0])
		                    : rt_fail(e, rc, "start %s", argv[0]);
	}
	fcntl(p->in, F_SETFL, O_NONBLOCK);
	return 0;
}

void
program_kill(struct program *p)
{
	rt_close_fd(&p->in);
	rt_close_fd(&p->out);
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	p->pid = -1;
}

int
program_end(struct program *p, struct rt_err *e)
{
	int status = 0;

	rt_close_fd(&p->in);
	while (p->pid > 0 && waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	p->pid = -1;
	rt_close_fd(&p->out);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return rt_fail_status(e, RT_DIGEST, "%s failed with status %d", p->name,
	                      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Gives the program some of p[*n], and says whether its output can be read (or has ended). -1 on errors; a program that
   no longer reads makes *n zero, its status tells why. */
static int
program_pump(struct program *pr, const unsigned char **p, size_t *n, struct rt_err *e)
{
	struct pollfd fds[2] = {
		{ .fd = pr->out, .events = POLLIN },
		{ .fd = *n > 0 ? pr->in : -1, .events = POLLOUT },
	};
	ssize_t k;

	if (poll(fds, 2, -1) < 0)
		return errno == EINTR ? 0 : rt_fail(e, errno, "poll %s", pr->name);
	if (fds[1].revents != 0) {
		k = send(pr->in, *p, *n, MSG_NOSIGNAL);
		if (k < 0 && errno != EAGAIN && errno != EINTR) {
			*n = 0;
			return 0;
		}
		*p += k > 0 ? k : 0;
		*n -= k > 0 ? (size_t)k : 0;
	}
	return fds[0].revents != 0;
}

static ssize_t
program_output(struct program *pr, void *p, size_t n, struct rt_err *e)
{
	ssize_t k;

	do
		k = read(pr->out, p, n);
	while (k < 0 && errno == EINTR);
	return k < 0 ? rt_fail(e, errno, "read from %s", pr->name) : k;
}

struct filter {
	struct writer writer;
	struct writer *dst;
	struct program program;
	unsigned char buf[65536];
};

static int
filter_write(struct writer *w, const void *data, size_t n, struct rt_err *e)
{
	struct filter *f = (struct filter *)w;
	const unsigned char *p = data;

	while (n > 0) {
		int rc = program_pump(&f->program, &p, &n, e);
		ssize_t k = 0;

		if (rc < 0)
			return -1;
		if (rc > 0 && (k = program_output(&f->program, f->buf, sizeof(f->buf), e)) < 0)
			return -1;
		if (rc > 0 && k == 0)
			return program_end(&f->program, e) < 0 ? -1 : rt_fail(e, 0, "%s stopped early", f->program.name);
		if (k > 0 && f->dst->write(f->dst, f->buf, (size_t)k, e) < 0)
			return -1;
	}
	return 0;
}

struct writer *
filter_open(const char *const argv[], struct writer *dst, struct rt_err *e)
{
	struct filter *f = rt_alloc(sizeof(*f));

	f->writer.write = filter_write;
	f->dst = dst;
	if (program_start(&f->program, argv, e) < 0) {
		free(f);
		return NULL;
	}
	return &f->writer;
}

int
filter_finish(struct writer *w, struct rt_err *e)
{
	struct filter *f = (struct filter *)w;
	ssize_t k;

	rt_close_fd(&f->program.in);
	while ((k = program_output(&f->program, f->buf, sizeof(f->buf), e)) > 0)
		if (f->dst->write(f->dst, f->buf, (size_t)k, e) < 0)
			return -1;
	return k < 0 ? -1 : program_end(&f->program, e);
}

void
filter_close(struct writer *w)
{
	if (w == NULL)
		return;
	program_kill(&((struct filter *)w)->program);
	free(w);
}

/* ---- decompression through a program ----------------------------------------------------------- */

struct through {
	struct reader reader;
	struct reader *src;
	struct program program;
	const unsigned char *p;
	size_t n;
	bool ended;
	unsigned char buf[65536];
};

static ssize_t
through_read(struct reader *reader, void *data, size_t n, struct rt_err *e)
{
	struct through *t = (struct through *)reader;
	ssize_t k;
	int rc = 0;

	if (t->ended)
		return 0;
	while (rc == 0) {
		if (t->n == 0 && t->program.in >= 0) {
			k = t->src->read(t->src, t->buf, sizeof(t->buf), e);
			if (k < 0)
				return -1;
			t->p = t->buf;
			t->n = (size_t)k;
			if (k == 0)
				rt_close_fd(&t->program.in);
		}
		rc = program_pump(&t->program, &t->p, &t->n, e);
		if (rc < 0)
			return -1;
	}
	k = program_output(&t->program, data, n, e);
	if (k == 0) {
		t->ended = true;
		return program_end(&t->program, e);
	}
	return k;
}

struct reader *
through_open(const char *const argv[], struct reader *src, struct rt_err *e)
{
	struct through *t = rt_alloc(sizeof(*t));

	t->reader.read = through_read;
	t->src = src;
	if (program_start(&t->program, argv, e) < 0) {
		free(t);
		return NULL;
	}
	return &t->reader;
}

void
through_close(struct reader *r)
{
	program_kill(&((struct through *)r)->program);
	free(r);
}
