#!/bin/sh
# Where a script gets dockcc-rt from: its source, compiled by every compiler there is, programs for two machines.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034,SC2086
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP these builds run as root'
	exit 0
fi
base busybox
unset DOCKCC_RT CC
cd "$work" || exit 1
mkdir context
echo data >context/file
tar -C context --sort=name --mtime=@0 --owner=0 --group=0 -czf context/archive.tar.gz file
cat >context/Dockerfile <<'END'
FROM busybox AS one
WORKDIR /w
COPY file .
ADD archive.tar.gz /a/
FROM one
RUN cat /w/file /a/file >/both
LABEL a=b
END

# compile SCRIPT OPTION...
compile() {
	script=$1
	shift
	"$dockcc" compile -o "$script" "$@" context >log 2>&1
}

# run CACHE SCRIPT ARGUMENT...: leaves $status and log; each with a store of its own
run() {
	cache=$work/$1
	script=$2
	shift 2
	rm -rf store
	XDG_CACHE_HOME=$cache sh "$script" --store "$work/store" --context context $contexts "$@" >log 2>&1 </dev/null
	status=$?
}
last() { tail -n 1 log; }
digest() { sed -n 's/^image  *\(sha256:[0-9a-f]*\).*/\1/p' log; }
show() { [ "$1" -eq 0 ] || sed 's/^/# /' log | tail -n 12; }

# ---- embed, what the others are measured by -----------------------------------------------------
compile embed.sh
is 'it compiles' 0 $?
run cache embed.sh -o oci:out
want=$(digest)
is 'the program inside the script builds' 0 "$status"
show "$status"

# ---- source ---------------------------------------------------------------------------------------
compile source.sh --runtime=source
is 'a script with the source compiles' 0 $?
LC_ALL=C grep -c '[^ -~	]' source.sh >log
is 'it has no byte that is not text' 0 "$(cat log)"
for file in rt.h main.c sha256.c verbs.h; do
	sed -n "/^  source_file $file <</,/^end of $file\$/p" source.sh | sed '1d;$d' | cmp -s - "$source/runtime/$file"
	ok $? "$file is in it as it is"
done
if command -v shellcheck >/dev/null; then
	shellcheck -s sh -o all source.sh >log 2>&1
	ok $? 'shellcheck has nothing to say'
	head -n 20 log | sed 's/^/# /'
else
	skip 'shellcheck is not installed'
fi
for compiler in gcc clang tcc musl-gcc; do
	if ! command -v "$compiler" >/dev/null; then
		skip "$compiler is not installed"
		continue
	fi
	CC=$compiler
	export CC
	run "cache-$compiler" source.sh -o oci:out
	is "$compiler makes a runtime that makes the same image" "0 $want" "$status $(digest)"
	show "$status"
	is "$compiler: it is compiled" 1 "$(grep -c "^source.sh: compiling dockcc-rt with .*$compiler, once" log)"
	run "cache-$compiler" source.sh -o oci:out
	is "$compiler: once" "0 $want 0" "$status $(digest) $(grep -c compiling log)"
	unset CC
done
for shell in dash 'bash --posix' 'busybox sh' mksh yash ksh 'zsh --emulate sh'; do
	if ! command -v "${shell%% *}" >/dev/null || ! command -v tcc >/dev/null; then
		skip "$shell or tcc is not installed"
		continue
	fi
	CC=tcc XDG_CACHE_HOME=$work/cache-shell $shell source.sh --list >log 2>&1
	is "$shell compiles it" 0 $?
	rm -rf cache-shell
done
files() { find "$1/dockcc/rt" -mindepth 1 | wc -l; }
for script in embed.sh source.sh; do
	for i in 1 2 3 4; do
		(
			CC=$(command -v tcc || echo cc) XDG_CACHE_HOME=$work/cache-many sh "$script" --list >"log.$i" 2>&1
			echo $? >"status.$i"
		) &
	done
	wait
	is "$script: four first uses at once" '0 0 0 0 1' "$(cat status.1 status.2 status.3 status.4 | tr '\n' ' ')$(files cache-many)"
	rm -rf cache-many
done
mkdir empty
(PATH=$work/empty XDG_CACHE_HOME=$work/cache-none /bin/sh source.sh --list) >log 2>&1
is 'no compiler: what to install, and the status' '69 1 source.sh: failed step=- line=- status=69 kind=mode' \
	"$? $(grep -c 'needs a C compiler.*gcc libc6-dev on Debian' log) $(last)"
is 'and nothing is left behind' 0 "$(files cache-none)"
mkdir broken
printf '#!/bin/sh\necho "cannot find crt1.o" >&2\nexit 1\n' >broken/gcc
chmod +x broken/gcc
(PATH=$work/broken XDG_CACHE_HOME=$work/cache-none /bin/sh source.sh --list) >log 2>&1
is 'a compiler without a library: what it says' '69 1' "$? $(grep -c 'cannot find crt1.o' log)"
sed 's/^rt_fail(struct rt_err/rt_fial(struct rt_err/' source.sh >damaged.sh
cmp -s source.sh damaged.sh
is 'one letter of the source is another' 1 $?
run cache-none damaged.sh --list
is 'that is not compiled' '65 source.sh: failed step=- line=- status=65 kind=digest' "$status $(last)"

# ---- programs for several machines --------------------------------------------------------------
"$dockcc" compile --runtime=embed:pdp11 -o none.sh context >log 2>&1
is 'a machine that it has no program for' '2 1' "$? $(grep -c 'carries no dockcc-rt for pdp11, only for' log)"
"$dockcc" compile --runtime=embedded -o none.sh context >log 2>&1
is 'an unknown runtime' 2 $?
if ! compile all.sh --runtime=embed:x86_64,aarch64; then
	skip 'this dockcc carries one program: no cross compiler was there'
	finish
fi
is 'all of them' "$(sha256sum <all.sh)" "$(compile also.sh --runtime=embed:all && sed 's/also\.sh/all.sh/g' also.sh | sha256sum)"
run cache-all all.sh -o oci:out
is 'a script with two programs builds' "0 $want" "$status $(digest)"
other=aarch64
[ "$(uname -m)" = x86_64 ] || other=x86_64
compile other.sh "--runtime=embed:$other"
run cache-none other.sh --list
is 'a script for another machine says so' '69 1' "$status $(grep -c "carries no dockcc-rt for $(uname -m)" log)"
# the same script where uname says the other machine's name
printf '#!/bin/sh\necho %s\n' "$other" >uname
chmod +x uname
XDG_CACHE_HOME=$work/cache-other unshare -m sh -c 'mount --bind uname "$(command -v uname)" && exec sh all.sh --list' >log 2>&1
program=$(echo "$work"/cache-other/dockcc/rt/*)
sum=$(sha256sum <"$program" | cut -d ' ' -f 1)
is 'the other machine unpacks its own' "$sum-$other" "${program##*/}"
if [ "$other" = aarch64 ] && command -v qemu-aarch64-static >/dev/null; then
	printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "$program" >qemu
	chmod +x qemu
	run cache all.sh --target one -o oci:one
	native=$(digest)
	DOCKCC_RT=$work/qemu run cache all.sh --target one -o oci:two
	is 'and makes the same image (by qemu, without RUN)' "0 $native" "$status $(digest)"
	show "$status"
else
	skip 'qemu-aarch64-static is not installed'
fi
finish
