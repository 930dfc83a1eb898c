#!/bin/sh
# Fuzzes the compiler with libFuzzer under ASan and UBSan.  TAP.
# usage: run.sh [SECONDS]      20 by default; the corpus is kept in $FUZZ_CORPUS when that is set
# The seeds are the golden Dockerfiles and those of tests/fuzz/found, which crashed it once.
. "$(dirname "$0")/../lib.sh"
command -v clang >/dev/null || { echo '1..0 # SKIP clang is not installed'; exit 0; }

build=${DOCKCC_BUILD:-$source/build}
corpus=${FUZZ_CORPUS:-$work/corpus}
mkdir -p "$corpus"
for file in "$source"/golden/*/Dockerfile "$source"/tests/fuzz/found/*; do
	[ ! -f "$file" ] || { printf 1; cat "$file"; } >"$corpus/$(echo "$file" | sha256sum | cut -c 1-16)"
done
files=$(find "$source/src" -name '*.c' ! -path '*/cli/*' ! -name embed_gen.c)
runtime=
for file in pattern sha256 expand rt ignore glob path json; do runtime="$runtime $source/runtime/$file.c"; done
# shellcheck disable=SC2086
clang -g -O1 -w -D_GNU_SOURCE '-DDOCKCC_VERSION="fuzz"' -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-I "$source/src" -I "$source/grammar" -I "$build" "$source/tests/fuzz/front.c" $files $runtime \
	"$build"/dockerfile.tab.c "$build"/dockerfile.lex.c "$build"/word.tab.c "$build"/word.lex.c "$build"/shell.tab.c "$build"/shell.lex.c \
	-ltalloc -o "$work/front" >"$work/log" 2>&1
ok $? 'the target is built'
sed 's/^/# /' "$work/log" | tail -n 5
printf 'FROM\nRUN\nCOPY\nADD\nARG\nENV\n' | sed 's/.*/"&"/' >"$work/dict"
printf '"%s"\n' '--from=' '--mount=type=' 'cache' 'bind' 'secret' '<<EOF' '${' ':-' '##' '\\\\\\x0a' '# escape=`\\x0a' ' AS ' 'ONBUILD' 'HEALTHCHECK' \
	'&& ' '| ' '$(' 'case x in a) b;; esac' 'if a; then b; fi' 'apt-get install' '# hadolint ignore=' '# check=skip=' \
	'LABEL' 'EXPOSE' 'SHELL' '["' '"]' 'CMD' 'USER' 'VOLUME' '--chmod=' '--platform=' >>"$work/dict"
(cd "$work" && ASAN_OPTIONS=quarantine_size_mb=16 ./front -dict="$work/dict" -max_total_time="${1:-20}" -timeout=10 -rss_limit_mb=2000 -malloc_limit_mb=300 -max_len=4096 -print_final_stats=1 "$corpus") >"$work/log" 2>&1
status=$?
ok "$status" "${1:-20} seconds without a finding: $(grep -o 'number_of_executed_units: .*' "$work/log" | tr -s ' ')"
if [ "$status" -ne 0 ]; then
	tail -n 40 "$work/log" | sed 's/^/# /'
	for file in "$work"/crash-* "$work"/timeout-* "$work"/oom-* "$work"/leak-*; do
		[ ! -f "$file" ] || { echo "# the input, base64:"; base64 "$file" | sed 's/^/# /'; }
	done
fi
finish
