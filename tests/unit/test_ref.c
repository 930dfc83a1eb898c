/* Image references. */
#include "../../runtime/ref.h"
#include "tap.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct { const char *text, *want; } cases[] = {
	{ "debian", "docker.io/library/debian:latest" },
	{ "debian:12", "docker.io/library/debian:12" },
	{ "a/b", "docker.io/a/b:latest" },
	{ "docker.io/debian", "docker.io/library/debian:latest" },
	{ "index.docker.io/a/b:x", "docker.io/a/b:x" },
	{ "localhost/x", "localhost/x:latest" },
	{ "localhost:5000/x:y", "localhost:5000/x:y" },
	{ "ghcr.io/a/b/c:1.2-rc_1", "ghcr.io/a/b/c:1.2-rc_1" },
	{ "[::1]:5000/x", "[::1]:5000/x:latest" },
	{ "x@sha256:" HEX, "docker.io/library/x@sha256:" HEX },
	{ "x:1@sha256:" HEX, "docker.io/library/x@sha256:" HEX },
	{ "a__b/c.d/e---f", "docker.io/a__b/c.d/e---f:latest" },
	{ "", NULL }, { "Debian", NULL }, { "a:", NULL }, { ":a", NULL }, { "a//b", NULL }, { "/a", NULL }, { "a/", NULL },
	{ "../a", NULL }, { "a/../b", NULL }, { "a___b", NULL }, { "a..b", NULL }, { "-a", NULL }, { "a-", NULL }, { "a:-b", NULL },
	{ "a b", NULL }, { "a@sha256:12", NULL }, { "a@md5:" HEX, NULL }, { HEX, NULL }, { "a\t", NULL }, { "-x.y/a", NULL },
	{ "x.y:port/a", NULL }, { "a:b:c", NULL },
};

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rt_err e = { 0 };
		struct ref r;
		int rc = ref_parse(cases[i].text, &r, &e);
		char *full = rc == 0 ? ref_full(&r) : NULL;

		is_text(full, cases[i].want, cases[i].text);
		free(full);
		ref_free(&r);
	}
	ok(ref_same("debian", "docker.io/library/debian:latest"), "short and long name are the same");
	ok(!ref_same("debian:1", "debian:2") && !ref_same("x y", "x y"), "different or no references");
	ok(digest_valid("sha256:" HEX) && !digest_valid("sha256:" HEX "0") && !digest_valid("sha256:../" HEX), "digests");
	return tap_done();
}
