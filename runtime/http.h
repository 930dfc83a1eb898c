/* HTTP by a program of the host: curl, else wget (transport.c); one request and its answer (http.c). */
#ifndef RT_HTTP_H
#define RT_HTTP_H

#include "rt.h"

/* Takes the body of a good answer piece by piece; -1 with `e` ends the transfer. */
typedef int http_sink(void *arg, const char *p, size_t n, struct rt_err *e);

struct http {
	/* the question */
	const char *method;        /* GET, HEAD, POST, PUT */
	char *url;                 /* owned */
	struct list headers;       /* "Name: value", nothing secret */
	const char *authorization; /* value of that header, or NULL; never in an argument vector or a message */
	const char *ca;            /* file of the roots to trust instead of the host's, or NULL */
	const char *file;          /* the body is this file */
	const char *data;          /* or these bytes, at most one line of text */
	bool to_plain;             /* a redirection from https to http is followed */
	uint64_t from;             /* GET: the first byte wanted */
	http_sink *sink;           /* where the body of a 200 or 206 goes; NULL: `body`, at most 16 MiB */
	void *arg;
	/* the answer */
	int status;                /* 0: there was none */
	bool temporary;            /* after -1: it may work another time */
	bool skips;                /* a 200 in place of the 206 asked for lacks its first `from` bytes all the same (wget) */
	struct str head;           /* lines of the last header, each ended by a newline */
	struct str body;           /* also of answers that are not good, at most 64 KiB of those */
};
void http_init(struct http *h, const char *method, const char *url);
void http_free(struct http *h);
/* Forgets the answer, so that the question can be put again. */
void http_again(struct http *h);

/* One exchange, redirections not followed.  0 when there is an answer, whatever its status. */
int http_exchange(struct http *h, struct rt_err *e);
/* The same, GET and HEAD following at most 10 redirections (RFC 9110 15.4); the authorization stays with its origin, and
   never from https to http unless h->to_plain. */
int http_follow(struct http *h, struct rt_err *e);

/* Waits before try `n` (1, 2, ...), or as long as the answer says. */
void http_pause(const struct http *h, unsigned n);

/* A header of the answer, the `nth` of that name; malloc'd, NULL when there is none. */
char *http_header(const struct http *h, const char *name, unsigned nth);
/* A reference (RFC 3986 5.2) against the URL it was found at; malloc'd, NULL when it is neither http nor https. */
char *http_resolve(const char *base, const char *reference);
/* Scheme, host and port of a URL agree. */
bool http_same_origin(const char *a, const char *b);
/* The URL for a message: without query, fragment and user; malloc'd. */
char *http_shown(const char *url);
/* Percent-encodes all but unreserved characters (RFC 3986 2.3) and appends. */
void http_escape(struct str *out, const char *s);
bool http_good(const struct http *h);

/* registry.c. Whether the network is forbidden (--offline, $DOCKCC_OFFLINE); then -1 with `e` naming what was wanted. */
int net_allowed(const char *what, struct rt_err *e);
/* --offline, --pull and --tls-ca=FILE of every verb: true when `word` was one. */
bool net_option(const char *word);

/* transport.c: runs the program; status, head and body filled as they come in by http_feed_*. */
int transport_run(struct http *h, struct rt_err *e);
/* http.c: a piece of the body, the header being known. */
int http_feed_body(struct http *h, const char *p, size_t n, struct rt_err *e);
/* Reads the status out of h->head; false when it begins with no status line. */
bool http_read_status(struct http *h);

#endif
