/* The sub-commands of dockcc-rt.  Each returns 0, or -1 with `e`; arguments are NULL-terminated and do
   not hold the sub-command's name. */
#ifndef RT_VERBS_H
#define RT_VERBS_H

#include "rt.h"

/* VERB(name, function, "usage behind the name", "what it does") */
#define VERB_LIST(X) \
	X("build", cmd_build, "[OPTION...] <PLAN", "run the plan of an emitted script") \
	X("bundle", cmd_bundle, "--to=FILE|--to-directory=DIR --text=SCRIPT [OPTION...] <PLAN", "put what the plan reads behind its script") \
	X("unbundle", cmd_unbundle, "[--to-directory=DIR] [--script=NAME]", "verify a bundle, or write it as a directory") \
	X("context", cmd_context, "[--store=DIR] [--keep-git-dir] [--offline] [--tls-ca=FILE] LOCATION COMMAND...", \
	  "make a directory of a tar (- is standard input), URL or git repository, run a command with it in $DOCKCC_CONTEXT_DIR") \
	X("image-env", cmd_image_env, "[--store=DIR] [--platform=P] [--build-context=N=LOCATION...] REF NAME", \
	  "print a variable of an image's environment; status 1 when it has none of that name") \
	X("image-onbuild", cmd_image_onbuild, "[--store=DIR] [--platform=P] [--build-context=N=LOCATION...] [--offline] REF", \
	  "print the ONBUILD triggers of an image, each with a NUL behind it") \
	X("index", cmd_index, "[--part=LAYOUT...] [--output=SPEC...] [--tag=NAME...] [OPTION...]", \
	  "make one image for several platforms of the images in layouts; without any look at the options only") \
	X("import", cmd_import, "[--store=DIR] LOCATION [REF]", "copy an image into the store") \
	X("match", cmd_match, "prefix|prefix-long|suffix|suffix-long|replace|replace-all VALUE PATTERN [TEXT]", \
	  "what ${v#p} and its relatives leave of a value") \
	X("pull", cmd_pull, "[--store=DIR] [--platform=P] [--offline] [--tls-ca=FILE] REF...", \
	  "get images from their registries into the store") \
	X("push", cmd_push, "[--store=DIR] [--platform=P] [--tls-ca=FILE] REF [TO...]", \
	  "put an image of the store into registries, under its own or other names") \
	X("export", cmd_export, "--stage=STAMP [--output=SPEC...] [--tag=NAME...] [--stamp=FILE]", "write the image of a finished stage") \
	X("launch", cmd_launch, "[--tries=N] LAUNCHER... dockcc-rt step ...", "run a step through a launcher, again when its machine is lost") \
	X("scan", cmd_scan, "--stamp=FILE --context=DIR [--ignore=FILE] [--] SOURCE... | --stamp=FILE --arg=NAME=VALUE", \
	  "write a stamp that changes when files or a value did") \
	X("step", cmd_step, "--stamp=FILE [--after=STAMP] [--stage=STAMP...] [--arg=STAMP...] STEP LINES VERB WORD...", \
	  "run one step of a Makefile") \
	X("version", cmd_version, "", "print the version")

#define X(name, function, usage, help) int function(char **argv, struct rt_err *e);
VERB_LIST(X)
#undef X

#endif
