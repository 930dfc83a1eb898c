#!/bin/sh
# The builds of seeds.sh through the Makefile: both makes give the image that the script gives, and share its layers.
# TAP.  usage: make.sh [NAME...]
set -u
here=$(cd "$(dirname "$0")" && pwd)
dockcc=${DOCKCC:-$here/../../build/dockcc}
DOCKCC_RT=${DOCKCC_RT:-${DOCKCC_BUILD:-$(dirname "$dockcc")}/dockcc-rt}
export DOCKCC_RT DOCKCC_OFFLINE=1 SOURCE_DATE_EPOCH=1500000000
unset MAKEFLAGS MAKELEVEL MFLAGS
work=$(mktemp -d "${TMPDIR:-/tmp}/dockcc-e2e.XXXXXX")
trap 'rm -rf "$work"' EXIT
n=0 failed=0

ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		failed=1
		echo "not ok $n - $2"
		tail -n 30 "$work/log" | sed 's/^/# /'
	fi
}

if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP the base images need root'
	exit 0
fi

digest() { sed -n 's/^image  *\(sha256:[0-9a-f]*\).*/\1/p' "$work/log"; }

# seed NAME FIXTURE=IMAGE...
seed() {
	name=$1
	shift
	case " ${chosen:-$name} " in *" $name "*) ;; *) return ;; esac
	contexts=
	for pair; do
		layout=$("$here/../fixtures/bases.sh" "${pair%%=*}") || { echo "Bail out! no base image $pair"; exit 1; }
		contexts="$contexts --build-context=${pair#*=}=oci-layout://$layout:${pair%%=*}"
	done
	cp -R "$here/$name" "$work/$name"
	cd "$work/$name" || exit 1
	"$dockcc" compile --runtime=path -o "$work/$name.sh" . >"$work/log" 2>&1 && "$dockcc" compile -o "$work/$name.mk" . >"$work/log" 2>&1
	ok $? "$name compiles"
	# shellcheck disable=SC2086
	sh "$work/$name.sh" --store "$work/script" $contexts -o "oci:$work/$name.oci" >"$work/log" 2>&1
	ok $? "$name: the script"
	want=$(digest)
	for make in make bmake; do
		command -v "$make" >/dev/null || continue
		rm -rf "$work/store"
		"$make" -j2 -f "$work/$name.mk" "STORE=$work/store" "OUTPUT=oci:$work/$name.$make" "$(echo "$name" | sed 's/[^A-Za-z0-9]/_/g')_FLAGS=$contexts" \
			>"$work/log" 2>&1 && [ "$(digest)" = "$want" ]
		ok $? "$name: $make gives the same image"
		rm -rf .dockcc
	done
	# shellcheck disable=SC2086
	sh "$work/$name.sh" --store "$work/store" $contexts -o "oci:$work/$name.again" >"$work/log" 2>&1
	! grep -v CACHED "$work/log" | grep -v '^image \|^summary '
	ok $? "$name: the script finds all of its layers"
}

chosen=$*
seed node-nginx node=node:9.11.1-alpine nginx=nginx:1.13.12-alpine
seed go-scratch golang=golang:1.10.3
seed etcd debian=ubuntu:16.04 etcd=quay.io/coreos/etcd:v3.3.9
seed foo-bar debian=debian busybox=alpine
seed laravel composer=composer:1.7 node=node:8.11 php=php:7.2-apache-stretch
echo "1..$n"
exit "$failed"
