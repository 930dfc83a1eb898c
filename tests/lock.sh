#!/bin/sh
# dockcc.lock: written, checked, kept to; against Debian's docker-registry, busybox's httpd and git's daemon on loopback.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"
rt=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}
export DOCKCC_RT="$rt" DOCKER_CONFIG="$work" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null XDG_CACHE_HOME="$work/cache"
unset DOCKCC_OFFLINE DOCKCC_LOCKED DOCKCC_BUILD_CONTEXTS DOCKCC_REGISTRIES http_proxy https_proxy all_proxy
for program in docker-registry skopeo git busybox make; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP the base images need root'
	exit 0
fi
pids=
# shellcheck disable=SC2329
leave() {
	for pid in $pids; do kill "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP
base busybox
port=$((10000 + $$ * 3 % 20000))

# ---- what is locked -----------------------------------------------------------------------------------
registry=127.0.0.1:$port
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' "$work/images" "$registry" >"$work/registry.yml"
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
pids="$pids $!"
mkdir "$work/www"
echo one >"$work/www/file"
# the daemon of git works in a directory of its own
busybox httpd -f -p "127.0.0.1:$((port + 1))" -h "$work/www" &
pids="$pids $!"
web=http://127.0.0.1:$((port + 1))
git init -q -b main "$work/git/r"
commit() {
	echo "$1" >"$work/git/r/f"
	git -C "$work/git/r" add f
	git -C "$work/git/r" -c user.name=n -c user.email=e commit -q -m "$1"
	git -C "$work/git/r" rev-parse HEAD
}
first=$(commit first)
git daemon --reuseaddr --export-all --base-path="$work/git" --listen=127.0.0.1 --port=$((port + 2)) --log-destination=none &
pids="$pids $!"
repo=git://127.0.0.1:$((port + 2))/r#main
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	skopeo copy -q --dest-tls-verify=false "oci:$layout:busybox" "docker://$registry/base:1" >"$work/said" 2>&1 && break
	sleep 0.3
done
digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/base:1")
mkdir "$work/c"
cat >"$work/c/Dockerfile" <<END
ARG NAME=base
FROM $registry/\$NAME:1 AS main
ADD $web/file /file
ADD $repo /git/
FROM scratch AS aside
COPY --from=$registry/base:1 /etc /etc
END
cd "$work/c" || exit 1
lock() { "$dockcc" lock --store "$work/store" "$@" >"$work/said" 2>&1; }
build() {
	store=$1
	shift
	rm -rf "$work/out"
	"$dockcc" build --store "$work/$store" --target main -o "$work/out" "$@" . >"$work/said" 2>&1
}
contents() { cat "$work/out/file" "$work/out/git/f" | tr '\n' ' '; }

# ---- writing ------------------------------------------------------------------------------------------
"$dockcc" build --locked . >"$work/said" 2>&1
is 'no lock file' '4 1' "$? $(grep -c 'dockcc lock writes it' "$work/said")"
lock .
is 'a lock file is written' 0 $?
sed 's/^/# /' "$work/said"
sum=$(sha256sum <"$work/www/file" | cut -d ' ' -f 1)
is 'sorted, a line a name' "git $repo $first
image $registry/base:1 $digest
url $web/file sha256:$sum" "$(grep -v '^#' dockcc.lock)"
cp dockcc.lock "$work/written"
lock .
cmp -s dockcc.lock "$work/written"
ok $? 'again it is the same'
lock --check --offline .
is 'a check without the network' 0 $?
lock --check --update .
is 'a check with it' 0 $?
build b1 --locked
is 'a locked build' '0 one first ' "$? $(contents)"
sh=$work/build.sh
"$dockcc" compile --locked --target main -o "$sh" . 2>"$work/said"
is 'the script holds the entries' 3 "$(grep -c '^image \|^git \|^url ' "$sh")"

# ---- the world moves on ---------------------------------------------------------------------------------
second=$(commit second)
skopeo copy -q --dest-tls-verify=false "oci:$layout:busybox" "oci:$work/other:x" >"$work/said" 2>&1
printf 'FROM base\nLABEL new=1\n' | "$dockcc" build --store "$work/store" --build-context "base=oci-layout://$layout:busybox" \
	-f - --push -t "$registry/base:1" "$work" >"$work/said" 2>&1
moved=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/base:1")
[ "$moved" != "$digest" ]
ok $? 'the tag has moved'
build b2 --locked
is 'the same commit and image as before' "0 one first " "$? $(contents)"
"$dockcc" build --store "$work/b2" --locked --target main -o "type=oci,tar=false,dest=$work/oci" . >"$work/said" 2>&1
is 'without the new label' 0 "$(grep -rc '"new":"1"' "$work/oci/blobs/sha256" | awk -F: '{ n += $2 } END { print n }')"
echo two >"$work/www/file"
build b3 --locked
is 'a changed file is refused' '65 1' "$? $(grep -c 'has checksum sha256:' "$work/said")"
lock --check --offline .
is 'which nobody sees offline' 0 $?
lock --check --update .
is 'a check that looks' '4 3' "$? $(grep -c 'now, locked is' "$work/said")"
cmp -s dockcc.lock "$work/written"
ok $? 'writes nothing'
lock .
cmp -s dockcc.lock "$work/written"
ok $? 'without --update what is there stays'
lock --update .
is 'an update' "0 git $repo $second image $registry/base:1 $moved" "$? $(grep -v '^#' dockcc.lock | head -n 2 | tr '\n' ' ' | sed 's/ $//')"
build b3 --locked
is 'is what is built then' '0 two second ' "$? $(contents)"

# ---- what is not in it ------------------------------------------------------------------------------------
printf 'ADD %s/more /more\nRUN --mount=from=%s/base:2 true\n' "$web" "$registry" >>Dockerfile
lock --check --offline .
is 'missing entries, all of them, at their lines' "4 Dockerfile:7: $web/more is not in dockcc.lock
Dockerfile:8: $registry/base:2 is not in dockcc.lock" "$? $(grep 'is not in' "$work/said")"
"$dockcc" compile --locked -o "$work/no.sh" . >"$work/said" 2>&1
is 'a compile tells them too' '4 2' "$? $(grep -c 'not-locked' "$work/said")"
[ ! -e "$work/no.sh" ]
ok $? 'and writes nothing'
sed -i '7,$d' Dockerfile
sed -i "1i url http://gone.invalid/x sha256:$sum" dockcc.lock
lock --check --offline .
is 'an entry too many' '4 1' "$? $(grep -c 'http://gone.invalid/x is not used' "$work/said")"
lock --offline .
is 'is taken out' '0 0' "$? $(grep -c gone.invalid dockcc.lock)"
build b4 --locked --build-arg NAME=other
is 'a name known at run time only' '65 1' "$? $(grep -c "other:1 is not in the lock file" "$work/said")"
echo "image nonsense" >>dockcc.lock
build b4 --locked
is 'a line that is no entry' '1 1' "$? $(grep -c 'dockcc.lock:5:1: error:.*bad-lock' "$work/said")"
lock .
is 'nor for lock' '64 1' "$? $(grep -c 'is no entry' "$work/said")"
sed -i '$d' dockcc.lock

# ---- images given by hand -----------------------------------------------------------------------------------
build b5 --locked --build-context "$registry/base:1=oci-layout://$layout:busybox"
is 'another image in its place' '65 1' "$? $(grep -c "locked is $moved" "$work/said")"
mkdir "$work/dir"
touch "$work/dir/etc"
build b5 --locked --target aside --build-context "$registry/base:1=$work/dir"
is 'a directory is as local as the context' 0 $?
"$rt" import "--store=$work/b6" "oci-layout://$layout:busybox" here:1
printf 'FROM here:1\nCOPY Dockerfile /x\n' >Dockerfile
"$dockcc" lock --offline --store "$work/b6" --lock-file "$work/here.lock" . >"$work/said" 2>&1
is 'an image of the store' "0 $digest" "$? $(sed -n 's/^image here:1 //p' "$work/here.lock")"
"$dockcc" build --offline --store "$work/b6" --locked --lock-file "$work/here.lock" -o "$work/out" . >"$work/said" 2>&1
is 'needs no network' 0 $?
printf 'FROM here:1@%s\nADD --checksum=sha256:%s %s/file /f\n' "$digest" "$(sha256sum <"$work/www/file" | cut -d ' ' -f 1)" "$web" >Dockerfile
"$dockcc" lock --offline --store "$work/b6" --lock-file "$work/here.lock" . >"$work/said" 2>&1
is 'what is exact already needs no entry' '0 0' "$? $(grep -vc '^#' "$work/here.lock")"
"$dockcc" build --store "$work/b6" --locked --lock-file "$work/here.lock" -o "$work/out" . >"$work/said" 2>&1
is 'and is built' 0 $?

# ---- the Makefile -------------------------------------------------------------------------------------------
printf 'FROM here:1\nADD %s/file /f\n' "$web" >Dockerfile
"$dockcc" lock --store "$work/b6" . >"$work/said" 2>&1
"$dockcc" compile --locked -o image.mk . 2>"$work/said"
DOCKCC_STORE=$work/b6 make -f image.mk image >"$work/said" 2>&1
is 'a Makefile' 0 $?
sed 's/^/# /' "$work/said" | tail -n 3
echo three >"$work/www/file"
rm -rf .dockcc
"$rt" import "--store=$work/b7" "oci-layout://$layout:busybox" here:1
DOCKCC_STORE=$work/b7 make -f image.mk image >"$work/said" 2>&1
is 'keeps to the lock, too' 1 "$(grep -c 'has checksum sha256:' "$work/said")"
finish
