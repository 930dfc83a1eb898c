/* SHA-256 against the examples of FIPS 180-4, fed in pieces of every size. */
#include "../../runtime/sha256.h"
#include "tap.h"

static const struct { const char *text; size_t times; const char *want; } vectors[] = {
	{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

int
main(void)
{
	unsigned char data[300];
	char whole[65], got[72];
	struct sha256 s;
	bool same = true;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		sha256_init(&s);
		for (size_t k = 0; k < vectors[i].times; k++)
			sha256_update(&s, vectors[i].text, strlen(vectors[i].text));
		sha256_hex(&s, got);
		is_text(got, vectors[i].want, "known sum");
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t n = 0; n <= sizeof(data); n++) {
		sha256_init(&s);
		sha256_update(&s, data, n);
		sha256_hex(&s, whole);
		for (size_t step = 1; step < 130; step += 9) {
			sha256_init(&s);
			for (size_t at = 0; at < n; at += step)
				sha256_update(&s, data + at, n - at < step ? n - at : step);
			sha256_hex(&s, got);
			same = same && strcmp(got, whole) == 0;
		}
	}
	ok(same, "the pieces do not matter");
	sha256_init(&s);
	sha256_digest(&s, got);
	is_text(got, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "digest form");
	return tap_done();
}
