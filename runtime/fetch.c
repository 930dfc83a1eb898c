/* ADD of a URL (spec execution.md 1.5), into a file nobody sees until its checksum is known to be right. */
#include "copy_int.h"
#include "http.h"
#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3 };

bool
fetch_is_url(const char *word)
{
	return strncmp(word, "http://", 7) == 0 || strncmp(word, "https://", 8) == 0;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c | ('A' <= c && c <= 'F' ? 0x20 : 0));

	return at == NULL ? -1 : (int)(at - digits);
}

bool
fetch_percent_decode(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		int hi, lo;

		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || hi + lo == 0)
			return false;
		*out++ = (char)(hi << 4 | lo);
		s += 2;
	}
	*out = '\0';
	return true;
}

char *
fetch_name(const char *url)
{
	const char *host = strstr(url, "://") + 3, *start = host + strcspn(host, "/?#");
	cleanup_free char *path = rt_strndup(start, strcspn(start, "?#"));
	size_t n;
	char *base;

	if (!fetch_percent_decode(path))
		return rt_strdup("__unnamed__");
	for (n = strlen(path); n > 0 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	base = strrchr(path, '/');
	base = base == NULL ? path : base + 1;
	if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return rt_strdup("__unnamed__");
	return rt_strdup(base);
}

/* ---- response headers ---- */

/* RFC 9110 5.6.7: the preferred form of a date.  0 when it is none, which is also docker's time then. */
static int64_t
http_date(const char *s)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	time_t t = end == NULL ? 0 : timegm(&tm);

	return t < 0 ? 0 : t;
}

/* A new file in `tmp` without a name. */
static int
nameless(const char *tmp, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%s/fetch.XXXXXX", tmp);
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd < 0)
		return rt_fail(e, errno, "create a file in %s", tmp);
	unlink(name);
	return fd;
}

struct fetched {
	int fd; /* -1: only the sum is wanted */
	struct sha256 sum;
};

static int
take_piece(void *arg, const char *p, size_t n, struct rt_err *e)
{
	struct fetched *f = arg;

	sha256_update(&f->sum, p, n);
	return f->fd < 0 ? 0 : rt_write_all(f->fd, p, n, "the download", e);
}

/* What Go's net/url would send of it: bytes that no URL may hold are percent-encoded, the rest stays,
   without the fragment; malloc'd. */
static char *
sent_url(const char *url)
{
	struct str out = { 0 };

	for (; *url != '\0' && *url != '#'; url++) {
		if (*url < 0x21 || *url > 0x7e || *url == '"' || *url == '\\')
			str_printf(&out, "%%%02X", (unsigned char)*url);
		else
			str_putc(&out, *url);
	}
	return out.s;
}

/* One whole transfer with a good answer, tried again when that may help.  `f` holds what came. */
static int
transfer(struct http *h, struct fetched *f, const char *url, struct rt_err *e)
{
	for (unsigned n = 1;; n++) {
		int rc;

		free(h->url);
		h->url = sent_url(url);
		sha256_init(&f->sum);
		if (f->fd >= 0 && (ftruncate(f->fd, 0) < 0 || lseek(f->fd, 0, SEEK_SET) < 0))
			return rt_fail(e, errno, "truncate a download");
		rc = http_follow(h, e);
		if (n == TRIES || (rc < 0 ? !h->temporary : h->status != 429 && h->status != 408 && h->status < 500))
			return rc == 0 && !http_good(h) && !(h->status == 304 && h->headers.n > 0) ? rt_fail(e, 0, "the server answers with status %d", h->status) : rc;
		http_pause(h, n);
	}
}

static int
check_sum(struct fetched *f, const char *checksum, struct rt_err *e)
{
	char digest[72];

	sha256_digest(&f->sum, digest);
	return strcasecmp(digest, checksum) == 0 ? 0 : rt_fail_status(e, RT_DIGEST, "the file has checksum %s, not %s", digest, checksum);
}

int
fetch_url(const char *url, const char *tmp, const char *checksum, int64_t *mtime, struct rt_err *e)
{
	cleanup_free char *modified = NULL;
	cleanup_fd int fd = -1;
	struct fetched f;
	struct http h;
	int rc, kept;

	if (checksum != NULL && (strncmp(checksum, "sha256:", 7) != 0 || strlen(checksum) != 71))
		return rt_fail(e, 0, "--checksum=%s is not of the form sha256:HEX", checksum);
	if (net_allowed(url, e) < 0 || (fd = f.fd = nameless(tmp, e)) < 0)
		return -1;
	http_init(&h, "GET", url);
	h.sink = take_piece;
	h.arg = &f;
	h.to_plain = true;
	rc = transfer(&h, &f, url, e);
	if (rc == 0 && checksum != NULL)
		rc = check_sum(&f, checksum, e);
	modified = http_header(&h, "Last-Modified", 0);
	*mtime = modified != NULL ? http_date(modified) : 0;
	http_free(&h);
	if (rc < 0)
		return -1;
	lseek(fd, 0, SEEK_SET);
	kept = fd;
	fd = -1;
	return kept;
}

int
remote_digest(const char *url, char digest[72], struct rt_err *e)
{
	struct fetched f = { .fd = -1 };
	struct http h;
	int rc;

	if (net_allowed(url, e) < 0)
		return -1;
	http_init(&h, "GET", url);
	h.sink = take_piece;
	h.arg = &f;
	h.to_plain = true;
	rc = transfer(&h, &f, url, e);
	http_free(&h);
	if (rc == 0)
		sha256_digest(&f.sum, digest);
	return rc;
}

/* RFC 9110 13.1: only when it is not what we know. */
static void
conditions(struct http *h, const struct fetch_note *note)
{
	cleanup_free char *etag = NULL, *modified = NULL;

	if (note->sum[0] != '\0' && note->etag != NULL) {
		etag = rt_printf("If-None-Match: %s", note->etag);
		list_add(&h->headers, etag);
	} else if (note->sum[0] != '\0' && note->modified != NULL) {
		modified = rt_printf("If-Modified-Since: %s", note->modified);
		list_add(&h->headers, modified);
	}
}

int
fetch_changed(const char *url, const char *tmp, struct fetch_note *note, int *fd, int64_t *mtime, struct rt_err *e)
{
	struct fetched f;
	struct http h;
	int rc;

	if (net_allowed(url, e) < 0 || (f.fd = nameless(tmp, e)) < 0)
		return -1;
	http_init(&h, "GET", url);
	h.sink = take_piece;
	h.arg = &f;
	h.to_plain = true;
	conditions(&h, note);
	rc = transfer(&h, &f, url, e);
	if (rc == 0 && h.status != 304) {
		free(note->etag);
		free(note->modified);
		note->etag = http_header(&h, "ETag", 0);
		note->modified = http_header(&h, "Last-Modified", 0);
		sha256_digest(&f.sum, note->sum);
		*mtime = note->modified != NULL ? http_date(note->modified) : 0;
		*fd = f.fd;
		rc = 1;
	} else {
		close(f.fd);
	}
	http_free(&h);
	return rc;
}
