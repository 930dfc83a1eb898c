/* Where a repository is, and how a registry is asked: scheme, mirrors, authentication, patience. */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 5 };

/* ---- the network, as the user allows it --------------------------------------------------------- */

int
net_allowed(const char *what, struct rt_err *e)
{
	const char *off = getenv("DOCKCC_OFFLINE");

	if (off == NULL || *off == '\0' || strcmp(off, "0") == 0)
		return 0;
	return rt_fail(e, 0, "%s is not here, and %s", what,
	               getenv("DOCKCC_BUNDLE") != NULL ? "a bundle fetches nothing" : "the network is forbidden (--offline)");
}

bool
net_option(const char *word)
{
	if (strcmp(word, "--offline") == 0)
		setenv("DOCKCC_OFFLINE", "1", 1);
	else if (strcmp(word, "--pull") == 0)
		setenv("DOCKCC_PULL", "1", 1);
	else if (strncmp(word, "--tls-ca=", 9) == 0)
		setenv("DOCKCC_TLS_CA", word + 9, 1);
	else
		return false;
	return true;
}

/* ---- $DOCKCC_REGISTRIES -------------------------------------------------------------------------
   Lines of words; "#" begins a comment.
     HOST[:PORT] http          spoken to without TLS
     HOST[:PORT] https         with TLS, also on this machine
     HOST[:PORT] ca FILE       the roots to trust for it
     HOST[:PORT] mirror URL    tried before it for pulls, several in their order */

struct rules {
	struct list mirrors;
	char *ca;
	int tls; /* -1: as usual, 0, 1 */
};

static void
rules_free(struct rules *r)
{
	list_free(&r->mirrors);
	free(r->ca);
}

static int
rule(struct rules *out, char *line, const char *host, struct rt_err *e)
{
	char *save = NULL, *who = strtok_r(line, " \t\r", &save), *what, *value;

	if (who == NULL)
		return 0;
	what = strtok_r(NULL, " \t\r", &save);
	value = strtok_r(NULL, " \t\r", &save);
	if (what == NULL)
		return rt_fail_status(e, RT_USAGE, "$DOCKCC_REGISTRIES: nothing is said about %s", who);
	if (strcmp(what, "mirror") == 0 && value != NULL) {
		if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
			return rt_fail_status(e, RT_USAGE, "$DOCKCC_REGISTRIES: the mirror %s is not http:// or https://", value);
		if (strcasecmp(who, host) == 0)
			list_add(&out->mirrors, value);
	} else if (strcmp(what, "ca") == 0 && value != NULL) {
		if (strcasecmp(who, host) == 0) {
			free(out->ca);
			out->ca = rt_strdup(value);
		}
	} else if ((strcmp(what, "http") == 0 || strcmp(what, "https") == 0) && value == NULL) {
		if (strcasecmp(who, host) == 0)
			out->tls = what[4] == 's';
	} else {
		return rt_fail_status(e, RT_USAGE, "$DOCKCC_REGISTRIES: %s %s: want http, https, ca FILE or mirror URL", who, what);
	}
	return 0;
}

static int
rules_read(struct rules *out, const char *host, struct rt_err *e)
{
	const char *path = getenv("DOCKCC_REGISTRIES"), *ca = getenv("DOCKCC_TLS_CA");
	struct str text = { 0 };
	char *save = NULL;
	int rc = 0;

	*out = (struct rules){ .tls = -1, .ca = ca != NULL && *ca != '\0' ? rt_strdup(ca) : NULL };
	if (path == NULL || *path == '\0')
		return 0;
	if (rt_read_file(AT_FDCWD, path, 1 << 20, &text, e) < 0)
		rc = rt_prefix(e, "$DOCKCC_REGISTRIES");
	for (char *line = rc == 0 ? strtok_r(text.s, "\n", &save) : NULL; rc == 0 && line != NULL; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#")] = '\0';
		rc = rule(out, line, host, e);
	}
	str_free(&text);
	if (rc < 0)
		rules_free(out);
	return rc;
}

/* ---- places ------------------------------------------------------------------------------------- */

static bool
is_loopback(const char *host)
{
	return (strncmp(host, "localhost", 9) == 0 && (host[9] == '\0' || host[9] == ':')) || strncmp(host, "127.", 4) == 0 ||
	       strncmp(host, "[::1]", 5) == 0;
}

/* A registry on this machine speaks plain HTTP unless it answers that with 400, as TLS servers do, or not at all. */
static void
settle_scheme(struct registry *r)
{
	cleanup_free char *url = NULL;
	struct rt_err e;
	struct http h;
	bool refused;

	if (r->known)
		return;
	r->known = true;
	url = rt_printf("%s/v2/", r->base);
	http_init(&h, "GET", url);
	refused = http_exchange(&h, &e) < 0;
	if (refused || h.status == 400) {
		char *base = rt_printf("https%s", r->base + 4);

		http_again(&h);
		free(h.url);
		h.url = rt_printf("%s/v2/", base);
		h.ca = r->ca;
		if (!refused || http_exchange(&h, &e) == 0) {
			free(r->base);
			r->base = base;
		} else {
			free(base);
		}
	}
	http_free(&h);
}

static struct registry *
place(const char *name, const char *actions, unsigned nth, struct rt_err *e)
{
	size_t n = strcspn(name, "/");
	struct registry *r = rt_alloc(sizeof(*r));
	struct rules rules;

	r->name = rt_strdup(name);
	r->host = rt_strndup(name, n);
	r->repository = rt_strdup(name[n] == '/' ? name + n + 1 : "");
	r->scope = rt_printf("repository:%s:%s", r->repository, actions);
	if (rules_read(&rules, r->host, e) < 0)
		return NULL;
	r->known = true;
	r->ca = rules.ca;
	rules.ca = NULL;
	if (strcmp(actions, "pull") != 0)
		nth += (unsigned)rules.mirrors.n;
	if (nth < rules.mirrors.n) {
		size_t len = strlen(rules.mirrors.v[nth]);

		while (len > 0 && rules.mirrors.v[nth][len - 1] == '/')
			len--;
		r->base = rt_strndup(rules.mirrors.v[nth], len);
		free(r->host); /* credentials are the mirror's own */
		r->host = rt_strndup(strstr(r->base, "://") + 3, strcspn(strstr(r->base, "://") + 3, "/"));
		r->mirror = true;
	} else if (nth == rules.mirrors.n) {
		bool tls = rules.tls > 0 || (rules.tls < 0 && !is_loopback(r->host));

		r->base = rt_printf("%s://%s", tls ? "https" : "http", strcmp(r->host, "docker.io") == 0 ? "registry-1.docker.io" : r->host);
		r->known = rules.tls >= 0 || tls;
	}
	rules_free(&rules);
	return r;
}

static void
place_free(struct registry *r)
{
	free(r->name);
	free(r->host);
	free(r->repository);
	free(r->scope);
	free(r->ca);
	free(r);
}

struct registry *
registry_get(const char *name, const char *actions, unsigned nth, struct rt_err *e)
{
	static struct known {
		struct registry *r;
		char *key;
	} *all;
	static size_t n;
	cleanup_free char *key = rt_printf("%s %s %u", name, actions, nth);
	struct registry *r;

	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].key, key) == 0)
			return all[i].r;
	e->text[0] = '\0';
	r = place(name, actions, nth, e);
	if (r == NULL)
		return NULL;
	if (r->base == NULL) {
		place_free(r);
		return NULL;
	}
	settle_scheme(r);
	all = rt_grow(all, (n + 1) * sizeof(*all));
	all[n++] = (struct known){ r, rt_strdup(key) };
	return r;
}

void
registry_add_scope(struct registry *r, const char *repository)
{
	char *scope = rt_printf("%s repository:%s:pull", r->scope, repository);

	free(r->scope);
	r->scope = scope;
}

char *
registry_url(const struct registry *r, const char *path)
{
	return rt_printf("%s/v2/%s/%s", r->base, r->repository, path);
}

/* ---- questions ---------------------------------------------------------------------------------- */

static int
ask_once(struct registry *r, struct http *h, struct rt_err *e)
{
	cleanup_free char *url = rt_strdup(h->url);
	bool follow = strcmp(h->method, "GET") == 0 || strcmp(h->method, "HEAD") == 0;

	h->ca = r->ca;
	for (int tries = 0;; tries++) {
		bool here = http_same_origin(url, r->base);

		free(h->url);
		h->url = rt_strdup(url);
		/* an upload may be sent elsewhere: not with our credentials */
		h->authorization = here ? r->authorization : NULL;
		if ((follow ? http_follow(h, e) : http_exchange(h, e)) < 0)
			return -1;
		if (h->status != 401 || tries > 0 || !here || !http_same_origin(h->url, url))
			return 0;
		if (registry_authorize(r, h, e) < 0)
			return -1;
	}
}

int
registry_ask(struct registry *r, struct http *h, bool patient, struct rt_err *e)
{
	cleanup_free char *url = rt_strdup(h->url);

	for (unsigned n = 1;; n++) {
		int rc = ask_once(r, h, e);
		bool again = rc < 0 ? h->temporary : h->status == 429 || h->status == 408 || h->status >= 500;

		r->dead = rc < 0 && again && patient && n == TRIES;
		if (!again || !patient || n == TRIES)
			return rc;
		http_pause(h, n);
		free(h->url);
		h->url = rt_strdup(url);
	}
}

/* distribution-spec "Error Codes": {"errors": [{"code": ..., "message": ...}]}. */
static char *
error_text(const struct http *h)
{
	struct rt_err ignored;
	struct json *j = h->body.len > 0 ? json_parse(h->body.s, h->body.len, "", &ignored) : NULL;
	const char *code = json_string_at(j, "/errors/0/code"), *message = json_string_at(j, "/errors/0/message");
	char *text = NULL;

	if (message != NULL && *message != '\0')
		text = rt_printf(" (%.200s)", message);
	else if (code != NULL)
		text = rt_printf(" (%.200s)", code);
	json_free(j);
	return text != NULL ? text : rt_strdup("");
}

int
registry_refused(const struct registry *r, const struct http *h, const char *what, struct rt_err *e)
{
	cleanup_free char *detail = error_text(h), *where = http_shown(h->url);

	where[strcspn(where + strcspn(where, "/") + 2, "/") + strcspn(where, "/") + 2] = '\0';
	if (h->status == 401 || h->status == 403)
		return rt_fail(e, 0, "%s refuses %s: status %d%s; %s for %s", where, what, h->status, detail,
		               r->authorization != NULL ? "look at the credentials in docker's config.json" : "docker's config.json has no credentials", r->host);
	if (h->status == 404)
		return rt_fail(e, 0, "%s has no %s%s", where, what, detail);
	return rt_fail(e, 0, "%s answers the question for %s with status %d%s", where, what, h->status, detail);
}
