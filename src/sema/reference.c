/* The shape of image references, digests and platforms.  Grammar: distribution's reference.go. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "lower.h"

static bool
among(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+ parts joined by one '.', one or two '_' or any number of '-'. */
static bool
component(const char *s, size_t len)
{
	size_t i = 0;

	while (true) {
		size_t start = i, sep;

		while (i < len && lower_alnum(s[i]))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		sep = i;
		if (s[i] == '-')
			while (i < len && s[i] == '-')
				i++;
		else if (s[i] == '_')
			i += i + 1 < len && s[i + 1] == '_' ? 2 : 1;
		else if (s[i] == '.')
			i++;
		if (i == sep)
			return false;
	}
}

static bool
domain(const char *s, size_t len)
{
	size_t i = 0;

	if (len > 2 && s[0] == '[') {
		while (i < len && s[i] != ']')
			i++;
		if (i == len)
			return false;
		i++;
	} else {
		for (; i < len && s[i] != ':'; i++) {
			bool edge = i == 0 || s[i - 1] == '.' || i + 1 == len || s[i + 1] == '.' || s[i + 1] == ':';

			if (!isalnum((unsigned char)s[i]) && (edge || s[i] != '-') && (s[i] != '.' || i == 0 || s[i - 1] == '.'))
				return false;
		}
	}
	if (i == len)
		return true;
	for (i++; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
	}
	return s[len - 1] != ':';
}

bool
digest_valid(const char *s)
{
	const char *hex = strchr(s, ':');
	size_t n, want = 0;

	if (hex == NULL || hex == s)
		return false;
	hex++;
	n = strspn(hex, "0123456789abcdef");
	if (strncmp(s, "sha256:", 7) == 0)
		want = 64;
	else if (strncmp(s, "sha384:", 7) == 0)
		want = 96;
	else if (strncmp(s, "sha512:", 7) == 0)
		want = 128;
	return want > 0 && n == want && hex[n] == '\0';
}

static bool
tag_valid(const char *s, size_t len)
{
	if (len == 0 || len > 128 || among(s[0], ".-"))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && !among(s[i], "_.-"))
			return false;
	}
	return true;
}

/* Bytes of the registry host at the start of `ref`, 0 when there is none: the part before the first
   slash when it looks like one. */
static size_t
host_length(const char *ref)
{
	size_t n = strcspn(ref, "/");

	if (ref[n] == '\0')
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (ref[i] == '.' || ref[i] == ':' || isupper((unsigned char)ref[i]))
			return n;
	}
	return n == 9 && strncmp(ref, "localhost", 9) == 0 ? n : 0;
}

bool
reference_valid(const char *ref)
{
	size_t host = host_length(ref), end, len;
	const char *name = ref + (host > 0 ? host + 1 : 0), *at = strchr(ref, '@'), *tag;

	if (strlen(ref) == 64 && strspn(ref, "0123456789abcdef") == 64)
		return false;
	if (at != NULL && !digest_valid(at + 1))
		return false;
	if (host > 0 && !domain(ref, host))
		return false;
	end = at != NULL && at >= name ? (size_t)(at - name) : strlen(name);
	tag = memchr(name, ':', end);
	len = tag != NULL ? (size_t)(tag - name) : end;
	if (tag != NULL && !tag_valid(tag + 1, end - len - 1))
		return false;
	if (len == 0 || len + host > 255)
		return false;
	for (size_t i = 0; i <= len;) {
		size_t n = 0;

		while (i + n < len && name[i + n] != '/')
			n++;
		if (!component(name + i, n))
			return false;
		i += n + 1;
	}
	return true;
}

char *
reference_familiar(const void *ctx, const char *ref)
{
	char *s = mem_str(ctx, ref);
	size_t n;

	for (char *c = s; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if (strncmp(s, "docker.io/", 10) == 0)
		s += 10;
	if (strncmp(s, "library/", 8) == 0)
		s += 8;
	n = strlen(s);
	if (n > 7 && strcmp(s + n - 7, ":latest") == 0)
		s[n - 7] = '\0';
	return s;
}

static bool
platform_word(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && !among(s[i], "_-."))
			return false;
	}
	return len > 0;
}

/* OS, ARCH, OS/ARCH or OS/ARCH/VARIANT: containerd's platforms.Parse; a word by itself must be one that
   is known. */
/* Architectures by the names that machines and package managers use. */
static void
normal_arch(const void *ctx, char **arch, char **variant)
{
	static const struct { const char *from, *arch, *variant; } names[] = {
		{ "x86_64", "amd64", "" }, { "x86-64", "amd64", "" }, { "aarch64", "arm64", "" }, { "armhf", "arm", "v7" },
		{ "armel", "arm", "v6" }, { "i386", "386", "" },
	};

	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
		if (strcmp(*arch, names[k].from) == 0) {
			*arch = mem_str(ctx, names[k].arch);
			if (**variant == '\0')
				*variant = mem_str(ctx, names[k].variant);
			break;
		}
	if (isdigit((unsigned char)**variant))
		*variant = mem_printf(ctx, "v%s", *variant);
	if ((strcmp(*arch, "arm64") == 0 && strcmp(*variant, "v8") == 0) || (strcmp(*arch, "amd64") == 0 && strcmp(*variant, "v1") == 0))
		*variant = mem_str(ctx, "");
	if (strcmp(*arch, "arm") == 0 && **variant == '\0')
		*variant = mem_str(ctx, "v7");
}

char *
platform_normal(const void *ctx, const char *platform)
{
	static const char *const systems[] = { "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1" };
	char *word = mem_str(ctx, platform), *os = word, *arch, *variant;

	if (!platform_valid(platform))
		return NULL;
	for (char *p = word; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	arch = strchr(word, '/');
	for (size_t k = 0; arch == NULL && k < sizeof systems / sizeof systems[0]; k++)
		if (strcmp(word, systems[k]) == 0)
			return mem_printf(ctx, "%s%s", word, strchr(HOST_PLATFORM, '/'));
	if (arch == NULL) {
		os = mem_str(ctx, "linux");
		arch = word;
	} else {
		*arch++ = '\0';
	}
	variant = strchr(arch, '/');
	if (variant != NULL)
		*variant++ = '\0';
	else
		variant = mem_str(ctx, "");
	normal_arch(ctx, &arch, &variant);
	return mem_printf(ctx, "%s/%s%s%s", os, arch, *variant != '\0' ? "/" : "", variant);
}

bool
platform_valid(const char *platform)
{
	static const char *const known[] = {
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9",
		"solaris", "wasip1", "windows", "386", "i386", "amd64", "x86_64", "x86-64", "arm", "armhf", "armel", "aarch64", "arm64",
		"loong64", "mips", "mipsle", "mips64", "mips64le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
		"sparc", "sparc64", "wasm",
	};
	const char *s = platform;
	unsigned parts = 0;

	for (;; s++) {
		size_t n = strcspn(s, "/");
		size_t name = memchr(s, '(', n) != NULL && parts == 0 ? (size_t)((const char *)memchr(s, '(', n) - s) : n;

		if (!platform_word(s, name) || ++parts > 3)
			return false;
		s += n;
		if (*s == '\0')
			break;
	}
	if (parts > 1)
		return true;
	for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
		if (strcasecmp(platform, known[k]) == 0)
			return true;
	}
	return false;
}
