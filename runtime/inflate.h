/* gzip (RFC 1952, 1951) in a stream of fixed memory. */
#ifndef RT_INFLATE_H
#define RT_INFLATE_H

#include "tar.h"

/* Decodes the gzip members that `src` yields, checking CRC and length of each; zeros behind the last member are
   padding, anything else is reported once and ignored.  `what` names the input and must live on. Free with inflate_close;
   src stays the caller's. */
struct reader *inflate_open(struct reader *src, const char *what);
void inflate_close(struct reader *r);

/* CRC-32 as gzip has it; start with 0. */
uint32_t crc32_update(uint32_t crc, const void *p, size_t n);

#endif
