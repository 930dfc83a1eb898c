#!/bin/sh
# The builds that the project was started for, from Dockerfile to image: each compiled at -O0, -O1 and -O2,
# the images read by skopeo and unpacked by umoci, their files and config equal at every level and as
# expected.  TAP.  usage: seeds.sh [NAME...]
# $contexts is a list of words on purpose
# shellcheck disable=SC2086
set -u
here=$(cd "$(dirname "$0")" && pwd)
dockcc=${DOCKCC:-$here/../../build/dockcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/dockcc-e2e.XXXXXX")
trap 'rm -rf "$work"' EXIT
n=0 failed=0

# ok STATUS TEXT
ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		failed=1
		echo "not ok $n - $2"
	fi
}

if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP umoci and the base images need root'
	exit 0
fi

# base NAME IMAGE: makes the base image NAME, to be found as IMAGE
base() {
	layout=$("$here/../fixtures/bases.sh" "$1") || { echo "Bail out! no base image $1"; exit 1; }
	contexts="$contexts --build-context=$2=oci-layout://$layout:$1"
}

# listing DIR: what counts of a file system: everything but times
listing() {
	(cd "$1" && find . -printf '%y %m %U:%G %p -> %l\n' | LC_ALL=C sort &&
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
}

# build NAME LEVEL: leaves $work/NAME.LEVEL.{oci,rootfs,files,config}
build() {
	out=$work/$1.$2
	"$dockcc" compile "-$2" -o "$out.sh" "$here/$1" >"$out.log" 2>&1 &&
		(cd "$here" && sh "$out.sh" --context "$1" --store "$work/store" $contexts -t "$1:test" -o "oci:$out.oci") >>"$out.log" 2>&1 &&
		skopeo inspect --config "oci:$out.oci:test" | jq -S .config >"$out.config" &&
		umoci unpack --image "$out.oci:test" "$out.bundle" >>"$out.log" 2>&1 &&
		listing "$out.bundle/rootfs" >"$out.files"
	status=$?
	ok "$status" "$1 -$2 is built, skopeo reads the image, umoci unpacks it"
	if [ "$status" -ne 0 ]; then tail -n 30 "$out.log" | sed 's/^/# /'; fi
	return "$status"
}

# every NAME: all three levels, which have to agree; leaves the root file system in $root, the config in $config
every() {
	build "$1" O1 || return 1
	for level in O0 O2; do
		build "$1" "$level" || return 1
		cmp -s "$work/$1.O1.files" "$work/$1.$level.files"
		ok $? "$1: -$level has the files of -O1"
		diff "$work/$1.O1.files" "$work/$1.$level.files" | sed 's/^/# /' | head -n 20
		cmp -s "$work/$1.O1.config" "$work/$1.$level.config"
		ok $? "$1: -$level has the config of -O1"
	done
	root=$work/$1.O1.bundle/rootfs
	config=$work/$1.O1.config
}

# is TEXT WANT GOT
is() {
	[ "$2" = "$3" ]
	ok $? "$1"
	if [ "$2" != "$3" ]; then printf '# want %s\n# got  %s\n' "$2" "$3"; fi
}

node_nginx() {
	base node node:9.11.1-alpine
	base nginx nginx:1.13.12-alpine
	every node-nginx || return
	is 'the page that npm built is there' '<p>42 is a number: true</p>' "$(cat "$root/usr/share/nginx/html/index.html")"
	[ ! -e "$root/app" ]
	ok $? 'nothing else of the build stage is'
	is 'exposed port' '{"80/tcp":{}}' "$(jq -c .ExposedPorts "$config")"
	is 'command' '["nginx","-g","daemon off;"]' "$(jq -c .Cmd "$config")"
	is 'a variable of the base image' NGINX_VERSION=1.13.12-1 "$(jq -r '.Env[] | select(startswith("NGINX"))' "$config")"
	is 'nginx finds its configuration good' 0 "$(chroot "$root" /usr/sbin/nginx -v >/dev/null 2>&1; echo $?)"
}

go_scratch() {
	base golang golang:1.10.3
	every go-scratch || return
	is 'the image holds the server alone' server "$(ls "$root")"
	is 'entrypoint' '["/server"]' "$(jq -c .Entrypoint "$config")"
	is 'the server runs' 'served from scratch, 1 argument' "$(chroot "$root" /server)"
	is 'layers' 1 "$(skopeo inspect --raw "oci:$work/go-scratch.O1.oci:test" | jq '.layers | length')"
}

etcd() {
	base debian ubuntu:16.04
	base etcd quay.io/coreos/etcd:v3.3.9
	every etcd || return
	is 'etcd runs in the other image' 'etcd Version' "$(chroot "$root" /usr/local/bin/etcd --version | sed -n '1s/:.*//p')"
	is 'command of the base image' '["bash"]' "$(jq -c .Cmd "$config")"
}

foo_bar() {
	base debian debian
	base busybox alpine
	every foo-bar || return
	is 'the first binary runs' 'binary 1' "$(chroot "$root" /bin1)"
	is 'the second binary runs' 'binary 2' "$(chroot "$root" /bin2)"
	is 'command' '["/bin/sh","-c","..."]' "$(jq -c .Cmd "$config")"
	# shared work is done once
	is 'apt-get install ran once' 1 "$(grep -c '^build-essential.*apt-get install' "$work/foo-bar.O1.log")"
}

laravel() {
	base composer composer:1.7
	base node node:8.11
	base php php:7.2-apache-stretch
	every laravel || return
	is 'the application runs with the packages composer installed' 'hello, world' \
		"$(chroot "$root" /usr/bin/php8.2 /var/www/html/index.php)"
	is 'script that yarn made' 'document.title = "site";' "$(cat "$root/var/www/html/public/js/app.js")"
	is 'style that yarn made' 'body { margin: 0 }' "$(cat "$root/var/www/html/public/css/app.css")"
	is 'manifest that yarn made' '/css/app.css' "$(jq -r '."/css/app.css"' "$root/var/www/html/mix-manifest.json")"
	is 'working directory of the base image' /var/www/html "$(jq -r .WorkingDir "$config")"
}

# go-named is a fragment: it has to compile, its stages are linked by name
go_named() {
	"$dockcc" compile --emit=graph -o "$work/graph.json" "$here/go-named"
	ok $? 'go-named compiles'
	is 'the second stage takes from the first' builder \
		"$(jq -r '[.. | objects | select(.from? != null) | .from | .. | strings] | map(select(. == "builder")) | first' "$work/graph.json")"
}

# a stage that the target does not reach is not run, whatever the level
unreached() {
	base busybox busybox
	mkdir -p "$work/unreached"
	printf 'FROM busybox AS broken\nRUN touch /ran && exit 1\nFROM busybox\nRUN echo fine >/fine\n' >"$work/unreached/Dockerfile"
	for level in O0 O1 O2; do
		"$dockcc" compile "-$level" -o "$work/unreached.sh" "$work/unreached" &&
			sh "$work/unreached.sh" --no-cache --store "$work/store" $contexts -o "$work/unreached.$level" >"$work/unreached.log" 2>&1
		is "-$level: a failing stage that nothing needs is not run" 'fine 0' \
			"$(cat "$work/unreached.$level/fine" 2>&1) $(grep -c broken "$work/unreached.log")"
	done
	"$dockcc" compile -O0 --target broken -o "$work/unreached.sh" "$work/unreached"
	sh "$work/unreached.sh" --store "$work/store" $contexts -o "$work/none" >"$work/unreached.log" 2>&1
	is 'and it fails when it is the target' 'build.sh 1' "$(basename "$work/unreached.sh" | sed 's/unreached/build/') $?"
}

# shellcheck disable=SC2048 # names hold no blanks
for name in ${*:-go_named unreached go_scratch node_nginx etcd laravel foo_bar}; do
	contexts=
	"$name"
done
echo "1..$n"
exit "$failed"
