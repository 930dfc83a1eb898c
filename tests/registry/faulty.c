/* A registry for pulls that does wrong on purpose: faulty ROOT LOG PORTFILE.  ROOT is an OCI layout with a file tags/NAME
   a tag; the first component of the repository says what goes wrong:
     ok        nothing
     bitrot    one bit of every large blob is flipped
     cut       every large blob ends half way, against its Content-Length
     short     the same, with a Content-Length that agrees
     long      large blobs have a byte too many
     missing   large blobs are not there
     stutter   a connection carries at most 64 KiB of a large blob; ranges work
     deaf      the first answer is cut; ranges are not understood after that
     busy      the first two answers are 503
     cdn       large blobs are redirected to another name of this host, which refuses credentials
     token     a token of /token is needed, which user "who" with the password "s3cret" gets
     refresh   the same by an identity token, "id-token", and POST
     liar      manifests carry another digest in their header
     revoked   blobs are answered with 401, as if the credentials had been withdrawn since the manifest
     gone      the manifest is there, and none of its blobs
   Nothing of that while ROOT/.mended exists.
   LOG receives a line a request: METHOD PATH RANGE. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGE = 100000, PIECE = 65536 };

struct request {
	char text[65536];
	char method[16], path[2048];
	long from;        /* of a range, -1: none */
	const char *auth; /* "" without */
	char *body;
};

static const char *root, *log_name;
static int port;

static const char *
header(struct request *q, const char *name)
{
	static char value[4096];
	size_t n = strlen(name);

	for (char *p = q->text; (p = strchr(p, '\n')) != NULL && *++p != '\r';)
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + n + 2, "\r"), p + n + 2);
			return value;
		}
	return "";
}

static int
read_request(int fd, struct request *q)
{
	size_t n = 0, want;
	ssize_t k;

	while (n < sizeof(q->text) - 1 && (k = read(fd, q->text + n, sizeof(q->text) - 1 - n)) > 0) {
		q->text[n += (size_t)k] = '\0';
		q->body = strstr(q->text, "\r\n\r\n");
		want = q->body != NULL ? (size_t)(q->body + 4 - q->text) + (size_t)atol(header(q, "Content-Length")) : 0;
		if (q->body != NULL && n >= want)
			break;
	}
	if (q->body == NULL || sscanf(q->text, "%15s %2047s", q->method, q->path) != 2)
		return -1;
	q->body += 4;
	q->from = strncmp(header(q, "Range"), "bytes=", 6) == 0 ? atol(header(q, "Range") + 6) : -1;
	q->auth = strdup(header(q, "Authorization"));
	return 0;
}

static void
answer(int fd, const char *status, const char *more, const char *body)
{
	dprintf(fd, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body), more, body);
}

/* Counts calls by name; the first gives 1. */
static int
count(const char *what)
{
	char name[4096];
	int fd, n;

	snprintf(name, sizeof(name), "%s/.count-%s", root, what);
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
	n = (int)lseek(fd, 0, SEEK_END) + 1;
	if (write(fd, "x", 1) != 1)
		n = 1;
	close(fd);
	return n;
}

static char *
slurp(const char *name, size_t *n)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	p = calloc(1, (size_t)st.st_size + 2);
	*n = p != NULL ? (size_t)read(fd, p, (size_t)st.st_size) : 0;
	close(fd);
	return p;
}

static void
send_bytes(int fd, const char *p, size_t n)
{
	for (ssize_t k; n > 0 && (k = write(fd, p, n)) > 0; n -= (size_t)k)
		p += k;
}

static void
send_large(int fd, struct request *q, const char *mode, char *p, size_t n, const char *path)
{
	size_t from = q->from > 0 && (size_t)q->from < n && strcmp(mode, "deaf") != 0 ? (size_t)q->from : 0, said, sent;

	if (strcmp(mode, "missing") == 0) {
		answer(fd, "404 Not Found", "", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}");
		return;
	}
	if (strcmp(mode, "cdn") == 0) {
		char more[4096];

		snprintf(more, sizeof(more), "Location: http://localhost:%d/cdn/%s?signature=sesame\r\n", port, path);
		answer(fd, "307 Temporary Redirect", more, "");
		return;
	}
	if (strcmp(mode, "bitrot") == 0)
		p[n / 2] ^= 1;
	if (strcmp(mode, "long") == 0)
		p[n++] = 'x';
	if (strcmp(mode, "short") == 0)
		n = from < n / 2 ? n / 2 : from;
	if (from >= n) {
		answer(fd, "416 Range Not Satisfiable", "", "");
		return;
	}
	said = sent = n - from;
	if (strcmp(mode, "cut") == 0 || (strcmp(mode, "deaf") == 0 && count("deaf") == 1))
		sent = n / 2 > from ? n / 2 - from : 0;
	if (strcmp(mode, "stutter") == 0 && sent > PIECE)
		sent = PIECE;
	dprintf(fd, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n", from > 0 ? "206 Partial Content" : "200 OK", said);
	if (from > 0)
		dprintf(fd, "Content-Range: bytes %zu-%zu/%zu\r\n", from, n - 1, n);
	dprintf(fd, "Content-Type: application/octet-stream\r\n\r\n");
	send_bytes(fd, p + from, sent);
}

static void
send_blob(int fd, struct request *q, const char *mode, const char *digest, const char *type)
{
	char name[4096], more[512];
	size_t n;
	char *p;

	snprintf(name, sizeof(name), "%s/blobs/sha256/%s", root, digest + 7);
	p = strchr(digest, '/') == NULL && strncmp(digest, "sha256:", 7) == 0 ? slurp(name, &n) : NULL;
	if (p == NULL) {
		answer(fd, "404 Not Found", "", "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown\"}]}");
		return;
	}
	if (n >= LARGE && type == NULL) {
		send_large(fd, q, mode, p, n, digest);
		return;
	}
	snprintf(more, sizeof(more), "Docker-Content-Digest: %.60s%s\r\nContent-Type: %s\r\n", digest,
	         strcmp(mode, "liar") == 0 ? "00000000000" : digest + 60, type != NULL ? type : "application/octet-stream");
	dprintf(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", n, more);
	send_bytes(fd, p, n);
}

static void
token(int fd, struct request *q)
{
	/* who:s3cret */
	if (strcmp(q->method, "GET") == 0 && strcmp(q->auth, "Basic d2hvOnMzY3JldA==") == 0 && strstr(q->path, "scope=repository%3A") != NULL)
		answer(fd, "200 OK", "Content-Type: application/json\r\n", "{\"token\":\"pass-token\"}");
	else if (strcmp(q->method, "POST") == 0 && strstr(q->body, "refresh_token=id-token") != NULL && strstr(q->body, "scope=") != NULL)
		answer(fd, "200 OK", "Content-Type: application/json\r\n", "{\"access_token\":\"pass-token\"}");
	else
		answer(fd, "401 Unauthorized", "", "{\"errors\":[{\"message\":\"who are you\"}]}");
}

static void
serve(int fd)
{
	static struct request q;
	char mode[64] = "", kind[16] = "", what[256] = "", name[4096], more[512];
	char *tag;
	bool mended;
	size_t n;
	int log;

	if (read_request(fd, &q) < 0)
		return;
	if (strncmp(q.path, "http://", 7) == 0) /* to a proxy */
		memmove(q.path, strchr(q.path + 7, '/'), strlen(strchr(q.path + 7, '/')) + 1);
	log = open(log_name, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dprintf(log, "%s %s %ld\n", q.method, q.path, q.from);
	close(log);
	snprintf(name, sizeof(name), "%s/.mended", root);
	mended = access(name, F_OK) == 0;
	if (strncmp(q.path, "/token", 6) == 0) {
		token(fd, &q);
	} else if (sscanf(q.path, "/cdn/%255[^?]?signature=sesame", what) == 1) {
		if (*q.auth != '\0')
			answer(fd, "400 Bad Request", "", "credentials came along");
		else
			send_blob(fd, &q, "ok", what, NULL);
	} else if (sscanf(q.path, "/v2/%63[^/]/image/%15[^/]/%255s", mode, kind, what) != 3) {
		answer(fd, "200 OK", "", "{}");
	} else if (mended && strcmp(kind, "manifests") != 0) {
		send_blob(fd, &q, "ok", what, NULL);
	} else if (strcmp(mode, "revoked") == 0 && strcmp(kind, "blobs") == 0) {
		answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "{\"errors\":[{\"message\":\"no longer\"}]}");
	} else if (strcmp(mode, "gone") == 0 && strcmp(kind, "blobs") == 0) {
		answer(fd, "404 Not Found", "", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}");
	} else if ((strcmp(mode, "token") == 0 || strcmp(mode, "refresh") == 0 || strcmp(mode, "cdn") == 0) && strcmp(q.auth, "Bearer pass-token") != 0) {
		snprintf(more, sizeof(more), "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token\",service=\"the, registry\"\r\n", port);
		answer(fd, "401 Unauthorized", more, "{}");
	} else if (strcmp(mode, "busy") == 0 && count("busy") <= 2) {
		answer(fd, "503 Service Unavailable", "", "");
	} else if (strcmp(kind, "manifests") == 0) {
		if (mended)
			strcpy(mode, "ok");
		snprintf(name, sizeof(name), "%s/tags/%s", root, what);
		tag = strchr(what, '/') == NULL ? slurp(name, &n) : NULL;
		if (tag != NULL)
			tag[strcspn(tag, "\n")] = '\0';
		send_blob(fd, &q, mode, tag != NULL ? tag : what, "application/vnd.oci.image.manifest.v1+json");
	} else {
		send_blob(fd, &q, mode, what, NULL);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	FILE *f;

	if (argc != 4 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 64) < 0 ||
	    getsockname(s, (struct sockaddr *)&a, &len) < 0 || (f = fopen(argv[3], "w")) == NULL)
		return 1;
	root = argv[1];
	log_name = argv[2];
	port = ntohs(a.sin_port);
	fprintf(f, "%d\n", port);
	fclose(f);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(s, NULL, NULL);

		if (fd >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(s);
			serve(fd);
			shutdown(fd, SHUT_WR);
			while (read(fd, (char[512]){ 0 }, 512) > 0)
				continue;
			_exit(0);
		}
		close(fd);
	}
}
