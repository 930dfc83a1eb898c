#!/bin/sh
# ADD of URLs and git references: what has changed on the server is added again, what has not is cached.
# what lib.sh sets: source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2181
. "$(dirname "$0")/lib.sh"
export DOCKCC_RT="${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}" XDG_CACHE_HOME="$work/cache" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset DOCKCC_OFFLINE DOCKCC_STORE http_proxy https_proxy all_proxy
for program in git busybox curl; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
web_pid='' git_pid=''
# shellcheck disable=SC2329
leave() {
	for pid in $web_pid $git_pid; do kill "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP
port=$((10000 + $$ * 3 % 20000))
web=http://127.0.0.1:$port
mkdir "$work/www" "$work/c"
cd "$work/c" || exit 1
# serve: the web server, there before it returns
serve() {
	busybox httpd -f -p "127.0.0.1:$port" -h "$work/www" &
	web_pid=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do curl -s -o "$work/said" "$web/file" && break; sleep 0.2; done
}
build() {
	rm -rf "$work/out"
	"$dockcc" build --store "$work/s" -o "$work/out" "$@" . >"$work/said" 2>&1
}
# ran: the lines of steps that did not come from the cache
ran() { grep -c '^stage-0\.[1-9].* [0-9.]*s$' "$work/said"; }

echo one >"$work/www/file"
touch -d '2020-01-01 00:00:00Z' "$work/www/file"
serve
printf 'FROM scratch\nADD %s/file /f\n' "$web" >Dockerfile
build
is 'a file' '0 1 one 1577836800' "$? $(ran) $(cat "$work/out/f") $(stat -c %Y "$work/out/f")"
build
is 'the same again is cached' '0 0 one' "$? $(ran) $(cat "$work/out/f")"
is 'dry' 1 "$("$dockcc" build --store "$work/s" -n -o "$work/out" . 2>"$work/said" | grep -c 'add .*CACHED')"
echo two >"$work/www/file"
touch -d '2021-01-01 00:00:00Z' "$work/www/file"
build
is 'another content is added' '0 1 two 1609459200' "$? $(ran) $(cat "$work/out/f") $(stat -c %Y "$work/out/f")"
touch -d '2022-01-01 00:00:00Z' "$work/www/file"
build
is 'another time, too' '0 1 1640995200' "$? $(ran) $(stat -c %Y "$work/out/f")"
build --offline
is 'without the network it is as it was last seen' '0 0 two' "$? $(ran) $(cat "$work/out/f")"
touch -d '2021-01-01 00:00:00Z' "$work/www/file"
build
is 'what was there before is cached still' '0 0 1609459200' "$? $(ran) $(stat -c %Y "$work/out/f")"
build --no-cache
is '--no-cache' '0 1 two' "$? $(ran) $(cat "$work/out/f")"
kill "$web_pid" && wait "$web_pid" 2>/dev/null
build
is 'no server' '74 1 stage-0.1 2' "$? $(grep -c "$web/file" "$work/said") $(sed -n 's/.*failed step=\([^ ]*\) line=\([0-9]*\) .*/\1 \2/p' "$work/said")"
build --offline
is 'nor offline' '0 0' "$? $(ran)"
serve
echo more >"$work/www/more"
tar -czf "$work/www/t.tgz" -C "$work/www" more
printf 'FROM scratch\nADD %s/file %s/more %s/t.tgz /d/\nADD --unpack=true %s/t.tgz /u/\n' "$web" "$web" "$web" "$web" >Dockerfile
build
is 'several at once' '0 2 two more more' "$? $(ran) $(cat "$work/out/d/file" "$work/out/d/more" "$work/out/u/more" | tr '\n' ' ' | sed 's/ $//')"
touch -d '2023-01-01 00:00:00Z' "$work/www/more"
build
is 'one of them changed' '0 2' "$? $(ran)"
sum=$(sha256sum <"$work/www/file" | cut -d ' ' -f 1)
printf 'FROM scratch\nADD --checksum=sha256:%s %s/file /f\n' "$sum" "$web" >Dockerfile
build
kill "$web_pid" && wait "$web_pid" 2>/dev/null
build
is 'a checksum says it all: nobody is asked' '0 0' "$? $(ran)"

# ---- git ----------------------------------------------------------------------------------------------------
commit() {
	echo "$1" >"$work/git/r/f"
	git -C "$work/git/r" add f
	git -C "$work/git/r" -c user.name=n -c user.email=e commit -q -m "$1"
}
git init -q -b main "$work/git/r"
commit one
git -C "$work/git/r" -c user.name=n -c user.email=e tag -a -m x v1
git daemon --reuseaddr --export-all --base-path="$work/git" --listen=127.0.0.1 --port=$((port + 1)) --log-destination=none &
git_pid=$!
repo=git://127.0.0.1:$((port + 1))/r
for _ in 1 2 3 4 5 6 7 8 9 10; do git ls-remote "$repo" >"$work/said" 2>&1 && break; sleep 0.2; done
printf 'FROM scratch\nADD %s#main /b/\nADD %s#v1 /t/\nADD %s /h/\n' "$repo" "$repo" "$repo" >Dockerfile
files() { cat "$work/out/b/f" "$work/out/t/f" "$work/out/h/f" | tr '\n' ' '; }
build
is 'a branch, a tag and the head' '0 3 one one one ' "$? $(ran) $(files)"
build
is 'again' '0 0 one one one ' "$? $(ran) $(files)"
commit two
build
is 'a commit moves the branch and the head' '0 two one two ' "$? $(files)"
printf 'FROM scratch\nADD %s#v1 /t/\n' "$repo" >Dockerfile
build
commit three
build
is 'but not the tag' '0 0' "$? $(ran)"
git -C "$work/git/r" -c user.name=n -c user.email=e tag -f -a -m x v1 >"$work/said" 2>&1
build
is 'until it is moved' '0 1 three' "$? $(ran) $(cat "$work/out/t/f")"
id=$(git -C "$work/git/r" rev-parse HEAD)
printf 'FROM scratch\nADD %s#%s /c/\n' "$repo" "$id" >Dockerfile
build
kill "$git_pid" && wait "$git_pid" 2>/dev/null
build
is 'a commit says it all' '0 0 three' "$? $(ran) $(cat "$work/out/c/f")"
is 'nothing stays' '' "$(ls "$work/s/tmp")"
finish
