/* curl, else wget, with an argument vector that holds nothing of the request: what is asked goes to curl as a
   configuration on its standard input (curl(1) --config), to GNU wget as a wgetrc and a list of URLs in files without a
   name.  busybox's wget can do neither, and checks no certificate: it serves for plain HTTP without credentials. */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_HEAD = 1 << 20, MOST_SAID = 1 << 20 };
enum transport { NOTHING, CURL, GNU_WGET, BUSYBOX_WGET };

/* A program that runs for us. */
struct runner {
	const char *const *argv;
	const char *wgetrc; /* WGETRC=..., or NULL */
	int in, extra;      /* its standard input and descriptor 3, or -1 */
	int out, said;      /* we read its standard output; its standard error is a file */
	pid_t pid;
};

static int
memory(const struct str *text, struct rt_err *e)
{
	int fd = memfd_create("request", MFD_CLOEXEC);

	if (fd < 0)
		return rt_fail(e, errno, "memfd_create");
	if (text != NULL && (rt_write_all(fd, text->s, text->len, "the request", e) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* In the child. The descriptors are moved out of the way of 0 to 3 first. */
static void
become(const struct runner *r, int out)
{
	int from[4] = { r->in, out, r->said, r->extra };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (from[0] < 0)
		from[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 4; i++)
		if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 10)) < 0)
			_exit(126);
	for (int i = 0; i < 4; i++)
		if (from[i] >= 0 && dup2(from[i], i) < 0)
			_exit(126);
	if (r->wgetrc != NULL) {
		putenv((char *)(uintptr_t)r->wgetrc);
		putenv((char *)(uintptr_t)"HOME=/dev/null");
		putenv((char *)(uintptr_t)"LC_ALL=C");
	}
	execvp(r->argv[0], (char *const *)(uintptr_t)r->argv);
	_exit(127);
}

static int
start(struct runner *r, struct rt_err *e)
{
	int ends[2];

	r->pid = -1;
	r->out = -1;
	r->said = memory(NULL, e);
	if (r->said < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return rt_fail(e, errno, "pipe");
	r->pid = fork();
	if (r->pid == 0)
		become(r, ends[1]);
	close(ends[1]);
	r->out = ends[0];
	return r->pid < 0 ? rt_fail(e, errno, "fork") : 0;
}

/* Its exit status; kills it first when `stop`. */
static int
finish(struct runner *r, bool stop)
{
	int status = 0;

	rt_close_fd(&r->out);
	if (r->pid <= 0)
		return 126;
	if (stop)
		kill(r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	r->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
read_said(const struct runner *r, struct str *text)
{
	char block[4096];
	off_t at = 0;
	ssize_t n;

	while (text->len < MOST_SAID && (n = pread(r->said, block, sizeof(block), at)) > 0) {
		str_add(text, block, (size_t)n);
		at += n;
	}
	str_add(text, "", 0);
}

static enum transport
probe(void)
{
	static const struct {
		const char *argv[3];
		enum transport kind;
	} ways[] = { { { "curl", "--version" }, CURL }, { { "wget", "--version" }, GNU_WGET }, { { "wget", "--help" }, BUSYBOX_WGET } };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct runner r = { .argv = ways[i].argv, .in = -1, .extra = -1, .said = -1 };
		char drop[4096];
		struct rt_err e;
		int status = 127;

		if (start(&r, &e) == 0) {
			while (read(r.out, drop, sizeof(drop)) > 0)
				continue;
			status = finish(&r, false);
		}
		rt_close_fd(&r.said);
		if (status == 0 || (ways[i].kind == BUSYBOX_WGET && status != 127))
			return ways[i].kind;
	}
	return NOTHING;
}

/* ---- curl -------------------------------------------------------------------------------------- */

/* name = "value" of a curl configuration. */
static void
setting(struct str *c, const char *name, const char *value)
{
	str_printf(c, "%s = \"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			str_putc(c, '\\');
		if (*value == '\n')
			str_puts(c, "\\n");
		else
			str_putc(c, *value);
	}
	str_puts(c, "\"\n");
}

static void
curl_config(const struct http *h, struct str *c)
{
	str_puts(c, "silent\nshow-error\ngloboff\nsuppress-connect-headers\nproto = \"=http,https\"\n"
	            "connect-timeout = 30\nspeed-limit = 1\nspeed-time = 60\n");
	str_puts(c, strcmp(h->method, "HEAD") == 0 ? "head\n" : "include\n");
	setting(c, "url", h->url);
	for (size_t i = 0; i < h->headers.n; i++)
		setting(c, "header", h->headers.v[i]);
	if (h->authorization != NULL) {
		cleanup_free char *line = rt_printf("Authorization: %s", h->authorization);

		setting(c, "header", line);
		explicit_bzero(line, strlen(line));
	}
	if (h->file != NULL)
		setting(c, "upload-file", h->file);
	if (h->data != NULL)
		setting(c, "data-binary", h->data);
	if (h->data != NULL && *h->data == '\0')
		setting(c, "header", "Content-Type:");
	if (h->file != NULL || h->data != NULL)
		setting(c, "request", h->method);
	if (h->from > 0)
		str_printf(c, "range = \"%llu-\"\n", (unsigned long long)h->from);
	if (h->ca != NULL)
		setting(c, "cacert", h->ca);
}

static bool
blank_line(const struct str *head)
{
	return (head->len >= 3 && strcmp(head->s + head->len - 3, "\n\r\n") == 0) ||
	       (head->len >= 2 && strcmp(head->s + head->len - 2, "\n\n") == 0);
}

/* Bytes of the header go to h->head until it is whole, those of interim answers (1xx) away; the rest is body. */
static int
take(struct http *h, bool *in_body, const char *p, size_t n, struct rt_err *e)
{
	while (n > 0 && !*in_body) {
		const char *newline = memchr(p, '\n', n);
		size_t len = newline != NULL ? (size_t)(newline - p) + 1 : n;
		str_add(&h->head, p, len);
		p += len;
		n -= len;
		if (h->head.len > MOST_HEAD)
			return rt_fail(e, 0, "the answer's header is larger than 1 MiB");
		if (newline == NULL || !blank_line(&h->head))
			continue;
		if (!http_read_status(h))
			return rt_fail(e, 0, "the answer is not HTTP");
		if (h->status < 200)
			str_free(&h->head);
		else
			*in_body = true;
	}
	return n > 0 ? http_feed_body(h, p, n, e) : 0;
}

/* curl(1) "EXIT CODES": what another try may mend. */
static bool
curl_temporary(int status)
{
	static const int codes[] = { 5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92, 95 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == status)
			return true;
	return false;
}

/* What curl says, without "curl: (N) ": one line, which advice may follow. */
static int
curl_failed(const struct runner *r, int status, struct rt_err *e)
{
	struct str said = { 0 };
	const char *text, *end;

	read_said(r, &said);
	text = strstr(said.s, "curl: (");
	end = text != NULL ? strchr(text, ')') : NULL;
	if (end != NULL && end[1] == ' ')
		rt_fail(e, 0, "%.*s", (int)strcspn(end + 2, "\r\n"), end + 2);
	else
		rt_fail(e, 0, "curl ended with status %d", status);
	str_free(&said);
	return -1;
}

static int
run_curl(struct http *h, struct rt_err *e)
{
	static const char *const argv[] = { "curl", "-q", "--config", "-", NULL };
	struct runner r = { .argv = argv, .in = -1, .extra = -1, .said = -1 };
	struct str config = { 0 };
	char *block = rt_grow(NULL, 65536);
	bool in_body = false;
	int rc = -1, status;
	ssize_t n = 0;

	curl_config(h, &config);
	r.in = memory(&config, e);
	explicit_bzero(config.s, config.len);
	str_free(&config);
	if (r.in >= 0 && start(&r, e) == 0)
		rc = 0;
	while (rc == 0 && (n = read(r.out, block, 65536)) != 0) {
		if (n > 0)
			rc = take(h, &in_body, block, (size_t)n, e);
		else if (errno != EINTR)
			rc = rt_fail(e, errno, "read from curl");
	}
	status = finish(&r, rc < 0);
	if (rc == 0 && (status != 0 || !in_body)) {
		h->temporary = curl_temporary(status);
		/* a registry may answer and close before it has read a body it does not want (RFC 9110 9.3.4) */
		rc = in_body && h->status >= 400 ? 0 : curl_failed(&r, status, e);
	}
	rt_close_fd(&r.in);
	rt_close_fd(&r.said);
	free(block);
	return rc;
}

/* ---- wget -------------------------------------------------------------------------------------- */

/* Settings as in wget's manual, "Wgetrc Commands". */
static void
wget_config(const struct http *h, struct str *c)
{
	str_puts(c, "server_response = on\ntries = 1\ntimeout = 60\nmax_redirect = 0\ncontent_on_error = on\nhsts = off\n"
	            "netrc = off\nprogress = dot:giga\noutput_document = -\nno_parent = off\n");
	for (size_t i = 0; i < h->headers.n; i++)
		str_printf(c, "header = %s\n", h->headers.v[i]);
	if (h->authorization != NULL)
		str_printf(c, "header = Authorization: %s\n", h->authorization);
	if (strcmp(h->method, "HEAD") == 0)
		str_puts(c, "spider = on\n");
	else if (strcmp(h->method, "GET") != 0)
		str_printf(c, "method = %s\n", h->method);
	if (h->file != NULL)
		str_printf(c, "body_file = %s\n", h->file);
	if (h->data != NULL)
		str_printf(c, "body_data = %s\n", h->data);
	if (h->from > 0)
		str_printf(c, "start_pos = %llu\n", (unsigned long long)h->from);
	if (h->ca != NULL)
		str_printf(c, "ca_certificate = %s\n", h->ca);
}

/* The header of the last answer out of what -S prints, where its lines are indented. */
static void
wget_head(const struct runner *r, struct http *h)
{
	struct str said = { 0 };
	const char *last = NULL;

	read_said(r, &said);
	for (const char *p = said.s; p != NULL && *p != '\0'; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p + strspn(p, " "), "HTTP/", 5) == 0 && *p == ' ')
			last = p;
	}
	str_free(&h->head);
	for (const char *p = last; p != NULL && *p == ' ';) {
		size_t len = strcspn(p, "\r\n"), blanks = strspn(p, " ");

		str_add(&h->head, p + blanks, len - blanks);
		str_putc(&h->head, '\n');
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	str_free(&said);
	http_read_status(h);
}

/* Why it failed, without a URL: that may hold a signature.  wget(1) "EXIT STATUS". */
static int
wget_failed(const struct runner *r, int status, struct rt_err *e)
{
	struct str said = { 0 };
	const char *at;

	read_said(r, &said);
	if (status == 5)
		rt_fail(e, 0, "the server's certificate cannot be verified");
	else if ((at = strstr(said.s, "failed: ")) != NULL)
		rt_fail(e, 0, "failed: %.*s", (int)strcspn(at + 8, "\n"), at + 8);
	else if ((at = strstr(said.s, "unable to resolve")) != NULL)
		rt_fail(e, 0, "%.*s", (int)strcspn(at, "\n"), at);
	else
		rt_fail(e, 0, "wget ended with status %d", status);
	str_free(&said);
	return -1;
}

/* Reads the program's output to its end; the header is on standard error before the body begins. */
static int
wget_read(struct runner *r, struct http *h, struct rt_err *e)
{
	cleanup_free char *block = rt_grow(NULL, 65536);
	int rc = 0;
	ssize_t n;

	while (rc == 0 && (n = read(r->out, block, 65536)) != 0) {
		if (n < 0 && errno != EINTR)
			return rt_fail(e, errno, "read from wget");
		if (n < 0)
			continue;
		if (h->status == 0)
			wget_head(r, h);
		rc = http_feed_body(h, block, (size_t)n, e);
	}
	return rc;
}

static int
run_wget(struct http *h, const char *const argv[], const char *wgetrc, struct rt_err *e)
{
	struct runner r = { .argv = argv, .wgetrc = wgetrc, .in = -1, .extra = -1, .said = -1 };
	struct str config = { 0 }, url = { 0 };
	int rc = -1, status;

	if (wgetrc != NULL) {
		wget_config(h, &config);
		str_printf(&url, "%s\n", h->url);
		r.extra = memory(&config, e);
		r.in = memory(&url, e);
		explicit_bzero(config.s, config.len);
	}
	if ((wgetrc == NULL || (r.in >= 0 && r.extra >= 0)) && start(&r, e) == 0)
		rc = wget_read(&r, h, e);
	status = finish(&r, rc < 0);
	if (rc == 0) {
		wget_head(&r, h);
		/* 8: the server said no, which is an answer */
		if (h->status < 200 || (status != 0 && http_good(h) && strcmp(h->method, "HEAD") != 0)) {
			h->temporary = status == 4 || status == 8 || status == 1;
			rc = wget_failed(&r, status, e);
		}
	}
	str_free(&config);
	str_free(&url);
	rt_close_fd(&r.in);
	rt_close_fd(&r.extra);
	rt_close_fd(&r.said);
	return rc;
}

static int
run_busybox(struct http *h, struct rt_err *e)
{
	/* -T is not in every build of it; a 206 it does not like, so that `from` is not asked for */
	const char *argv[16] = { "wget", "-S", "-O", "-" };
	size_t n = 4;

	if (h->authorization != NULL)
		return rt_fail_status(e, RT_NOMODE, "busybox's wget takes credentials only where everybody can read them: install curl");
	if (strncmp(h->url, "http://", 7) != 0)
		return rt_fail_status(e, RT_NOMODE, "busybox's wget checks no certificates: install curl");
	if (h->file != NULL || h->data != NULL)
		return rt_fail_status(e, RT_NOMODE, "busybox's wget cannot upload: install curl");
	if (strcmp(h->method, "HEAD") == 0)
		argv[n++] = "--spider";
	for (size_t i = 0; i < h->headers.n && n < 9; i++) {
		argv[n++] = "--header";
		argv[n++] = h->headers.v[i];
	}
	argv[n++] = h->url;
	return run_wget(h, argv, NULL, e);
}

int
transport_run(struct http *h, struct rt_err *e)
{
	static const char *const argv[] = { "wget", "-i", "-", NULL };
	static enum transport kind = NOTHING;
	static char *looked; /* the PATH that was probed */
	const char *path = getenv("PATH");

	if (kind == NOTHING || strcmp(looked, path != NULL ? path : "") != 0) {
		free(looked);
		looked = rt_strdup(path != NULL ? path : "");
		kind = probe();
	}
	switch (kind) {
	case CURL:
		return run_curl(h, e);
	case GNU_WGET:
		h->skips = true;
		return run_wget(h, argv, "WGETRC=/proc/self/fd/3", e);
	case BUSYBOX_WGET:
		return run_busybox(h, e);
	case NOTHING:
		break;
	}
	return rt_fail_status(e, RT_NOMODE, "neither curl nor wget is installed");
}
