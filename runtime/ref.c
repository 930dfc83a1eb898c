#include <stdlib.h>
#include <string.h>

#include "ref.h"

bool
digest_valid(const char *s)
{
	return strncmp(s, "sha256:", 7) == 0 && strspn(s + 7, "0123456789abcdef") == 64 && s[71] == '\0';
}

void
ref_free(struct ref *r)
{
	free(r->name);
	free(r->tag);
	free(r->digest);
	*r = (struct ref){ 0 };
}

static bool
alnum(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A path component: runs of [a-z0-9] between single ".", one or two "_", or any number of "-". */
static bool
component_ok(const char *s, size_t n)
{
	if (n == 0 || !alnum(s[0]) || !alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n;) {
		size_t run = 1;

		if (alnum(s[i])) {
			i++;
			continue;
		}
		while (s[i + run] == s[i])
			run++;
		if (!(s[i] == '-' || (s[i] == '.' && run == 1) || (s[i] == '_' && run <= 2)) || !alnum(s[i + run]))
			return false;
		i += run;
	}
	return true;
}

static bool
path_ok(const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "/");

		if (!component_ok(s, n))
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

static bool
tag_ok(const char *s)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strspn(s, chars);

	return n > 0 && n <= 128 && s[n] == '\0' && *s != '.' && *s != '-';
}

static bool
domain_ok(const char *s)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	size_t n = strspn(s, chars);

	if (*s == '[') { /* IPv6 */
		n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:");
		if (s[n++] != ']')
			return false;
	}
	if (n == 0 || *s == '-' || *s == '.')
		return false;
	return s[n] == '\0' || (s[n] == ':' && s[n + 1] != '\0' && s[n + 1 + strspn(s + n + 1, "0123456789")] == '\0');
}

/* The registry in front of `name`, or docker's default. */
static char *
with_domain(const char *name)
{
	cleanup_free char *domain = NULL;
	size_t n = strcspn(name, "/");
	bool given = false;

	if (name[n] == '/') {
		domain = rt_strndup(name, n);
		given = strpbrk(domain, ".:") != NULL || strcmp(domain, "localhost") == 0 ||
		        strpbrk(domain, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
	}
	if (given && !domain_ok(domain))
		return NULL;
	if (given && strcmp(domain, "index.docker.io") != 0 && strcmp(domain, "docker.io") != 0)
		return path_ok(name + n + 1) ? rt_strdup(name) : NULL;
	if (given)
		name += n + 1;
	if (!path_ok(name))
		return NULL;
	return rt_printf("docker.io/%s%s", strchr(name, '/') == NULL ? "library/" : "", name);
}

int
ref_parse(const char *text, struct ref *r, struct rt_err *e)
{
	cleanup_free char *copy = rt_strdup(text);
	char *at = strchr(copy, '@'), *slash, *colon;

	*r = (struct ref){ 0 };
	if (at != NULL) {
		*at++ = '\0';
		if (!digest_valid(at))
			return rt_fail_status(e, RT_USAGE, "image reference %s: want a digest sha256:... behind \"@\"", text);
	}
	slash = strrchr(copy, '/');
	colon = strrchr(slash != NULL ? slash : copy, ':');
	if (colon != NULL)
		*colon++ = '\0';
	if (colon != NULL && !tag_ok(colon))
		return rt_fail_status(e, RT_USAGE, "image reference %s: %s is not a tag", text, colon);
	if (strlen(copy) == 64 && strspn(copy, "0123456789abcdef") == 64)
		return rt_fail_status(e, RT_USAGE, "image reference %s: 64 hexadecimal digits cannot be a name", text);
	r->name = with_domain(copy);
	if (r->name == NULL || strlen(r->name) > 255) {
		ref_free(r);
		return rt_fail_status(e, RT_USAGE, "image reference %s: not [REGISTRY/]NAME[:TAG][@DIGEST] in lower case", text);
	}
	r->digest = at != NULL ? rt_strdup(at) : NULL;
	r->tag = colon != NULL ? rt_strdup(colon) : at == NULL ? rt_strdup("latest") : NULL;
	return 0;
}

char *
ref_full(const struct ref *r)
{
	return r->digest != NULL ? rt_printf("%s@%s", r->name, r->digest) : rt_printf("%s:%s", r->name, r->tag);
}

bool
ref_same(const char *a, const char *b)
{
	struct ref x, y = { 0 };
	struct rt_err e;
	bool same = false;

	if (ref_parse(a, &x, &e) == 0 && ref_parse(b, &y, &e) == 0)
		same = strcmp(x.name, y.name) == 0 &&
		       (x.tag != NULL && y.tag != NULL ? strcmp(x.tag, y.tag) == 0
		                                       : x.digest != NULL && y.digest != NULL && strcmp(x.digest, y.digest) == 0);
	ref_free(&x);
	ref_free(&y);
	return same;
}
