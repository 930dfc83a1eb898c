/* One HTTP exchange and what follows from its answer. */
#include "http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_PAUSE = 60, MOST_BODY = 16 << 20, MOST_ERROR_BODY = 64 << 10, MOST_REDIRECTS = 10 };

void
http_init(struct http *h, const char *method, const char *url)
{
	*h = (struct http){ .method = method, .url = rt_strdup(url) };
}

void
http_again(struct http *h)
{
	h->status = 0;
	h->temporary = false;
	str_free(&h->head);
	str_free(&h->body);
}

void
http_free(struct http *h)
{
	http_again(h);
	free(h->url);
	list_free(&h->headers);
	*h = (struct http){ 0 };
}

bool
http_good(const struct http *h)
{
	return h->status >= 200 && h->status < 300;
}

bool
http_read_status(struct http *h)
{
	const char *p = h->head.s, *blank;

	if (p == NULL || strncmp(p, "HTTP/", 5) != 0 || (blank = strchr(p, ' ')) == NULL)
		return false;
	h->status = (int)strtol(blank, NULL, 10);
	return h->status >= 100 && h->status < 600;
}

int
http_feed_body(struct http *h, const char *p, size_t n, struct rt_err *e)
{
	bool good = http_good(h);

	if (good && h->sink != NULL)
		return h->sink(h->arg, p, n, e);
	if (!good) {
		if (h->body.len < MOST_ERROR_BODY)
			str_add(&h->body, p, n < MOST_ERROR_BODY - h->body.len ? n : MOST_ERROR_BODY - h->body.len);
		return 0;
	}
	if (n > MOST_BODY - h->body.len)
		return rt_fail_status(e, RT_DIGEST, "the answer is larger than 16 MiB");
	str_add(&h->body, p, n);
	return 0;
}

char *
http_header(const struct http *h, const char *name, unsigned nth)
{
	size_t n = strlen(name);

	for (const char *p = h->head.s; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, "\r\n");

		if (len > n && strncasecmp(p, name, n) == 0 && p[n] == ':' && nth-- == 0) {
			size_t from = n + 1 + strspn(p + n + 1, " \t");

			while (len > from && (p[len - 1] == ' ' || p[len - 1] == '\t'))
				len--;
			return rt_strndup(p + from, len - from);
		}
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return NULL;
}

/* ---- URLs -------------------------------------------------------------------------------------- */

static bool
is_http(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

/* What goes to a program must be one word of visible ASCII: no line of its configuration can end early. */
static bool
url_ok(const char *url)
{
	if (!is_http(url))
		return false;
	for (const char *p = url; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e || *p == '"' || *p == '\\')
			return false;
	return true;
}

static size_t
origin_length(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? 0 : (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");
}

bool
http_same_origin(const char *a, const char *b)
{
	size_t n = origin_length(a);

	return n == origin_length(b) && strncasecmp(a, b, n) == 0;
}

char *
http_resolve(const char *base, const char *reference)
{
	size_t scheme = strcspn(reference, ":/?#"), origin = origin_length(base), path;

	if (is_http(reference))
		return rt_strdup(reference);
	if (reference[scheme] == ':')
		return NULL;
	if (strncmp(reference, "//", 2) == 0)
		return rt_printf("%.*s%s", (int)strcspn(base, "/"), base, reference);
	if (*reference == '/')
		return rt_printf("%.*s%s", (int)origin, base, reference);
	path = origin + strcspn(base + origin, "?#");
	if (*reference != '?')
		while (path > origin && base[path - 1] != '/')
			path--;
	return rt_printf("%.*s%s%s", (int)path, base, path == origin ? "/" : "", reference);
}

char *
http_shown(const char *url)
{
	size_t origin = origin_length(url), end = strcspn(url, "?#");
	const char *host = strstr(url, "://"), *at;

	if (host == NULL)
		return rt_strdup("a URL");
	host += 3;
	at = memrchr(host, '@', origin - (size_t)(host - url));
	if (at != NULL)
		return rt_printf("%.*s%.*s", (int)(host - url), url, (int)(end - (size_t)(at + 1 - url)), at + 1);
	return rt_strndup(url, end);
}

void
http_escape(struct str *out, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *s != '\0'; s++) {
		if (strchr(plain, *s) != NULL)
			str_putc(out, *s);
		else
			str_printf(out, "%%%02X", (unsigned char)*s);
	}
}

/* ---- the exchange ------------------------------------------------------------------------------ */

int
http_exchange(struct http *h, struct rt_err *e)
{
	cleanup_free char *shown = http_shown(h->url);

	http_again(h);
	if (!url_ok(h->url))
		return rt_fail(e, 0, "%s is not a URL that can be fetched", shown);
	for (const char *p = h->authorization; p != NULL && *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			return rt_fail(e, 0, "the credentials for %s hold a control byte", shown);
	if (transport_run(h, e) < 0)
		return rt_prefix(e, "%s %s", h->method, shown);
	return 0;
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int
http_follow(struct http *h, struct rt_err *e)
{
	for (int hops = 0;; hops++) {
		cleanup_free char *location = NULL, *shown = NULL;
		char *next;

		if (http_exchange(h, e) < 0)
			return -1;
		if (!is_redirect(h->status) || (location = http_header(h, "Location", 0)) == NULL)
			return 0;
		shown = http_shown(h->url);
		if (hops == MOST_REDIRECTS)
			return rt_fail(e, 0, "%s: more than %d redirections", shown, MOST_REDIRECTS);
		next = http_resolve(h->url, location);
		if (next == NULL || (!h->to_plain && strncasecmp(h->url, "https:", 6) == 0 && strncasecmp(next, "https:", 6) != 0)) {
			free(next);
			return rt_fail(e, 0, "%s: redirected to something that is not %s", shown, h->to_plain ? "http" : "https");
		}
		if (!http_same_origin(h->url, next))
			h->authorization = NULL;
		free(h->url);
		h->url = next;
	}
}

void
http_pause(const struct http *h, unsigned n)
{
	cleanup_free char *after = http_header(h, "Retry-After", 0);
	long seconds = after != NULL ? strtol(after, NULL, 10) : 0;
	struct timespec t = { .tv_sec = seconds > LONGEST_PAUSE ? LONGEST_PAUSE : seconds > 0 ? seconds : 0 };
	long ms = (200L << (n < 6 ? n : 6)) / 2 + (long)getpid() % 100;

	if (t.tv_sec == 0) {
		t.tv_sec = ms / 1000;
		t.tv_nsec = ms % 1000 * 1000000;
	}
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		continue;
}
