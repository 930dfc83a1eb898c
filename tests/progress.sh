#!/bin/sh
# What is seen of a build while it runs and when it has ended: plain, live, quiet, as JSON, as a chart.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"
base busybox
store=$work/store terminal=${TERMINAL:-$source/build/terminal}
unset NO_COLOR BUILDKIT_PROGRESS
export TERM=xterm
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP these builds run as root'
	exit 0
fi

# compile: compiles $work/Dockerfile from standard input
compile() {
	cat >"$work/Dockerfile"
	"$dockcc" compile -o "$work/build.sh" "$work" || exit 1
}

# run ARGUMENT...: runs the script; leaves $status, $work/out, $work/err
run() {
	# shellcheck disable=SC2086
	sh "$work/build.sh" --store "$store" --context "$work" $contexts "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

# screen COLUMNS ROWS [AT...] -- ARGUMENT...: the same on a terminal; $work/out is what can be read on it, $work/err how it went
screen() {
	at=
	while [ "$1" != -- ]; do
		at="$at $1"
		shift
	done
	shift
	# shellcheck disable=SC2086
	timeout 60 "$terminal" $at -- sh "$work/build.sh" --store "$store" --context "$work" $contexts "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

has() {
	grep -q -- "$2" "$work/${3:-out}"
	ok $? "$1"
	grep -q -- "$2" "$work/${3:-out}" || sed 's/^/# /' "$work/${3:-out}" | tail -n 30
}

hasnt() {
	! grep -q -- "$2" "$work/${3:-out}"
	ok $? "$1"
}

seq 1 200 >"$work/file"
compile <<'END'
FROM busybox AS one
RUN for i in 1 2 3 4 5 6 7 8 9; do echo "line $i"; sleep 0.1; done; echo 'abc<&>"' >/one
FROM busybox AS two
RUN printf 'to be \033[31mre\033]0;title\007d\033[0m, \033[2Jnot cleared, 50%%\r100%%\n'; sleep 0.9; echo two >/two
FROM busybox
COPY file /f
COPY --from=one /one /o
COPY --from=two /two /t
RUN cat /o; sleep 0.2
END

# ---- plain ------------------------------------------------------------------------------------------
run -j2 -o "oci:$work/oci" -t app:1
is 'the build succeeds' 0 "$status"
has 'a line a step, with its time' '^stage-2.1  copy        6  file -> /f (1 file, 692 B)  *[0-9.]*s$' err
has 'from a stage too' '^stage-2.2  copy        7  one: /one -> /o (1 file, 8 B)  *[0-9.]*s$' err
has 'the output under the name of the step' '^one.1| line 9$' err
has 'the summary: time and size of a layer' '^summary    stage-2.1  *[0-9.]*s *[0-9.]* kB  file -> /f$' err
has 'the summary: how many' '^summary    9 steps run in [0-9.]*s, 0 cached; 5 layers, [0-9.]* MB$' err
is 'the image comes last' image "$(tail -n 1 "$work/err" | cut -d ' ' -f 1)"
digest=$(tail -n 1 "$work/err" | awk '{ print $2 }')
is 'the whole output is in the store' 'line 9' "$(tail -n 1 "$store"/log/one.1-*)"
run -j2 -o "oci:$work/oci" -t app:1
has 'nothing to run' '^summary    nothing to run, 4 steps cached; 5 layers' err
BUILDKIT_PROGRESS="quiet" run -t app:1
is 'BUILDKIT_PROGRESS is heeded' '' "$(cat "$work/err")"
BUILDKIT_PROGRESS="tty" run -t app:1
is 'and tty there is a wish' 0 "$status"
run --progress=tty
is 'no live form without a terminal' '64 build.sh: failed step=- line=- status=64 kind=usage' "$status $(tail -n 1 "$work/err")"
run --progress=loud
is 'an unknown form' 64 "$status"

# ---- quiet -------------------------------------------------------------------------------------------
run --progress=quiet -t app:1 -o "oci:$work/oci" --no-cache --metadata-file "$work/meta"
is 'quiet: the id alone' "$(jq -r '.["containerimage.config.digest"]' "$work/meta")" "$(cat "$work/out" "$work/err")"

# ---- JSON --------------------------------------------------------------------------------------------
if command -v jq >/dev/null; then
	run --progress=rawjson --no-cache -j2 -o "oci:$work/oci" -t app:1
	jq -e . "$work/err" >/dev/null
	ok $? 'rawjson: every line is an object'
	is 'it begins and ends' 'begin end' "$(jq -r .event "$work/err" | sed -n '1p;$p' | tr '\n' ' ' | sed 's/ $//')"
	is 'every step starts and is done' 'done start' "$(jq -r 'select(.step == "one.1" and .event != "output") | .event' "$work/err" | sort | tr '\n' ' ' | sed 's/ $//')"
	is 'with its line and title' '6 copy file -> /f' "$(jq -r 'select(.step == "stage-2.1" and .event == "start") | "\(.line) \(.verb) \(.title)"' "$work/err")"
	is 'output as it was' 'to be \u001b[31mre' "$(jq 'select(.step == "two.1" and .event == "output") | .text' "$work/err" | sed 's/^"//' | cut -c1-18)"
	is 'the image' "$digest" "$(jq -r 'select(.event == "image") | .digest' "$work/err")"
	is 'the end has the counts and the layers' '0 6 3 5' "$(jq -r 'select(.event == "end") | "\(.status) \(.run) \(.cached) \(.layers | length)"' "$work/err")"
	jq -e -s 'map(.t) | . == sort' "$work/err" >/dev/null
	ok $? 'time goes forward'
else
	skip 'jq is not installed'
fi

# ---- live --------------------------------------------------------------------------------------------
for size in '80 24' '50 24' '132 10'; do
	rm -rf "$store"
	# shellcheck disable=SC2086
	screen $size -- -j2 -o "oci:$work/oci" -t app:1
	width=${size% *}
	is "$size: the build succeeds" 0 "$status"
	hasnt "$size: no output of what succeeds is left" '| line'
	is "$size: finished steps stay, once each" '9' "$(grep -c '^[a-z0-9.-]* *\(from\|run\|copy\) .*s$' "$work/out")"
	is "$size: nothing is left of the bar" 0 "$(grep -c '^\[[0-9]*/' "$work/out")"
	is "$size: every step's line fits" '' "$(grep '^[a-z0-9.-]* *\(from\|run\|copy\) ' "$work/out" | awk -v w="$width" 'length($0) >= w')"
	has "$size: nothing above the screen is touched, every sequence is known" 'above 0 unknown 0 echo 1' err
done
is 'the last line tells the image' "$digest" "$(sed -n 's/^image *\(sha256:[0-9a-f]*\) -> oci:.*/\1/p' "$work/out")"
rm -rf "$store"
screen 100 30 @400:60 @700:90 -- -j2 -o "oci:$work/oci" -t app:1
is 'a terminal that changes its width' 0 "$status"
# what is drawn in the instant in which the width changes may leave a line behind, in any program
is 'keeps every finished step' 9 "$(tr -d '\n' <"$work/out" | grep -o '\(one\|two\|stage-2\)\.[0-9]  *\(from\|run\|copy\)  *[0-9] ' | sort -u | wc -l)"
is 'and nothing of the bar' 0 "$(grep -c '^\[[0-9]*/' "$work/out")"
# what is on the screen in the middle: the run is ended by a signal that leaves it as it is
sed 's/sleep 0.9/sleep 30/; s/sleep 0.1; done/sleep 0.01; done; sleep 30/' "$work/Dockerfile" >"$work/Dockerfile.long"
compile <"$work/Dockerfile.long"
screen 80 24 @2500:KILL -- -j2 -o "oci:$work/oci" -t app:1
has 'the running step with its timer' '^one.1      run         2  for i in 1 2 3.* [0-9.]*s$'
has 'and its last lines below it' '^  | line [4-9]$'
has 'the counts' '^\[[0-9]*/9\] [0-9]*s .*2 running$'
has 'no control sequence of the output' '^  | 100%$'
screen 80 24 @1500:INT -- -j2 -o "oci:$work/oci" -t app:1
is 'Ctrl-C: the status' 130 "$status"
is 'the last line says so' 'build.sh: failed step=- line=- status=130 kind=interrupted' "$(tail -n 1 "$work/out")"
is 'the block is gone' 0 "$(grep -c '^\[[0-9]*/\|^  |' "$work/out")"
is 'nothing runs or is mounted any more' '' "$(grep "$store" /proc/mounts; pgrep -f "store=$store")"
sed 's/sleep 30/sleep 0.2/' "$work/Dockerfile.long" >"$work/Dockerfile.short"
compile <"$work/Dockerfile.short"
NO_COLOR=1 script -qec "stty cols 80; sh '$work/build.sh' --store '$store' --context '$work' $contexts" "$work/typescript" >/dev/null </dev/null
is 'NO_COLOR: nothing is coloured' 0 "$(grep -c "$(printf '\033\[[0-9;]*m')" "$work/typescript")"
rm -rf "$store"
script -qec "stty cols 80; sh '$work/build.sh' --store '$store' --context '$work' $contexts" "$work/typescript" >/dev/null </dev/null
ok "$([ "$(grep -c "$(printf '\033\[[0-9;]*m')" "$work/typescript")" -gt 0 ] && echo 0 || echo 1)" 'else something is'
TERM=dumb screen 132 24 -- -o "oci:$work/oci" -t app:1
hasnt 'a dumb terminal gets the plain form' '^\['
has 'as it is for people' '^stage-2.4  run         9  cat /o; sleep 0.2  *CACHED$'

# ---- failures ------------------------------------------------------------------------------------------
compile <<'END'
FROM busybox
RUN for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo "bad $i"; done; exit 42
END
screen 80 24 -- -o "oci:$work/none"
is 'live: the status' 42 "$status"
is 'the last twelve lines are shown' '12 bad 4' "$(grep -c '^bad' "$work/out") $(grep -m 1 '^bad' "$work/out")"
is 'and the last line' 'build.sh: failed step=stage-0.1 line=2 status=42 kind=run' "$(tail -n 1 "$work/out")"
has 'the terminal is as it was' 'unknown 0 echo 1' err
log=$(sed -n 's/.*     log: //p' "$work/out")
run -o "oci:$work/none"
log=$(sed -n 's/.*     log: //p' "$work/err")
is 'where the whole output is' 15 "$(wc -l <"$log")"
run --progress=quiet
is 'quiet: failures are told' 'build.sh: failed step=stage-0.1 line=2 status=42 kind=run' "$(tail -n 1 "$work/err")"
if command -v jq >/dev/null; then
	run --progress=rawjson
	is 'rawjson: failures are told' '42 stage-0.1 42' "$(jq -r 'select(.event == "failed") | .status' "$work/err") $(jq -r 'select(.event == "end") | "\(.step) \(.status)"' "$work/err")"
	jq -e . "$work/err" >/dev/null
	ok $? 'and every line is an object'
fi

# ---- the chart -----------------------------------------------------------------------------------------
compile <<'END'
FROM busybox AS one
RUN echo '<&>"'"'" >/one
FROM busybox
RUN sleep 0.2; : '</text><script>'
COPY --from=one /one /
END
rm -rf "$store"
run --timeline="$work/t.svg" -o "oci:$work/oci"
if command -v xmllint >/dev/null; then
	xmllint --nonet --noout "$work/t.svg"
	ok $? 'the chart is XML'
	is 'a bar for each step' 5 "$(xmllint --nonet --xpath 'count(//*[local-name()="g"]/*[local-name()="rect"])' "$work/t.svg")"
	is 'the text of a step as it is written' "stage-0.1 run sleep 0.2; : '</text><script>'" \
		"$(xmllint --nonet --xpath 'string((//*[local-name()="g"]/*[local-name()="title"])[4])' "$work/t.svg" | sed 's/ ([0-9.]*s)$//; s/stage-1/stage-0/')"
	is 'and nothing else of it' 0 "$(xmllint --nonet --xpath 'count(//*[local-name()="script"] | //@href | //@src)' "$work/t.svg")"
else
	skip 'xmllint is not installed'
fi
# times are what differs between two builds, nothing else
shape() { sed 's/[0-9.]*s\( (\|<\|)\)/T\1/g; s/ \(x\|x1\|x2\|width\|y2\)="[0-9.]*"//g; s/[0-9.]*s, /T, /' "$1" | grep -v 'class="grid"'; }
shape "$work/t.svg" >"$work/shape"
rm -rf "$store"
run --timeline="$work/t.svg" -o "oci:$work/oci"
shape "$work/t.svg" >"$work/shape2"
cmp -s "$work/shape" "$work/shape2"
ok $? 'the layout is the same every time'
rm -f "$work/t.svg"
compile <<'END'
FROM busybox
RUN exit 3
END
run --timeline="$work/t.svg"
is 'a failed build has a chart too' 1 "$(grep -c '<rect class="failed"' "$work/t.svg" | sed 's/[1-9]/1/')"
run --timeline=/nonexistent/t.svg
is 'a chart that cannot be written does not hide the failure' 'build.sh: failed step=stage-0.1 line=2 status=3 kind=run' "$(tail -n 1 "$work/err")"
finish
