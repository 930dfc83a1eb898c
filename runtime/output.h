#ifndef RT_OUTPUT_H
#define RT_OUTPUT_H

#include "build.h"

/* One --output.  Annotations are "PLATFORM KEY=VALUE", PLATFORM empty for all. */
struct output_spec {
	bool keep, push;     /* no file: into the store, to registries */
	struct list names;   /* of those; empty: the tags */
	enum export_kind kind;
	enum export_compression compression;
	bool compressed;     /* a compression was asked for */
	bool force, squash;  /* base layers are compressed anew; all in one layer */
	int level;           /* -1: the usual one */
	char *dest;
	struct list annotations, descriptor_annotations;
};
/* TYPE and fields in CSV as buildx takes them, or KIND:PATH, a directory, "-".  RT_USAGE. */
int output_parse(const char *spec, struct output_spec *out, struct rt_err *e);
/* --annotation [TYPE[PLATFORM],...:]KEY=VALUE; RT_USAGE. */
int output_annotation(struct output_spec *out, const char *text, struct rt_err *e);
void output_spec_free(struct output_spec *out);

/* Whether every --output can be understood, before anything is built. */
int output_check(const struct build_options *o, struct rt_err *e);
/* The value of KEY=VALUE in a list with commas; malloc'd, or NULL. */
char *output_field(const char *csv, const char *key);
/* Writes the target's image to every --output, else under its tags into the store. */
int output_write(struct build *b, struct rt_err *e);

#endif
