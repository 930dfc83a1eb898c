/* ADD of a URL (spec execution.md 1.5): the host's curl, or wget, into a file nobody sees until its checksum is
   known to be right. */
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

enum { MOST_HEADERS = 1 << 20 };

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

/* Reads the headers of all responses: the last one's time counts.  A redirection to another scheme is refused here, as wget
   has no option for that. */
static int
read_headers(const char *text, int64_t *mtime, struct rt_err *e)
{
	static const char modified[] = "last-modified:", location[] = "location:";

	*mtime = 0;
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *line = p + strspn(p, " \t\r");

		if (strncmp(line, "HTTP/", 5) == 0)
			*mtime = 0;
		if (strncasecmp(line, modified, sizeof(modified) - 1) == 0) {
			line += sizeof(modified) - 1;
			*mtime = http_date(line + strspn(line, " \t"));
		} else if (strncasecmp(line, location, sizeof(location) - 1) == 0) {
			size_t scheme;

			line += sizeof(location) - 1;
			line += strspn(line, " \t");
			scheme = strcspn(line, ":/?#\r\n ");
			if (line[scheme] == ':' && !fetch_is_url(line))
				return rt_fail(e, 0, "redirected to something that is neither http nor https");
		}
	}
	return 0;
}

/* ---- the download ---- */

/* --proto: also for what a redirection names.  -q: no settings of the user's.  Nothing of the URL can be an option. */
static int
run_curl(const char *url, int out, const char *headers, struct str *said, struct rt_err *e)
{
	const char *const argv[] = { "curl", "-q", "--fail", "--silent", "--show-error", "--location", "--globoff",
		"--proto", "=http,https", "--proto-redir", "=http,https", "--max-redirs", "10", "--connect-timeout", "30",
		"--dump-header", headers, "--output", "-", "--url", url, NULL };
	struct tool t = { .argv = argv, .out = out, .err = -1 };
	int r = tool_run(&t, e);

	str_free(&t.said);
	if (r == 0) {
		r = rt_read_file(AT_FDCWD, headers, MOST_HEADERS, said, e);
		unlink(headers);
	}
	return r;
}

/* -S puts the headers on standard error, both in GNU's and in busybox's. */
static int
run_wget(const char *url, int out, struct str *said, struct rt_err *e)
{
	const char *const argv[] = { "wget", "-S", "-t", "2", "-T", "60", "-O", "-", "--", url, NULL };
	const char *const env[] = { "HOME=/dev/null", "WGETRC", "LC_ALL=C", NULL }; /* no settings of the user's */
	struct tool t = { .argv = argv, .env = env, .out = out, .err = -1 };
	int r = tool_run(&t, e);

	*said = t.said;
	return r;
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

static int
check_sum(int fd, const char *checksum, struct rt_err *e)
{
	struct sha256 sum;
	char buf[32 << 10], digest[72];
	ssize_t n;

	sha256_init(&sum);
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sha256_update(&sum, buf, (size_t)n);
	if (n < 0)
		return rt_fail(e, errno, "read the download");
	sha256_digest(&sum, digest);
	if (strcasecmp(digest, checksum) != 0)
		return rt_fail_status(e, RT_DIGEST, "the file has checksum %s, not %s", digest, checksum);
	return 0;
}

int
fetch_url(const char *url, const char *tmp, const char *checksum, int64_t *mtime, struct rt_err *e)
{
	cleanup_free char *headers = rt_printf("%s/headers.%ld", tmp, (long)getpid());
	cleanup_fd int fd = nameless(tmp, e);
	struct str said = { 0 };
	int r, kept;

	if (fd < 0 || net_allowed(url, e) < 0)
		return -1;
	if (checksum != NULL && (strncmp(checksum, "sha256:", 7) != 0 || strlen(checksum) != 71))
		return rt_fail(e, 0, "--checksum=%s is not of the form sha256:HEX", checksum);
	unlink(headers);
	r = run_curl(url, fd, headers, &said, e);
	if (r == 1)
		r = run_wget(url, fd, &said, e);
	if (r == 1)
		r = rt_fail_status(e, RT_NOMODE, "neither curl nor wget is installed");
	if (r == 0)
		r = read_headers(said.s == NULL ? "" : said.s, mtime, e);
	if (r == 0 && checksum != NULL)
		r = check_sum(fd, checksum, e);
	str_free(&said);
	unlink(headers);
	if (r < 0)
		return -1;
	lseek(fd, 0, SEEK_SET);
	kept = fd;
	fd = -1;
	return kept;
}
