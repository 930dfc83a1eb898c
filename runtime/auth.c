/* Who we are for a registry: docker's config.json, credential helpers, and tokens.
   Sources: RFC 9110 11 (challenges), RFC 7617 (Basic), RFC 6750 (Bearer), the token and OAuth2 pages of the distribution
   project, docker's credential helper protocol. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry.h"
#include "stream.h"

static const char hub_key[] = "https://index.docker.io/v1/";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- base64, RFC 4648 4 ------------------------------------------------------------------------ */

char *
base64_encode(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	char *out = rt_alloc(n / 3 * 4 + 5), *o = out;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

		*o++ = letters[v >> 18];
		*o++ = letters[v >> 12 & 63];
		*o++ = i + 1 < n ? letters[v >> 6 & 63] : '=';
		*o++ = i + 2 < n ? letters[v & 63] : '=';
	}
	return out;
}

char *
base64_decode(const char *s)
{
	char *out = rt_alloc(strlen(s) + 1), *o = out;
	unsigned v = 0, bits = 0;

	for (; *s != '\0' && *s != '='; s++) {
		const char *at = strchr(letters, *s);

		if (at == NULL) {
			free(out);
			return NULL;
		}
		v = (v << 6 | (unsigned)(at - letters)) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*o++ = (char)(v >> bits);
		}
	}
	return out;
}

/* ---- credentials ------------------------------------------------------------------------------- */

static void
forget(char **s)
{
	if (*s != NULL)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void
credentials_free(struct credentials *c)
{
	forget(&c->user);
	forget(&c->secret);
	forget(&c->token);
}

/* $DOCKER_CONFIG/config.json, else ~/.docker/config.json; NULL with e->text empty when there is none. */
static struct json *
docker_config(struct rt_err *e)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	cleanup_free char *path = dir != NULL && *dir != '\0' ? rt_printf("%s/config.json", dir)
	                        : rt_printf("%s/.docker/config.json", home != NULL ? home : "");
	struct str text = { 0 };
	struct json *j = NULL;
	cleanup_free char *real = realpath(path, NULL);

	e->text[0] = '\0';
	if (real == NULL)
		return NULL;
	if (rt_read_file(AT_FDCWD, real, 1 << 20, &text, e) == 0)
		j = json_parse(text.s, text.len, path, e);
	if (text.s != NULL)
		explicit_bzero(text.s, text.len);
	str_free(&text);
	return j;
}

/* The member of an object whose key means the host: bare, or as a URL. */
static const struct json *
entry_for(const struct json *object, const char *host)
{
	for (size_t i = 0; object != NULL && object->type == JSON_OBJECT && i < object->n; i++) {
		const char *key = object->v[i]->key, *at = strstr(key, "://");
		size_t n;

		if (strcmp(host, "docker.io") == 0 && strcmp(key, hub_key) == 0)
			return object->v[i];
		at = at != NULL ? at + 3 : key;
		n = strcspn(at, "/");
		if (n == strlen(host) && strncasecmp(at, host, n) == 0)
			return object->v[i];
	}
	return NULL;
}

static int
from_auths(const struct json *entry, struct credentials *c, const char *host, struct rt_err *e)
{
	const char *auth = json_string_at(entry, "/auth"), *identity = json_string_at(entry, "/identitytoken"),
	           *token = json_string_at(entry, "/registrytoken"), *user = json_string_at(entry, "/username"),
	           *password = json_string_at(entry, "/password");
	char *pair, *colon;

	if (token != NULL && *token != '\0') {
		c->token = rt_strdup(token);
		return 1;
	}
	if (identity != NULL && *identity != '\0') {
		c->secret = rt_strdup(identity);
		return 1;
	}
	if (auth != NULL && *auth != '\0') {
		pair = base64_decode(auth);
		colon = pair != NULL ? strchr(pair, ':') : NULL;
		if (colon != NULL) {
			c->user = rt_strndup(pair, (size_t)(colon - pair));
			c->secret = rt_strdup(colon + 1);
		}
		forget(&pair);
		return c->user != NULL ? 1 : rt_fail(e, 0, "docker's config.json: the auth of %s is not USER:PASSWORD in base64", host);
	}
	if (user != NULL && password != NULL && *user != '\0') {
		c->user = rt_strdup(user);
		c->secret = rt_strdup(password);
		return 1;
	}
	return 0;
}

static int
parse_helper(const char *program, const struct str *text, struct credentials *c, struct rt_err *e)
{
	struct json *j = json_parse(text->s, text->len, program, e);
	const char *user = json_string_at(j, "/Username"), *secret = json_string_at(j, "/Secret");
	int rc = 0;

	if (j == NULL || secret == NULL) {
		json_free(j);
		return rt_fail(e, 0, "%s gives no Secret", program); /* and not what it gave */
	}
	if (*secret != '\0') {
		if (user != NULL && *user != '\0' && strcmp(user, "<token>") != 0)
			c->user = rt_strdup(user);
		c->secret = rt_strdup(secret);
		rc = 1;
	}
	json_free(j);
	return rc;
}

/* docker-credential-NAME get: the server's address on its standard input, JSON on its output. */
static int
from_helper(const char *name, const char *host, struct credentials *c, struct rt_err *e)
{
	cleanup_free char *program = rt_printf("docker-credential-%s", name);
	const char *const argv[] = { program, "get", NULL }, *key = strcmp(host, "docker.io") == 0 ? hub_key : host;
	struct program p;
	struct str text = { 0 };
	char block[4096];
	ssize_t n;
	int rc;

	if (*name == '\0' || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] != '\0')
		return rt_fail(e, 0, "docker's config.json: %s is not the name of a credential helper", name);
	if (program_start(&p, argv, e) < 0)
		return -1;
	send(p.in, key, strlen(key), MSG_NOSIGNAL);
	rt_close_fd(&p.in);
	while (text.len < 1 << 20 && ((n = read(p.out, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			str_add(&text, block, (size_t)n);
	str_add(&text, "", 0);
	rc = program_end(&p, e);
	if (rc < 0)
		rc = strstr(text.s, "credentials not found") != NULL ? 0 : rt_fail(e, 0, "%s failed for %s", program, host);
	else
		rc = parse_helper(program, &text, c, e);
	explicit_bzero(block, sizeof(block));
	explicit_bzero(text.s, text.len);
	str_free(&text);
	return rc;
}

int
credentials_find(const char *host, struct credentials *c, struct rt_err *e)
{
	struct json *config = docker_config(e);
	const struct json *helper, *entry;
	const char *name;
	int rc = 0;

	*c = (struct credentials){ 0 };
	if (config == NULL)
		return e->text[0] != '\0' ? -1 : 0;
	helper = entry_for(json_at(config, "/credHelpers"), host);
	entry = entry_for(json_at(config, "/auths"), host);
	name = helper != NULL ? helper->s : json_string_at(config, "/credsStore");
	if (name != NULL && *name != '\0')
		rc = from_helper(name, host, c, e);
	if (rc == 0 && entry != NULL)
		rc = from_auths(entry, c, host, e);
	json_free(config);
	return rc;
}

/* ---- challenges -------------------------------------------------------------------------------- */

/* The value of a parameter in "Bearer realm="...",service="..."", RFC 9110 11.2; malloc'd. */
static char *
parameter(const char *challenge, const char *name)
{
	size_t n = strlen(name);
	const char *p = challenge + strcspn(challenge, " ");

	while (*p != '\0') {
		struct str value = { 0 };
		const char *key;
		size_t len;

		p += strspn(p, " \t,");
		key = p;
		len = strcspn(p, "= \t,");
		p += len;
		p += strspn(p, " \t");
		if (*p != '=')
			continue;
		p++;
		p += strspn(p, " \t");
		str_add(&value, "", 0);
		if (*p == '"') {
			for (p++; *p != '\0' && *p != '"'; p++) {
				p += *p == '\\' && p[1] != '\0';
				str_putc(&value, *p);
			}
			p += *p == '"';
		} else {
			str_add(&value, p, strcspn(p, ", \t"));
			p += strcspn(p, ", \t");
		}
		if (len == n && strncasecmp(key, name, n) == 0)
			return value.s;
		str_free(&value);
	}
	return NULL;
}

static char *
challenge_of(const struct http *answer, const char *scheme)
{
	size_t n = strlen(scheme);
	char *c;

	for (unsigned i = 0; (c = http_header(answer, "WWW-Authenticate", i)) != NULL; i++) {
		if (strncasecmp(c, scheme, n) == 0 && (c[n] == ' ' || c[n] == '\0'))
			return c;
		free(c);
	}
	return NULL;
}

static char *
basic(const struct credentials *c)
{
	char *pair = rt_printf("%s:%s", c->user, c->secret), *code = base64_encode(pair, strlen(pair)),
	     *value = rt_printf("Basic %s", code);

	forget(&pair);
	forget(&code);
	return value;
}

/* Scopes are separated by blanks; a token server wants each as a parameter of its own. */
static void
add_scopes(struct str *query, const char *scopes)
{
	cleanup_free char *copy = rt_strdup(scopes);
	char *save = NULL;

	for (char *s = strtok_r(copy, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save)) {
		str_puts(query, "&scope=");
		http_escape(query, s);
	}
}

static int
read_token(struct registry *r, const struct http *h, struct rt_err *e)
{
	struct json *j;
	const char *token;
	int rc = 0;

	if (!http_good(h))
		return registry_refused(r, h, "a token", e);
	j = json_parse(h->body.s != NULL ? h->body.s : "", h->body.len, "the token server's answer", e);
	token = json_string_at(j, "/token");
	if (token == NULL || *token == '\0')
		token = json_string_at(j, "/access_token");
	if (token != NULL && *token != '\0')
		r->authorization = rt_printf("Bearer %s", token);
	else
		rc = rt_fail(e, 0, "%s: the token server's answer holds no token", r->name);
	json_free(j);
	return rc;
}

/* Asks the token server; an identity token by POST (OAuth2), everything else by GET. */
static int
fetch_token(struct registry *r, const char *realm, const char *service, const struct credentials *c, struct rt_err *e)
{
	bool identity = c->user == NULL && c->secret != NULL;
	struct str query = { 0 };
	cleanup_free char *authorization = c->user != NULL ? basic(c) : NULL, *url = NULL;
	struct http h;
	int rc = 0;

	str_puts(&query, "service=");
	http_escape(&query, service);
	if (identity) {
		str_puts(&query, "&client_id=dockcc&grant_type=refresh_token&refresh_token=");
		http_escape(&query, c->secret);
		str_puts(&query, "&scope=");
		http_escape(&query, r->scope);
		http_init(&h, "POST", realm);
		list_add(&h.headers, "Content-Type: application/x-www-form-urlencoded");
		h.data = query.s;
	} else {
		add_scopes(&query, r->scope);
		url = rt_printf("%s%c%s", realm, strchr(realm, '?') != NULL ? '&' : '?', query.s);
		http_init(&h, "GET", url);
		h.authorization = authorization;
	}
	h.ca = r->ca;
	for (unsigned n = 1; (rc = http_follow(&h, e)) < 0 && h.temporary && n < 4; n++)
		http_pause(&h, n);
	if (rc == 0)
		rc = read_token(r, &h, e);
	if (authorization != NULL)
		explicit_bzero(authorization, strlen(authorization));
	explicit_bzero(query.s, query.len);
	str_free(&query);
	http_free(&h);
	return rc;
}

static int
bearer(struct registry *r, const char *challenge, const struct credentials *c, struct rt_err *e)
{
	cleanup_free char *realm = parameter(challenge, "realm"), *service = parameter(challenge, "service");

	if (c->token != NULL) {
		r->authorization = rt_printf("Bearer %s", c->token);
		return 0;
	}
	if (realm == NULL || (strncasecmp(realm, "https://", 8) != 0 && strncasecmp(realm, "http://", 7) != 0))
		return rt_fail(e, 0, "%s: the registry names no token server", r->name);
	if (strncmp(r->base, "https:", 6) == 0 && strncasecmp(realm, "https:", 6) != 0)
		return rt_fail(e, 0, "%s: the registry names a token server without TLS", r->name);
	return fetch_token(r, realm, service != NULL ? service : "", c, e);
}

int
registry_authorize(struct registry *r, const struct http *answer, struct rt_err *e)
{
	cleanup_free char *token = challenge_of(answer, "Bearer"), *plain = challenge_of(answer, "Basic"),
	                  *any = http_header(answer, "WWW-Authenticate", 0);
	struct credentials c;
	int rc = credentials_find(r->host, &c, e);

	forget(&r->authorization);
	if (rc < 0)
		return -1;
	if (any == NULL)
		rc = rt_fail_status(e, RT_NOMODE, "%s: the registry wants a login, and how, busybox's wget does not tell: install curl", r->name);
	else if (token != NULL)
		rc = bearer(r, token, &c, e);
	else if (plain == NULL)
		rc = rt_fail(e, 0, "%s: the registry wants an authentication that is neither Basic nor Bearer", r->name);
	else if (c.user == NULL)
		rc = rt_fail(e, 0, "%s: the registry wants a user and a password, and docker's config.json has none for %s", r->name, r->host);
	else {
		r->authorization = basic(&c);
		rc = 0;
	}
	credentials_free(&c);
	return rc;
}
