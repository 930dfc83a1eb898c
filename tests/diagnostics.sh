#!/bin/sh
# Every diagnostic is shown by a golden case: its place, carets, notes and fix.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

# needs the base image, which checking never fetches; its case would be a file of 64 KiB (limits.sh)
elsewhere=' InvalidBaseImagePlatform line-too-long '

cat "$source"/golden/*/want/stderr "$source"/golden/check-*/want/stdout >"$work/all"
sed -n 's/^DIAG([A-Z_0-9]*, "\([^"]*\)".*/\1/p' "$source/src/base/diag.def" >"$work/names"
while read -r name; do
	case $elsewhere in *" $name "*) continue ;; *) ;; esac
	grep -qF " [$name]" "$work/all"
	ok $? "$name is shown"
done <"$work/names"

# the same sentence about other words is one diagnostic
grep -E ': (error|warning): .* \[[A-Za-z0-9-]*\]$' "$work/all" | sed 's/^[^ ]*: \(error\|warning\): //; s/"[^"]*"/""/g; s/[0-9][0-9]*/0/g' |
	sort -u >"$work/sentences"
n=$(wc -l <"$work/sentences")
[ "$n" -ge 120 ]
ok $? "at least 120 sentences ($n)"

# carets never leave the line they mark, whatever is in it
awk '/^ *[0-9]+ \| / { line = $0; next }
	/^ *\| [ \t]*\^/ { sub(/ fix: .*/, ""); if (length($0) > length(line) + 1) { print line "\n" $0; bad = 1 } }
	END { exit bad }' "$work/all" >"$work/beyond"
ok $? 'carets stay under the line'
finish
