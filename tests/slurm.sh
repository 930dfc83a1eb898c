#!/bin/sh
# A Makefile whose steps a scheduler runs: Slurm with two node daemons on this machine, started and stopped here.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034,SC2086
. "$(dirname "$0")/lib.sh"
. "$source/tests/fixtures/slurm.sh"
why=$(slurm_installed) || { echo "1..0 # SKIP $why"; exit 0; }
[ "$(id -u)" -eq 0 ] || { echo '1..0 # SKIP these builds run as root'; exit 0; }
base busybox
busybox=${contexts#* --build-context=busybox=}
rt=${DOCKCC_RT:-$(dirname "$dockcc")/dockcc-rt}
export DOCKCC_RT="$rt"
unset MAKEFLAGS MAKELEVEL MFLAGS DOCKCC_STORE DOCKCC_LAUNCH
cd "$work" || exit 1

stop() {
	trap '' HUP INT TERM
	slurm_stop
	rm -rf "$work"
}
trap stop EXIT
if ! slurm_start; then
	echo '1..0 # SKIP Slurm does not start here'
	cat slurm/log/* | sed 's/^/# /'
	exit 0
fi

# ---- helpers -----------------------------------------------------------------------------------------
digest() { sed -n 's/^image  *\(sha256:[0-9a-f]*\).*/\1/p' "${1:-log}"; }
show() { [ "$1" -eq 0 ] || sed 's/^/# /' log | tail -n 20; }
new_store() {
	rm -rf store
	"$rt" import "--store=$work/store" "$busybox" busybox
}
# launched NODE: how many steps ran there so far
launched() { grep -c 'launch task' "slurm/log/$1"; }
launch="$rt launch srun -n1 --quiet"
# build MAKE ARGUMENT...
build() {
	make=$1
	shift
	"$make" -f app.mk "STORE=$work/store" "DOCKCC_LAUNCH=$launch" "$@" >log 2>&1
	status=$?
}
new_case() {
	rm -rf case
	mkdir case
	cat >case/Dockerfile
	"$dockcc" compile --runtime=path -o app.sh case && "$dockcc" compile --grain=chain -o app.mk case
	new_store
	sh app.sh --store "$work/store" --context case -o "oci:$work/local.oci" >log 2>&1
	want=$(digest)
	rm -rf .dockcc
	new_store
}

# ---- stages over nodes ----------------------------------------------------------------------------------
new_case <<'END'
FROM busybox AS top
RUN echo top >/top
FROM top AS a
RUN sleep 1; echo a >/a
RUN cat /top /a >/a2
FROM top AS b
RUN sleep 1; echo b >/b
RUN cat /top /b >/b2
FROM top AS c
RUN sleep 1; echo c >/c
FROM top AS d
RUN sleep 1; echo d >/d
FROM busybox
COPY --from=a /a /a2 /
COPY --from=b /b /b2 /
COPY --from=c /c /
COPY --from=d /d /
CMD ["cat", "/a2"]
END
for make in make bmake; do
	command -v "$make" >/dev/null || continue
	rm -rf .dockcc
	new_store
	build "$make" -j4 image
	is "$make: the image of the script" "0 $want" "$status $(digest)"
	show "$status"
	is "$make: nothing is left in the store" '' "$(ls store/tmp)"
	is "$make: nothing beside the stamps" 0 "$(find .dockcc -name '*outcome*' | wc -l)"
done
one=$(launched n1) two=$(launched n2)
[ "$one" -gt 0 ] && [ "$two" -gt 0 ]
ok $? "both nodes had steps: $one and $two"
before=$((one + two))
build make image
is 'nothing to do: nothing is launched' "0 $before" "$status $(($(launched n1) + $(launched n2)))"
rm -rf .dockcc
build make -j2 image
is 'nor when the store has it all' "0 $want $before" "$status $(digest) $(($(launched n1) + $(launched n2)))"
rm -rf .dockcc
srun -n1 -c2 make -j2 -f app.mk "STORE=$work/store" image >log 2>&1
is 'a whole make as one job' "0 $want" "$? $(digest)"

# ---- many writers ------------------------------------------------------------------------------------------
new_store
for i in 1 2 3 4; do
	mkdir "writer$i"
	cp app.mk app.sh "writer$i"
	(
		cd "writer$i" || exit 1
		if [ "$i" = 4 ]; then sh app.sh --store "$work/store" --context ../case -o oci:out
		else make -j2 -f app.mk "STORE=$work/store" CONTEXT=../case "DOCKCC_LAUNCH=$launch" OUTPUT=oci:out image; fi >log 2>&1
	) &
done
wait
is 'four builds at once into one store: one image' "$want $want $want $want" \
	"$(for i in 1 2 3 4; do digest "writer$i/log"; done | tr '\n' ' ' | sed 's/ $//')"
is 'and nothing half in it' '' "$(ls store/tmp)"
rm -rf .dockcc
build make image
is 'all of it is used afterwards' "0 $want 0" "$status $(digest) $(grep -v CACHED log | grep -c ' [0-9.]*s$')"

# ---- failures ----------------------------------------------------------------------------------------------
new_case <<'END'
FROM busybox
RUN echo fine
RUN exit 3
END
before=$(($(launched n1) + $(launched n2)))
build make image
[ "$status" -ne 0 ]
ok $? 'a step that fails'
is 'is told as without a scheduler' 1 "$(grep -c 'failed step=stage-0.2 line=3 status=3 kind=run' log)"
is 'and is not tried again' "0 $((before + 1))" "$(grep -c '; again' log) $(($(launched n1) + $(launched n2)))"
run="--build-context=busybox=$busybox a.0 1 from -- busybox"
"$rt" launch nosuchlauncher "$rt" step "--store=$work/empty" --stamp=x $run >log 2>&1
is 'a launcher that is not there' '127 1' "$? $(wc -l <log | tr -d ' ')"
"$rt" launch --tries=2 false "$rt" step "--store=$work/empty" --stamp=x $run >log 2>&1
is 'a launcher that does nothing is called as often as it says' '1 2' "$? $(wc -l <log | tr -d ' ')"
"$rt" launch true "$rt" step "--store=$work/empty" --stamp=x $run >log 2>&1
is 'success without the step is none' 74 $?
"$rt" launch srun "$rt" step >log 2>&1
is 'launch without a step' 64 $?

# a node that goes down under its step: the step waits for it to happen, and does not wait the second time
new_case <<'END'
FROM busybox
RUN echo one >/one
RUN --mount=type=cache,target=/c if [ -e /c/again ]; then echo two >/two; else touch /c/again; sleep 0.1; [ ! -e /c/wait ] || sleep 300; echo two >/two; fi
RUN cat /one /two >/three
END
# its cache mount knows from the start that this build has to wait
mount=$(find store/cache -type d -mindepth 1 -maxdepth 1 2>/dev/null)
is 'no cache mount yet' '' "$mount"
sh app.sh --store "$work/store" --context case -o "oci:$work/local.oci" >log 2>&1
mount=$(find store/cache -type d -mindepth 1 -maxdepth 1)
rm -f "$mount/again"
touch "$mount/wait"
rm -rf .dockcc store/layers store/keys
(build make image; echo "$status" >status) &
running() { [ -e "$mount/again" ]; }
wait_for running
node=$(squeue -h -t R -o %N)
# descendants PID: and itself
descendants() {
	for kid in $(ps -o pid= --ppid "$1"); do descendants "$kid"; done
	echo "$1"
}
steps=$(ps -eo pid=,args= | awk -v d="$work" '/slurmstepd: \[/ { print $1 }' | while read -r pid; do
	tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -q "^SLURM_CONF=$SLURM_CONF\$" && echo "$pid"
done)
[ -n "$node" ] && [ -n "$steps" ]
ok $? "a step runs on $node"
kill -9 "$(cat "slurm/slurmd.$node.pid")"
for pid in $steps; do kill -9 $(descendants "$pid") 2>/dev/null; done
wait_for [ -e status ]
is 'its node goes down: the step runs on the other' "0 1 $want" "$(cat status) $(grep -c 'no word of the step.*; again' log) $(digest)"
show "$(cat status)"
finish
