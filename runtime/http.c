#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"

/* One line of curl's configuration: curl(1) --config. */
static void
option(struct str *b, const char *name, const char *value)
{
	str_printf(b, "%s = \"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			str_putc(b, '\\');
		if (*value != '\n' && *value != '\r')
			str_putc(b, *value);
	}
	str_puts(b, "\"\n");
}

static void
header(struct str *b, const char *name, const char *value)
{
	char *line = rt_printf("%s: %s", name, value);

	option(b, "header", line);
	free(line);
}

static void
configure(struct str *b, const struct http_get *g)
{
	const char *ca = getenv("DOCKCC_TLS_CA");

	option(b, "url", g->url);
	option(b, "output", g->output);
	if (g->headers != NULL)
		option(b, "dump-header", g->headers);
	if (g->authorization != NULL)
		header(b, "Authorization", g->authorization);
	if (g->accept != NULL)
		header(b, "Accept", g->accept);
	if (ca != NULL && *ca != '\0')
		option(b, "cacert", ca);
	str_puts(b, "location\nsilent\nshow-error\nno-progress-meter\nretry = 4\nconnect-timeout = 20\nspeed-limit = 1\nspeed-time = 60\n"
	            "proto = \"=http,https\"\nwrite-out = \"%{http_code}\\n\"\nnext\n");
}

/* The program's input is not blocking and small enough for its pipe or taken in pieces. */
static int
hand_over(struct program *p, const struct str *b, struct rt_err *e)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(p->in, b->s + done, b->len - done);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			usleep(1000);
			continue;
		}
		if (n < 0)
			return rt_fail(e, errno, "talk to curl");
		done += (size_t)n;
	}
	rt_close_fd(&p->in);
	return 0;
}

static int
listen_for(struct program *p, int *status, struct rt_err *e)
{
	struct str said = { 0 };
	char block[512], *line;
	ssize_t n;

	while ((n = read(p->out, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && said.len < 65536)
			str_add(&said, block, (size_t)n);
	*status = 0;
	for (char *rest = said.s; rest != NULL && (line = strsep(&rest, "\n")) != NULL;)
		if (*line != '\0' && atoi(line) > *status)
			*status = atoi(line); /* one that failed shows */
	str_free(&said);
	return n < 0 ? rt_fail(e, errno, "listen to curl") : 0;
}

int
http_fetch(const struct http_get *gets, size_t n, int *status, struct rt_err *e)
{
	static const char *const argv[] = { "curl", "--disable", "--parallel", "--parallel-max", "4", "--config", "-", NULL };
	struct program p = { .in = -1, .out = -1 };
	struct str config = { 0 };
	int rc;

	if (n == 0) {
		*status = 200;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		configure(&config, &gets[i]);
	config.len -= strlen("next\n");
	if (program_start(&p, argv, e) < 0) {
		str_free(&config);
		return rt_prefix(e, "to fetch %s", gets[0].url);
	}
	rc = hand_over(&p, &config, e);
	if (config.s != NULL)
		explicit_bzero(config.s, config.len);
	str_free(&config);
	if (rc == 0)
		rc = listen_for(&p, status, e);
	if (rc < 0)
		program_kill(&p);
	else if (program_end(&p, e) < 0) {
		e->status = RT_IO;
		rc = rt_prefix(e, "%s", gets[0].url);
	}
	return rc;
}
