#!/bin/sh
# Golden cases of `dockcc check`: golden/check-NAME holds a Dockerfile and perhaps `args` (the command line) and more files;
# want/ holds stdout, stderr, status, and Dockerfile when the command changes it.  ACCEPT=1 writes want/ anew.
# usage: DOCKCC=path findings.sh [CASE...]    TAP
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT INT TERM
PATH=$tmp/bin:$PATH
n=0 bad=0
mkdir "$tmp/bin"
[ $# -gt 0 ] || set -- "$here"/golden/check-*/

ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		bad=1
		echo "not ok $n - $2"
	fi
}

for case; do
	case=${case%/} got=$tmp/got work=$tmp/work
	rm -rf "$got" "$work"
	mkdir "$got"
	cp -R "$case" "$work"
	rm -rf "$work/want"
	args=Dockerfile
	[ ! -f "$case/args" ] || args=$(cat "$case/args")
	if [ -f "$case/needs" ] && ! command -v "$(cat "$case/needs")" >/dev/null; then
		n=$((n + 1))
		echo "ok $n - ${case##*/} # SKIP no $(cat "$case/needs") here"
		continue
	fi
	[ -f "$case/needs" ] || args="--shellcheck=never $args"
	# shellcheck disable=SC2086 # args is a list of words
	(cd "$work" && exec "$DOCKCC" check $args) >"$got/stdout" 2>"$got/stderr" </dev/null
	echo $? >"$got/status"
	cmp -s "$work/Dockerfile" "$case/Dockerfile" || cp "$work/Dockerfile" "$got"
	if [ -n "${ACCEPT:-}" ]; then
		rm -rf "$case/want"
		mkdir "$case/want"
		cp "$got"/* "$case/want"
	fi
	diff -Nru "$case/want" "$got" >"$tmp/diff"
	ok $? "${case##*/}"
	sed 's/^/# /' "$tmp/diff"
	# whatever a case fixes is fixed for good
	if [ -f "$got/Dockerfile" ]; then
		cp "$work/Dockerfile" "$tmp/once"
		# shellcheck disable=SC2086
		(cd "$work" && exec "$DOCKCC" check $args) >/dev/null 2>&1 </dev/null
		cmp -s "$work/Dockerfile" "$tmp/once"
		ok $? "${case##*/}: a second run changes nothing"
	fi
done

# the exit status tells apart what was found
status() {
	want=$1 what=$2 text=$3
	shift 3
	printf '%b' "$text" >"$tmp/Dockerfile"
	"$DOCKCC" check --shellcheck=never "$@" "$tmp/Dockerfile" >/dev/null 2>&1
	[ $? = "$want" ]
	ok $? "$what"
}
status 0 "nothing found is 0" 'FROM alpine:3\n'
status 5 "warnings only are 5" 'FROM alpine:3\nMAINTAINER x\n'
status 1 "an error is 1" 'FROM alpine:3\nRUM x\n'
status 1 "-Werror makes warnings errors" 'FROM alpine:3\nMAINTAINER x\n' -Werror
status 1 "-Werror=RULE makes one an error" 'FROM alpine:3\nMAINTAINER x\n' -Werror=maintainer-deprecated
status 0 "-Wno-RULE turns one off" 'FROM alpine:3\nMAINTAINER x\n' -Wno-DL4000
status 1 "error=true in the file" '# check=error=true\nFROM alpine:3\nMAINTAINER x\n'
status 0 "skip=all in the file" '# check=skip=all;error=true\nFROM alpine:3\nMAINTAINER x\n'
status 1 "a check directive without =" '# check=skip\nFROM alpine:3\n'
status 1 "a check directive with a wrong boolean" '# check=error=maybe\nFROM alpine:3\n'
status 5 "the build argument replaces the directive" '# check=skip=all\nFROM alpine:3\nMAINTAINER x\n' --build-arg BUILDKIT_DOCKERFILE_CHECK=skip=UndefinedVar
status 2 "an unknown rule is a usage error" 'FROM alpine:3\n' -Wno-such-rule
status 2 "an unknown format is a usage error" 'FROM alpine:3\n' --format=xml

printf 'FROM alpine:3\nMAINTAINER x\n' >"$tmp/Dockerfile"
"$DOCKCC" build --check "$tmp" >/dev/null 2>&1
[ $? = 1 ]
ok $? "build --check is 1 for any finding, as docker build --check is"
"$DOCKCC" compile -o - "$tmp" >"$tmp/a" 2>"$tmp/quiet" && "$DOCKCC" compile -W -o - "$tmp" >"$tmp/b" 2>"$tmp/loud" && cmp -s "$tmp/a" "$tmp/b"
ok $? "-W changes nothing in what is compiled"
[ ! -s "$tmp/quiet" ] && grep -q MaintainerDeprecated "$tmp/loud"
ok $? "compile warns with -W only"
"$DOCKCC" compile -Werror -o "$tmp/c" "$tmp" >/dev/null 2>&1
[ $? = 1 ] && [ ! -e "$tmp/c" ]
ok $? "compile -Werror refuses what has findings"
echo 'MaintainerDeprecated error # no' >"$tmp/dockcc.checks"
status 1 "dockcc.checks beside the file sets a level" 'FROM alpine:3\nMAINTAINER x\n'
status 0 "the command line comes after dockcc.checks" 'FROM alpine:3\nMAINTAINER x\n' -Wno-MaintainerDeprecated
echo 'Maintainer off' >"$tmp/dockcc.checks"
status 2 "an unknown rule in dockcc.checks is a usage error" 'FROM alpine:3\n'
rm "$tmp/dockcc.checks"

# every rule can be explained by each of its names
"$DOCKCC" check --explain=all >"$tmp/rules"
[ "$(wc -l <"$tmp/rules")" -gt 40 ]
ok $? "--explain=all lists the rules"
fail=0
while read -r name alias group plain; do
	for one in "$name" "$plain" $(echo "$alias" | tr , ' '); do
		[ "$one" = - ] || "$DOCKCC" check --explain="$one" >"$tmp/out" 2>&1 || fail=1
		[ "$(wc -l <"$tmp/out")" -ge 3 ] || fail=1
	done
	[ -n "$group" ] && grep -q "^\*$name\*" "$here/docs/dockcc-checks.7.scd" || fail=1
done <"$tmp/rules"
ok $fail "--explain and the manual page know every name"

# large input: linear, and no crash
awk 'BEGIN { print "FROM alpine:3"; for (i = 0; i < 100000; i++) print "RUN echo $(foo \"" i "\") && bar | baz" }' >"$tmp/Dockerfile"
timeout 60 "$DOCKCC" check --shellcheck=never -Wno-all "$tmp/Dockerfile" >/dev/null 2>&1
ok $? "100000 instructions"
awk 'BEGIN { print "FROM alpine:3"; for (i = 0; i < 10000; i++) print "FROM s" i-1 " AS s" i "\nENV A" i "=$A" i-1 }' | sed 's/FROM s-1 /FROM alpine:3 /' >"$tmp/Dockerfile"
timeout 60 "$DOCKCC" check --shellcheck=never "$tmp/Dockerfile" >/dev/null 2>&1
[ $? -lt 124 ]
ok $? "10000 stages, each on the one before"
for open in '(' '$(' '{ ' '"${x:-' 'if ' '`' 'case x in a) ' '$((' ; do
	awk -v o="$open" 'BEGIN { printf "FROM alpine:3\nRUN true \\\n && "; for (i = 0; i < 10000; i++) { printf "%s", o; if (i % 1000 == 999) print "\\" } print "" }' >"$tmp/Dockerfile"
	timeout 60 "$DOCKCC" check --shellcheck=never "$tmp/Dockerfile" >/dev/null 2>&1
	[ $? -lt 124 ]
	ok $? "nesting 10000 deep: $open"
done
echo "1..$n"
exit $bad
