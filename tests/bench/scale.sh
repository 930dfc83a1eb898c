#!/bin/sh
# What the pieces cost that docs/scale.md reckons with: builds with nothing to do, launches, the store under several builds.
# usage: tests/bench/scale.sh [ROUNDS]       (as root; nothing else should be running)
# Never part of the tests: clocks are noisy.
# $contexts is a list of words on purpose
# shellcheck disable=SC1091,SC2154,SC2086
. "$(dirname "$0")/../lib.sh"
. "$source/tests/fixtures/slurm.sh"
rounds=${1:-7}
rt=$(dirname "$dockcc")/dockcc-rt
export DOCKCC_RT="$rt"
unset DOCKCC_STORE DOCKCC_LAUNCH MAKEFLAGS
stop() {
	trap '' HUP INT TERM
	slurm_stop
	rm -rf "$work"
}
trap stop EXIT
base busybox
cd "$work" || exit 1
musl-gcc -static -O2 -w -D_GNU_SOURCE -o probe "$source/tests/bench/probe.c"

say() { printf '%-66s %10s\n' "$1" "$2"; }
# median COMMAND...: milliseconds
median() { ./probe time "$rounds" "$@" | awk '{ printf "%.1f ms", $1 / 1000 }'; }
once() { # COMMAND...: seconds
	begin=$(date +%s%N)
	"$@" >log 2>&1 || { sed 's/^/# /' log | tail -n 5; }
	awk -v t="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.2f s", t / 1e9 }'
}

echo "# $rounds rounds, medians; $(nproc) processors, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
mkdir app
i=0
while [ "$i" -lt 2000 ]; do mkdir -p "app/src/$((i % 40))" && echo "$i" >"app/src/$((i % 40))/$i" && i=$((i + 1)); done
cat >app/Dockerfile <<'END'
FROM busybox AS build
WORKDIR /src
COPY src .
RUN cat */* | sha256sum >/sum
RUN ls -R >/list
FROM busybox AS other
RUN echo 1 >/one
FROM busybox
COPY --from=build /sum /list /
COPY --from=other /one /
CMD ["cat", "/sum"]
END
"$dockcc" compile --runtime=path -o app.sh app && "$dockcc" compile --grain=chain -o chain.mk app && "$dockcc" compile -o step.mk app
script="sh app.sh --store store --context app $contexts"
say 'compile' "$(median "$dockcc" compile --runtime=path -o again.sh app)"
say 'the build, three stages, 2000 files, into an empty store' "$(once $script)"
say 'a script with nothing to do' "$(median $script)"
$script -o oci:out >log 2>&1
say 'and the image written again' "$(median $script -o oci:out)"
run_make() { make -f "$1.mk" STORE=store "$1_FLAGS=$contexts" "OUTPUT=oci:$1.out" image; }
run_make chain >log 2>&1 && run_make step >log 2>&1
say 'a Makefile with nothing to do, a target a chain' "$(median make -f chain.mk STORE=store "chain_FLAGS=$contexts" OUTPUT=oci:chain.out image)"
say 'the same, a target a step' "$(median make -f step.mk STORE=store "step_FLAGS=$contexts" OUTPUT=oci:step.out image)"
# calls COUNT-OF: system calls of a build with nothing to do
strace -f -qq -o trace -e trace=file,desc $script >log 2>&1
say 'opens, stats and links of a script with nothing to do' "$(grep -cE ' (open|openat|openat2|stat|lstat|newfstatat|statx|access|faccessat2?|readlink|readlinkat|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat)\(' trace)"
say 'of these below the store' "$(grep -E ' (open|openat|stat|newfstatat|statx|access|renameat2?|unlinkat|mkdirat)\(' trace | grep -c 'store\|"layers\|"keys\|"images\|"tmp')"
rm -rf store
strace -f -qq -o trace -e trace=fsync,syncfs,rename,renameat,renameat2 $script >log 2>&1
say 'fsync, syncfs and rename of the build itself' "$(grep -c '(' trace)"
many() { # N: scripts with nothing to do, as many at once as there are processors
	seq "$1" | xargs -P "$(nproc)" -I{} $script --iidfile id{} >log 2>&1
}
begin=$(date +%s%N)
many 200
say 'scripts with nothing to do, a second' "$(awk -v t="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.0f", 200 / (t / 1e9) }')"
rm -f id*
say 'bytes that the build adds to the store' "$(du -sb store/layers | awk '{ printf "%.1f MB", $1 / 1e6 }')"

why=$(slurm_installed) && slurm_start || { echo "# no Slurm: $why"; exit 0; }
say 'srun of nothing' "$(median srun -n1 --quiet true)"
begin=$(date +%s%N)
seq 100 | xargs -P 8 -I{} srun -n1 --quiet true
say 'sruns of nothing, a second, eight at once on four processors' "$(awk -v t="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.0f", 100 / (t / 1e9) }')"
launch="DOCKCC_LAUNCH=$rt launch srun -n1 --quiet"
say 'nothing to do with a launcher, a target a chain' "$(median make -f chain.mk STORE=store "chain_FLAGS=$contexts" OUTPUT=oci:chain.out "$launch" image)"
for how in step chain; do
	for with in DOCKCC_LAUNCH= "$launch"; do
		rm -rf store .dockcc
		say "the build, -j2, a target a $how$([ "$with" = DOCKCC_LAUNCH= ] || echo ", launched")" "$(once make -j2 -f "$how.mk" STORE=store "${how}_FLAGS=$contexts" OUTPUT=oci:out "$with" image)"
	done
done
rm -rf store .dockcc
say 'the build, the whole make as one job' "$(once srun -n1 -c2 --quiet make -j2 -f chain.mk STORE=store "chain_FLAGS=$contexts" OUTPUT=oci:out image)"
rm -rf store
say 'the script as one job' "$(once srun -n1 -c2 --quiet $script)"
