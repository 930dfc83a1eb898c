#!/bin/sh
# Pulling from a real registry: Debian's docker-registry on loopback, without and with passwords, with TLS; what it must
# not accept. The registry is started here and stopped by its pid.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"
unset DOCKCC_OFFLINE DOCKER_CONFIG
rt=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}
for program in docker-registry skopeo curl openssl htpasswd; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP the base images need root'
	exit 0
fi
base busybox
image=oci:$layout:busybox
port=$((20000 + $$ % 20000))
pids=
trap 'kill $pids 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

# registry PORT [YAML]: starts one; its files are in $work/PORT
registry() {
	mkdir -p "$work/$1"
	cat >"$work/$1.yml" <<END
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $work/$1 } }
http:
  addr: 127.0.0.1:$1
$2
END
	docker-registry serve "$work/$1.yml" >"$work/$1.log" 2>&1 &
	pids="$pids $!"
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		curl -sk -o "$work/answer" "http://127.0.0.1:$1/v2/" && return
		sleep 0.2
	done
}

pull() {
	"$rt" pull "--store=$work/store-$n" "$@" >"$work/log" 2>&1
	status=$?
}
n=0

registry "$port" ''
skopeo copy -q --dest-tls-verify=false "$image" "docker://127.0.0.1:$port/test/base:1" >"$work/log" 2>&1
ok $? 'skopeo pushes a base image'
n=1
pull "127.0.0.1:$port/test/base:1"
is 'an image is pulled' 0 "$status"
sed 's/^/# /' "$work/log"
digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://127.0.0.1:$port/test/base:1")
n=2
pull "127.0.0.1:$port/test/base@$digest"
is 'by its digest too' 0 "$status"
pull "127.0.0.1:$port/test/nothing:1"
is 'an image that is not there' '74 1' "$status $(grep -c '127.0.0.1.*has no 1' "$work/log")"
pull "127.0.0.1:$port/test/base:2"
is 'a tag that is not there' '74 1' "$status $(grep -c 'has no 2' "$work/log")"
pull '127.0.0.1:1/test/base:1'
is 'no registry' 74 "$status"
is 'nothing is left of failed pulls' '' "$(ls "$work/store-2/tmp")"
DOCKCC_OFFLINE=1 pull "127.0.0.1:$port/test/base:1"
is 'offline' '74 1' "$status $(grep -c DOCKCC_OFFLINE "$work/log")"

printf 'FROM 127.0.0.1:%s/test/base:1\nRUN echo hi >/hi\nCOPY --from=127.0.0.1:%s/test/base:1 /etc/passwd /p\n' "$port" "$port" >"$work/Dockerfile"
"$dockcc" compile -o "$work/build.sh" "$work"
sh "$work/build.sh" --store "$work/store-3" -o "$work/out" >"$work/log" 2>&1
is 'a script pulls what it lacks' 'hi 1' "$(cat "$work/out/hi") $(grep -c '^pulling' "$work/log")"
sh "$work/build.sh" --store "$work/store-3" -o "$work/out2" >"$work/log" 2>&1
is 'and only once' 0 "$(grep -c '^pulling' "$work/log")"

# a blob that is not what its digest says
blob=$(find "$work/$port" -path '*blobs*' -name data -size +100k | head -n 1)
cp "$blob" "$work/good"
printf 'X' | dd of="$blob" bs=1 seek=3000 conv=notrunc 2>/dev/null
n=4
pull "127.0.0.1:$port/test/base:1"
is 'a damaged blob' 65 "$status"
is 'leaves nothing' '0 0' "$(ls "$work/store-4/tmp" | wc -l) $(find "$work/store-4/images" -name index.json | wc -l)"
truncate -s 1000 "$blob"
pull "127.0.0.1:$port/test/base:1"
is 'a truncated blob' no "$([ "$status" -eq 0 ] && echo yes || echo no)"
rm "$blob"
pull "127.0.0.1:$port/test/base:1"
is 'a missing blob' no "$([ "$status" -eq 0 ] && echo yes || echo no)"
cp "$work/good" "$blob"
pull "127.0.0.1:$port/test/base:1"
is 'and then it is there again' 0 "$status"

# passwords
port2=$((port + 1))
htpasswd -Bbc "$work/htpasswd" someone 'se"cr\et' 2>"$work/log"
registry "$port2" "auth: { htpasswd: { realm: test, path: $work/htpasswd } }"
skopeo copy -q --dest-tls-verify=false --dest-creds 'someone:se"cr\et' "$image" "docker://127.0.0.1:$port2/private:1" >"$work/log" 2>&1
ok $? 'skopeo pushes to a registry with passwords'
n=5
pull "127.0.0.1:$port2/private:1"
is 'without a password' no "$([ "$status" -eq 0 ] && echo yes || echo no)"
mkdir "$work/docker"
printf '{"auths":{"127.0.0.1:%s":{"auth":"%s"}}}' "$port2" "$(printf '%s' 'someone:se"cr\et' | base64)" >"$work/docker/config.json"
DOCKER_CONFIG=$work/docker pull "127.0.0.1:$port2/private:1"
is 'with the one in docker s config.json' 0 "$status"
mkdir "$work/bin"
printf '#!/bin/sh\nread -r host\n[ "$1 $host" = "get 127.0.0.1:%s" ] && printf %s\n' "$port2" \
	"'{\"Username\":\"someone\",\"Secret\":\"se\\\\\"cr\\\\\\\\et\"}'" >"$work/bin/docker-credential-test"
chmod +x "$work/bin/docker-credential-test"
printf '{"credsStore":"test"}' >"$work/docker/config.json"
n=6
DOCKER_CONFIG=$work/docker PATH=$work/bin:$PATH pull "127.0.0.1:$port2/private:1"
is 'with a credential helper' 0 "$status"

# TLS
port3=$((port + 2))
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/log"
registry "$port3" "  tls: { certificate: $work/cert.pem, key: $work/key.pem }"
sleep 0.5
skopeo copy -q --dest-tls-verify=false "$image" "docker://127.0.0.1:$port3/tls:1" >"$work/log" 2>&1
ok $? 'skopeo pushes to a registry with TLS'
n=7
DOCKCC_TLS_CA=/etc/ssl/certs/ca-certificates.crt pull "127.0.0.1:$port3/tls:1"
is 'an unknown root is refused' no "$([ "$status" -eq 0 ] && echo yes || echo no)"
DOCKCC_TLS_CA=$work/cert.pem pull "127.0.0.1:$port3/tls:1"
is 'with its root it is taken' 0 "$status"
finish
