#!/bin/sh
# ./bootstrap demo: from a multi-stage Dockerfile to a script to an image to its program running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/../build
out=${XDG_CACHE_HOME:-$HOME/.cache}/dockcc-demo
mkdir -p "$out"

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say 'a base image, made from Debian packages once'
layout=$("$here/fixtures/bases.sh" debian)
echo "debian is in $layout"

say 'dockcc compile: the Dockerfile becomes a script'
"$build/dockcc" compile --explain -o "$out/build.sh" --build-context debian="oci-layout://$layout:debian" "$here/demo"

say 'sh build.sh: the script makes the image; there is no engine'
sh "$out/build.sh" --context "$here/demo" --store "$out/store" -t hello:demo -o "oci:$out/hello.oci" -o "$out/rootfs"

say 'the Dockerfile beside the script (its prelude and payload left out)'
sed -n '/^# ---- stage/,/^# ---- schedule/p' "$out/build.sh" | sed '$d' >"$out/stages"
pr -m -t -l 1 -w "${COLUMNS:-160}" "$here/demo/Dockerfile" "$out/stages"

say 'the layers of the image'
for blob in "$out/hello.oci/blobs/sha256"/*; do
	if [ "$(tar -tf "$blob" 2>/dev/null | head -n 1)" ]; then
		echo "sha256:$(basename "$blob")  $(wc -c <"$blob") bytes:"
		tar -tvf "$blob" | sed 's/^/    /'
	fi
done

say 'and its program'
if [ "$(id -u)" -eq 0 ]; then
	chroot "$out/rootfs" /hello
else
	"$out/rootfs/hello"
fi
