#!/bin/sh
# Transfers that go wrong, in a build: each gives one error that says what, leaves nothing half done, and the next run completes.
# The registry of registry/faulty.c is the one that does wrong until it is mended; full disks are small file systems.
# what lib.sh sets: source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2181
. "$(dirname "$0")/lib.sh"
rt=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}
export DOCKCC_RT="$rt" DOCKER_CONFIG="$work" XDG_CACHE_HOME="$work/cache" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset DOCKCC_OFFLINE DOCKCC_STORE DOCKCC_REGISTRIES http_proxy https_proxy all_proxy
for program in curl skopeo git; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
pids='' mounted=''
# shellcheck disable=SC2329
leave() {
	for pid in $pids; do kill "$pid" 2>/dev/null; done
	for dir in $mounted; do umount "$dir" 2>/dev/null; done
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

mkdir "$work/c"
cd "$work/c" || exit 1
head -c 900000 /dev/urandom >big
printf 'FROM scratch\nCOPY big /\nENV WHO=base\n' >Dockerfile
"$dockcc" build --store "$work/s0" --output "type=oci,tar=false,compression=gzip,dest=$work/image" . >"$work/said" 2>&1 ||
	{ echo 'Bail out! no image to work with'; exit 1; }
mkdir "$work/image/tags"
sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' "$work/image/index.json" >"$work/image/tags/1"
blob=$(find "$work/image/blobs" -size +800k -exec basename {} \;)
"${DOCKCC_BUILD:-$source/build}/faulty" "$work/image" "$work/requests" "$work/port" &
pids="$pids $!"
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$work/port" ] && break; sleep 0.1; done
registry=127.0.0.1:$(cat "$work/port")

build() {
	rm -rf "$work/out"
	"$dockcc" build --store "$work/s" -o "$work/out" -f "$@" . >"$work/said" 2>&1
}
# errors: how many are told; the last line is the summary of the failed step
errors() { grep -c '^dockcc-rt: \|failed, after' "$work/said"; }
summary() { tail -n 1 "$work/said" | sed 's/.*failed step=\([^ ]*\) line=\([^ ]*\) status=\([^ ]*\) kind=.*/\1 \2 \3/'; }
# half: what a failed run leaves that it should not; parts of downloads may stay, for the next run
half() { find "$work/s/tmp" "$work/s/images/blobs/sha256" -mindepth 1 ! -name '.part-*' -size +100k 2>/dev/null | wc -l; }

# ---- base images ------------------------------------------------------------------------------------------
# fails MODE STATUS TEXT
fails() {
	rm -rf "$work/s" "$work/image/.mended"
	printf 'FROM %s/%s/image:1\nCOPY Dockerfile /d\n' "$registry" "$1" >"$work/Dockerfile.$1"
	build "$work/Dockerfile.$1"
	is "$1: one error, no result, nothing half" "$2 1 stage-0.0 1 $2 0 1" "$? $(errors) $(summary) $(half) $([ -e "$work/out" ]; echo $?)"
	grep -qF "$3" "$work/said"
	ok $? "$1: it says $3"
	touch "$work/image/.mended"
	build "$work/Dockerfile.$1"
	is "$1: the next run completes" "0 Dockerfile big" "$? $(cmp big "$work/out/big" && cmp Dockerfile "$work/out/d" && echo 'Dockerfile big')"
	rm "$work/image/.mended"
}
fails bitrot 65 'is damaged'
fails cut 74 'remaining'
fails short 65 'truncated'
fails long 65 'larger than'
fails missing 74 'has no blob'
fails gone 74 'has no'
fails liar 65 'is damaged'
fails revoked 74 'wants a user and a password'
printf '{"auths":{"%s":{"auth":"d2hvOnMzY3JldA=="}}}\n' "$registry" >"$work/config.json"
fails revoked 74 'refuses'

# ---- files ------------------------------------------------------------------------------------------------
url=http://$registry/v2/cut/image/blobs/sha256:$blob
printf 'FROM scratch\nADD %s /big\n' "$url" >"$work/Dockerfile.url"
rm -rf "$work/s"
build "$work/Dockerfile.url"
is 'a file that ends early' '74 1 stage-0.1 2 74 0 1' "$? $(errors) $(summary) $(half) $([ -e "$work/out" ]; echo $?)"
touch "$work/image/.mended"
build "$work/Dockerfile.url"
is 'and completes' "0 sha256:$blob" "$? sha256:$(sha256sum <"$work/out/big" | cut -d ' ' -f 1)"
rm "$work/image/.mended"
printf 'FROM scratch\nADD --checksum=sha256:%s http://%s/v2/bitrot/image/blobs/sha256:%s /big\n' "$blob" "$registry" "$blob" >"$work/Dockerfile.url"
build "$work/Dockerfile.url"
is 'a file with another checksum' '65 1 stage-0.1 2 65 0 1' "$? $(errors) $(summary) $(half) $([ -e "$work/out" ]; echo $?)"
git init -q -b main "$work/git/r"
head -c 300000 /dev/urandom >"$work/git/r/f"
git -C "$work/git/r" add f && git -C "$work/git/r" -c user.name=n -c user.email=e commit -q -m one
port=$((10000 + $$ * 3 % 20000))
printf 'FROM scratch\nADD git://127.0.0.1:%s/r#main /\n' "$port" >"$work/Dockerfile.git"
build "$work/Dockerfile.git"
is 'no git server' '74 1 stage-0.1 2 74 0 1' "$? $(errors) $(summary) $(half) $([ -e "$work/out" ]; echo $?)"
git daemon --reuseaddr --export-all --base-path="$work/git" --listen=127.0.0.1 --port=$port --log-destination=none &
pids="$pids $!"
for _ in 1 2 3 4 5 6 7 8 9 10; do git ls-remote "git://127.0.0.1:$port/r" >"$work/said" 2>&1 && break; sleep 0.2; done
object=$(find "$work/git/r/.git/objects" -type f -size +200k)
cp "$object" "$work/object"
chmod u+w "$object"
printf X | dd of="$object" bs=1 seek=50000 conv=notrunc 2>/dev/null
build "$work/Dockerfile.git"
is 'a damaged repository' '74 1 stage-0.1 2 74 0 1' "$? $(errors) $(summary) $(half) $([ -e "$work/out" ]; echo $?)"
cp "$work/object" "$object"
build "$work/Dockerfile.git"
is 'and completes' 0 "$([ $? -eq 0 ] && cmp "$work/git/r/f" "$work/out/f"; echo $?)"

# ---- no room ----------------------------------------------------------------------------------------------
# small SIZE: the store is on a file system of that size
small() {
	rm -rf "$work/s"
	mkdir "$work/s"
	mount -t tmpfs -o "size=$1" tmpfs "$work/s" 2>"$work/said" || return 1
	mounted=$work/s
}
# grow: and has room now
grow() { mount -o remount,size=64m "$work/s"; }
shrink() { umount "$work/s" && mounted=; }
printf 'FROM %s/ok/image:1\nCOPY Dockerfile /d\n' "$registry" >"$work/Dockerfile.ok"
printf 'FROM scratch\nCOPY big /big\nCOPY big /b2\n' >"$work/Dockerfile.copy"
printf 'FROM scratch\nADD http://%s/v2/ok/image/blobs/sha256:%s /big\n' "$registry" "$blob" >"$work/Dockerfile.add"
if small 500k; then
	shrink
	# room for nothing, for the blob but not for its files, for one layer of two
	for case in "500k ok stage-0.0 1" "1200k ok stage-0.0 1" "1200k copy stage-0.2 3" "500k add stage-0.1 2"; do
		# shellcheck disable=SC2086
		set -- $case
		small "$1"
		build "$work/Dockerfile.$2"
		is "a store of $1, $2" "74 1 $3 $4 74 1" "$? $(errors) $(summary) $([ -e "$work/out" ]; echo $?)"
		grep -q 'No space left' "$work/said"
		ok $? 'it says so'
		is 'and leaves nothing half' '' "$(find "$work/s/tmp" -mindepth 1 ! -name '.part-*')"
		grow
		build "$work/Dockerfile.$2"
		is 'with room it goes on' 0 $?
		shrink
	done
	# a registry without room
	mkdir "$work/images"
	if command -v docker-registry >/dev/null && mount -t tmpfs -o size=500k tmpfs "$work/images"; then
		mounted=$work/images
		to=127.0.0.1:$((port + 1))
		printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' "$work/images" "$to" >"$work/registry.yml"
		docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
		pids="$pids $!"
		for _ in 1 2 3 4 5 6 7 8 9 10; do curl -s -o "$work/said" "http://$to/v2/" && break; sleep 0.2; done
		push() { "$dockcc" build --store "$work/s0" --push -t "$to/a/b:1" . >"$work/said" 2>&1; }
		push
		is 'a registry without room' '74 1 - - 74' "$? $(errors) $(summary)"
		skopeo inspect --tls-verify=false "docker://$to/a/b:1" >"$work/more" 2>&1
		is 'does not have the image' 0 "$([ $? -ne 0 ]; echo $?)"
		mount -o remount,size=64m "$work/images"
		push
		is 'and with room the next push completes' 0 $?
		skopeo copy -q --src-tls-verify=false "docker://$to/a/b:1" "oci:$work/back" >"$work/said" 2>&1
		is 'and is whole' 0 $?
		kill "$!" 2>/dev/null
	else
		skip 'a registry without room: there is no docker-registry'
	fi
else
	skip 'full disks: no file system can be mounted'
fi
finish
