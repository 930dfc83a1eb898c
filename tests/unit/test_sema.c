/* Names, scopes and values: Dockerfile strings against the graph's dump or the errors.  The rows follow
   spec/language.md 4, 5 and 9. */
#include <stdio.h>
#include <string.h>

#include "../../src/base/buf.h"
#include "../../src/base/diag.h"
#include "../../src/base/mem.h"
#include "../../src/front/ast.h"
#include "../../src/passes/passes.h"
#include "../../src/sema/sema.h"

struct row {
	const char *what, *file;
	const char *error;      /* name:line of the first error, NULL: none */
	const char *want[4];    /* parts of the dump */
	const char *absent;     /* what the dump must not hold */
	const char *target;
	struct build_arg arg;   /* name NULL: none */
	struct named_context context;
	const char *platform;
	bool freeze;
	int level;              /* passes, 0: none */
};

static const struct row rows[] = {
	/* ---- 4: variables and scope ---- */
	{ "a global is read by FROM", "ARG V=3\nFROM alpine:$V\n", .want = { "\"image\":[\"alpine:\",{\"var\":\"V\"}]", "{\"var\":\"V\",\"value\":\"3\",\"overridable\":true}" } },
	{ "a global is not seen in a stage", "ARG V=3\nFROM scratch\nUSER u$V\n", .want = { "[\"u\",{\"unset\":\"V\"}]" } },
	{ "ARG NAME brings the global in", "ARG V=3\nFROM scratch\nARG V\nUSER u$V\n", .want = { "{\"var\":\"V\",\"stage\":0,\"overridable\":true,\"fallback\":\"V\"}", "[\"u\",{\"var\":\"V\",\"stage\":0}]" } },
	{ "ARG with a default does not look at the global", "ARG V=3\nFROM scratch\nARG V=4\n", .want = { "{\"var\":\"V\",\"stage\":0,\"value\":\"4\",\"overridable\":true}" }, .absent = "fallback" },
	{ "a global sees its older value", "ARG X=a\nARG X=${X}b\nFROM i$X\n", .want = { "{\"var\":\"X\",\"value\":[{\"var\":\"X\"},\"b\"],\"overridable\":true,\"keep\":\"X\"}" } },
	{ "a global without value is unset", "ARG X\nFROM i${X-n}\n", .want = { "{\"var\":\"X\",\"overridable\":true}" } },
	{ "platform arguments that are read are in the graph", "FROM scratch\nARG TARGETARCH\nUSER $TARGETARCH\n", .want = { "{\"var\":\"TARGETARCH\",\"value\":\"riscv64\",\"overridable\":true,\"builtin\":true}" }, .absent = "TARGETOS", .platform = "linux/riscv64" },
	{ "TARGETVARIANT is empty, not unset", "FROM scratch\nARG TARGETVARIANT\n", .want = { "\"var\":\"TARGETVARIANT\",\"value\":\"\"" }, .platform = "linux/amd64" },
	{ "TARGETSTAGE is the target's name", "FROM scratch AS a\nARG TARGETSTAGE\nUSER $TARGETSTAGE\n", .want = { "\"var\":\"TARGETSTAGE\",\"value\":\"a\"" } },
	{ "TARGETSTAGE without a name", "FROM scratch\nARG TARGETSTAGE\n", .want = { "\"var\":\"TARGETSTAGE\",\"value\":\"default\"" } },
	{ "ENV in one instruction sees the values before it", "FROM scratch\nENV a=1\nENV a=2 b=$a\nUSER $b\n", .want = { "[\"b=\",{\"var\":\"a\",\"stage\":0}]", "\"value\":[{\"var\":\"b\",\"stage\":0}]" } },
	{ "ARG pairs see each other", "FROM scratch\nARG a=1 b=$a\n", .want = { "{\"var\":\"b\",\"stage\":0,\"value\":[{\"var\":\"a\",\"stage\":0}],\"overridable\":true}" } },
	{ "a stage inherits ENV and ARG", "FROM scratch AS p\nENV E=1\nARG A=2\nFROM p\nUSER $E$A\n", .want = { "[{\"var\":\"E\",\"stage\":0},{\"var\":\"A\",\"stage\":0}]" } },
	{ "what only the image may define is loaded", "FROM alpine\nUSER $FOO\n", .want = { "\"base_vars\":[\"FOO\"]", "[{\"var\":\"FOO\",\"stage\":0}]" } },
	{ "the image's variables come through stages", "FROM alpine AS a\nFROM a\nUSER $FOO\n", .want = { "\"base_vars\":[\"FOO\"]", "[{\"var\":\"FOO\",\"stage\":0}]" } },
	{ "what is assigned is not loaded", "FROM alpine\nENV FOO=1\nUSER $FOO\n", .want = { "\"base_vars\":[]" } },
	{ "scratch has PATH and nothing else", "FROM scratch\nENV PATH=/x:$PATH B=$C\n", .want = { "\"value\":\"PATH=/x:/usr/local/sbin:", "\"base_vars\":[]" } },
	{ "special parameters are never set", "FROM alpine\nUSER a$1$$b$?\n", .want = { "[\"a\",{\"unset\":\"1\"},{\"unset\":\"$\"},\"b\",{\"unset\":\"?\"}]" } },
	{ "an ARG without value keeps an ENV", "FROM scratch\nENV A=1\nARG A\nUSER $A\n", .want = { "{\"var\":\"A\",\"stage\":0,\"overridable\":true,\"keep\":\"A\",\"of\":0}" } },
	{ "an ARG without value keeps what the image says", "FROM alpine\nARG A\nUSER $A\n", .want = { "\"base_vars\":[\"A\"]" } },
	{ "an ARG that nobody reads loads nothing", "FROM alpine\nARG A\n", .want = { "\"base_vars\":[]" } },
	{ "ENV keys are expanded", "FROM scratch\nENV K=n\nENV $K=v\nUSER $n\n", .want = { "\"value\":\"n=v\"", "\"value\":[{\"var\":\"n\",\"stage\":0}]" } },
	{ "an ENV key must be known", "FROM alpine\nENV $K=v\n", "undecided:2" },
	{ "a frozen ARG is text", "ARG V=3\nFROM alpine:$V\nARG V\nUSER $V\n", .want = { "\"image\":\"alpine:3\"", "{\"var\":\"V\",\"stage\":0,\"value\":\"3\"}", "\"name\":\"user\",\"value\":\"3\"" }, .freeze = true },
	{ "a frozen build argument wins, raw", "FROM scratch\nARG V=3\nUSER $V\n", .want = { "\"name\":\"user\",\"value\":\"'$x'\"" }, .arg = { "V", "'$x'" }, .freeze = true },
	{ "a build argument saves a bad default", "ARG V=${X:?no}\nFROM alpine:$V\n", .want = { "alpine" }, .arg = { "V", "1" } },

	/* ---- 5: FROM, stages, targets ---- */
	{ "a FROM word is a stage", "FROM alpine AS b\nFROM b\n", .want = { "{\"kind\":\"stage\",\"stage\":\"b\"}" } },
	{ "a stage name is lower-cased", "FROM alpine AS Bar\nFROM bar\nCOPY --from=BAR / /\n", .want = { "\"base\":{\"kind\":\"stage\",\"stage\":\"bar\"}", "\"from\":{\"kind\":\"stage\",\"stage\":\"bar\"}" } },
	{ "FROM compares as written", "FROM alpine AS Foo\nFROM Foo\n", "bad-reference:2" },
	{ "FROM with a tag is no stage", "FROM alpine AS b\nFROM b:1\n", .want = { "\"image\":\"b:1\"" } },
	{ "FROM takes no index", "FROM alpine\nFROM 0\n", .want = { "\"image\":\"0\"" } },
	{ "FROM scratch", "FROM scratch\n", .want = { "\"base\":{\"kind\":\"scratch\"}" } },
	{ "a stage called scratch", "FROM alpine AS scratch\nFROM scratch\n", .want = { "\"base\":{\"kind\":\"stage\",\"stage\":\"scratch\"}" } },
	{ "a stage called like its image", "FROM busybox AS busybox\nFROM busybox\n", .want = { "\"image\":\"busybox\"", "{\"kind\":\"stage\",\"stage\":\"busybox\"}" } },
	{ "no forward reference in FROM", "FROM b\nFROM alpine AS b\nFROM scratch\nCOPY --from=0 / /\n", .want = { "\"image\":\"b\"" } },
	{ "duplicate names: FROM takes the latest before", "FROM alpine AS a\nFROM alpine AS a\nFROM a\nCOPY --from=0 /m /m\n", .want = { "\"base\":{\"kind\":\"stage\",\"stage\":\"a\"}", "\"from\":{\"kind\":\"stage\",\"stage\":\"a-0\"}" } },
	{ "an expanded FROM picks a stage and is structural", "ARG T=dev\nARG S=$T\nFROM alpine AS base-dev\nFROM base-$S\n", .want = { "{\"kind\":\"stage\",\"stage\":\"base-dev\"}", "\"var\":\"S\",\"value\":[{\"var\":\"T\"}],\"overridable\":true,\"structural\":true", "\"var\":\"T\",\"value\":\"dev\",\"overridable\":true,\"structural\":true" } },
	{ "a build argument picks the stage", "ARG T=x\nFROM alpine AS base-dev\nFROM base-$T\n", .want = { "\"base\":{\"kind\":\"stage\"" }, .arg = { "T", "dev" } },
	{ "a builtin picks the stage", "FROM alpine AS b-s390x\nFROM b-$TARGETARCH\n", .want = { "\"builtin\":true,\"structural\":true" }, .platform = "linux/s390x" },
	{ "a named context instead of an image", "FROM alpine:latest\n", .want = { "\"image\":\"alpine\"" }, .context = { "alpine", "oci-layout://x" } },
	{ "a named context instead of a stage", "FROM alpine AS b\nRUN x\nFROM b\n", .want = { "\"base\":{\"kind\":\"image\",\"image\":\"b\"}}]" }, .absent = "\"text\":\"x\"", .context = { "b", "oci-layout://x" } },
	{ "COPY --from a named context", "FROM scratch\nCOPY --from=ctx / /\n", .want = { "{\"kind\":\"image\",\"image\":\"ctx\"}" }, .context = { "ctx", "." } },
	{ "COPY --from an image", "FROM scratch\nCOPY --from=busybox / /\n", .want = { "\"from\":{\"kind\":\"image\",\"image\":\"busybox\"}" } },
	{ "COPY --from=scratch is empty", "FROM alpine\nCOPY --from=scratch / /\n", .want = { "\"from\":{\"kind\":\"scratch\"}" } },
	{ "a mount takes no index", "FROM alpine\nFROM alpine\nRUN --mount=from=0,target=/x x\n", .want = { "\"from\":{\"kind\":\"image\",\"image\":\"0\"}" } },
	{ "a mount takes a stage", "FROM alpine AS b\nFROM alpine\nRUN --mount=from=B,target=/x x\n", .want = { "\"from\":{\"kind\":\"stage\",\"stage\":\"b\"}" } },
	{ "the target in any case", "FROM alpine AS one\nFROM alpine AS two\n", .want = { "\"target\":\"one\"" }, .target = "ONE" },
	{ "no number as target", "FROM alpine\n", "unknown-target:0", .target = "0" },
	{ "an unknown target", "FROM alpine AS one\n", "unknown-target:0", .target = "oen" },
	{ "stages that nothing needs are not live", "FROM alpine AS a\nEXPOSE x\nFROM scratch\n", .want = { "\"id\":\"a\",\"live\":false" } },
	{ "FROM of an unused stage is expanded", "FROM ${X AS a\nFROM scratch\n", "bad-word:1" },
	{ "an image name of an unused stage is not looked at", "FROM A AS a\nFROM scratch\n", .want = { "\"live\":false" } },
	{ "platform of FROM", "FROM --platform=$BUILDPLATFORM alpine\n", .want = { "\"platform\":[{\"var\":\"BUILDPLATFORM\"}]", "\"builtin\":true" } },

	/* ---- 9: graph pass ---- */
	{ "an empty base", "ARG X\nFROM $X\n", "empty-base:2" },
	{ "FROM requires", "FROM ${X:?needed}\n", "required-variable:1" },
	{ "a bad reference", "FROM a//b\n", "bad-reference:1" },
	{ "a bad tag", "FROM a:-\n", "bad-reference:1" },
	{ "a bad digest", "FROM a@sha256:12\n", "bad-reference:1" },
	{ "a good reference", "FROM reg.example:5000/a_b/c-d.e:V1\n", .want = { "reg.example" } },
	{ "a bad platform", "FROM --platform=a/b/c/d alpine\n", "bad-platform:1" },
	{ "an empty platform", "ARG P\nFROM --platform=$P alpine\n", "bad-platform:2" },
	{ "a platform that is no word", "FROM --platform=foo alpine\n", "bad-platform:1" },
	{ "an index out of range", "FROM alpine\nCOPY --from=1 / /\n", "unknown-stage:2" },
	{ "a negative index", "FROM alpine\nCOPY --from=-1 / /\n", "unknown-stage:2" },
	{ "also in an unused stage", "FROM alpine\nCOPY --from=7 / /\nFROM scratch\n", "unknown-stage:2" },
	{ "a variable in --from", "FROM alpine\nCOPY --from=$X / /\n", "variable-in-from:2" },
	{ "a circle of one", "FROM alpine AS a\nCOPY --from=a / /\n", "stage-circle:2" },
	{ "a circle of one by index", "FROM alpine\nCOPY --from=0 / /\n", "stage-circle:2" },
	{ "a circle of two", "FROM alpine AS a\nCOPY --from=b / /\nFROM a AS b\n", "stage-circle:3" },
	{ "a circle by mount", "FROM alpine AS a\nRUN --mount=from=a,target=/x x\n", "stage-circle:2" },
	{ "a malformed trigger fails its child", "FROM alpine AS a\nONBUILD RNU x\nFROM a\n", "bad-trigger:3" },
	{ "and only when it is built", "FROM alpine AS a\nONBUILD RNU x\nFROM a AS b\nFROM a AS c\nFROM scratch\n", .want = { "stage-3" } },
	{ "graph errors come before dispatch errors", "FROM alpine\nEXPOSE x\nFROM A\nCOPY --from=0 / /\n", "bad-reference:3" },

	/* ---- 9: dispatch pass ---- */
	{ "a quote", "FROM scratch\nENV A=\"x\n", "bad-word:2" },
	{ "an operator", "FROM scratch\nUSER ${A^}\n", "bad-word:2" },
	{ "a pattern", "FROM alpine\nUSER ${A#\\a}\n", "bad-word:2" },
	{ "a required variable that cannot be set", "FROM scratch\nUSER ${A:?no}\n", "required-variable:2" },
	{ "a required variable that is empty", "FROM scratch\nENV A=\nUSER ${A:?no}\n", "required-variable:3" },
	{ "a required variable that is set", "FROM scratch\nENV A=1\nUSER ${A:?no}\n", .want = { "\"op\":\":?\"" } },
	{ "one that the image may set", "FROM alpine\nUSER ${A:?no}\n", .want = { "\"op\":\":?\"" } },
	{ "the operand is expanded even if unused", "FROM scratch\nENV A=1\nUSER ${A:-${B:?no}}\n", "required-variable:3" },
	{ "mount type", "FROM alpine\nRUN --mount=type=foo x\n", "bad-mount:2" },
	{ "mount key", "FROM alpine\nRUN --mount=targte=/x x\n", "bad-mount:2" },
	{ "mount key without value", "FROM alpine\nRUN --mount=target x\n", "bad-mount:2" },
	{ "mount on the root", "FROM alpine\nRUN --mount=target=/a/.. x\n", "bad-mount:2" },
	{ "required is for secrets", "FROM alpine\nRUN --mount=target=/a,required x\n", "bad-mount:2" },
	{ "size is for tmpfs", "FROM alpine\nRUN --mount=type=cache,target=/a,size=1 x\n", "bad-mount:2" },
	{ "size must be a size", "FROM alpine\nRUN --mount=type=tmpfs,target=/a,size=big x\n", "bad-mount:2" },
	{ "sharing is for caches", "FROM alpine\nRUN --mount=target=/a,sharing=locked x\n", "bad-mount:2" },
	{ "sharing has three values", "FROM alpine\nRUN --mount=type=cache,target=/a,sharing=all x\n", "bad-mount:2" },
	{ "mode is not for bind", "FROM alpine\nRUN --mount=target=/a,mode=0700 x\n", "bad-mount:2" },
	{ "mode is octal", "FROM alpine\nRUN --mount=type=cache,target=/a,mode=0800 x\n", "bad-mount:2" },
	{ "uid is decimal", "FROM alpine\nRUN --mount=type=cache,target=/a,uid=x x\n", "bad-mount:2" },
	{ "a boolean", "FROM alpine\nRUN --mount=target=/a,ro=maybe x\n", "bad-mount:2" },
	{ "a secret without a name", "FROM alpine\nRUN --mount=type=secret x\n", "bad-mount:2" },
	{ "a secret with source and id", "FROM alpine\nRUN --mount=type=secret,id=a,source=b x\n", "bad-mount:2" },
	{ "a secret has no from", "FROM alpine\nRUN --mount=type=secret,id=a,from=b x\n", "bad-mount:2" },
	{ "ssh has no source", "FROM alpine\nRUN --mount=type=ssh,source=a x\n", "bad-mount:2" },
	{ "a torn record", "FROM alpine\nRUN --mount='target=\"/a' x\n", "bad-mount:2" },
	{ "a whole mount", "FROM alpine\nRUN --mount=TYPE=Cache,dst=/c,ID=k,sharing=LOCKED,mode=0700,uid=5 --mount='type=tmpfs,\"target=/a,b\"' x\n", .want = { "{\"type\":\"cache\",\"target\":\"/c\",\"id\":\"k\",\"from\":{\"kind\":\"scratch\"},\"sharing\":\"locked\",\"mode\":\"0700\",\"uid\":\"5\"}", "{\"type\":\"tmpfs\",\"target\":\"/a,b\"}" } },
	{ "chmod", "FROM alpine\nCOPY --chmod=8 a b\n", "bad-chmod:2" },
	{ "chmod beyond 7777", "FROM alpine\nCOPY --chmod=10000 a b\n", "bad-chmod:2" },
	{ "a symbolic chmod", "FROM alpine\nCOPY --chmod=u+rwX,go-w a b\n", .want = { "\"chmod\":\"u+rwX,go-w\"" } },
	{ "checksum of two sources", "FROM alpine\nADD --checksum=sha256:aa http://a/b http://a/c /\n", "bad-checksum:2" },
	{ "checksum of a file", "FROM alpine\nADD --checksum=sha256:aa b /\n", "bad-checksum:2" },
	{ "COPY of a URL", "FROM alpine\nCOPY https://a/b /\n", "copy-remote:2" },
	{ "COPY of git", "FROM alpine\nCOPY git@host:a/b /\n", "copy-remote:2" },
	{ "port", "FROM alpine\nEXPOSE http\n", "bad-port:2" },
	{ "port too high", "FROM alpine\nEXPOSE 65536\n", "bad-port:2" },
	{ "protocol", "FROM alpine\nEXPOSE 80/icmp\n", "bad-port:2" },
	{ "range", "FROM alpine\nEXPOSE 90-80\n", "bad-port:2" },
	{ "a known variable is checked", "FROM alpine\nENV P=x\nEXPOSE $P\n", "bad-port:3" },
	{ "an ARG is left to the script", "FROM alpine\nARG P=x\nEXPOSE $P\n", .want = { "\"expose\",\"value\":[{\"var\":\"P\"" } },
	{ "good ports", "FROM alpine\nENV P='1 2'\nEXPOSE 80/TCP 1-3 127.0.0.1:8:80 $P\n", .want = { "\"value\":\"80/TCP\"" } },
	{ "signal", "FROM alpine\nSTOPSIGNAL FOO\n", "bad-signal:2" },
	{ "signal zero", "FROM alpine\nSTOPSIGNAL 0\n", "bad-signal:2" },
	{ "good signals", "FROM alpine\nSTOPSIGNAL 99\nSTOPSIGNAL kill\nSTOPSIGNAL SIGRTMIN+3\n", .want = { "SIGRTMIN+3" } },
	{ "a later stage by name", "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\n", "stage-order:2", .target = "a" },
	{ "a later stage by index", "FROM alpine AS a\nCOPY --from=1 / /\nFROM alpine AS b\n", "stage-order:2", .target = "a" },
	{ "a later stage by mount", "FROM alpine AS a\nRUN --mount=from=b,target=/x x\nFROM alpine AS b\n", "stage-order:2", .target = "a" },
	{ "a slip in --from", "FROM alpine AS build\nFROM scratch\nCOPY --from=biuld / /\n", "unknown-stage:3" },
	{ "RUN []", "FROM alpine\nRUN []\n", "empty-command:2" },
	{ "an error in a trigger is told at FROM", "FROM alpine AS a\nONBUILD EXPOSE x\nFROM a\n", "bad-port:3" },

	/* ---- lowering ---- */
	{ "here-document as script", "FROM alpine\nRUN <<E\n#!/bin/x\nq\nE\n", .want = { "\"text\":\"#!/bin/x\\nq\\n\",\"script\":\"E\"" } },
	{ "here-document as text", "FROM alpine\nRUN <<-E\n\tq\n\tE\n", .want = { "\"text\":\"q\\n\"" } },
	{ "here-documents put together", "FROM alpine\nRUN cat <<-A <<'B'\n\ta\n\tA\nb\nB\n", .want = { "\"text\":\"cat <<-A <<'B'\\n\\ta\\nA\\nb\\nB\"" } },
	{ "COPY here-documents", "FROM alpine\nENV A=1\nCOPY a <<X <<'Y' /d/\n$A \\$A\nX\n$A\nY\n", .want = { "\"paths\":[\"a\",\"/d/\"]", "{\"name\":\"X\",\"content\":[{\"var\":\"A\",\"stage\":0},\" $A\\n\"]}", "{\"name\":\"Y\",\"content\":\"$A\\n\"}" } },
	{ "COPY in JSON has an empty here-document", "FROM alpine\nCOPY [\"<<E\",\"/x\"]\n", .want = { "\"files\":[{\"name\":\"E\",\"content\":\"\"}]" } },
	{ "CMD forms", "FROM alpine\nCMD\nCMD [\"a\",\"\\\"\"]\nENTRYPOINT x y\n", .want = { "\"cmd-shell\",\"value\":\"\"", "\"cmd\",\"value\":\"[\\\"a\\\",\\\"\\\\\\\"\\\"]\"", "\"entrypoint-shell\",\"value\":\"x y\"" } },
	{ "HEALTHCHECK", "FROM alpine\nHEALTHCHECK --interval=1m30s --timeout=1.5s --retries=3 CMD [\"a\"]\nHEALTHCHECK NONE\n", .want = { "{\\\"Test\\\":[\\\"CMD\\\",\\\"a\\\"],\\\"Interval\\\":90000000000,\\\"Timeout\\\":1500000000,\\\"Retries\\\":3}", "\"value\":\"none\"" } },
	{ "triggers run after FROM of the child, once", "FROM alpine AS a\nENV E=1\nONBUILD USER t$E\nFROM a AS b\nUSER own\nFROM b\n", .want = { "\"base\":{\"kind\":\"stage\",\"stage\":\"a\"}},{\"kind\":\"set\",\"lines\":[3,3],\"settings\":[{\"name\":\"user\",\"value\":[\"t\",{\"var\":\"E\",\"stage\":0}]", "\"stage\":\"b\"}}]" } },
	{ "a trigger copies from a stage of the file", "FROM alpine AS x\nFROM alpine AS a\nONBUILD COPY --from=x / /\nFROM a\n", .want = { "\"from\":{\"kind\":\"stage\",\"stage\":\"x\"}", "\"id\":\"x\",\"live\":true" } },
	{ "EXPOSE is sorted before it is expanded", "FROM scratch\nEXPOSE 9 $P 10\n", .want = { "\"value\":[{\"unset\":\"P\"}],\"line\":2},{\"name\":\"expose\",\"value\":\"10\",\"same\":true" } },

	/* ---- passes ---- */
	{ "fold writes ENV out", "FROM scratch\nENV A=1\nUSER u${A:+2}\n", .want = { "\"user\",\"value\":\"u2\"" }, .absent = "assign\"", .level = 1 },
	{ "fold leaves ARG alone", "FROM scratch\nARG A=1\nUSER u$A\n", .want = { "[\"u\",{\"var\":\"A\"" }, .level = 1 },
	{ "fold leaves an ARG after ENV alone", "FROM scratch\nENV A=1\nARG A\nUSER u$A\n", .want = { "[\"u\",{\"var\":\"A\"" }, .level = 1 },
	{ "fold: one ENV sees the old value", "FROM scratch\nENV a=1\nENV a=2 b=$a\nUSER $b$a\n", .want = { "\"user\",\"value\":\"12\"" }, .level = 1 },
	{ "an unread ARG before a RUN stays", "FROM alpine\nARG A=1\nRUN x\n", .want = { "{\"kind\":\"arg\",\"lines\":[2,2],\"assigns\"" }, .level = 1 },
	{ "an unread ARG after the last RUN goes", "FROM alpine\nRUN x\nARG A=1\n", .want = { "{\"kind\":\"arg\",\"lines\":[3,3],\"dead\":true" }, .level = 1 },
	{ "not when a stage built on it has a RUN", "FROM alpine AS a\nARG A=1\nFROM a\nRUN x\n", .absent = "dead", .level = 1 },
	{ "nor when its default may fail", "FROM alpine\nARG A=${B:?no}\n", .absent = "dead", .level = 1 },
	{ "config is batched", "FROM alpine\nUSER a\nEXPOSE 1\nCMD x\nRUN y\nUSER b\n", .want = { "\"lines\":[2,4],\"settings\":[{\"name\":\"user\"" }, .level = 1 },
	{ "but not across a variable it reads", "FROM alpine\nENV A=$B\nUSER $A\n", .absent = "dead", .level = 1 },
	{ "RUNs are merged", "FROM alpine\nRUN a\nRUN b\n", .want = { "\"text\":\"b\",\"join\":true" }, .level = 1 },
	{ "not across a COPY", "FROM alpine\nRUN a\nCOPY x y\nRUN b\n", .absent = "join", .level = 1 },
	{ "nor at the end of a shared prefix", "FROM alpine AS a\nRUN a\nFROM alpine\nRUN a\nRUN b\nCOPY --from=a / /\n", .want = { "\"shares\":\"a\",\"nshared\":2" }, .absent = "join", .level = 1 },
	{ "a prefix whose variable is needed later is not shared", "FROM alpine AS a\nARG V=1\nRUN a\nFROM alpine\nARG V=1\nRUN a\nUSER $V\nCOPY --from=a / /\n", .absent = "shares", .level = 1 },
	{ "COPYs are merged at level 2", "FROM alpine\nCOPY a b\nCOPY c d\n", .want = { "\"join\":true" }, .level = 2 },
	{ "not with --link", "FROM alpine\nCOPY a b\nCOPY --link c d\n", .absent = "join", .level = 2 },
	{ "dropped stages are dead", "FROM alpine AS a\nRUN a\nFROM scratch\n", .want = { "\"dead\":true" }, .level = 1 },
};
enum { NROWS = sizeof rows / sizeof rows[0] };

static struct graph *
compile(const void *ctx, const struct row *r, struct diag *d)
{
	const struct source *source = source_new(ctx, "Dockerfile", r->file, strlen(r->file));
	const struct unit *u = unit_parse(ctx, source, d);
	struct sema_options *o = mem_new(ctx, struct sema_options);
	unsigned counts[32];
	struct pass_log log = { .text = buf_new(ctx) };
	struct graph *g;

	*o = (struct sema_options){
		.target = r->target, .build_args = &r->arg, .nbuild_args = r->arg.name != NULL, .contexts = &r->context,
		.ncontexts = r->context.name != NULL, .platform = r->platform, .freeze = r->freeze,
	};
	g = u->ok ? sema_build(ctx, u, o, d) : NULL;
	if (g != NULL && r->level > 0)
		passes_run(g, (unsigned)r->level, NULL, NULL, counts, &log);
	return g;
}

/* name:line of the first error in source order; "" when there is none. */
static const char *
first_error(const void *ctx, struct diag *d)
{
	diag_sort(d);
	return d->n > 0 ? mem_printf(ctx, "%s:%u", diag_name(d->items[0].id), (unsigned)d->items[0].line) : "";
}

static bool
check(const void *ctx, const struct row *r)
{
	struct diag *d = diag_new(ctx);
	struct graph *g = compile(ctx, r, d);
	const char *error = first_error(ctx, d);
	struct buf *dump = buf_new(ctx);
	bool good = strcmp(error, r->error != NULL ? r->error : "") == 0 && (g == NULL) == (r->error != NULL);

	if (g != NULL)
		graph_dump(dump, g);
	for (size_t k = 0; k < 4 && r->want[k] != NULL; k++)
		good = good && strstr(buf_str(dump), r->want[k]) != NULL;
	good = good && (r->absent == NULL || strstr(buf_str(dump), r->absent) == NULL);
	if (!good)
		printf("# error %s\n# %s\n", error, buf_str(dump));
	return good;
}

int
main(void)
{
	bool bad = false;

	printf("1..%d\n", NROWS);
	for (size_t k = 0; k < NROWS; k++) {
		void *ctx = talloc_new(NULL);
		bool good = check(ctx, &rows[k]);

		printf("%s %zu - %s\n", good ? "ok" : "not ok", k + 1, rows[k].what);
		bad = bad || !good;
		talloc_free(ctx);
	}
	return bad;
}
