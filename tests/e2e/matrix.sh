#!/bin/sh
# Three of the real builds in every shell, through both makes with every shell as theirs, with the runtime from every payload: one image
# digest.  Each payload builds once into a store of its own; everything else finds that store's layers.  TAP.
# usage: matrix.sh [NAME...]
# $contexts is a list of words on purpose
# shellcheck disable=SC2086
set -u
here=$(cd "$(dirname "$0")" && pwd)
dockcc=${DOCKCC:-$here/../../build/dockcc}
program=${DOCKCC_BUILD:-$(dirname "$dockcc")}/dockcc-rt
unset MAKEFLAGS MAKELEVEL MFLAGS DOCKCC_STORE DOCKCC_RT CC
work=$(mktemp -d "${TMPDIR:-/tmp}/dockcc-matrix.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export DOCKCC_OFFLINE=1 SOURCE_DATE_EPOCH=1500000000
n=0 failed=0

ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		failed=1
		echo "not ok $n - $2"
		tail -n 20 "$work/log" | sed 's/^/# /'
	fi
}
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP the base images need root'
	exit 0
fi

# the shells, each as one program
mkdir "$work/shells"
while read -r name words; do
	command -v "${words%% *}" >/dev/null || continue
	printf '#!/bin/sh\nexec %s "$@"\n' "$words" >"$work/shells/$name"
	chmod +x "$work/shells/$name"
done <<'END'
dash dash
bash bash --posix
busybox busybox sh
mksh mksh
yash yash
ksh ksh
zsh zsh --emulate sh
END
shells=$(ls "$work/shells")

digest() { sed -n 's/^image  *\(sha256:[0-9a-f]*\).*/\1/p' "$work/log"; }
# cell TEXT RAN COMMAND...: the wanted image; RAN "cached": without a step that runs
cell() {
	text=$1 ran=$2
	shift 2
	"$@" >"$work/log" 2>&1 && [ "$(digest)" = "${want:=$(digest)}" ] &&
		{ [ "$ran" = runs ] || ! grep -v CACHED "$work/log" | grep -q ' [0-9.]*s$'; }
	ok $? "$text"
}

# helper PAYLOAD: the program that the scripts with this payload run, in $rt
helper() {
	case $1 in
	path) rt=$program ;;
	*) rt=$(echo "$work/cache/$1/dockcc/rt"/*) ;;
	esac
}

# script PAYLOAD SHELL [ARGUMENT...]
script() {
	payload=$1 shell=$2
	shift 2
	rm -rf .dockcc # what a make left behind would be a part of the context
	[ "$payload" != path ] || PATH=$(dirname "$program"):$PATH
	XDG_CACHE_HOME=$work/cache/$payload "$work/shells/$shell" "$work/$name.$payload" --store "$work/store.$payload" $contexts \
		-o "type=image,name=matrix:1" "$@"
}

# through MAKE SHELL PAYLOAD: a run with nothing done in it yet, but for the store
through() {
	rm -rf .dockcc
	helper "$3"
	set -- "$1" "$work/shells/$2" "STORE=$work/store.$3" "OUTPUT=type=image,name=matrix:1" "DOCKCC_RT=$rt" "${prefix}_FLAGS=$contexts"
	make=$1 shell=$2
	shift 2
	if [ "$make" = bmake ]; then
		printf '.SHELL: name=sh path=%s\n' "$shell" >"$work/shell.mk"
		set -- -f "$work/shell.mk" "$@"
	else
		set -- "SHELL=$shell" "$@"
	fi
	"$make" -j2 "$@" -f "$work/$name.mk" image
}

# seed NAME FIXTURE=IMAGE...
seed() {
	name=$1
	shift
	case " ${chosen:-$name} " in *" $name "*) ;; *) return ;; esac
	contexts='' want=''
	for pair; do
		layout=$("$here/../fixtures/bases.sh" "${pair%%=*}") || { echo "Bail out! no base image $pair"; exit 1; }
		contexts="$contexts --build-context=${pair#*=}=oci-layout://$layout:${pair%%=*}"
	done
	prefix=$(echo "$name" | sed 's/[^A-Za-z0-9]/_/g')
	cp -R "$here/$name" "$work/$name"
	cd "$work/$name" || exit 1
	for payload in embed source path; do
		"$dockcc" compile "--runtime=$payload" -o "$work/$name.$payload" . >"$work/log" 2>&1
		ok $? "$name compiles with --runtime=$payload"
	done
	"$dockcc" compile -o "$work/$name.mk" . >"$work/log" 2>&1
	ok $? "$name compiles to a Makefile"
	for payload in embed source path; do
		[ "$payload" = path ] && cp -a "$work/store.embed" "$work/store.path" # the same program has built it
		runs=runs
		[ "$payload" = path ] && runs=cached
		for shell in $shells; do
			cell "$name: script, $payload, $shell" "$runs" script "$payload" "$shell"
			runs=cached
		done
		for make in make bmake; do
			command -v "$make" >/dev/null || continue
			for shell in $shells; do
				cell "$name: $make, $payload, $shell" cached through "$make" "$shell" "$payload"
			done
		done
	done
	rm -rf "$work"/store.*
}

chosen=$*
seed go-scratch golang=golang:1.10.3
seed node-nginx node=node:9.11.1-alpine nginx=nginx:1.13.12-alpine
seed etcd debian=ubuntu:16.04 etcd=quay.io/coreos/etcd:v3.3.9
echo "1..$n"
exit "$failed"
