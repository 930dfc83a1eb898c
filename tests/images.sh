#!/bin/sh
# What base images bring along: ONBUILD, platforms, programs for other machines.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

layout=$("$source/tests/fixtures/bases.sh" busybox)
store=$work/store
export XDG_CACHE_HOME="$work/cache"
mkdir "$work/base" "$work/app"

# config DIR FILTER: of the image in a layout
config() {
	blob=$(jq -r '.manifests[0].digest' "$1/index.json")
	blob=$(jq -r .config.digest "$1/blobs/sha256/${blob#*:}")
	jq -r "$2" "$1/blobs/sha256/${blob#*:}"
}

# ---- ONBUILD of a base image ---------------------------------------------------------------------------
cat >"$work/base/Dockerfile" <<'END'
FROM busybox
ONBUILD ARG MODE=test
ONBUILD ENV MODE=$MODE
ONBUILD COPY . /app
ONBUILD RUN ls /app >/list && \
  echo "$MODE '$HOME'" >/mode
CMD ["cat", "/list"]
END
"$dockcc" build -q --store "$store" --build-context "busybox=oci-layout://$layout:busybox" -o "oci:$work/onbuild" "$work/base" >"$work/log" 2>&1
ok $? 'an image with triggers'
printf 'FROM node:onbuild\nRUN cat /list /mode >/seen\n' >"$work/app/Dockerfile"
echo hello >"$work/app/file"
"$dockcc" compile --build-context "node:onbuild=oci-layout://$work/onbuild" -o "$work/app.sh" "$work/app"
ok $? 'compiled with the image at hand'
is 'the triggers stand in the script' 4 "$(grep -c '#   its ONBUILD ' "$work/app.sh")"
"$dockcc" compile --build-context "node:onbuild=oci-layout://$work/onbuild" -o "$work/again.sh" "$work/app"
sed 's/again\.sh/app.sh/g' "$work/again.sh" | cmp -s - "$work/app.sh"
ok $? 'and the same text comes out again'
sh "$work/app.sh" --store "$store" --context "$work/app" --build-arg MODE=prod -o "oci:$work/out" -o "type=tar,dest=$work/out.tar" >"$work/log" 2>&1
ok $? 'the script runs them'
is 'what they did' "Dockerfile file prod '/root'" "$(tar -xOf "$work/out.tar" seen | tr '\n' ' ' | sed 's/ $//')"
is 'they are used up' null "$(config "$work/out" .config.OnBuild)"
is 'and set the config' MODE=prod "$(config "$work/out" '.config.Env[-1]')"
is 'the command of the image stays' '["cat","/list"]' "$(config "$work/out" '.config.Cmd|tojson')"

"$dockcc" compile -o "$work/blind.sh" "$work/app"
sh "$work/blind.sh" --store "$store" --context "$work/app" --build-context "node:onbuild=oci-layout://$work/onbuild" >"$work/log" 2>&1
is 'a script that was compiled without the image' 64 $?
grep -q 'brings along ONBUILD ARG MODE=test, which this script was not compiled for: compile again with --build-context' "$work/log"
ok $? 'says so and how to go on'
is 'in the line of the FROM' 'blind.sh: failed step=stage-0.0 line=1 status=64 kind=from' "$(tail -n 1 "$work/log")"
sh "$work/app.sh" --store "$store" --context "$work/app" --build-context "node:onbuild=oci-layout://$layout:busybox" >"$work/log" 2>&1
is 'another image without triggers is refused' 64 $?
grep -q 'has no ONBUILD ARG MODE=test here' "$work/log"
ok $? 'and why'

"$dockcc" build -q --store "$store" --build-context "node:onbuild=oci-layout://$work/onbuild" "$work/app" >"$work/log" 2>&1
ok $? 'build looks at the image by itself'
"$dockcc" build -q --store "$store" --build-context "busybox=oci-layout://$layout:busybox" -t local/onbuild "$work/base" >"$work/log" 2>&1
printf 'FROM local/onbuild AS a\nFROM a\nRUN test -e /mode\n' >"$work/app/Dockerfile"
"$dockcc" build --store "$store" -o "oci:$work/two" "$work/app" >"$work/log" 2>&1
ok $? 'an image of the store has its triggers run, once'
is 'a grandchild does not run them again' 1 "$(config "$work/two" '[.history[].created_by|select(test("ls /app"))]|length')"
DOCKCC_RT=/nonexistent "$dockcc" compile --store "$store" -o "$work/none.sh" "$work/app"
is 'without a helper the image is not at hand' 0 "$(grep -c 'its ONBUILD' "$work/none.sh")"
"$dockcc" compile --store "$store" -o "$work/store.sh" "$work/app"
is 'with the store named it is' 4 "$(grep -c 'its ONBUILD' "$work/store.sh")"

printf 'FROM busybox\nONBUILD NONSENSE\n' >"$work/base/Dockerfile"
"$dockcc" build -q --store "$store" --build-context "busybox=oci-layout://$layout:busybox" -o "oci:$work/bad" "$work/base" >"$work/log" 2>&1
printf 'FROM bad\n' >"$work/app/Dockerfile"
(cd "$work/app" && "$dockcc" compile --build-context "bad=oci-layout://$work/bad" -o "$work/bad.sh" .) 2>"$work/log"
is 'a trigger that is no instruction' 1 $?
is 'is told at the FROM' 'Dockerfile:1:6: error: an ONBUILD of bad is no instruction: NONSENSE [bad-trigger]' "$(head -n 1 "$work/log")"

# ---- platforms --------------------------------------------------------------------------------------------
cat >"$work/app/Dockerfile" <<'END'
FROM --platform=$BUILDPLATFORM scratch AS tools
COPY file /tool
FROM scratch
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDARCH
LABEL t=$TARGETPLATFORM,$TARGETOS,$TARGETARCH,$TARGETVARIANT b=$BUILDARCH
COPY --from=tools /tool /
END
"$dockcc" compile -o "$work/p.sh" "$work/app"
machine=$(uname -m)
case $machine in
x86_64) host=amd64 ;;
aarch64) host=arm64 ;;
*) host=$machine ;;
esac
# platform WANT OPTION...: architecture, variant and label of what the script makes
platform() {
	want=$1
	shift
	sh "$work/p.sh" --store "$store" --context "$work/app" -o "oci:$work/p" "$@" >"$work/log" 2>&1 || cat "$work/log"
	is "platform: ${*:-none}" "$want,$host" "$(config "$work/p" '"\(.os)/\(.architecture)/\(.variant) \(.config.Labels.t),\(.config.Labels.b)"')"
}
platform "linux/$host/null linux/$host,linux,$host,"
platform 'linux/riscv64/null linux/riscv64,linux,riscv64,' --platform linux/riscv64
platform 'linux/arm/v7 linux/arm/v7,linux,arm,v7' --platform=arm
platform 'linux/arm/v6 linux/arm/v6,linux,arm,v6' --platform linux/arm/6
platform 'linux/arm64/null linux/arm64,linux,arm64,' --platform LINUX/aarch64
platform 'linux/amd64/null linux/amd64,linux,amd64,' --platform linux/x86_64
platform 'linux/arm64/null linux/arm64,linux,mine,' --build-arg TARGETARCH=mine --platform arm64
"$dockcc" compile --platform linux/arm64/v8 -o "$work/p.sh" "$work/app"
platform 'linux/arm64/null linux/arm64,linux,arm64,'
platform 'linux/s390x/null linux/s390x,linux,s390x,' --platform linux/s390x
"$dockcc" compile --platform 'no such' -o "$work/p.sh" "$work/app" 2>"$work/log"
is 'a platform that is none' '2 dockcc: --platform takes OS/ARCH[/VARIANT], not no such' "$? $(cat "$work/log")"
printf 'ARG TARGETARCH\nFROM scratch AS for-amd64\nFROM scratch AS for-arm64\nFROM for-$TARGETARCH\n' >"$work/app/Dockerfile"
"$dockcc" compile --platform linux/arm64 -o "$work/p.sh" "$work/app"
sh "$work/p.sh" --store "$store" --platform linux/arm64 >"$work/log" 2>&1
ok $? 'a platform that picks a stage, as it was compiled'
sh "$work/p.sh" --store "$store" --platform linux/amd64 >"$work/log" 2>&1
is 'and another' 64 $?
grep -q 'TARGETARCH picks a stage; compile again: dockcc compile --platform' "$work/log"
ok $? 'says what to do'

# ---- several platforms: one image ------------------------------------------------------------------------------
printf 'FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY file /\n' >"$work/app/Dockerfile"
"$dockcc" compile -o "$work/p.sh" "$work/app"
# several SHELL OUT OPTION...
several() {
	shell=$1 out=$2
	shift 2
	$shell "$work/p.sh" --store "$store" --context "$work/app" -o "oci:$work/$out" -o "type=oci,dest=$work/$out.tar" --platform linux/amd64,linux/arm64/v8,arm "$@" \
		>"$work/log" 2>&1
	ok $? "several platforms: $shell"
	[ -e "$work/$out/index.json" ] || sed "s/^/# /" "$work/log"
}
shells >"$work/shells"
while read -r shell; do
	case $shell in zsh) shell='zsh --emulate sh' ;; *) ;; esac
	several "$shell" many -t app:1 --iidfile "$work/id"
	is 'the id is that of the index' "$(jq -r '.manifests[0].digest' "$work/many/index.json")" "$(cat "$work/id")"
	cat "$work/id" >>"$work/ids"
	echo >>"$work/ids"
	rm -rf "$work/many"
done <"$work/shells"
is 'the same image whoever runs it' 1 "$(sort -u "$work/ids" | wc -l)"
several dash many -t app:1 -t app:2
is 'an index under each name' '2 1' "$(jq '.manifests|length' "$work/many/index.json") $(jq -r '.manifests[].digest' "$work/many/index.json" | sort -u | wc -l)"
top=$(jq -r '.manifests[0].digest' "$work/many/index.json")
is 'with the platforms' 'linux/amd64/null linux/arm64/null linux/arm/v7' \
	"$(jq -r '.manifests[].platform|"\(.os)/\(.architecture)/\(.variant)"' "$work/many/blobs/sha256/${top#*:}" | tr '\n' ' ' | sed 's/ $//')"
if command -v skopeo >/dev/null; then
	for arch in amd64 arm64; do
		is "skopeo finds $arch" "$arch $arch" "$(skopeo inspect --override-arch "$arch" --config "oci:$work/many:1" | jq -r '"\(.architecture) \(.config.Labels.arch)"')"
	done
	is 'and in the archive' arm64 "$(skopeo inspect --override-arch arm64 --config "oci-archive:$work/many.tar:1" | jq -r .config.Labels.arch)"
else
	skip 'skopeo is not installed'
fi
"$dockcc" build -q --store "$store" --platform linux/amd64,linux/s390x -t multi "$work/app" >"$work/quiet" 2>"$work/log"
ok $? 'dockcc build with several, into the store'
is 'quiet: the digest alone' 1 "$(grep -c "^sha256:[0-9a-f]*$" "$work/quiet")"
printf 'FROM multi\n' >"$work/app/Dockerfile"
"$dockcc" build -q --store "$store" --platform s390x -o "oci:$work/s390x" "$work/app" >"$work/log" 2>&1
is 'a build on it takes the one it is for' s390x "$(config "$work/s390x" .architecture)"
sh "$work/p.sh" --store "$store" --context "$work/app" --platform linux/amd64,linux/arm64 -o "$work/files" >"$work/log" 2>&1
is 'files of several are refused before anything runs' '64 0' "$? $(grep -c 'stage-0' "$work/log")"
is 'in the usual form' 'p.sh: failed step=- line=- status=64 kind=usage' "$(tail -n 1 "$work/log")"
printf 'FROM scratch\nCOPY missing /\n' >"$work/app/Dockerfile"
"$dockcc" compile -o "$work/p.sh" "$work/app"
TMPDIR=$work/tmp
export TMPDIR
mkdir "$TMPDIR"
sh "$work/p.sh" --store "$store" --context "$work/app" --platform linux/amd64,linux/arm64 -o "oci:$work/none" >"$work/log" 2>&1
is 'the first failure ends it' '74 p.sh: failed step=stage-0.1 line=2 status=74 kind=copy' "$? $(tail -n 1 "$work/log")"
is 'and nothing is left' '' "$(ls "$TMPDIR")$(ls -d "$work/none" 2>/dev/null)"
unset TMPDIR
"$dockcc" compile --platform linux/amd64,linux/arm64 -o "$work/p.mk" "$work/app" 2>"$work/log"
is 'a Makefile has one' '2 dockcc: a Makefile builds for one platform, not for linux/amd64,linux/arm64' "$? $(cat "$work/log")"

# ---- programs for another machine ----------------------------------------------------------------------------
case $machine in
x86_64) cross=aarch64-linux-gnu-gcc other=arm64 emulator=qemu-aarch64-static ;;
*) cross= ;;
esac
if [ -z "$cross" ] || ! command -v "$cross" >/dev/null; then
	skip 'there is no cross compiler'
else
	printf '#include <stdio.h>\n#include <sys/utsname.h>\nint main(void) { struct utsname u; uname(&u); return puts(u.machine) < 0; }\n' >"$work/h.c"
	"$cross" -static -O2 -o "$work/app/h" "$work/h.c"
	printf 'FROM scratch\nCOPY h /h\nRUN ["/h"]\n' >"$work/app/Dockerfile"
	(cd "$work/app" && "$dockcc" build --store "$store" --platform "linux/$other" . >"$work/log" 2>&1)
	is 'without an emulator' 1 $?
	grep -q 'it is a program for aarch64 and this machine is x86_64: register qemu-aarch64 with binfmt_misc' "$work/log"
	ok $? 'the failure says what is missing'
	# a registration of our own, in a user namespace: nothing of the host changes
	cat >"$work/emulated" <<'END'
mkdir "$1/binfmt" && mount -t binfmt_misc none "$1/binfmt" 2>/dev/null || exit 77
printf '%s' ':q:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$2:F" \
	2>/dev/null >"$1/binfmt/register" || exit 77
cd "$1/app" && exec "$3" build --store "$1/store.emulated" --progress plain --platform "$4" .
END
	if ! command -v "$emulator" >/dev/null; then
		skip 'there is no emulator'
	else
		unshare --user --map-root-user --mount sh "$work/emulated" "$work" "$(command -v "$emulator")" "$dockcc" "linux/$other" >"$work/log" 2>&1
		status=$?
		if [ "$status" = 77 ]; then
			skip 'this kernel has no binfmt_misc in a user namespace'
		else
			is 'with an emulator it runs' '0 aarch64' "$status $(sed -n 's/.*| \(aarch64\)$/\1/p' "$work/log")"
		fi
	fi
fi
finish
