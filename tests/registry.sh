#!/bin/sh
# Pulls and pushes against Debian's docker-registry on loopback, plain, with basic authentication and with TLS, and against a
# server that does wrong on purpose (registry/faulty.c); with curl, with GNU wget and with busybox's.
# what lib.sh sets: here, source, dockcc, work, tests, failed
# shellcheck disable=SC1091,SC2016,SC2154
. "$(dirname "$0")/lib.sh"
rt=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt} faulty=${DOCKCC_BUILD:-$source/build}/faulty
umask 022
tmp=$work pids=

# shellcheck disable=SC2329
leave() {
  for pid in $pids; do kill "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

# t NAME COMMAND...: the command succeeds; what it says is shown when not
t() {
  name=$1
  shift
  "$@" >"$tmp/said" 2>&1
  said=$?
  ok "$said" "$name"
  if [ "$said" -ne 0 ]; then sed 's/^/# /' "$tmp/said"; fi
}
skip_all() {
  echo "1..0 # SKIP $1"
  exit 0
}
# status N COMMAND...: it ends with N
status() {
  want=$1
  shift
  "$@"
  got=$?
  [ "$got" -eq "$want" ] || { echo "status $got, not $want"; return 1; }
}
# says TEXT COMMAND...: it fails, and its last words hold TEXT
says() {
  text=$1
  shift
  if "$@" >"$tmp/words" 2>&1; then echo 'it succeeded'; return 1; fi
  cat "$tmp/words"
  grep -qF -- "$text" "$tmp/words"
}
not() { ! "$@"; }
no_parts() { [ -z "$(find "$1/tmp" -name '.part-*')" ]; }

for p in docker-registry skopeo openssl curl wget; do
  command -v "$p" >/dev/null || skip_all "there is no $p"
done

# ---- an image, tools to reach it with ---------------------------------------------------------------
mkdir "$tmp/context" "$tmp/docker"
head -c 3000000 /dev/urandom >"$tmp/context/big"
head -c 700000 /dev/urandom >"$tmp/context/more"
echo hello >"$tmp/context/small"
printf 'FROM scratch\nCOPY small /\nCOPY big /\nCOPY more /\nENV WHO=base\n' >"$tmp/context/Dockerfile"
export DOCKCC_RT="$rt" DOCKER_CONFIG="$tmp/docker" XDG_CACHE_HOME="$tmp/cache" LC_ALL=C
unset DOCKCC_STORE DOCKCC_OFFLINE DOCKCC_PULL DOCKCC_TLS_CA DOCKCC_REGISTRIES http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
"$dockcc" build "$tmp/context" --store "$tmp/s0" --output "type=oci,tar=false,compression=gzip,dest=$tmp/image" >/dev/null 2>&1 ||
  { echo '1..1'; echo 'not ok 1 - an image to work with'; exit 1; }
digest=$(sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' "$tmp/image/index.json")
mkdir "$tmp/image/tags"
echo "$digest" >"$tmp/image/tags/1"

# every tool alone; curl and wget note their arguments first
for tool in curl wget; do
  mkdir "$tmp/$tool"
  printf '#!/bin/sh\nprintf "%%s\\n" "$0 $*" >>"%s"\nexec "%s" "$@"\n' "$tmp/arguments" "$(command -v $tool)" >"$tmp/$tool/$tool"
  chmod 755 "$tmp/$tool/$tool"
done
printf '#!/bin/sh\nread -r server || :\nprintf "%%s\\n" "$server" >>"%s"\nprintf "%%s" "{\\"ServerURL\\":\\"x\\",\\"Username\\":\\"who\\",\\"Secret\\":\\"s3cret\\"}"\n' \
  "$tmp/helper-asked" >"$tmp/curl/docker-credential-fake"
chmod 755 "$tmp/curl/docker-credential-fake"
tools='curl wget'
if busybox wget --help >/dev/null 2>&1 || busybox --list 2>/dev/null | grep -qx wget; then
  mkdir "$tmp/busybox"
  ln -s "$(command -v busybox)" "$tmp/busybox/wget"
  tools="$tools busybox"
fi
# with TOOL COMMAND...
with() {
  tool=$1
  shift
  # shellcheck disable=SC2123
  (PATH=$tmp/$tool; export PATH; "$@")
}

# ---- registries -------------------------------------------------------------------------------------
port=$((10000 + $$ * 3 % 20000))
plain=127.0.0.1:$port basic=127.0.0.1:$((port + 1)) tls=localhost:$((port + 2))
# registry NAME ADDRESS MORE: one of Debian's
registry() {
  printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: "%s"%s}\n%s\n' \
    "$tmp/data-$1" "$2" "$3" "$4" >"$tmp/$1.yml"
  docker-registry serve "$tmp/$1.yml" >"$tmp/$1.log" 2>&1 &
  pids="$pids $!"
}
command -v htpasswd >/dev/null && htpasswd -Bbc "$tmp/htpasswd" who s3cret 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout "$tmp/ca.key" -out "$tmp/ca.pem" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other-ca -keyout "$tmp/other.key" -out "$tmp/other.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$tmp/tls.key" -out "$tmp/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost\n' >"$tmp/san"
openssl x509 -req -days 2 -in "$tmp/tls.csr" -CA "$tmp/ca.pem" -CAkey "$tmp/ca.key" -CAcreateserial -extfile "$tmp/san" -out "$tmp/tls.pem" 2>/dev/null
registry plain "$plain" '' ''
[ ! -f "$tmp/htpasswd" ] || registry basic "$basic" '' "auth: {htpasswd: {realm: r, path: $tmp/htpasswd}}"
registry tls "$tls" ", tls: {certificate: $tmp/tls.pem, key: $tmp/tls.key}" ''
"$faulty" "$tmp/image" "$tmp/requests" "$tmp/port" &
pids="$pids $!"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  curl -s "http://$plain/v2/" >/dev/null && curl -sk "https://$tls/v2/" >/dev/null && [ -s "$tmp/port" ] && break
  sleep 0.3
done
curl -s "http://$plain/v2/" >/dev/null || skip_all 'docker-registry does not start'
wrong=127.0.0.1:$(cat "$tmp/port")
skopeo copy -q --dest-tls-verify=false "oci:$tmp/image" "docker://$plain/lib/base:1" || skip_all 'skopeo cannot push'

auths() { printf '{"auths":{"%s":{%s}}}\n' "$1" "$2" >"$DOCKER_CONFIG/config.json"; }
no_auths() { rm -f "$DOCKER_CONFIG/config.json"; }
login='"auth":"d2hvOnMzY3JldA=="'
remote_digest() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "$@"; }

# ---- pulls ------------------------------------------------------------------------------------------
# pulled STORE: it has the image of the tests to the byte
pulled() {
  for f in "$tmp"/image/blobs/sha256/*; do
    cmp "$f" "$1/images/blobs/sha256/${f##*/}" || return 1
  done
  no_parts "$1"
}
pull() { "$rt" pull "--store=$1" "$2"; }
# pulls TOOL REF: into a fresh store, whole
pulls() {
  rm -rf "$tmp/s"
  [ "$(with "$1" "$rt" pull "--store=$tmp/s" "$2")" = "$digest" ] && pulled "$tmp/s"
}
for tool in $tools; do
  t "pull with $tool" pulls "$tool" "$plain/lib/base:1"
  t "pull by digest with $tool" pulls "$tool" "$plain/lib/base@$digest"
  t "a tag that is not there, $tool" says 'has no manifest' with "$tool" "$rt" pull "--store=$tmp/s" "$plain/lib/base:2"
  t "a registry that is not there, $tool" status 74 with "$tool" "$rt" pull "--store=$tmp/s" "127.0.0.1:1/lib/base:2"
done
# shellcheck disable=SC2123
t 'no program to fetch with' status 69 sh -c 'PATH=/nonexistent exec "$@"' - "$rt" pull "--store=$tmp/s9" "$plain/lib/base:1"

printf 'FROM %s/lib/base:1\nCOPY small /other\n' "$plain" >"$tmp/context/from"
build() { "$dockcc" build "$tmp/context" -f "$tmp/context/from" "$@"; }
t 'a build pulls its base' build --store "$tmp/b" --output "type=local,dest=$tmp/out"
t 'with all its files' cmp "$tmp/context/big" "$tmp/out/big"
t 'offline it is cached' build --store "$tmp/b" --offline --output "type=local,dest=$tmp/out2"
t 'offline without the base' says 'the network is forbidden' build --store "$tmp/b2" --offline --output "type=local,dest=$tmp/out3"
t 'and nothing came out' not test -e "$tmp/out3"
t 'an image by location' "$dockcc" build "$tmp/context" -f "$tmp/context/from" --build-context "$plain/lib/base:1=docker-image://$plain/lib/base@$digest" \
  --store "$tmp/b3" --output "type=local,dest=$tmp/out4"
printf 'FROM %s/lib/base:1\nCOPY --from=%s/lib/other /small /x\n' "$plain" "$plain" >"$tmp/context/from2"
t 'an image of COPY --from that is not there' says 'has no manifest' "$dockcc" build "$tmp/context" -f "$tmp/context/from2" --store "$tmp/b" --output "type=local,dest=$tmp/out5"
t 'import of a registry image' "$rt" import "--store=$tmp/b4" "docker-image://$plain/lib/base:1" renamed
t 'imported whole' pulled "$tmp/b4"

# ---- pushes -----------------------------------------------------------------------------------------
pull "$tmp/p" "$plain/lib/base:1" >/dev/null
"$rt" import "--store=$tmp/p0" "oci-layout://$tmp/image" plainly >/dev/null
push_fresh() { with "$1" "$rt" push "--store=$tmp/p0" plainly "$plain/up/$1:1" "$plain/up/$1:2"; }
for tool in curl wget; do
  t "push two tags with $tool" push_fresh "$tool"
  t "skopeo reads them" test "$(remote_digest "docker://$plain/up/$tool:2")" = "$digest"
  t "skopeo copies it" skopeo copy -q --src-tls-verify=false "docker://$plain/up/$tool:1" "oci:$tmp/back-$tool"
  : >"$tmp/plain.log"
  t "push again with $tool" push_fresh "$tool"
  t 'uploads nothing' not grep -q 'http.request.method=POST' "$tmp/plain.log"
done
: >"$tmp/plain.log"
t 'push of what was pulled from a neighbour' "$rt" push "--store=$tmp/p" "$plain/lib/base:1" "$plain/mounted/it:1"
t 'mounts the layers' grep -q 'mount=sha256' "$tmp/plain.log"
t 'skopeo reads the result' skopeo copy -q --src-tls-verify=false "docker://$plain/mounted/it:1" "oci:$tmp/back"
t 'build --push' build --store "$tmp/b" -t "$plain/app/one:1" -t "$plain/app/one:2" -t "$plain/app/two:x" --push
t 'under each name' test "$(remote_digest "docker://$plain/app/one:2")" = "$(remote_digest "docker://$plain/app/two:x")"
t 'with the layers of the base as they are' sh -c 'skopeo inspect --tls-verify=false "docker://$1/app/one:1" | grep -q "$(skopeo inspect --tls-verify=false "docker://$1/lib/base:1" | grep -m1 -A1 Layers | tail -n 1)"' - "$plain"
t 'type=registry' build --store "$tmp/b" --output "type=registry,dest=$plain/app/three:1"
t 'type=image pushed under two names' build --store "$tmp/b" --output "type=image,push=true,\"name=$plain/app/four:1,$plain/app/five:1\""
t 'is there' remote_digest "docker://$plain/app/five:1"
t 'and in the store' build --store "$tmp/b" --offline --build-context "$plain/lib/base:1=docker-image://$plain/app/four:1" --output "type=local,dest=$tmp/out6"
t 'push without a name' says 'has no name' build --store "$tmp/b" --push
t 'push offline' says 'forbidden' build --store "$tmp/b" --push --offline -t "$plain/app/six:1"
printf 'FROM %s/moving\nCOPY small /s\n' "$plain" >"$tmp/context/moving"
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$plain/lib/base:1" "docker://$plain/moving:latest"
moving() { "$dockcc" build "$tmp/context" -f "$tmp/context/moving" --store "$tmp/b" "$@"; }
t 'a tag before it moves' moving --iidfile "$tmp/iid1" --output "type=oci,dest=$tmp/m1"
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$plain/app/one:1" "docker://$plain/moving:latest"
t 'what is there is used' moving --iidfile "$tmp/iid2" --output "type=oci,dest=$tmp/m2"
t 'and gives the same' cmp "$tmp/iid1" "$tmp/iid2"
t '--pull looks again' moving --pull --iidfile "$tmp/iid3" --output "type=oci,dest=$tmp/m3"
t 'and gives another' not cmp -s "$tmp/iid1" "$tmp/iid3"

# ---- several platforms ------------------------------------------------------------------------------
# two images; the index says that the second is for arm64
for arch in amd64 arm64; do
  printf 'FROM scratch\nCOPY small /for-%s\n' "$arch" >"$tmp/context/platform"
  "$dockcc" build "$tmp/context" -f "$tmp/context/platform" --store "$tmp/s0" --output "type=oci,tar=false,compression=gzip,dest=$tmp/$arch" >/dev/null 2>&1
  mkdir -p "$tmp/both/blobs"
  cp -r "$tmp/$arch/blobs/sha256" "$tmp/both/blobs"
done
entries() { sed "s/.*\"manifests\":\\[\\(.*\\)\\],\"mediaType\".*/\\1/; s/\"architecture\":\"[a-z0-9]*\"/\"architecture\":\"$1\"/" "$tmp/$1/index.json"; }
manifest_of() { sed 's/.*"digest":"sha256:\([0-9a-f]*\)".*/\1/' "$tmp/$1/index.json"; }
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s]}' "$(entries amd64)" "$(entries arm64)" >"$tmp/index"
both=$(sha256sum "$tmp/index" | cut -d ' ' -f 1)
cp "$tmp/index" "$tmp/both/blobs/sha256/$both"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%s","size":%s}]}' "$both" "$(wc -c <"$tmp/index")" >"$tmp/both/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$tmp/both/oci-layout"
t 'import of an index' "$rt" import "--store=$tmp/i0" "oci-layout://$tmp/both" both
t 'push of an index' "$rt" push "--store=$tmp/i0" both "$plain/lib/both:1"
t 'skopeo sees its platforms' sh -c 'skopeo inspect --raw --tls-verify=false "docker://$1/lib/both:1" | cmp - "$2"' - "$plain" "$tmp/index"
both() { "$rt" pull "--store=$tmp/i1" "--platform=linux/$1" "$plain/lib/both:1"; }
t 'a platform of an index' both arm64
t 'is that one' test -f "$tmp/i1/images/blobs/sha256/$(manifest_of arm64)"
t 'and no other' not test -e "$tmp/i1/images/blobs/sha256/$(manifest_of amd64)"
t 'another is not there yet' says 'forbidden' env DOCKCC_OFFLINE=1 "$rt" pull "--store=$tmp/i1" "--platform=linux/amd64" "$plain/lib/both:1"
t 'and comes' both amd64
t 'to be that one' test -f "$tmp/i1/images/blobs/sha256/$(manifest_of amd64)"
t 'offline it is there now' env DOCKCC_OFFLINE=1 "$rt" pull "--store=$tmp/i1" "--platform=linux/amd64" "$plain/lib/both:1"
t 'a platform that the index lacks' says 'nothing for the platform' both s390x
t 'an index by digest' "$rt" pull "--store=$tmp/i2" "--platform=linux/arm64" "$plain/lib/both@sha256:$both"
t 'push of one platform' "$rt" push "--store=$tmp/i2" "--platform=linux/arm64" "$plain/lib/both@sha256:$both" "$plain/lib/only:1"

# ---- who we are -------------------------------------------------------------------------------------
if [ -f "$tmp/htpasswd" ]; then
  no_auths
  t 'basic authentication: nobody' says "no" "$rt" push "--store=$tmp/p0" plainly "$basic/a/b:1"
  auths "$basic" '"auth":"d2hvOndyb25n"'
  t 'a wrong password' says 'refuses' "$rt" push "--store=$tmp/p0" plainly "$basic/a/b:1"
  t 'is not told' not grep -q -e 'wrong$' -e d2hvOndyb25n "$tmp/words"
  for tool in curl wget; do
    auths "$basic" "$login"
    t "push with a password, $tool" with "$tool" "$rt" push "--store=$tmp/p0" plainly "$basic/a/$tool:1"
    auths "https://$basic/v1/" "$login"
    t "pull with a password, $tool" pulls "$tool" "$basic/a/$tool:1"
  done
  printf '{"credHelpers":{"%s":"fake"}}\n' "$basic" >"$DOCKER_CONFIG/config.json"
  t 'a credential helper' pulls curl "$basic/a/curl:1"
  t 'was asked for the registry' grep -qx "$basic" "$tmp/helper-asked"
  printf '{"credsStore":"fake"}\n' >"$DOCKER_CONFIG/config.json"
  t 'a credential store' pulls curl "$basic/a/curl:1"
  printf '{"credsStore":"../fake"}\n' >"$DOCKER_CONFIG/config.json"
  t 'a helper with a path' says 'not the name' "$rt" pull "--store=$tmp/s9" "$basic/a/curl:1"
  if [ -d "$tmp/busybox" ]; then
    auths "$basic" "$login"
    t "busybox's wget gets no password" status 69 with busybox "$rt" pull "--store=$tmp/s9" "$basic/a/curl:1"
  fi
else
  skip 'basic authentication: there is no htpasswd'
fi
no_auths
t 'a token is not for everybody' says 'refuses a token' "$rt" pull "--store=$tmp/s9" "$wrong/token/image:1"
for tool in curl wget; do
  auths "$wrong" "$login"
  t "a token, $tool" pulls "$tool" "$wrong/token/image:1"
  auths "$wrong" '"identitytoken":"id-token"'
  t "a token by identity token, $tool" pulls "$tool" "$wrong/refresh/image:1"
  auths "$wrong" '"registrytoken":"pass-token"'
  t "a registry token, $tool" pulls "$tool" "$wrong/token/image:1"
  auths "$wrong" "$login"
  t "credentials stay with their origin, $tool" pulls "$tool" "$wrong/cdn/image:1"
done
t 'no secret in the arguments of curl and wget' not grep -q -e s3cret -e d2hvOnMzY3JldA -e pass-token -e id-token -e sesame "$tmp/arguments"
t 'which were called' grep -q /wget "$tmp/arguments"
no_auths

# ---- TLS --------------------------------------------------------------------------------------------
t 'TLS: an unknown root' status 74 "$rt" pull "--store=$tmp/s9" "$tls/a/b:1"
for tool in curl wget; do
  t "push with TLS, $tool" with "$tool" "$rt" push "--store=$tmp/p0" "--tls-ca=$tmp/ca.pem" plainly "$tls/a/$tool:1"
  rm -rf "$tmp/s"
  t "pull with TLS, $tool" with "$tool" "$rt" pull "--store=$tmp/s" "--tls-ca=$tmp/ca.pem" "$tls/a/$tool:1"
  t 'whole' pulled "$tmp/s"
  t "another root, $tool" says 'certificate' with "$tool" "$rt" pull "--store=$tmp/s" "--tls-ca=$tmp/other.pem" "$tls/a/none:1"
done
printf 'FROM %s/a/curl:1\nENV x=${WHO#b}\n' "$tls" >"$tmp/context/tls"
t 'a build with --tls-ca' "$dockcc" build "$tmp/context" -f "$tmp/context/tls" --store "$tmp/b5" --tls-ca "$tmp/ca.pem" --output "type=oci,dest=$tmp/tls.tar"

# ---- $DOCKCC_REGISTRIES -----------------------------------------------------------------------------
# mirrors of a registry that cannot be reached: the first has nothing, the second does
export DOCKCC_REGISTRIES="$tmp/registries"
printf '# ours\nregistry.invalid mirror http://%s/\nregistry.invalid mirror http://%s\n' "127.0.0.1:1" "$plain" >"$DOCKCC_REGISTRIES"
t 'a mirror' pulls curl "registry.invalid/lib/base:1"
printf '%s https\n%s ca %s\n' "$tls" "$tls" "$tmp/ca.pem" >"$DOCKCC_REGISTRIES"
t 'roots by configuration' pulls curl "$tls/a/curl:1"
printf 'registry.invalid http\n' >"$DOCKCC_REGISTRIES"
for tool in curl wget; do
  t "a proxy, $tool" env "http_proxy=http://$wrong" sh -c 'PATH=$1 exec "$2" pull "--store=$3" registry.invalid/ok/image:1' - "$tmp/$tool" "$rt" "$tmp/proxied-$tool"
  t 'whole' pulled "$tmp/proxied-$tool"
done
printf '%s fttp\n' "$tls" >"$DOCKCC_REGISTRIES"
t 'a rule that is none' status 64 pull "$tmp/s9" "$tls/a/curl:1"
unset DOCKCC_REGISTRIES

# ---- what goes wrong --------------------------------------------------------------------------------
# broken STATUS MODE TOOL TEXT: the pull fails so, and the blob is not there
broken() {
  rm -rf "$tmp/s"
  with "$3" "$rt" pull "--store=$tmp/s" "$wrong/$2/image:1" >"$tmp/words" 2>&1
  got=$?
  cat "$tmp/words"
  [ "$got" -eq "$1" ] || { echo "status $got"; return 1; }
  [ -z "$(find "$tmp/s/images/blobs" -size +90k)" ] || { echo 'a blob was published'; return 1; }
  grep -q "$4" "$tmp/words"
}
for tool in $tools; do
  t "wrong digest, $tool" broken 65 bitrot "$tool" 'is damaged'
  t "truncated, $tool" broken 65 short "$tool" 'truncated'
  t "too long, $tool" broken 65 long "$tool" 'larger than'
  t "missing, $tool" broken 74 missing "$tool" 'has no'
  t "a manifest with another digest, $tool" broken 65 liar "$tool" 'is damaged'
  rm -f "$tmp/image/.count-busy" "$tmp/image/.count-deaf"
  t "busy for a while, $tool" pulls "$tool" "$wrong/busy/image:1"
  t "a server that knows no ranges, $tool" pulls "$tool" "$wrong/deaf/image:1"
done
for tool in curl wget; do
  : >"$tmp/requests"
  t "interrupted again and again, $tool" pulls "$tool" "$wrong/stutter/image:1"
  t 'goes on where it was' grep -q ' 65536$' "$tmp/requests"
  rm -rf "$tmp/s"
  t "broken off, $tool" not with "$tool" "$rt" pull "--store=$tmp/s" "$wrong/cut/image:1"
  t 'keeps what came' not no_parts "$tmp/s"
  : >"$tmp/requests"
  t "a second run completes it, $tool" with "$tool" "$rt" pull "--store=$tmp/s" "$wrong/ok/image:1"
  t 'with the rest only' grep -q '/blobs/.* [1-9][0-9]*$' "$tmp/requests"
  t 'whole' pulled "$tmp/s"
done
rm -rf "$tmp/s"
with curl "$rt" pull "--store=$tmp/s" "$wrong/cut/image:1" >/dev/null 2>&1
for f in "$tmp"/s/tmp/.part-*; do printf 'x' | dd of="$f" conv=notrunc 2>/dev/null; done
t 'a bad part is thrown away' "$rt" pull "--store=$tmp/s" "$wrong/ok/image:1"
t 'and fetched again' pulled "$tmp/s"
rm -rf "$tmp/s"
t 'two at once' sh -c '"$1" pull --store="$2" "$3" >/dev/null & "$1" pull --store="$2" "$3" >/dev/null; a=$?; wait $! && exit $a' - "$rt" "$tmp/s" "$wrong/stutter/image:1"
t 'share one download' pulled "$tmp/s"

# ---- the build cache --------------------------------------------------------------------------------
printf 'FROM %s/lib/base:1 AS one\nCOPY small /made/in/one\nWORKDIR /w\nFROM scratch\nCOPY --from=one /made /got\nCOPY more /more\n' "$plain" >"$tmp/context/cached"
cached() { store=$1; shift; "$dockcc" build "$tmp/context" -f "$tmp/context/cached" --store "$tmp/$store" --output "type=oci,dest=$tmp/cached.tar" "$@"; }
# all_cached COMMAND...: no step ran
all_cached() {
  "$@" >"$tmp/words" 2>&1 || { cat "$tmp/words"; return 1; }
  cat "$tmp/words"
  [ "$(grep -c '^[a-z0-9-]*\.[1-9].*CACHED$' "$tmp/words")" -eq "$(grep -c '^[a-z0-9-]*\.[1-9]' "$tmp/words")" ]
}
for where in "local dest=$tmp/kept src=$tmp/kept" "registry ref=$plain/cache/it:1 ref=$plain/cache/it:1"; do
  # shellcheck disable=SC2086
  set -- $where
  rm -rf "$tmp/k1" "$tmp/k2" "$tmp/k3"
  t "a cache goes out, $1" cached k1 --iidfile "$tmp/k1.iid" --cache-to "type=$1,$2,mode=max"
  t 'and again' cached k1 --iidfile "$tmp/k1.iid" --cache-to "type=$1,$2,mode=max"
  t 'a cache comes in' all_cached cached k2 --iidfile "$tmp/k2.iid" --cache-from "type=$1,$3"
  t 'for the same image' cmp "$tmp/k1.iid" "$tmp/k2.iid"
  cp "$tmp/k1.iid" "$tmp/$1.iid"
  t 'not for another epoch' not all_cached env SOURCE_DATE_EPOCH=1 "$dockcc" build "$tmp/context" -f "$tmp/context/cached" --store "$tmp/k3" --output "type=oci,dest=$tmp/cached.tar" --cache-from "type=$1,$3"
done
t 'the pushed cache is not left among the images' test "$(find "$tmp/k2/images/blobs" -type f -size +90k 2>/dev/null | wc -l)" -eq 0
for f in "$tmp"/kept/blobs/sha256/*; do
  [ "$(wc -c <"$f")" -lt 100000 ] || printf x | dd of="$f" bs=1 seek=5000 conv=notrunc 2>/dev/null
done
rm -rf "$tmp/k2"
t 'a damaged cache is told' cached k2 --iidfile "$tmp/k2.iid" --cache-from "type=local,src=$tmp/kept"
cp "$tmp/said" "$tmp/words"
t 'in a warning' grep -q 'warning: the build cache: .*damaged' "$tmp/words"
t 'and built over' cmp "$tmp/local.iid" "$tmp/k2.iid"
# what a RUN leaves: whiteouts, opaque directories, links, a fifo
if busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1; then
  cp "$busybox" "$tmp/context/busybox"
  mkdir "$tmp/context/d"
  touch "$tmp/context/d/one" "$tmp/context/d/two"
  printf 'FROM scratch\nCOPY busybox /\nCOPY d /d\nRUN ["/busybox","rm","/d/one"]\n' >"$tmp/context/run"
  printf 'RUN ["/busybox","sh","-c","rm -r /d; mkdir /d; echo 3 >/d/three; ln /d/three /d/four; chmod 4755 /d/four; mkfifo /d/p"]\n' >>"$tmp/context/run"
  ran() { store=$1; shift; SOURCE_DATE_EPOCH=1000 "$dockcc" build "$tmp/context" -f "$tmp/context/run" --store "$tmp/$store" --iidfile "$tmp/$store.iid" --output "type=oci,dest=$tmp/ran.tar" "$@"; }
  t 'a cache of commands' ran r1 --cache-to "type=local,dest=$tmp/runs"
  t 'comes in' all_cached ran r2 --cache-from "type=local,src=$tmp/runs"
  t 'to the bit' cmp "$tmp/r1.iid" "$tmp/r2.iid"
else
  skip 'a cache of commands: there is no static busybox'
fi
t 'no cache there' cached k4 --cache-from "type=local,src=$tmp/nothing" --cache-from "type=registry,ref=$plain/cache/none"
t 'what is no cache' cached k4 --cache-from "type=registry,ref=$plain/lib/base:1"
t 'a cache of no type' status 64 cached k4 --cache-to type=gha

finish
