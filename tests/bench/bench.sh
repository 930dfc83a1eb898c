#!/bin/sh
# Ratios against probes of the physical limit and, where it is installed, against buildah, all in one run.
# usage: tests/bench/bench.sh [ROUNDS]       (as root; nothing else should be running)
# Never part of the tests: clocks are noisy.  Instructions are counted too where perf or valgrind can.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$here/../..
build=$source/build
rounds=${1:-7}
work=$(mktemp -d "${TMPDIR:-/tmp}/dockcc-bench.XXXXXX")
trap 'rm -rf "$work" /tmp/probe-??????' EXIT

musl-gcc -static -O2 -w -D_GNU_SOURCE -o "$work/probe" "$here/probe.c"
layout=$("$source/tests/fixtures/bases.sh" busybox)
umoci unpack --image "$layout:busybox" "$work/bundle" >/dev/null 2>&1
root=$work/bundle/rootfs

# median COMMAND...: of $rounds runs, in microseconds; nothing but the process itself is in it
median() { "$work/probe" time "$rounds" "$@"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# line TEXT MICROSECONDS [LIMIT-TEXT LIMIT]
line() {
	if [ $# -gt 2 ]; then
		printf '%-58s %9.2f ms   %6s x %s\n' "$1" "$(awk -v t="$2" 'BEGIN { print t / 1000 }')" "$(ratio "$2" "$4")" "$3"
	else
		printf '%-58s %9.2f ms\n' "$1" "$(awk -v t="$2" 'BEGIN { print t / 1000 }')"
	fi
}

echo "# $rounds rounds, medians; load $(cut -d ' ' -f 1-3 /proc/loadavg)"

# ---- the compiler ------------------------------------------------------------------------------
mkdir "$work/c"
{
	echo 'FROM debian:12 AS build'
	i=0
	while [ "$i" -lt 24 ]; do
		printf 'ARG V%s=1\nENV A%s=$V%s\nRUN apt-get install -y package-%s \\\n  && echo "$A%s"\n' "$i" "$i" "$i" "$i" "$i"
		i=$((i + 1))
	done | head -n 90
	printf 'FROM scratch\nCOPY --from=build /x /y\nLABEL a=b c="d e"\nEXPOSE 80\nUSER 1\nWORKDIR /w\nCMD ["/y"]\nENTRYPOINT ["/z"]\nVOLUME /v\n'
} >"$work/c/Dockerfile"
noop=$(median "$work/probe" noop)
line 'an empty static process (musl)' "$noop"
line "compile --emit=ast, $(wc -l <"$work/c/Dockerfile") lines" "$(median "$build/dockcc" compile --emit=ast -o - "$work/c")" 'the empty process' "$noop"
line 'dockcc --version' "$(median "$build/dockcc" --version)" 'the empty process' "$noop"
line 'compile to a script, runtime on the PATH' "$(median "$build/dockcc" compile --runtime=path -o - "$work/c")" 'the empty process' "$noop"
line 'compile to a script, runtime embedded' "$(median "$build/dockcc" compile -o - "$work/c")" 'the empty process' "$noop"
"$build/dockcc" compile -o "$work/c/embed.sh" "$work/c"
"$build/dockcc" compile --runtime=path -o "$work/c/path.sh" "$work/c"
i=0
while [ "$i" -lt 2000 ]; do cat "$work/c/Dockerfile"; i=$((i + 1)); done >"$work/big"
big=$(median "$build/dockcc" compile --emit=ast -f "$work/big" -o /dev/null)
printf '%-58s %9.1f MB/s\n' "parse and dump of $(($(wc -c <"$work/big") / 1000)) kB" "$(awk -v t="$big" -v n="$(wc -c <"$work/big")" 'BEGIN { print n / t }')"

# ---- twenty RUNs --------------------------------------------------------------------------------
mkdir "$work/r"
{
	echo 'FROM busybox'
	i=0
	while [ "$i" -lt 20 ]; do echo 'RUN true'; i=$((i + 1)); done
} >"$work/r/Dockerfile"
base="--build-context=busybox=oci-layout://$layout:busybox"
for level in 0 1; do
	"$build/dockcc" compile -O"$level" -o "$work/r/O$level.sh" "$work/r"
	sh "$work/r/O$level.sh" --store "$work/store" "$base" >/dev/null 2>&1
done
limit_a=$(median "$work/probe" stage "$root" 20)
line 'limit A: stage entered once, 20 x sh -c true' "$limit_a"
# shellcheck disable=SC2016 # the inner shell expands it
b=$(median sh -c 'i=0; while [ $i -lt 20 ]; do "$1" step "$2"; i=$((i + 1)); done' sh "$work/probe" "$root")
line 'limit B: a helper process for each of 20 steps' "$b"
o1=$(median sh "$work/r/O1.sh" --no-cache --store "$work/store" "$base")
line '20 x RUN true, the script at -O1 (one layer)' "$o1" 'limit A' "$limit_a"
line '20 x RUN true, the script at -O0 (20 layers)' "$(median sh "$work/r/O0.sh" --no-cache --store "$work/store" "$base")" 'limit A' "$limit_a"
if command -v buildah >/dev/null; then
	mkdir "$work/b"
	sed "s|^FROM .*|FROM localhost/busybox:latest|" "$work/r/Dockerfile" >"$work/b/Dockerfile"
	skopeo copy -q "oci:$layout:busybox" "containers-storage:[vfs@$work/bs+$work/br]localhost/busybox:latest" >/dev/null
	t=$("$work/probe" time 1 buildah --root "$work/bs" --runroot "$work/br" --storage-driver vfs bud --isolation chroot \
		--no-cache --layers=false -t x "$work/b")
	line '20 x RUN true, buildah bud --layers=false (one round)' "$t" 'the script at -O1' "$o1"
fi

# ---- nothing to do --------------------------------------------------------------------------------
mkdir "$work/n" "$work/n/src"
i=0
while [ "$i" -lt 200 ]; do head -c 4096 /dev/urandom >"$work/n/src/$i"; i=$((i + 1)); done
{
	echo 'FROM busybox'
	i=0
	while [ "$i" -lt 19 ]; do echo "RUN true $i"; i=$((i + 1)); done
	echo 'COPY src /src'
} >"$work/n/Dockerfile"
"$build/dockcc" compile -O0 -o "$work/n/build.sh" "$work/n"
(cd "$work/n" && sh build.sh --store "$work/store" "$base" >/dev/null 2>&1)
sleep 1
(cd "$work/n" && sh build.sh --store "$work/store" "$base" >/dev/null 2>&1)
cd "$work/n"
walk=$(median "$work/probe" walk src)
line 'limit: stat of 200 files' "$walk"
line 'the empty shell script (sh -c :)' "$(median sh -c :)"
line 'nothing changed: 20 steps, 200 files' "$(median sh build.sh --store "$work/store" "$base")" 'the stat walk' "$walk"

# ---- sizes ------------------------------------------------------------------------------------------
printf '%-58s %9d bytes\n' 'dockcc-rt' "$(wc -c <"$build/dockcc-rt")" 'dockcc-rt, gzip -9' "$(gzip -9c "$build/dockcc-rt" | wc -c)" \
	'dockcc' "$(wc -c <"$build/dockcc")" 'emitted script, runtime embedded' "$(wc -c <"$work/c/embed.sh")" \
	'emitted script, runtime on the PATH' "$(wc -c <"$work/c/path.sh")"
