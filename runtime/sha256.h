/* SHA-256 (FIPS 180-4), with the processor's own instructions where it has them. */
#ifndef RT_SHA256_H
#define RT_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t len;            /* bytes taken so far */
	unsigned char block[64]; /* what does not fill a block yet */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *p, size_t n);
void sha256_final(struct sha256 *s, unsigned char out[32]);
/* Ends the sum as 64 lower-case hexadecimal digits and a NUL. */
void sha256_hex(struct sha256 *s, char out[65]);
/* The same with "sha256:" in front, as OCI writes digests. */
void sha256_digest(struct sha256 *s, char out[72]);

#endif
