# What the shell tests share.  TAP: ok STATUS TEXT, is TEXT WANT GOT, skip TEXT, finish.
# shellcheck shell=sh
set -u
export DOCKCC_OFFLINE=1 # no test reaches for an image that it did not ask for
here=$(cd "$(dirname "$0")" && pwd)
source=${DOCKCC_SOURCE:-$(cd "$here" && while [ ! -f meson.build ]; do cd ..; done && pwd)}
dockcc=${DOCKCC:-$source/build/dockcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/dockcc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tests=0 failed=0

ok() {
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failed=1
		echo "not ok $tests - $2"
	fi
}

is() {
	[ "$2" = "$3" ]
	ok $? "$1"
	if [ "$2" != "$3" ]; then printf '%s\n' "want $2" "got  $3" | sed 's/^/# /'; fi
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests # SKIP $1"
}

finish() {
	echo "1..$tests"
	exit "$failed"
}

# The shells that emitted scripts run under, each as words to put in front of a file.
shells() {
	for shell in dash bash 'busybox sh' mksh yash ksh zsh; do
		if command -v "${shell%% *}" >/dev/null; then echo "$shell"; fi
	done
}

# base NAME...: base images made by the fixture; $contexts names them as NAME
contexts=
base() {
	for image; do
		layout=$("$source/tests/fixtures/bases.sh" "$image" 2>/dev/null) || { echo "Bail out! no base image $image"; exit 1; }
		contexts="$contexts --build-context=$image=oci-layout://$layout:$image"
	done
}
