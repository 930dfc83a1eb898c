#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "oci.h"
#include "ref.h"

enum { MAX_INDEX_DEPTH = 4 };

/* ---- platforms --------------------------------------------------------------------------------- */

static void
copy_word(char to[32], const char *from, size_t n)
{
	n = n < 31 ? n : 31;
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
	to[n] = '\0';
}

/* containerd's platform names. */
static void
normalise(struct platform *p)
{
	static const struct { const char *from, *arch, *variant; } names[] = {
		{ "x86_64", "amd64", "" }, { "x86-64", "amd64", "" }, { "aarch64", "arm64", "" }, { "armhf", "arm", "v7" },
		{ "armel", "arm", "v6" }, { "armv7l", "arm", "v7" }, { "armv6l", "arm", "v6" }, { "i386", "386", "" },
		{ "i686", "386", "" },
	};

	if (strcmp(p->os, "macos") == 0)
		strcpy(p->os, "darwin");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(p->arch, names[i].from) != 0)
			continue;
		strcpy(p->arch, names[i].arch);
		if (p->variant[0] == '\0')
			strcpy(p->variant, names[i].variant);
	}
	if (p->variant[0] >= '0' && p->variant[0] <= '9' && strlen(p->variant) < 30) {
		memmove(p->variant + 1, p->variant, strlen(p->variant) + 1);
		p->variant[0] = 'v';
	}
	if ((strcmp(p->arch, "arm64") == 0 && strcmp(p->variant, "v8") == 0) ||
	    (strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0))
		p->variant[0] = '\0';
	if (strcmp(p->arch, "arm") == 0 && p->variant[0] == '\0')
		strcpy(p->variant, "v7");
}

int
platform_parse(const char *text, struct platform *p, struct rt_err *e)
{
	struct utsname machine;
	size_t os, arch;

	*p = (struct platform){ .os = "linux" };
	if (uname(&machine) == 0)
		copy_word(p->arch, machine.machine, strlen(machine.machine));
	if (text != NULL) {
		os = strcspn(text, "/");
		if (os == 0 || text[os] != '/')
			return rt_fail_status(e, RT_USAGE, "platform %s: want OS/ARCH[/VARIANT]", text);
		arch = strcspn(text + os + 1, "/");
		copy_word(p->os, text, os);
		copy_word(p->arch, text + os + 1, arch);
		if (text[os + 1 + arch] == '/')
			copy_word(p->variant, text + os + arch + 2, strlen(text + os + arch + 2));
	}
	normalise(p);
	return 0;
}

/* The number in a variant v1..v9 as the architecture counts them; 0 when it is no such thing. */
static int
level(const char *arch, const char *variant)
{
	if (*variant == '\0')
		return strcmp(arch, "amd64") == 0 ? 1 : strcmp(arch, "arm64") == 0 ? 8 : 0;
	return variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && variant[2] == '\0' ? variant[1] - '0' : 0;
}

int
platform_score(const struct platform *want, const char *os, const char *arch, const char *variant)
{
	struct platform have = { 0 };
	int a, b;

	copy_word(have.os, os, strlen(os));
	copy_word(have.arch, arch, strlen(arch));
	if (variant != NULL)
		copy_word(have.variant, variant, strlen(variant));
	normalise(&have);
	if (strcmp(have.os, want->os) != 0 || strcmp(have.arch, want->arch) != 0)
		return 0;
	if (strcmp(have.variant, want->variant) == 0)
		return 100;
	a = level(have.arch, have.variant);
	b = level(want->arch, want->variant);
	if (a == 0 || b == 0)
		return have.variant[0] == '\0' ? 1 : 0;
	return a < b ? 10 + a : 0;
}

/* ---- manifests --------------------------------------------------------------------------------- */

static int
entry_score(const struct json *m, const struct platform *p)
{
	const char *os = json_string_at(m, "/platform/os"), *arch = json_string_at(m, "/platform/architecture");

	if (json_at(m, "/platform") == NULL || os == NULL || arch == NULL)
		return 1; /* says nothing: good when there is no better */
	return platform_score(p, os, arch, json_string_at(m, "/platform/variant"));
}

bool
oci_entry_named(const struct json *m, const char *tag)
{
	static const char *const keys[] = { OCI_REF_NAME, OCI_CONTAINERD_NAME };
	const struct json *annotations = json_at(m, "/annotations");

	for (size_t i = 0; annotations != NULL && i < 2; i++) {
		cleanup_free char *pointer = rt_printf("/%s", keys[i]);
		const char *name = json_string_at(annotations, pointer);

		if (name != NULL && (strcmp(name, tag) == 0 || ref_same(name, tag)))
			return true;
	}
	return false;
}

/* Candidates of an index: by digest, by name, or all. */
static bool
wanted(const struct json *m, const char *tag, const char *digest)
{
	const char *own = json_string_at(m, "/digest");

	if (digest != NULL)
		return own != NULL && strcmp(own, digest) == 0;
	return tag == NULL || oci_entry_named(m, tag);
}

/* The best entry of an index for us. */
static const struct json *
choose(const struct json *manifests, const char *tag, const char *digest, const struct platform *p)
{
	const struct json *best = NULL;
	int score = 0;

	for (size_t i = 0; i < manifests->n; i++) {
		const struct json *m = manifests->v[i];
		int now = digest != NULL ? 1 : entry_score(m, p);

		if (now > score && wanted(m, tag, digest)) {
			best = m;
			score = now;
		}
	}
	return best;
}

/* Without a name there must be no doubt: entries that neither agree nor differ in platform are too many. */
static bool
ambiguous(const struct json *manifests)
{
	const char *first = manifests->n > 0 ? json_string_at(manifests->v[0], "/digest") : NULL;

	for (size_t i = 1; first != NULL && i < manifests->n; i++) {
		const char *other = json_string_at(manifests->v[i], "/digest");

		if (other != NULL && strcmp(first, other) != 0 && json_at(manifests->v[i], "/platform") == NULL)
			return true;
	}
	return false;
}

bool
oci_is_index(const struct descriptor *d, const struct json *document)
{
	if (strcmp(d->type, OCI_INDEX) == 0 || strcmp(d->type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0)
		return true;
	return *d->type == '\0' && json_at(document, "/manifests") != NULL;
}

static int
not_found(struct layout *l, const struct json *manifests, const char *tag, const char *digest, const struct platform *p,
          struct rt_err *e)
{
	const char *what = digest != NULL ? digest : tag;
	bool named = false;

	for (size_t i = 0; i < manifests->n; i++)
		named = named || wanted(manifests->v[i], tag, digest);
	if (!named && what != NULL)
		return rt_fail(e, 0, "%s holds no image %s", l->what, what);
	return rt_fail(e, 0, "%s holds nothing for the platform %s/%s%s%s", l->what, p->os, p->arch,
	               p->variant[0] != '\0' ? "/" : "", p->variant);
}

/* The entry of one index that is asked for. */
static int
pick(struct layout *l, const struct json *index, const char *tag, const char *digest, const struct platform *p,
     struct descriptor *d, struct rt_err *e)
{
	const struct json *manifests = json_need(index, "/manifests", JSON_ARRAY, l->what, e), *m;

	if (manifests == NULL)
		return -1;
	m = choose(manifests, tag, digest, p);
	return m == NULL ? not_found(l, manifests, tag, digest, p, e) : descriptor_parse(m, l->what, d, e);
}

int
oci_choose(struct layout *l, const struct json *index, const struct platform *p, struct descriptor *d, struct rt_err *e)
{
	return pick(l, index, NULL, NULL, p, d, e);
}

int
oci_top(struct layout *l, const char *tag, const char *digest, const struct platform *p, struct descriptor *d,
        struct rt_err *e)
{
	struct json *index = layout_json(l, "index.json", e);
	const struct json *manifests = json_at(index, "/manifests");
	int rc;

	if (index == NULL)
		return -1;
	if (tag == NULL && digest == NULL && manifests != NULL && ambiguous(manifests))
		rc = rt_fail_status(e, RT_USAGE, "%s holds several images: name one with :TAG or @DIGEST", l->what);
	else
		rc = pick(l, index, tag, digest, p, d, e);
	json_free(index);
	return rc;
}

int
oci_find(struct layout *l, const char *tag, const char *digest, const struct platform *p, struct descriptor *d,
         struct rt_err *e)
{
	int rc = oci_top(l, tag, digest, p, d, e);

	for (int depth = 0; rc == 0; depth++) {
		struct descriptor in = *d;
		struct json *document = layout_document(l, d, NULL, e);
		bool done = document != NULL && !oci_is_index(d, document);

		if (document == NULL)
			rc = -1;
		else if (!done && depth == MAX_INDEX_DEPTH)
			rc = rt_fail_status(e, RT_DIGEST, "%s: indexes are nested deeper than %d", l->what, MAX_INDEX_DEPTH);
		else if (!done)
			rc = pick(l, document, NULL, NULL, p, d, e);
		json_free(document);
		if (done)
			return 0;
		descriptor_free(&in);
	}
	*d = (struct descriptor){ 0 };
	return -1;
}
