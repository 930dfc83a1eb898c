#!/bin/sh
# Runs every test of the build directories build/ and build-asan/ and counts what the programs report; the last
# line is "N passed, N failed, N skipped".  Tests print TAP; what cannot run here says SKIP and why.
set -u
cd "$(dirname "$0")/.." || exit 1

# suite DIR MESON_OPTION...: runs tests, leaves their results in DIR/meson-logs/testlog.junit.xml
suite() {
	dir=$1
	shift
	meson test -C "$dir" --print-errorlogs "$@"
	[ "$?" -eq 0 ] || bad=1
	cat "$dir"/meson-logs/testlog*.junit.xml >>"$results" 2>/dev/null
}

# a machine without it fails in a hundred odd ways, and a test that takes it away has to be found
if [ ! -c /dev/null ]; then
	echo '/dev/null is no device on this machine: nothing can be tested'
	exit 1
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
bad=0
suite build
suite build-asan

# count ELEMENT...: how often they stand in the results
count() { grep -o "$1" "$results" | wc -l; }
if [ ! -c /dev/null ]; then
	echo 'a test has taken /dev/null away'
	bad=1
fi
failed=$(count '<failure\|<error')
skipped=$(count '<skipped')
passed=$(($(count '<testcase ') - failed - skipped))
if [ "$bad" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$bad" -eq 0 ]
