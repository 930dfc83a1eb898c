#!/bin/sh
# Working with a script: parts of a build, shells in it, going on after failures and kills, comparing two builds.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2086,SC2016
. "$(dirname "$0")/lib.sh"
base busybox
store=$work/store terminal=${TERMINAL:-$source/build/terminal}
unset BUILDKIT_PROGRESS
export TERM=xterm
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP these builds run as root'
	exit 0
fi

# compile ARGUMENT...: compiles $work/Dockerfile from standard input
compile() {
	cat >"$work/Dockerfile"
	"$dockcc" compile -o "$work/build.sh" "$@" "$work" || exit 1
}

# run ARGUMENT...: runs the script with what is on standard input; leaves $status and $work/log, both streams
run() {
	timeout 120 ${shell:-sh} "$work/build.sh" --store "$store" --context "$work" $contexts "$@" >"$work/log" 2>&1
	status=$?
}

# typed TEXT ARGUMENT...: the same with TEXT on standard input
typed() {
	printf '%s\n' "$1" >"$work/typed"
	shift
	run "$@" <"$work/typed"
}

has() {
	grep -q -- "$2" "$work/log"
	ok $? "$1"
	grep -q -- "$2" "$work/log" || sed 's/^/# /' "$work/log" | tail -n 20
}

hasnt() {
	! grep -q -- "$2" "$work/log"
	ok $? "$1"
}

last() { tail -n 1 "$work/log"; }
# ran: the steps that were not cached, in one line
ran() { sed -n 's/^\([a-z0-9-]*\.[0-9]*\) .* [0-9.]*s$/\1/p' "$work/log" | sort | tr '\n' ' ' | sed 's/ $//'; }
clean() { is "$1" '' "$(ls "$store/tmp"; grep "$store" /proc/mounts; pgrep -f "store=$store")"; }

echo data >"$work/file"
compile -O0 <<'END'
FROM busybox AS one
ENV FOO=bar
WORKDIR /w
RUN echo one >/one
RUN echo more >>/one
FROM busybox AS two
RUN echo two >/two
FROM busybox
COPY file /f
COPY --from=one /one /o
RUN --mount=from=two,target=/m cat /m/two /o >/all
USER nobody
END
run -o "oci:$work/whole" -t app:1 </dev/null
is 'the build succeeds' 0 "$status"
whole=$(last | sed 's/ -> .*//')

# ---- parts --------------------------------------------------------------------------------------------
run --from-step one.4 -o "oci:$work/again" -t app:1 </dev/null
is 'from a step on: it and what depends on it' 'one.4 stage-2.2 stage-2.3' "$(ran)"
is 'the image is the same' "$whole" "$(last | sed 's/ -> .*//')"
run --from-step two.1 </dev/null
is 'a mount depends on its stage' 'stage-2.3 two.1' "$(ran)"
run --from-step two.1 -n </dev/null
is 'a dry run tells the same' 'stage-2.3 two.1' "$(awk '$NF == "RUN" { print $1 }' "$work/log" | sort | tr '\n' ' ' | sed 's/ $//')"
is 'and what is cached' 'one.0 one.2 one.3 one.4 stage-2.0 stage-2.1 stage-2.2 two.0' "$(awk '$NF == "CACHED" { print $1 }' "$work/log" | sort | tr '\n' ' ' | sed 's/ $//')"
run </dev/null
is 'a dry run runs nothing' '' "$(ran)"
run --from-step one.9 </dev/null
is 'a step that is not there' '64 build.sh: failed step=- line=- status=64 kind=usage' "$status $(last)"
run --until-step one.3 -o "$work/until" </dev/null
is 'up to a step: the image is what there is then' one "$(cat "$work/until/one")"
hasnt 'and no step behind it is done' 'one.4\|stage-2'
run --until-step two.1 --from-step two.1 -o "$work/until2" </dev/null
is 'both together: one step' two.1 "$(ran)"
run --until-step nowhere </dev/null
is 'a stage that is not there' 64 "$status"

# ---- a shell in a stage -----------------------------------------------------------------------------------
for shell in dash bash 'busybox sh' mksh yash ksh zsh; do
	if ! command -v "${shell%% *}" >/dev/null; then continue; fi
	typed 'echo "$FOO $PWD $(cat /one)"; touch /new; exit 5' --shell one
	is "$shell: a shell in a stage: its status" 5 "$status"
	has "$shell: its environment, directory and files" '^bar /w one$'
done
shell=
typed 'id -u; ls /new' --shell stage-2
has 'its user' '^65534$'
has 'what an earlier shell did is gone' '/new: No such file'
typed 'cat /one | wc -l' --shell one --until-step one.3
has 'behind a step' '^1$'
typed 'mount -t tmpfs none /mnt; cat /proc/self/status' --shell two
has 'in the same sandbox' 'Operation not permitted\|permission denied'
has 'with the same capabilities' '^CapEff:	00000000000404fb\|^CapEff:	0000000000000000\|^CapEff:	00000000800405fb\|^CapEff:	[0-9a-f]*fb$'
cat "$work/build.sh" >"$work/piped.sh"
timeout 20 sh -s -- --store "$store" --context "$work" $contexts --shell two <"$work/piped.sh" >"$work/log" 2>&1
is 'a script that is piped in is not what the shell reads' 64 $?
has 'and the reason' 'a shell needs a terminal or something on standard input'
clean 'nothing is left of shells'
timeout 60 "$terminal" 80 24 '@2000=tty; stty size\r' @3000:60 '@3500=stty size; sleep 30\r' '@4500=\x03' '@5000=echo st=$?; exit 6\r' -- \
	sh "$work/build.sh" --store "$store" --context "$work" $contexts --shell two >"$work/log" 2>"$work/err"
is 'on a terminal: its status' 6 $?
has 'a terminal of its own, of the same size' '^24 80$'
has 'that changes with it' '^24 60$'
has 'Ctrl-C reaches what runs in it' 'st=130'
is 'the terminal is as it was' 1 "$(grep -c 'echo 1' "$work/err")"
timeout 30 "$terminal" 80 24 @3000:INT -- sh -c 'echo "sleep 99" | sh "$0" "$@"' "$work/build.sh" \
	--store "$store" --context "$work" $contexts --shell two >"$work/log" 2>&1
is 'Ctrl-C ends a shell that reads a pipe' 130 $?
clean 'and what runs in it'
for mode in userns chroot; do
	id nobody >/dev/null 2>&1 || continue
	DOCKCC_MODE=$mode DOCKCC_STORE="$work/$mode" typed 'cat /two' --shell two --store "$work/$mode"
	if [ "$status" -eq 69 ]; then
		skip "mode $mode does not work here"
	else
		has "mode $mode" '^two$'
	fi
	rm -rf "${work:?}/$mode"
done

# ---- failures ------------------------------------------------------------------------------------------------
echo hush >"$work/secret"
compile <<'END'
FROM busybox AS one
ENV FOO=bar
WORKDIR /w
RUN --mount=type=secret,id=s --mount=type=cache,target=/c echo half >half; echo kept >/c/x; exit 7
FROM busybox AS other
RUN sleep 0.3; echo other >/other
FROM busybox AS last
COPY --from=other /other /
FROM busybox
COPY --from=one /w /w
COPY --from=last /other /
END
typed 'echo "$FOO $PWD $(cat half) $(cat /c/x) $(cat /run/secrets/s)"; exit 3' --shell-on-failure --secret "id=s,src=$work/secret"
is 'a shell on failure: the status is that of the step' 7 "$status"
has 'it is where the step failed, with its mounts' '^bar /w half kept hush$'
is 'the last line is what it always is' 'build.sh: failed step=one.3 line=4 status=7 kind=run' "$(last)"
clean 'nothing is left'
timeout 60 "$terminal" 80 24 '@2500=cat half\r' '@3500=exit\r' -- \
	sh "$work/build.sh" --store "$store" --context "$work" $contexts --secret "id=s,src=$work/secret" --shell-on-failure >"$work/log" 2>"$work/err"
is 'the same on a terminal' 7 $?
has 'typed into' '^half$'
is 'nothing of the live display is in between' 0 "$(grep -c '^\[[0-9]*/' "$work/log")"
compile <<'END'
FROM busybox AS other
FROM busybox
COPY --from=other /nothing /x
END
typed 'echo "here $(ls /bin/sh)"' --shell-on-failure
has 'a step that is no RUN' '^here /bin/sh$'
compile <<'END'
FROM busybox AS one
RUN exit 7
FROM busybox AS two
RUN sleep 0.3; echo two >/two
RUN sleep 0.3; exit 8
FROM busybox AS three
RUN sleep 0.9; echo three >/three
FROM busybox
COPY --from=one / /1
COPY --from=three / /3
END
rm -rf "$store"
run --jobs 4 </dev/null
is 'the first failure ends the rest' 0 "$(grep -c '^three.1 .*s$' "$work/log")"
clean 'cleanly'
"$dockcc" compile -o "$work/build.sh" "$work"
run --jobs 4 -k </dev/null
is 'keep going: the status is that of the first failure' 7 "$status"
is 'it is the one that is reported last' 'build.sh: failed step=one.1 line=2 status=7 kind=run' "$(last)"
has 'what does not depend on it is done' '^three.1 .*s$'
has 'what does is named' '^stage stage-3 is not made: it needs one$'

# ---- trace -----------------------------------------------------------------------------------------------------
compile <<'END'
FROM busybox
WORKDIR /w
RUN --mount=type=cache,target=/c X=1; test $X = 1 && echo done
END
run -o "oci:$work/plain" </dev/null
want=$(last | sed 's/ -> .*//')
run --trace --no-cache -o "oci:$work/traced" </dev/null
has 'trace: where and as whom' '^stage-0.2| + in /w as root: /bin/sh -x -c X=1; test'
has 'trace: what is mounted' '^stage-0.2| + mount cache /c$'
has 'trace: what is run' "^stage-0.2| + test 1 '*=*'* 1\$"
is 'the image is the same' "$want" "$(last | sed 's/ -> .*//')"

# ---- two builds compared -----------------------------------------------------------------------------------------
compile -O0 <<'END'
FROM busybox
RUN echo 1 >/a; ln -s a /l
RUN mkdir -p /d/e; echo 2 >/d/e/b; chmod 4755 /d/e/b
COPY file /x
COPY file /y
ENV A=1
LABEL l=1
END
run --record "$work/record" </dev/null
cp "$work/build.sh" "$work/O0.sh"
"$dockcc" compile -O2 -o "$work/build.sh" "$work"
run --verify "$work/record" -o "oci:$work/v" </dev/null
is 'the same at another level' 0 "$status"
has 'and it is said' '^verify     the same: [0-9]* files and the config$'
for change in 's/echo 1/echo 3/,/a: other bytes' 's/4755/0755/,/d/e/b: mode 4755 in the recorded build, 0755 in this one' 's/A=1/A=2/,config/config/Env: ' \
	's,ln -s a,ln -s b,;/l: a link to somewhere else' 's,/x$,/z,;/x: only in the recorded build' 's,l=1,l=2,;config/config/Labels/l: "1" in the recorded build, "2" in this one'; do
	case $change in
	*';'*) edit=${change%%;*} text=${change#*;} ;;
	*) edit=${change%%,*} text=${change#*,} ;;
	esac
	cp "$work/Dockerfile" "$work/Dockerfile.keep"
	sed "$edit" "$work/Dockerfile.keep" >"$work/Dockerfile"
	"$dockcc" compile -o "$work/build.sh" "$work"
	run --verify "$work/record" </dev/null
	is "a change is found: $edit" 65 "$status"
	has "and named: $edit" "^verify: $text"
	mv "$work/Dockerfile.keep" "$work/Dockerfile"
done
clean 'nothing is left of it'
"$dockcc" build --verify -O2 --store "$work/vstore" $contexts -o "oci:$work/v" "$work" >"$work/log" 2>&1
is 'dockcc build --verify' 0 $?
has 'builds twice' '^verify     building at -O2$'
has 'and compares' '^verify     the same: '
printf 'FROM busybox\nRUN cat /proc/sys/kernel/random/uuid >/u\nRUN true\n' >"$work/Dockerfile"
"$dockcc" build --verify --store "$work/vstore" $contexts "$work" >"$work/log" 2>&1
is 'what no two builds make alike' 65 $?
has 'is found' '^verify: /u: other bytes$'
is 'no record is left' '' "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'dockcc-verify-*' -newer "$work/Dockerfile" 2>/dev/null)"
"$dockcc" build --verify -f - "$work" <"$work/Dockerfile" >"$work/log" 2>&1
is 'a Dockerfile that can be read once only' 2 $?

# ---- kill -9 at many moments ----------------------------------------------------------------------------------------
compile <<'END'
FROM busybox AS one
RUN for i in 1 2 3; do echo $i >/$i; sleep 0.03; done
RUN --mount=type=cache,target=/c sleep 0.05; echo one >/one; echo x >/c/x
FROM busybox AS two
COPY file /f
RUN sleep 0.1; mkdir /two; for i in 1 2 3 4 5; do echo $i >/two/$i; done
FROM busybox
COPY --from=one /one /
COPY --from=two /two /two
RUN sleep 0.05; echo done >/done
END
dd if=/dev/urandom of="$work/file" bs=1M count=4 2>/dev/null
store=$work/undisturbed
run -o "oci:$work/u" -t app:1 </dev/null
want=$(last | sed 's/ -> .*//')
# killed WHOM DELAY: one build in a store of its own that is killed again and again; WHOM: all, script or helper
store=$work/killed
for whom in all script helper; do
	rm -rf "$store" "$work/k"
	for delay in 0.02 0.04 0.06 0.08 0.10 0.12 0.15 0.18 0.21 0.25 0.30 0.35 0.40 0.50; do
		setsid sh "$work/build.sh" --store "$store" --context "$work" $contexts -o "oci:$work/k" -t app:1 >/dev/null 2>&1 </dev/null &
		pid=$!
		sleep "$delay"
		case $whom in
		all) kill -KILL "-$pid" 2>/dev/null ;;
		script) kill -KILL "$pid" 2>/dev/null ;;
		helper) pkill -KILL -o -f "dockcc-rt.*--store=$store|[0-9a-f]{64} build .*--store=$store" 2>/dev/null ;;
		esac
		wait "$pid" 2>/dev/null
	done
	left=20
	while [ "$left" -gt 0 ] && pgrep -f "store=$store" >/dev/null; do
		sleep 0.1
		left=$((left - 1))
	done
	is "$whom killed: no process is left" '' "$(pgrep -af "store=$store")"
	is "$whom killed: nothing is mounted" '' "$(grep "$store" /proc/mounts)"
	run -o "oci:$work/k" -t app:1 </dev/null
	is "$whom killed: the next run makes the same image" "$want" "$(last | sed 's/ -> .*//')"
	clean "$whom killed: and clears what was left"
done
# what is left beside an output goes with the next build that writes it, what another one still makes stays
mkdir -p "$work/k.tmp-999/blobs" "$work/k.tmp-998"
: >"$work/k.tmp-997x"
(cd "$work/k.tmp-998" && exec flock -F . sleep 20) &
sleep 6
run -o "oci:$work/k" -t app:1 </dev/null
is 'what a killed build has left beside an output is removed' 'k k.tmp-997x k.tmp-998' "$(cd "$work" && find . -maxdepth 1 \( -name k -o -name 'k.*' \) | sed 's|./||' | sort | tr '\n' ' ' | sed 's/ $//')"
kill $! 2>/dev/null
mkfifo "$work/fifo"
cat "$work/fifo" >"$work/from-fifo" &
run -o "type=tar,dest=$work/fifo" </dev/null
wait $!
is 'a pipe is written to, not replaced' 'done' "$(tar -xOf "$work/from-fifo" 'done')"
[ -p "$work/fifo" ]
ok $? 'and is one afterwards'
finish
