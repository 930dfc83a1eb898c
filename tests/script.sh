#!/bin/sh
# What somebody with an emitted script in hand sees: options, resumption, failures, bad input.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"
base busybox
store=$work/store
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP these builds run as root'
	exit 0
fi

# run ARGUMENT...: runs $work/build.sh; leaves $status, $work/log (both streams)
run() {
	# shellcheck disable=SC2086
	sh "$work/build.sh" --store "$store" --context "$work" $contexts "$@" >"$work/log" 2>&1 </dev/null
	status=$?
}

# compile ARGUMENT...: compiles $work/Dockerfile from standard input
compile() {
	cat >"$work/Dockerfile"
	"$dockcc" compile -o "$work/build.sh" "$@" "$work" >"$work/compile.log" 2>&1
	status=$?
}

has() {
	grep -q -- "$2" "$work/log"
	ok $? "$1"
	grep -q -- "$2" "$work/log" || sed 's/^/# /' "$work/log" | tail -n 8
}

last() { tail -n 1 "$work/log"; }

# ---- the script itself ------------------------------------------------------------------------
echo data >"$work/file"
compile <<'END'
FROM busybox AS one
RUN echo one >/one
FROM busybox
COPY file /f
COPY --from=one /one /o
RUN cat /f /o
LABEL a=b
END
is 'it compiles' 0 "$status"
cp "$work/build.sh" "$work/first.sh"
"$dockcc" compile -o "$work/build.sh" "$work"
cmp -s "$work/first.sh" "$work/build.sh"
ok $? 'same input, same bytes'
if command -v shellcheck >/dev/null; then
	shellcheck -s sh -o all "$work/build.sh" >"$work/log" 2>&1
	ok $? 'shellcheck has nothing to say'
	head -n 20 "$work/log" | sed 's/^/# /'
else
	skip 'shellcheck is not installed'
fi
grep -v '^  printf' "$work/build.sh" | grep -n "$work\|\beval\b\|^ *\`" >"$work/log"
is 'no eval, no path of this machine' 1 $?
run --dry-run
is 'a dry run is fine' 0 "$status"
has 'it shows what would run' 'stage-1.3 *run.*RUN$'
run --list
has 'the list of steps' '^one.1 *run *2 *echo one >/one'
run -o "oci:$work/out" -t app:1
is 'the build succeeds' 0 "$status"
has 'its last line names the image' '^image *sha256:[0-9a-f]* -> oci:'
first=$(last)
run -o "oci:$work/out" -t app:1
is 'nothing to do: nothing runs' 0 "$(grep -c '[0-9]s$' "$work/log")"
is 'the same image' "$first" "$(last)"
run --dry-run
has 'a dry run says what is cached' 'stage-1.3 *run.*CACHED'
sleep 1
run --no-cache -o "oci:$work/out" -t app:1
is 'without the cache every step runs' 0 "$(grep -v ' from ' "$work/log" | grep -c CACHED)"
is 'and the image is the same' "$first" "$(last)"
touch "$work/file"
run -o "oci:$work/out" -t app:1
is 'a touched file changes nothing' 0 "$(grep -c '[0-9]s$' "$work/log")"
echo other >"$work/file"
run -o "oci:$work/out" -t app:1
is 'a changed file runs what reads it' 'CACHED 0.0s' "$(awk '$1 == "one.1" { a = $NF } $1 == "stage-1.1" { b = $NF } END { print (a == "" ? "CACHED" : a), b }' "$work/log")"
# shellcheck disable=SC2086
ENV=/nonexistent BASH_ENV=/nonexistent IFS=x PS4='$(touch /tmp/owned)' CDPATH=/ TAR_OPTIONS=--bogus \
	sh "$work/build.sh" --store "$store" --context "$work" $contexts -o "oci:$work/out" -t app:1 >"$work/log" 2>&1
is 'a hostile environment changes nothing' "$first" "$(echo data >"$work/file"; run -o "oci:$work/out" -t app:1; last)"
# shellcheck disable=SC2086
sh -s -- --store "$store" --context "$work" $contexts -o "oci:$work/piped" <"$work/build.sh" >"$work/log" 2>&1
is 'the script can be piped into sh' 0 $?
DOCKCC_RT='' XDG_CACHE_HOME=$work/cache sh "$work/build.sh" --list >"$work/log" 2>&1
is 'the runtime is unpacked where the cache is' 1 "$(find "$work/cache/dockcc/rt" -type f | wc -l)"
sed 's/^  printf .\\037\\213\\010/&\\000/' "$work/build.sh" >"$work/damaged.sh"
DOCKCC_RT='' XDG_CACHE_HOME=$work/cache2 sh "$work/damaged.sh" --list >"$work/log" 2>&1
is 'a damaged runtime is refused' '65 build.sh: failed step=- line=- status=65 kind=digest' "$? $(last)"
"$dockcc" compile --runtime=path -o "$work/path.sh" "$work"
DOCKCC_RT=${DOCKCC_BUILD:-$source/build}/dockcc-rt sh "$work/path.sh" --list >"$work/log" 2>&1
is 'runtime found by DOCKCC_RT' 0 $?
(PATH=/usr/bin:/bin && unset DOCKCC_RT && sh "$work/path.sh" --list) >"$work/log" 2>&1
is 'no runtime: one clear error' '69 1' "$? $(grep -c 'dockcc-rt is not on the PATH' "$work/log")"
run --bogus x
is 'an unknown option' '64 build.sh: failed step=- line=- status=64 kind=usage' "$status $(last)"
run --target nowhere
is 'an unknown target' 64 "$status"
run --target ONE -o "$work/one"
is 'another target, in any case' one "$(cat "$work/one/one")"
for spec in "type=oci,dest=$work/o.tar" "type=docker,dest=$work/d.tar" "type=tar,dest=$work/t.tar" "type=local,dest=$work/local" \
	"type=oci,dest=$work/z.tar,compression=zstd" "type=oci,dest=$work/g.tar,compression=gzip"; do
	run -t app:1 -o "$spec"
	is "--output $(echo "$spec" | sed "s|$work/||")" 0 "$status"
done
if command -v skopeo >/dev/null; then
	is 'skopeo reads the OCI archive' app "$(skopeo inspect --config "oci-archive:$work/o.tar:1" | jq -r 'if .config.Labels.a == "b" then "app" else "?" end')"
	is 'skopeo reads the docker archive' b "$(skopeo inspect --config "docker-archive:$work/d.tar" | jq -r .config.Labels.a)"
	skopeo copy -q "oci-archive:$work/z.tar" "dir:$work/zdir" >"$work/log" 2>&1
	ok $? 'skopeo copies zstd layers'
	skopeo copy -q "oci-archive:$work/g.tar" "dir:$work/gdir" >"$work/log" 2>&1
	ok $? 'skopeo copies gzip layers'
else
	skip 'skopeo is not installed'
fi
is 'the tar of the files' data "$(tar -xOf "$work/t.tar" f)"
is 'the directory of the files' one "$(cat "$work/local/o")"

"$dockcc" compile -o /dev/null "$work" && [ -c /dev/null ]
ok $? 'a device is written to, not replaced'

printf 'FROM app\nCOPY --from=app /f /g\n' >"$work/Dockerfile"
"$dockcc" compile -o "$work/derived.sh" "$work"
for location in "oci-archive:$work/o.tar" "docker-archive:$work/d.tar" "oci-archive:$work/z.tar" "oci-archive:$work/g.tar" "oci-layout://$work/out:1"; do
	sh "$work/derived.sh" --store "$work/derived" --context "$work" --build-context "app=$location" -o "$work/derived.out" >"$work/log" 2>&1
	is "a base image from $(echo "$location" | sed "s|$work/||")" 'data one' "$(cat "$work/derived.out/g" "$work/derived.out/o" | tr '\n' ' ' | sed 's/ $//')"
	rm -rf "$work/derived" "$work/derived.out"
done

# ---- failures -----------------------------------------------------------------------------------
compile <<'END'
FROM busybox
RUN echo kept >/kept
WORKDIR /x
RUN echo before && exit 42
END
run
is 'the status of the command is passed on' 42 "$status"
is 'the last line says where' 'build.sh: failed step=stage-0.3 line=4 status=42 kind=run' "$(last)"
has 'the instruction is shown' 'Dockerfile:4: run echo before && exit 42'
run
is 'the layers so far are kept' 1 "$(grep -c 'stage-0.1 .*CACHED' "$work/log")"
is 'nothing is left behind' '' "$(ls "$store/tmp"; grep "$store" /proc/mounts)"
compile <<'END'
FROM busybox
RUN sh -c 'kill -9 $$'; exit $?
END
run
is 'a killed command' 137 "$status"
compile <<'END'
FROM busybox
COPY missing /x
END
run
is 'a missing source' 'build.sh: failed' "$(last | cut -c1-16)"
has 'is named with its line' 'Dockerfile:2.*missing'
printf '*.txt\n' >"$work/.dockerignore"
echo x >"$work/a.txt"
compile <<'END'
FROM busybox
COPY a.txt /x
END
run
has 'an ignored file is not there' 'a.txt'
rm "$work/.dockerignore"
compile <<'END'
FROM no-such-image
RUN true
END
run
has 'an image that is not there is named' 'no-such-image'
layout=$(echo "$contexts" | sed 's/.*oci-layout:..\(.*\):busybox.*/\1/')
for damage in truncate flip remove; do
	rm -rf "$work/copy" "$work/store2"
	cp -r "$layout" "$work/copy"
	blob=$(ls -S "$work/copy/blobs/sha256"/* | head -n 1)
	for other in "$work/copy/blobs/sha256"/*; do
		[ "$(jq -r '.layers[0].digest // empty' "$other" 2>/dev/null)" = "" ] || manifest=$other
	done
	manifest=$work/copy/blobs/sha256/$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "busybox").digest[7:]' "$work/copy/index.json")
	blob=$work/copy/blobs/sha256/$(jq -r '.layers[0].digest[7:]' "$manifest")
	case $damage in
	truncate) truncate -s -100 "$blob" ;;
	flip) printf 'X' | dd of="$blob" bs=1 seek=5000 conv=notrunc 2>/dev/null ;;
	remove) rm "$blob" ;;
	esac
	compile <<'END'
FROM busybox
RUN true
END
	sh "$work/build.sh" --store "$work/store2" --build-context "busybox=oci-layout://$work/copy:busybox" >"$work/log" 2>&1
	is "a base image with a blob that was changed ($damage) is refused" 65 $?
	is "and nothing of it is kept ($damage)" 0 "$(ls "$work/store2/layers" "$work/store2/tmp" | grep -vc ':$\|^$')"
done
if mkdir "$work/full" && mount -t tmpfs -o size=3m none "$work/full" 2>/dev/null; then
	compile <<'END'
FROM busybox
RUN dd if=/dev/zero of=/big bs=1M count=50
END
	# shellcheck disable=SC2086
	sh "$work/build.sh" --store "$work/full/store" $contexts -o "oci:$work/full/out" >"$work/log" 2>&1
	is 'a full disk' 'no image' "$([ $? -ne 0 ] && [ ! -e "$work/full/out" ] && echo no image)"
	has 'is one clear error' 'No space left\|no space left'
	umount "$work/full"
else
	skip 'a full disk: no tmpfs can be mounted'
fi

# killed at any moment, a second run gives the image of an undisturbed one
compile <<'END'
FROM busybox
RUN for i in 1 2 3; do echo $i >/$i; sleep 0.1; done
COPY file /f
RUN sleep 0.2; echo done >/done
END
run -o "oci:$work/undisturbed" -t app:1
want=$(last | sed 's/ -> .*//')
for delay in 0.05 0.15 0.25 0.4; do
	# shellcheck disable=SC2086
	sh "$work/build.sh" --store "$work/killed" --context "$work" $contexts -o "oci:$work/k" -t app:1 >/dev/null 2>&1 &
	sleep "$delay"
	pkill -KILL -f "store=$work/killed" 2>/dev/null
	wait 2>/dev/null
done
# shellcheck disable=SC2086
sh "$work/build.sh" --store "$work/killed" --context "$work" $contexts -o "oci:$work/k" -t app:1 >"$work/log" 2>&1
is 'after kill -9 the next run makes the same image' "$want" "$(last | sed 's/ -> .*//')"
is 'and clears what was left' '' "$(ls "$work/killed/tmp")"

# ---- input that dockcc refuses ------------------------------------------------------------------
refuse() {
	"$dockcc" compile -o "$work/none.sh" "$work" >"$work/log" 2>&1
	is "$1: status" 1 $?
	has "$1: message" "$2"
	[ ! -e "$work/none.sh" ]
	ok $? "$1: no script"
}
printf 'FROM busybox\nRUM echo\n' >"$work/Dockerfile"
refuse 'an unknown instruction' 'Dockerfile:2:1: error: .*RUM'
has 'with the word that was meant' 'fix: RUN'
printf 'FROM busybox\nCOPY --chwon=1 a b\n' >"$work/Dockerfile"
refuse 'an unknown flag' 'Dockerfile:2:6: error: '
printf 'FROM busybox AS build\nFROM scratch\nCOPY --from=biuld /a /b\n' >"$work/Dockerfile"
refuse 'an unknown stage' 'Dockerfile:3:.*biuld'
printf 'FROM busybox\nRUM a\nCOPPY b c\nRUN ok\nFROM\n' >"$work/Dockerfile"
refuse 'several errors' 'Dockerfile:2'
has 'are all told' 'Dockerfile:3'
printf 'FROM busybox\nRUN a\0b\n' >"$work/Dockerfile"
refuse 'a NUL byte' 'NUL'
: >"$work/Dockerfile"
refuse 'an empty file' 'Dockerfile'
rm "$work/Dockerfile"
mkfifo "$work/Dockerfile"
refuse 'a fifo for a Dockerfile' 'not a regular file'
rm "$work/Dockerfile"
refuse 'no Dockerfile' 'No such file'
"$dockcc" compile -o "$work/none.sh" "$work/nowhere" >"$work/log" 2>&1
is 'no context' 1 $?
"$dockcc" compile --bogus >"$work/log" 2>&1
is 'a bad option' 2 $?
"$dockcc" compile --tarqet=x >"$work/log" 2>&1
has 'with the one that was meant' 'did you mean --target'
finish
