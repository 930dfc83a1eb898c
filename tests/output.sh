#!/bin/sh
# What --output, --annotation, --label, --squash, --iidfile and --metadata-file leave; read back by skopeo, umoci, jq.
# what lib.sh sets: source, dockcc, work, layout, contexts
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"
export XDG_CACHE_HOME="$work/cache" DOCKCC_RT="${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}"
for program in skopeo umoci jq zstd; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP the base images need root'
	exit 0
fi
base busybox
mkdir "$work/c"
cd "$work/c" || exit 1
cat >Dockerfile <<'END'
FROM busybox
RUN echo a >/a; mkdir /d; echo x >/d/x; ln /d/x /d/y; ln -s x /d/l; chmod 4755 /a; mkdir /gone; touch /gone/f
RUN rm -r /gone; rm /d/x; echo b >/b; mkdir -m 1777 /t
LABEL from=file over=file
END
# shellcheck disable=SC2086
build() { "$dockcc" build -O0 --store "$work/store" $contexts -t t:1 "$@" . >"$work/said" 2>&1; }
manifest() { skopeo inspect --raw "$1"; }
config() { skopeo inspect --config --raw "$1"; }

# ---- many at once -----------------------------------------------------------------------------------------
build --iidfile iid --metadata-file meta --output type=oci,dest=z.tar,compression=zstd,compression-level=9,force-compression=true \
	--output type=oci,dest=g,tar=false,compression=gzip,compression-level=1 --output 'type=docker,dest=d.tar,"name=foo,bar:2"' \
	--output type=tar,dest=r.tar --output type=local,dest=out
is 'five outputs at once' 0 $?
sed 's/^/# /' "$work/said" | grep -v CACHED
is 'all of it zstd' 'application/vnd.oci.image.layer.v1.tar+zstd' "$(manifest oci-archive:z.tar | jq -r '.layers[].mediaType' | sort -u)"
is 'gzip' 'application/vnd.oci.image.layer.v1.tar+gzip' "$(manifest oci:g:1 | jq -r '.layers[].mediaType' | sort -u)"
config oci-archive:z.tar >"$work/z"
config oci:g:1 >"$work/g"
cmp -s "$work/z" "$work/g"
ok $? 'compression does not change the config'
is 'the base layer keeps its blob' "$(manifest "oci:$layout:busybox" | jq -r '.layers[0].digest')" "$(manifest oci:g:1 | jq -r '.layers[0].digest')"
mkdir "$work/zoci"
tar -xf z.tar -C "$work/zoci"
is 'what zstd holds is what the config says' "$(jq -r '.rootfs.diff_ids[]' "$work/z")" \
	"$(manifest oci-archive:z.tar | jq -r '.layers[].digest' | while IFS=: read -r _ hex; do
		zstd -dcq "$work/zoci/blobs/sha256/$hex" | sha256sum | sed 's/^/sha256:/; s/ .*//'
	done)"
umoci unpack --image g:1 "$work/gu" >"$work/said" 2>&1
diff -r --no-dereference out "$work/gu/rootfs" >"$work/said" 2>&1
is 'the layers are those files' '' "$(grep -v 'is a character special' "$work/said")"
is 'names of a docker archive' 'bar:2 foo:latest' "$(tar -xOf d.tar manifest.json | jq -r '.[0].RepoTags[]' | sort | tr '\n' ' ' | sed 's/ $//')"
is 'a tar of the files' 0 "$(tar -tf r.tar | grep -c '^gone')"
is 'the image id is the digest of the config' "$(jq -r '."containerimage.config.digest"' meta)" "$(cat iid)"
is 'which is that' "sha256:$(sha256sum <"$work/g" | cut -d ' ' -f 1)" "$(cat iid)"
is 'the names' 'docker.io/library/foo:latest,docker.io/library/bar:2' "$(jq -r '."image.name"' meta)"
build --metadata-file meta --output type=oci,dest=o.tar
is 'the descriptor' "sha256:$(manifest oci-archive:o.tar | sha256sum | cut -d ' ' -f 1) $(manifest oci-archive:o.tar | wc -c)" \
	"$(jq -r '."containerimage.descriptor" | "\(.digest) \(.size)"' meta)"
is 'its digest' "$(jq -r '."containerimage.descriptor".digest' meta)" "$(jq -r '."containerimage.digest"' meta)"
build --metadata-file meta --output out
is 'files have no image' '{}' "$(cat meta)"
# shellcheck disable=SC2086
quiet=$("$dockcc" build -q -O0 --store "$work/store" $contexts --output type=oci,dest=o.tar . 2>"$work/said")
is 'quiet prints the id' "$(cat iid)" "$quiet"

# ---- levels -----------------------------------------------------------------------------------------------------
size() { manifest "oci-archive:$1" | jq '[.layers[].size] | add'; }
for how in gzip:1 gzip:9 zstd:1 zstd:22; do
	build --output "type=oci,dest=l-${how%:*}-${how#*:}.tar,compression=${how%:*},compression-level=${how#*:},force-compression=true"
	is "$how" "0 $(cat iid)" "$? sha256:$(config "oci-archive:l-${how%:*}-${how#*:}.tar" | sha256sum | cut -d ' ' -f 1)"
done
[ "$(size l-gzip-9.tar)" -lt "$(size l-gzip-1.tar)" ] && [ "$(size l-zstd-22.tar)" -lt "$(size l-zstd-1.tar)" ]
ok $? 'higher levels are smaller'

# ---- squash -----------------------------------------------------------------------------------------------------
build --squash --output type=oci,tar=false,dest=sq
build --output type=oci,tar=false,dest=sq2,squash=true
is 'one layer' '1 1' "$(manifest oci:sq:1 | jq '.layers | length') $(manifest oci:sq2:1 | jq '.layers | length')"
is 'one entry of the history has it' 1 "$(config oci:sq:1 | jq '[.history[] | select(.empty_layer | not)] | length')"
umoci unpack --image sq:1 "$work/sq" >"$work/said" 2>&1
diff -r --no-dereference out "$work/sq/rootfs" >"$work/said" 2>&1
is 'with the same files' '' "$(grep -v 'is a character special' "$work/said")"
is 'modes and links' "4755 1777 1" "$(cd "$work/sq/rootfs" && stat -c %a a t | tr '\n' ' ')$(stat -c %h "$work/sq/rootfs/d/y")"
sum=$(manifest oci:sq:1)
rm -rf "$work/store"
sleep 1.1
touch Dockerfile
build --squash --output type=oci,tar=false,dest=sq3
is 'squashed again from nothing, the same' "$sum" "$(manifest oci:sq3:1)"

# ---- annotations and labels ----------------------------------------------------------------------------------------
build --annotation a=1 --annotation manifest:b=2 --annotation 'manifest[linux/arm64]:c=3' --annotation manifest,manifest-descriptor:e=5=6 \
	--label over=line --label added= --output 'type=oci,tar=false,dest=an,annotation.f=7,annotation-manifest-descriptor.g=8,"annotation.h=9,10"'
is 'on the manifest' '{"a":"1","b":"2","e":"5=6","f":"7","h":"9,10"}' "$(manifest oci:an:1 | jq -cS .annotations)"
is 'on its descriptor' '5=6 8' "$(jq -r '.manifests[0].annotations | "\(.e) \(.g)"' an/index.json)"
is 'labels' '{"added":"","from":"file","over":"line"}' "$(config oci:an:1 | jq -cS '.config.Labels')"

# ---- what is wrong ---------------------------------------------------------------------------------------------------
refused() {
	text=$1
	shift
	rm -f no
	build "$@"
	is "refused: $*" '64 1 0' "$? $(grep -cF -- "$text" "$work/said") $(find . -maxdepth 1 -name 'no*' | wc -l)"
}
refused 'index' --annotation index:a=1 --output type=oci,dest=no
refused 'unknown type' --annotation what:a=1 --output type=oci,dest=no
refused 'KEY=VALUE' --annotation novalue --output type=oci,dest=no
refused 'the types are' --output type=qcow,dest=no
refused 'there is no type' --output dest=no,compression=gzip
refused 'compression=lzma' --output type=oci,dest=no,compression=lzma
refused 'compression-level=x' --output type=oci,dest=no,compression-level=x
refused '0 to 9' --output type=oci,dest=no,compression=gzip,compression-level=12
refused 'neither true nor false' --output type=oci,dest=no,squash=yes
refused 'no KEY=VALUE' --output type=oci,dest=no,squash
refused 'quote' --output 'type=oci,"dest=no'
refused 'there is no dest' --output type=local
refused 'only one output' --output type=tar --output type=oci
refused 'standard output' --output type=local,dest=-
refused 'Bad Name' --output 'type=image,name=Bad Name'

# ---- no room, no place --------------------------------------------------------------------------------------------------
mkdir "$work/full"
if mount -t tmpfs -o size=300k tmpfs "$work/full" 2>/dev/null; then
	build --output "type=oci,dest=$work/full/x.tar"
	is 'a full disk' '74 1 0' "$? $(grep -c 'No space left' "$work/said") $(find "$work/full" -type f | wc -l)"
	build --output "type=local,dest=$work/full/tree"
	is 'a full disk, files' '74 1 0' "$? $(grep -c 'No space left' "$work/said") $(find "$work/full" -type f | wc -l)"
	umount "$work/full"
else
	skip 'a full disk: no tmpfs'
fi
build --output type=oci,dest=nowhere/x.tar
is 'no such directory' '74 1' "$? $(grep -c 'nowhere/x.tar' "$work/said")"
build --output type=oci,dest=x.tar
is 'and then it works' 0 $?
finish
