#include "registry.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "json.h"
#include "oci.h"
#include "ref.h"
#include "sha256.h"

#define ACCEPT OCI_MANIFEST ", " OCI_INDEX ", application/vnd.docker.distribution.manifest.v2+json, " \
	"application/vnd.docker.distribution.manifest.list.v2+json"

/* One pull: the registry, what is asked of it, and a directory that becomes an OCI layout. */
struct pull {
	struct ref ref;
	char *host, *repository; /* docker.io and library/debian */
	char *base;              /* https://registry-1.docker.io/v2/library/debian */
	char *authorization;     /* NULL: none so far */
	char *dir;               /* absolute */
	const char *platform;
};

static bool
plain_http(const char *host)
{
	const char *list = getenv("DOCKCC_INSECURE_REGISTRIES");
	size_t n = strlen(host);

	if (strncmp(host, "localhost:", 10) == 0 || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0)
		return getenv("DOCKCC_TLS_CA") == NULL;
	for (; list != NULL && *list != '\0'; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
		if (strncmp(list, host, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
	return false;
}

static int
begin(struct pull *p, const char *ref, struct rt_err *e)
{
	const char *slash;

	if (ref_parse(ref, &p->ref, e) < 0)
		return -1;
	slash = strchr(p->ref.name, '/');
	p->host = rt_strndup(p->ref.name, (size_t)(slash - p->ref.name));
	p->repository = rt_strdup(slash + 1);
	p->base = rt_printf("%s://%s/v2/%s", plain_http(p->host) ? "http" : "https",
	                    strcmp(p->host, "docker.io") == 0 ? "registry-1.docker.io" : p->host, p->repository);
	return 0;
}

static void
end(struct pull *p)
{
	ref_free(&p->ref);
	free(p->host);
	free(p->repository);
	free(p->base);
	if (p->authorization != NULL)
		explicit_bzero(p->authorization, strlen(p->authorization));
	free(p->authorization);
	free(p->dir);
}

static char *
read_text(const char *path, size_t *len, struct rt_err *e)
{
	struct str b = { 0 };

	if (rt_read_file(AT_FDCWD, path, JSON_MAX_BYTES, &b, e) < 0)
		return NULL;
	str_add(&b, "", 0);
	*len = b.len;
	return b.s != NULL ? b.s : rt_strdup("");
}

/* ---- authentication: distribution spec "token", RFC 6750, RFC 7617 -------------------------------- */

/* The value of name="..." in a challenge; malloc'd or NULL. */
static char *
parameter(const char *challenge, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = challenge; (p = strcasestr(p, name)) != NULL; p += n)
		if ((p[-1] == ' ' || p[-1] == ',') && p[n] == '=' && p[n + 1] == '"')
			return rt_strndup(p + n + 2, strcspn(p + n + 2, "\""));
	return NULL;
}

static void
url_encode(struct str *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL)
			str_putc(b, *s);
		else
			str_printf(b, "%%%02X", (unsigned char)*s);
	}
}

static int
get_token(struct pull *p, const char *challenge, struct rt_err *e)
{
	cleanup_free char *realm = parameter(challenge, "realm"), *service = parameter(challenge, "service"), *given = parameter(challenge, "scope"),
	                  *path = rt_printf("%s/token", p->dir), *basic = credentials_basic(p->host);
	struct str url = { 0 };
	struct json *j = NULL;
	const char *token;
	char *text = NULL;
	size_t len;
	int status, rc;

	if (realm == NULL || (strncmp(realm, "https://", 8) != 0 && !(plain_http(p->host) && strncmp(realm, "http://", 7) == 0)))
		return rt_fail(e, 0, "%s asks for a token without saying where", p->host);
	str_printf(&url, "%s%cservice=", realm, strchr(realm, '?') != NULL ? '&' : '?');
	url_encode(&url, service != NULL ? service : "");
	str_puts(&url, "&scope=");
	if (given == NULL)
		given = rt_printf("repository:%s:pull", p->repository);
	url_encode(&url, given);
	rc = http_fetch(&(struct http_get){ .url = url.s, .output = path, .authorization = basic }, 1, &status, e);
	if (rc == 0 && status != 200)
		rc = rt_fail(e, 0, "%s gives no token for %s: status %d", p->host, p->repository, status);
	if (rc == 0 && ((text = read_text(path, &len, e)) == NULL || (j = json_parse(text, len, "the token", e)) == NULL))
		rc = -1;
	unlink(path);
	token = j != NULL ? json_string_at(j, "/token") : NULL;
	if (token == NULL && j != NULL)
		token = json_string_at(j, "/access_token");
	if (rc == 0 && token == NULL)
		rc = rt_fail(e, 0, "%s answers without a token", realm);
	if (rc == 0)
		p->authorization = rt_printf("Bearer %s", token);
	json_free(j);
	free(text);
	str_free(&url);
	return rc;
}

/* After a 401: what the registry wants, from its answer's headers. */
static int
authenticate(struct pull *p, const char *headers, struct rt_err *e)
{
	size_t len;
	char *text = read_text(headers, &len, e), *line, *rest = text;
	int rc = -2;

	if (text == NULL)
		return -1;
	while (rc == -2 && (line = strsep(&rest, "\n")) != NULL) {
		if (strncasecmp(line, "www-authenticate:", 17) != 0)
			continue;
		line += 17 + strspn(line + 17, " ");
		if (strncasecmp(line, "bearer ", 7) == 0) {
			rc = get_token(p, line, e);
		} else if (strncasecmp(line, "basic", 5) == 0) {
			p->authorization = credentials_basic(p->host);
			rc = p->authorization != NULL ? 0 : rt_fail(e, 0, "%s wants a user and a password; docker's config.json has none for it", p->host);
		}
	}
	free(text);
	return rc == -2 ? rt_fail(e, 0, "%s refuses access and does not say what it wants", p->host) : rc;
}

/* ---- manifests and blobs ------------------------------------------------------------------------------ */

/* Fetches a manifest by tag or digest into dir/manifest. */
static int
get_manifest(struct pull *p, const char *what, struct rt_err *e)
{
	cleanup_free char *url = rt_printf("%s/manifests/%s", p->base, what), *path = rt_printf("%s/manifest", p->dir),
	                  *headers = rt_printf("%s/headers", p->dir);
	int status;

	for (int try = 0; try < 2; try++) {
		struct http_get get = { .url = url, .output = path, .headers = headers, .authorization = p->authorization, .accept = ACCEPT };

		unlink(headers);
		if (http_fetch(&get, 1, &status, e) < 0)
			return -1;
		if (status != 401 || p->authorization != NULL)
			break;
		if (authenticate(p, headers, e) < 0)
			return -1;
	}
	unlink(headers);
	if (status == 404)
		return rt_fail(e, 0, "%s has no %s", p->host, what);
	return status == 200 ? 0 : rt_fail(e, 0, "%s answers with status %d", p->host, status);
}

/* Reads dir/manifest, checks its digest (NULL: whatever it is) and makes it a blob of the layout. */
static struct json *
take_manifest(struct pull *p, const char *want, char digest[72], size_t *size, struct rt_err *e)
{
	cleanup_free char *path = rt_printf("%s/manifest", p->dir), *blob = NULL;
	struct json *j = NULL;
	struct sha256 h;
	char *text = read_text(path, size, e);

	if (text == NULL)
		return NULL;
	sha256_init(&h);
	sha256_update(&h, text, *size);
	sha256_digest(&h, digest);
	if (want != NULL && strcmp(want, digest) != 0)
		rt_fail_status(e, RT_DIGEST, "%s sent a manifest with the digest %s instead of %s", p->host, digest, want);
	else
		j = json_parse(text, *size, "the manifest", e);
	blob = rt_printf("%s/blobs/sha256/%s", p->dir, digest + 7);
	if (j != NULL && rename(path, blob) < 0) {
		rt_fail(e, errno, "rename to %s", blob);
		json_free(j);
		j = NULL;
	}
	free(text);
	return j;
}

/* The manifest of an index that suits the platform best; NULL when none does. */
static const char *
choose(const struct json *index, const char *platform, struct rt_err *e)
{
	const struct json *list = json_at(index, "/manifests");
	const char *best = NULL;
	struct platform want;
	int score = 0;

	if (platform_parse(platform, &want, e) < 0)
		return NULL;
	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const char *os = json_string_at(list->v[i], "/platform/os"), *arch = json_string_at(list->v[i], "/platform/architecture"),
		           *digest = json_string_at(list->v[i], "/digest");
		int s = os != NULL && arch != NULL && digest != NULL && digest_valid(digest)
			? platform_score(&want, os, arch, json_string_at(list->v[i], "/platform/variant")) : 0;

		if (s > score) {
			score = s;
			best = digest;
		}
	}
	if (best == NULL)
		rt_fail(e, 0, "no manifest for %s/%s", want.os, want.arch);
	return best;
}

/* Config and layers, several at once; what they are is verified when they are copied into the store. */
static int
get_blobs(struct pull *p, const struct json *manifest, struct rt_err *e)
{
	const struct json *config = json_need(manifest, "/config", JSON_OBJECT, "the manifest", e);
	const struct json *layers = config != NULL ? json_need(manifest, "/layers", JSON_ARRAY, "the manifest", e) : NULL;
	struct list urls = { 0 }, files = { 0 };
	struct http_get *gets;
	int rc = 0, status = 0;

	if (layers == NULL)
		return -1;
	gets = rt_alloc((layers->n + 1) * sizeof(*gets));
	for (size_t i = 0; rc == 0 && i <= layers->n; i++) {
		const char *digest = json_string_at(i < layers->n ? layers->v[i] : config, "/digest");
		char *url, *file;

		if (digest == NULL || !digest_valid(digest)) {
			rc = rt_fail_status(e, RT_DIGEST, "the manifest has a descriptor without a sha256 digest");
			break;
		}
		url = rt_printf("%s/blobs/%s", p->base, digest);
		file = rt_printf("%s/blobs/sha256/%s", p->dir, digest + 7);
		list_add(&urls, url);
		list_add(&files, file);
		gets[i] = (struct http_get){ .url = urls.v[i], .output = files.v[i], .authorization = p->authorization };
		free(url);
		free(file);
	}
	/* the list's strings do not move, its array does */
	for (size_t i = 0; rc == 0 && i <= layers->n; i++) {
		gets[i].url = urls.v[i];
		gets[i].output = files.v[i];
	}
	if (rc == 0)
		rc = http_fetch(gets, layers->n + 1, &status, e);
	if (rc == 0 && status != 200)
		rc = rt_fail(e, 0, "%s answers with status %d for a blob", p->host, status);
	free(gets);
	list_free(&urls);
	list_free(&files);
	return rc;
}

static int
write_layout(struct pull *p, const char *digest, size_t size, struct rt_err *e)
{
	struct json *index = json_new(JSON_OBJECT), *entry = descriptor_json(OCI_MANIFEST, digest, size);
	struct str text = { 0 };
	int dir = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	json_set(index, "schemaVersion", json_new_int(2));
	json_push(json_set(index, "manifests", json_new(JSON_ARRAY)), entry);
	json_write(index, &text);
	json_free(index);
	rc = dir < 0 ? rt_fail(e, errno, "open %s", p->dir) : rt_write_file(dir, "index.json", text.s, text.len, 0600, e);
	if (rc == 0)
		rc = rt_write_file(dir, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30, 0600, e);
	rt_close_fd(&dir);
	str_free(&text);
	return rc;
}

static int
fetch_all(struct pull *p, struct rt_err *e)
{
	char digest[72], child[72];
	struct json *j = NULL;
	size_t size;
	const char *best;
	int rc = get_manifest(p, p->ref.digest != NULL ? p->ref.digest : p->ref.tag, e);

	if (rc < 0 || (j = take_manifest(p, p->ref.digest, digest, &size, e)) == NULL)
		return -1;
	if (json_at(j, "/manifests") != NULL) {
		if ((best = choose(j, p->platform, e)) == NULL) {
			json_free(j);
			return -1;
		}
		memcpy(child, best, sizeof(child));
		json_free(j);
		j = NULL;
		if (get_manifest(p, child, e) < 0 || (j = take_manifest(p, child, digest, &size, e)) == NULL)
			return -1;
	}
	rc = get_blobs(p, j, e);
	json_free(j);
	return rc < 0 ? -1 : write_layout(p, digest, size, e);
}

int
registry_pull(struct store *s, const char *ref, const char *platform, struct rt_err *e)
{
	const char *offline = getenv("DOCKCC_OFFLINE");
	struct pull p = { .platform = platform };
	cleanup_free char *tmp = NULL, *blobs = NULL, *location = NULL;
	cleanup_fd int lock = -1;
	int rc;

	if (offline != NULL && *offline != '\0')
		return rt_fail(e, 0, "%s is not in the store, and DOCKCC_OFFLINE forbids to fetch it: dockcc-rt pull %s, or --build-context %s=LOCATION", ref, ref,
		               ref);
	if (begin(&p, ref, e) < 0 || store_tmp(s, &tmp, &lock, e) < 0) {
		end(&p);
		return -1;
	}
	p.dir = rt_printf("%s/%s", s->path, tmp);
	blobs = rt_printf("%s/blobs/sha256", tmp);
	location = rt_printf("oci-layout://%s", p.dir);
	dprintf(STDERR_FILENO, "pulling    %s\n", ref);
	rc = rt_mkdir_p(s->fd, blobs, 0700, e);
	if (rc == 0)
		rc = fetch_all(&p, e);
	if (rc == 0)
		rc = image_import(s, location, ref, e);
	if (rc < 0)
		rt_prefix(e, "pull %s", ref);
	rt_remove_tree(s->fd, tmp, &(struct rt_err){ 0 });
	end(&p);
	return rc;
}
