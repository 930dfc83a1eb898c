#!/bin/sh
# One file that holds all that a build reads: it builds without a network, damage is found, big ones need no memory.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034,SC2086
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP these builds run as root'
	exit 0
fi
base busybox
busybox=${contexts#* --build-context=busybox=}
cd "$work" || exit 1
mkdir context extra "context/d r" out
echo data >context/file
echo secret >context/skipped
echo one >"context/d r/1"
ln "context/d r/1" "context/d r/2"
ln -s ../file "context/d r/link"
chmod 4750 "context/d r/1"
touch -d 2001-01-01 context/file
printf 'skipped\n' >context/Dockerfile.dockerignore
printf 'file\n' >context/.dockerignore
echo extra >extra/x
cat >context/Dockerfile <<'END'
FROM busybox AS one
COPY . /all
RUN --mount=type=bind,source=file,target=/f cat /f >/g; ls -l "/all/d r" >/h
FROM scratch
COPY --from=one /all /g /h /
COPY --from=named x /
ENTRYPOINT ["/g"]
END
named="--build-context named=$work/extra"
cd context || exit 1

# run SCRIPT ARGUMENT...: with a new store, without a network; leaves $status and log
run() {
	script=$1
	shift
	rm -rf "$work/store" "$work/out/image"
	unshare -n ${shell:-sh} "$script" --store "$work/store" "$@" >"$work/log" 2>&1 </dev/null
	status=$?
}
digest() { sed -n 's/^image  *\(sha256:[0-9a-f]*\).*/\1/p' "$work/log"; }
show() { [ "$1" -eq 0 ] || sed 's/^/# /' "$work/log" | tail -n 12; }
bundle() { # OPTION...
	"$dockcc" compile $contexts $named "$@" . >"$work/log" 2>&1
	status=$?
	show "$status"
}

# ---- the same image --------------------------------------------------------------------------------
"$dockcc" compile -o "$work/out/plain.sh" . && run "$work/out/plain.sh" $contexts $named -o "oci:$work/out/image"
want=$(digest)
is 'the script builds' 0 "$status"
show "$status"
bundle --bundle -o "$work/out/app.run"
is 'a bundle is made' 0 "$status"
cd / || exit 1
run "$work/out/app.run" -o "oci:$work/out/image"
is 'it builds without a network, from anywhere' "0 $want" "$status $(digest)"
show "$status"
is 'nothing is left in the store' '' "$(ls "$work/store/tmp")"
for shell in dash 'bash --posix' 'busybox sh' mksh yash ksh 'zsh --emulate sh'; do
	if command -v "${shell%% *}" >/dev/null; then
		run "$work/out/app.run" -o "oci:$work/out/image"
		is "in $shell as well" "0 $want" "$status $(digest)"
		show "$status"
	fi
done
shell=
run "$work/out/app.run" --dry-run
is 'a dry run' 0 "$status"
run "$work/out/app.run" --bundle-verify
is 'it can be verified' '0 1' "$status $(grep -c 'pieces, all as they should be' "$work/log")"
cd "$work/out" || exit 1
(run app.run -o "oci:$work/out/image"; [ "$(digest)" = "$want" ])
ok $? 'by a name without a directory'
cd "$work/context" || exit 1

# ---- the same bytes ----------------------------------------------------------------------------------
bundle --bundle --freeze -o "$work/out/first/frozen.run" 2>/dev/null
is 'no directory to write to: that fails' 3 "$status"
mkdir "$work/out/first" "$work/out/second"
bundle --bundle --freeze -o "$work/out/first/frozen.run"
cp -a "$work/context" "$work/copy"
(cd "$work/copy" && bundle --bundle --freeze -o "$work/out/second/frozen.run")
cmp "$work/out/first/frozen.run" "$work/out/second/frozen.run"
ok $? 'the same input gives the same bytes'
run "$work/out/first/frozen.run" -o "oci:$work/out/image"
is 'and the same image' "0 $want" "$status $(digest)"
sh "$work/out/plain.sh" $contexts $named --bundle "$work/out/first/plain.sh" >"$work/log" 2>&1
is 'a script makes a bundle of itself' 0 $?
run "$work/out/first/plain.sh" -o "oci:$work/out/image"
is 'with the same image' "0 $want" "$status $(digest)"
bundle --bundle --runtime=path -o "$work/out/path.run"
DOCKCC_RT=$(dirname "$dockcc")/dockcc-rt run "$work/out/path.run" -o "oci:$work/out/image"
is 'a bundle without a runtime' "0 $want" "$status $(digest)"

# ---- a directory ---------------------------------------------------------------------------------------
bundle --bundle="$work/out/dir"
is 'a directory instead' 0 "$status"
run "$work/out/dir/build.sh" -o "oci:$work/out/image"
is 'builds the same' "0 $want" "$status $(digest)"
show "$status"
bundle --bundle -o "$work/out/build.sh"
"$dockcc" bundle $contexts $named -o - . 2>"$work/log" | cmp -s - "$work/out/build.sh"
ok $? 'dockcc bundle is the same command; to standard output'
run "$work/out/build.sh" --bundle-extract "$work/out/extracted"
is 'a file is taken apart' 0 "$status"
diff -r "$work/out/dir" "$work/out/extracted" >"$work/log"
ok $? 'into the same directory'
run "$work/out/dir/build.sh" --bundle-verify
is 'a directory is verified' 0 "$status"
if command -v skopeo >/dev/null; then
	skopeo inspect --config "oci:$work/out/dir:busybox" >"$work/log" 2>&1
	is 'skopeo reads the base image in it' 0 $?
fi
echo more >>"$work/out/dir/build.sh"
run "$work/out/dir/build.sh" --list
run "$work/out/dir/build.sh" -o "oci:$work/out/image"
is 'another script beside it is refused' '65 1' "$status $(grep -c 'is damaged: its script is' "$work/log")"

# ---- damage ----------------------------------------------------------------------------------------------
size=$(wc -c <"$work/out/app.run")
start=$(sed -n 's/^bundle=0*\([0-9]*\):.*/\1/p' "$work/out/app.run" | head -n 1)
# damage OFFSET: one bit of the bundle
damage() {
	cp "$work/out/app.run" "$work/out/damaged.run"
	byte=$(od -An -tu1 -j "$1" -N 1 "$work/out/app.run" | tr -d ' ')
	printf "\\$(printf %o $((byte ^ 1)))" | dd of="$work/out/damaged.run" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
# refused TEXT: status 65, one message and the last line, no image, nothing unpacked that was not verified
refused() {
	run "$work/out/damaged.run" -t app:1 -o "oci:$work/out/image"
	is "$1: refused, and why" '65 1 1' "$status $(grep -c 'is damaged\|truncated' "$work/log") $(tail -n 1 "$work/log" | grep -c 'failed step=.*status=65')"
	[ "$status" = 65 ] || sed 's/^/# /' "$work/log"
	is "$1: no image, nothing half" "no " "$([ -e "$work/out/image" ] && echo yes || echo no) $(ls "$work/store/tmp" 2>/dev/null)"
}
tar_offset() { # TEXT: where it first is behind the script
	grep -abo -- "$1" "$work/out/app.run" | cut -d : -f 1 | awk -v s="$start" '$1 >= s { print; exit }'
}
damage "$(grep -abo 'source  *Dockerfile' "$work/out/app.run" | head -n 1 | cut -d : -f 1)"
refused 'a comment of the script'
damage "$(tar_offset '"schemaVersion"')"
refused 'the index'
damage "$(($(tar_offset "context/file") + 1024))"
refused 'a context'
damage $((size - 1024 - 4096))
refused 'a blob'
damage $((start + 2))
refused 'the name of a file in it'
head -c $((size - 4000)) "$work/out/app.run" >"$work/out/damaged.run"
refused 'a cut off end'
head -c $((start + 5)) "$work/out/app.run" >"$work/out/damaged.run"
refused 'a cut off bundle'
bad=0 at=$start step=$(((size - start) / 40))
while [ "$at" -lt $((size - 1024)) ]; do # each has to make the image that is wanted (padding) or be refused
	damage "$at"
	run "$work/out/damaged.run" -o "oci:$work/out/image"
	case $status in
		65) ;;
		0) [ "$(digest)" = "$want" ] || bad=1 ;;
		*) bad=1; echo "# offset $at: status $status" ;;
	esac
	at=$((at + step))
done
is '40 places all over it' 0 "$bad"

# ---- what is not in it ---------------------------------------------------------------------------------
mkdir "$work/tags"
printf 'ARG TAG=latest\nFROM busybox:${TAG}\nRUN echo 1 >/one\n' >"$work/tags/Dockerfile"
"$(dirname "$dockcc")/dockcc-rt" import "--store=$work/filled" "$busybox" busybox
(cd "$work/tags" && DOCKCC_STORE=$work/filled "$dockcc" compile --bundle -o "$work/out/tags.run" .) >"$work/log" 2>&1
is 'an image of the store goes in' 0 $?
run "$work/out/tags.run" -o "$work/out/image"
is 'and comes out' "0 1" "$status $(cat "$work/out/image/one")"
run "$work/out/tags.run" --build-arg TAG=other -o "oci:$work/out/image"
is 'an image that is not in it: the end' '74 1' "$status $(grep -c 'busybox:other is not here, and a bundle fetches nothing' "$work/log")"
mkdir -p "$work/elsewhere/d r"
echo other >"$work/elsewhere/file"
run "$work/out/app.run" --context "$work/elsewhere" --target one -o "$work/out/image"
is 'another context takes its place' other "$(cat "$work/out/image/all/file" 2>/dev/null)"
DOCKCC_STORE=$work/nothing "$dockcc" compile --bundle $named -o "$work/out/none.run" . >"$work/log" 2>&1
is 'compiling opens no socket: an image that is nowhere' '3 1 no' "$? $(grep -c 'busybox is not here, and the network is forbidden' "$work/log") $([ -e "$work/out/none.run" ] && echo yes || echo no)"
sh "$work/out/app.run" --bundle "$work/out/again.run" >"$work/log" 2>&1
is 'a bundle of a bundle' 64 $?
sh "$work/out/plain.sh" $contexts $named --bundle "$work/out/again.run" -t app:1 >"$work/log" 2>&1
is 'a name is for the build' 64 $?
"$dockcc" lock $contexts $named --lock-file "$work/lock" . >"$work/log" 2>&1
bundle --bundle --locked --lock-file "$work/lock" -o "$work/out/locked.run"
is 'a locked bundle' 0 "$status"
run "$work/out/locked.run" -o "oci:$work/out/image"
is 'builds' 0 "$status"
show "$status"
sed -i 's/sha256:[0-9a-f]\{4\}/sha256:0000/' "$work/lock"
"$dockcc" compile $contexts $named --bundle --locked --lock-file "$work/lock" -o "$work/out/other.run" . >"$work/log" 2>&1
is 'another image than the locked one is not put in' '3 1 no' "$? $(grep -c 'locked is sha256:0000' "$work/log") $([ -e "$work/out/other.run" ] && echo yes || echo no)"
sh "$work/out/plain.sh" --bundle-verify >"$work/log" 2>&1
is 'a script that is no bundle' 64 $?
sh -s -- --list <"$work/out/app.run" >"$work/log" 2>&1
is 'a bundle in a pipe' '64 1' "$? $(grep -c 'a bundle reads its own file' "$work/log")"
"$dockcc" compile --bundle -o "$work/out/x.mk" . >"$work/log" 2>&1
is 'a Makefile is none' 2 $?

# ---- an image for several machines: the index as it is, one of its images --------------------------------
layout=${busybox#oci-layout://}
layout=${layout%:busybox}
mkdir -p "$work/multi/blobs/sha256"
cp "$layout/oci-layout" "$work/multi/"
manifest=$(jq -c '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "busybox") | del(.annotations)' "$layout/index.json")
for blob in $(echo "$manifest" | jq -r .digest) $(jq -r '.config.digest, .layers[].digest' "$layout/blobs/sha256/$(echo "$manifest" | jq -r '.digest[7:]')"); do
	cp "$layout/blobs/sha256/${blob#sha256:}" "$work/multi/blobs/sha256/"
done
machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
echo "$manifest" | jq -c --arg m "$machine" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
	{mediaType, size, digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", platform: {os: "linux", architecture: "s390x"}},
	. + {platform: {os: "linux", architecture: $m}}]}' >"$work/index"
sum=$(sha256sum <"$work/index" | cut -d ' ' -f 1)
jq -nc --arg d "sha256:$sum" --argjson n "$(wc -c <"$work/index")" '{schemaVersion: 2, manifests: [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $d, size: $n}]}' >"$work/multi/index.json"
cp "$work/index" "$work/multi/blobs/sha256/$sum"
"$dockcc" compile --bundle --build-context "busybox=oci-layout://$work/multi@sha256:$sum" $named -o "$work/out/multi.run" . >"$work/log" 2>&1
is 'an image for several machines goes in' 0 $?
run "$work/out/multi.run" -o "oci:$work/out/image"
is 'and comes out' "0 $want" "$status $(digest)"
show "$status"

# ---- size -----------------------------------------------------------------------------------------------
case ${DOCKCC_RT-} in
*sanitized)
	skip "the sanitizer needs memory of its own"
	finish ;;
esac
mkdir "$work/big"
printf 'FROM scratch\nCOPY big /\n' >"$work/big/Dockerfile"
head -c 1100000000 /dev/zero >"$work/big/big"
# every shell that runs this has ulimit -v
# shellcheck disable=SC3045
(ulimit -v 300000; cd "$work/big" && "$dockcc" compile --bundle -o "$work/out/big.run" .) >"$work/log" 2>&1
is 'a GB goes in without a GB of memory' '0 yes' "$? $([ "$(wc -c <"$work/out/big.run")" -gt 1100000000 ] && echo yes)"
show 1
# shellcheck disable=SC3045
(ulimit -v 300000; run "$work/out/big.run" --progress plain -o "type=oci,dest=$work/out/big.tar,compression=gzip"; exit "$status")
is 'and comes out' 0 $?
show 1
rm -rf "$work/out/big.run" "$work/store"
finish
