/* HTTP by the host's curl.  Its options come through its standard input, so that no credential is ever in an argument
   vector (ps(1) shows those to everybody). */
#ifndef RT_HTTP_H
#define RT_HTTP_H

#include "rt.h"

struct http_get {
	const char *url;
	const char *output;      /* absolute path of a file that is written */
	const char *headers;     /* where the response headers go, NULL: nowhere */
	const char *authorization; /* value of that header, NULL: none */
	const char *accept;      /* value of that header, NULL: none */
};
/* Fetches everything, several at once, following redirections (credentials stay with their host), with retries.  *status
   gets the last response's code.  -1 with `e` when there was no answer. */
int http_fetch(const struct http_get *gets, size_t n, int *status, struct rt_err *e);

#endif
