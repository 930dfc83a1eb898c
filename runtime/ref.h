/* Image references. */
#ifndef RT_REF_H
#define RT_REF_H

#include "rt.h"

struct ref {
	char *name;   /* with registry: docker.io/library/debian */
	char *tag;    /* "latest" when neither tag nor digest was given, NULL with a digest alone */
	char *digest; /* "sha256:...", or NULL */
};
/* Parses what people write (debian, ghcr.io/x/y:1, name@sha256:...). -1 with RT_USAGE for what is none. */
int ref_parse(const char *text, struct ref *r, struct rt_err *e);
void ref_free(struct ref *r);
/* name:tag or name@digest in full; malloc'd. */
char *ref_full(const struct ref *r);
/* Whether both are references and mean the same name and tag. */
bool ref_same(const char *a, const char *b);
/* "sha256:" and 64 lower-case hexadecimal digits. */
bool digest_valid(const char *s);

#endif
