#!/bin/sh
# Build contexts and named contexts that are no directories: a tar or a Dockerfile on standard input, tar files in every
# compression, URLs of busybox's httpd, repositories of git's daemon.
# what lib.sh sets: source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2002,SC2181
. "$(dirname "$0")/lib.sh"
rt=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}
export DOCKCC_RT="$rt" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null XDG_CACHE_HOME="$work/cache" DOCKCC_STORE="$work/store"
unset DOCKCC_OFFLINE DOCKCC_BUILD_CONTEXTS DOCKCC_CONTEXT_DIR DOCKCC_CONTEXT_FILE http_proxy https_proxy all_proxy
for program in git busybox bzip2 xz zstd gzip; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
pids=
# shellcheck disable=SC2329
leave() {
	for pid in $pids; do kill "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

mkdir -p "$work/c/sub" "$work/www" "$work/empty" "$work/git/r.git/.x"
cd "$work" || exit 1
printf 'FROM scratch\nCOPY . /\n' >c/Dockerfile
printf 'FROM scratch\nCOPY sub /only\n' >c/sub/Other
printf 'sub/hidden\n' >c/.dockerignore
printf 'sub/file\n' >c/sub/Other.dockerignore
echo one >c/file
echo two >c/sub/file
echo three >c/sub/hidden
tar -cf c.tar -C c .
for how in gzip bzip2 xz zstd; do
	$how -qc c.tar >"c.$how"
done
cp c.gzip www/c.tar.gz
cp c/Dockerfile www/Plain
printf 'FROM scratch\nENV A=b\n' >www/Alone
cd "$work/git/r.git" || exit 1
cp -R "$work/c/." .
git init -q -b main . && git add -A && git -c user.name=n -c user.email=e commit -q -m one
git tag first
echo later >file
git -c user.name=n -c user.email=e commit -q -a -m two
cd "$work/empty" || exit 1
port=$((10000 + $$ * 3 % 20000))
busybox httpd -f -p "127.0.0.1:$port" -h "$work/www" &
pids="$pids $!"
git daemon --reuseaddr --export-all --base-path="$work/git" --listen=127.0.0.1 --port=$((port + 1)) --log-destination=none &
pids="$pids $!"
web=http://127.0.0.1:$port repo=git://127.0.0.1:$((port + 1))/r.git
for _ in 1 2 3 4 5 6 7 8 9 10; do
	git ls-remote "$repo" >"$work/said" 2>&1 && busybox wget -q -O "$work/said" "$web/Plain" && break
	sleep 0.3
done

# tree: what is in the result, with what the files say
tree() {
	(cd "$work/out" 2>/dev/null && find . -mindepth 1 ! -type d -exec sh -c 'for f; do printf "%s=" "${f#./}"; head -n 1 "$f"; done' - {} + | sort | tr '\n' ' ')
}
build() {
	rm -rf "$work/out"
	"$dockcc" build -o "$work/out" "$@" >"$work/said" 2>&1
}
nothing_left() { ls "$work/store/tmp"; }
all='.dockerignore=sub/hidden Dockerfile=FROM scratch file=one sub/Other.dockerignore=sub/file sub/Other=FROM scratch sub/file=two '

# ---- the build context ----------------------------------------------------------------------------------
for how in tar gzip bzip2 xz zstd; do
	build - <"$work/c.$how"
	is "a $how on standard input" "0 $all" "$? $(tree)"
	build "$work/c.$how"
	is "a $how as a file" "0 $all" "$? $(tree)"
done
cat "$work/c.gzip" | build -
is 'from a pipe' "0 $all" "$? $(tree)"
build -f sub/Other - <"$work/c.gzip"
is 'another Dockerfile in it, with its own ignore file' '0 only/Other.dockerignore=sub/file only/Other=FROM scratch only/hidden=three ' "$? $(tree)"
build "$web/c.tar.gz"
is 'a URL of a tar' "0 $all" "$? $(tree)"
build -f sub/Other "$web/c.tar.gz"
is 'and another Dockerfile' '0 only/Other.dockerignore=sub/file only/Other=FROM scratch only/hidden=three ' "$? $(tree)"
build "$web/Plain"
is 'a URL of a Dockerfile: the context is empty' '0 ' "$? $(tree)"
build "$repo#first"
is 'a git repository at a tag' "0 $all" "$? $(tree)"
build "$repo"
is 'at its head' '0 1' "$? $(tree | grep -c 'file=later')"
build -f Other "$repo#main:sub"
is 'a subdirectory: what is above it is not there' '74 1' "$? $(grep -c 'stage-0.1.*line=2' "$work/said")"
printf 'FROM scratch\nCOPY hidden /h\n' | build -f - "$repo#main:sub"
is 'with a Dockerfile from standard input' '0 h=three ' "$? $(tree)"
build --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 "$repo#first"
is 'with .git' 0 "$([ -f "$work/out/.git/HEAD" ]; echo $?)"
is 'no fetched context stays' '' "$(nothing_left)"

# ---- a Dockerfile alone ---------------------------------------------------------------------------------
echo secret >here
printf 'FROM scratch\nCOPY . /\nCOPY <<E /x\nhi\nE\n' | build -
is 'a Dockerfile on standard input has no files' '0 x=hi ' "$? $(tree)"
printf 'FROM scratch\nCOPY here /\n' | build -
is 'nor those around it' '0 1' "$([ $? -ne 0 ]; echo $?) $(grep -c 'here' "$work/said")"
(cat "$work/www/Alone"; sleep 0.3; printf 'COPY <<E /x\nhi\nE\n') | build -
is 'however slowly it comes' '0 x=hi ' "$? $(tree)"
printf 'FROM scratch\nCOPY file /f\n' | build -f - "$work/c"
is 'a Dockerfile on standard input, and a context' '0 f=one ' "$? $(tree)"
build -f - - <"$work/c.tar"
is 'both at once' '2 1' "$? $(grep -c 'cannot be both' "$work/said")"

# ---- a script ---------------------------------------------------------------------------------------------
script() {
	rm -rf "$work/out"
	sh "$work/b.sh" -o "$work/out" "$@" >"$work/said" 2>&1
}
"$dockcc" compile -o "$work/b.sh" "$repo#first" 2>"$work/said"
is 'compile from a repository' 0 $?
script
is 'its script fetches it' "0 $all" "$? $(tree)"
script --context "$work/c"
is 'or takes a directory' "0 $all" "$? $(tree)"
script --context "$work/c.zstd"
is 'a tar' "0 $all" "$? $(tree)"
script --context "$web/c.tar.gz"
is 'a URL' "0 $all" "$? $(tree)"
script --context - <"$work/c.xz"
is 'standard input' "0 $all" "$? $(tree)"
"$dockcc" compile -o "$work/b.sh" - <"$work/c.tar" 2>"$work/said"
is 'compile from a tar on standard input' 0 $?
script <"$work/c.tar"
is 'its script wants it again' "0 $all" "$? $(tree)"
script --context - <"$work/www/Alone"
is 'what is no tar gives no files' '0 ' "$? $(tree)"
"$dockcc" compile -o "$work/b.sh" - <"$work/www/Plain"
script
is 'a Dockerfile alone: the script has no context' '0 ' "$? $(tree)"
"$dockcc" compile --emit=make -o "$work/b.mk" "$repo" 2>"$work/said"
is 'a Makefile needs a directory' '2 1' "$? $(grep -c 'needs its context as a directory' "$work/said")"
"$dockcc" compile -o "$work/b.sh" "$work/c" 2>"$work/said"
script --context "$work/c" --ignorefile "$work/c/sub/Other.dockerignore"
is '--ignorefile' '0 1' "$? $(tree | grep -c 'sub/hidden=three' )"

# ---- named contexts -----------------------------------------------------------------------------------------
printf 'FROM scratch\nCOPY --from=other sub/file /f\nCOPY --from=unused . /u\n' >Dockerfile
printf 'FROM scratch\nCOPY --from=other sub/file /f\n' >Dockerfile
for location in "$work/c" "$work/c.tar" "$work/c.gzip" "$work/c.bzip2" "$work/c.xz" "$work/c.zstd" "$web/c.tar.gz" "$repo#first"; do
	build --build-context "other=$location" --build-context "unused=$web/missing" .
	is "named context ${location##*/}" '0 f=two ' "$? $(tree)"
done
"$dockcc" compile -o "$work/b.sh" --build-context "other=$web/c.tar.gz" . 2>"$work/said"
script
is 'named when compiling' '0 f=two ' "$? $(tree)"
script --build-context "other=$work/c.tar"
is 'and when running' '0 f=two ' "$? $(tree)"
printf 'FROM scratch\nCOPY --from=other Alone /a\n' >Dockerfile
build --build-context "other=$web/Alone" .
is 'one file is in there under its name' '0 a=FROM scratch ' "$? $(tree)"
is 'nothing stays' '' "$(nothing_left)"
printf 'FROM scratch\nCOPY --from=other sub/file /f\n' >Dockerfile
"$dockcc" lock --build-context "other=$web/c.tar.gz" . >"$work/said" 2>&1
is 'a URL is locked' "0 url $web/c.tar.gz sha256:$(sha256sum <"$work/www/c.tar.gz" | cut -d ' ' -f 1)" "$? $(grep -v '^#' dockcc.lock)"
build --locked --build-context "other=$web/c.tar.gz" .
is 'and taken' '0 f=two ' "$? $(tree)"
echo >>"$work/www/c.tar.gz"
build --locked --build-context "other=$web/c.tar.gz" .
is 'a changed one is not' '65 1' "$? $(grep -c 'has checksum' "$work/said")"
rm dockcc.lock

# ---- hostile and broken ones -----------------------------------------------------------------------------------
mkdir "$work/h"
ln -s /etc/passwd "$work/h/Dockerfile"
tar -cf "$work/h.tar" -C "$work/h" .
build "$work/h.tar"
is 'a Dockerfile that leads out' '1 1' "$? $(grep -c 'no Dockerfile in the context' "$work/said")"
rm "$work/h/Dockerfile"
printf 'FROM scratch\nCOPY l/passwd /p\n' >"$work/h/Dockerfile"
ln -s /etc "$work/h/l"
tar -cf "$work/h.tar" -C "$work/h" .
build "$work/h.tar"
is 'a link that leads out' 0 "$([ $? -ne 0 ] && [ ! -e "$work/out/p" ]; echo $?)"
echo evil >"$work/h/evil"
tar -Pcf "$work/h.tar" --transform 's|^evil|../../evil|' -C "$work/h" Dockerfile evil 2>"$work/said"
build "$work/h.tar"
is 'names that lead out stay inside' '' "$(find "$work" -name evil ! -path "$work/h/*" ! -path "$work/store/tmp/*")"
head -c 3000 "$work/c.tar" >"$work/cut.tar"
build "$work/cut.tar"
is 'a tar that ends early' '65 1' "$? $(grep -c 'cut.tar: .*truncated' "$work/said")"
head -c 100 "$work/c.gzip" >"$work/cut.gz"
build - <"$work/cut.gz"
is 'a gzip that ends early' 0 "$([ $? -ne 0 ]; echo $?)"
echo text >"$work/text"
build "$work/text"
is 'a file that is no archive' '64 1' "$? $(grep -c 'neither a directory nor an archive' "$work/said")"
build "$work/none"
is 'nothing there' '1 1' "$? $(grep -c 'no such directory' "$work/said")"
build "$web/missing"
is 'a URL that is not there' '74 1' "$? $(grep -c 'status 404' "$work/said")"
build "$repo#nosuch"
is 'a ref that is not there' '74 1' "$? $(grep -c 'nosuch' "$work/said")"
build --offline "$web/c.tar.gz"
is 'offline' '74 1' "$? $(grep -c 'forbidden' "$work/said")"
printf 'FROM scratch\nRUN false\n' >"$work/h/Dockerfile"
tar -cf "$work/h.tar" -C "$work/h" Dockerfile
build "$work/h.tar"
is 'the status of a failing build is passed on' 0 "$([ $? -eq 1 ]; echo $?)"
is 'nothing of all that stays' '' "$(nothing_left)"
finish
