#!/bin/sh
# The word language in emitted scripts: every expansion is worked out by the compiler when the variables are static and by
# the script, in every shell, when they are build arguments; both must say what the table says.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034,SC2016
. "$(dirname "$0")/lib.sh"
base busybox

# word TAB result, on one line each; in a word \n is a line break; V=hello E= P=/a/b/c.tar.gz S="a b  c" Q=it's STAR=* U unset
table() {
	cat <<'END'
$V	hello
${V}x	hellox
"$S"	a b  c
'$V'	$V
\$V	$V
${U}	
${U:-d}	d
${E:-d}	d
${E-d}	
${U-d}	d
${V:+d}	d
${E:+d}	
${E+d}	d
${U+d}	
${U:-$V}	hello
${U:-${V}x}	hellox
${U:-'$V'}	$V
${U:-a\}b}	a}b
"${U:-a b}"	a b
"${U:-"a'b"}"	a'b
${U:-${U:-${E:-deep}}}	deep
${V:?err}	hello
${P#*/}	a/b/c.tar.gz
${P##*/}	c.tar.gz
${P%.*}	/a/b/c.tar
${P%%.*}	/a/b/c
${P#?a}	/b/c.tar.gz
${P/a/X}	/X/b/c.tar.gz
${P//\//-}	-a-b-c.tar.gz
${P//[abc]/Z}	/a/b/c.tar.gz
${V//l/L}	heLLo
${V/l*/X}	heX
"${S// /_}"	a_b__c
${V/$U/x}	xhello
${P#$V}	/a/b/c.tar.gz
${P#"/a"}	/b/c.tar.gz
${Q}	it's
${Q/\*/x}	it's
${Q#*'}	ERROR
"${Q%"'s"}"	it
$$	
$1x	x
é${V}ü	éhelloü
`x`	`x`
a\\b	a\b
"\a\""	\a"
~	~
a#b	a#b
-n	-n
%s	%s
\;\&\|	;&|
${V}	hello
"$V"	hello
"\$V"	$V
$U	
x${U}y	xy
${V:-d}	hello
${U:+d}	
${U:-"qq"}	qq
${V?err}	hello
${P%/*}	/a/b
${P#/a}	/b/c.tar.gz
${P#zzz}	/a/b/c.tar.gz
${P%c.tar.gz}	/a/b/
${P/b/}	/a//c.tar.gz
${V/l?/X}	heXo
${V//h*l/X}	Xo
${P/\//-}	-a/b/c.tar.gz
${V%l*}	hel
${V%%l*}	he
${V#*l}	lo
${V##*l}	o
${STAR#\*}	
${V/#h/X}	hello
${V/%o/X}	hello
$	$
a$	a$
$1	
$12x	x
$?x	x
$@	
${1}	
$V$V	hellohello
$Vx	
$V-x	hello-x
\a\b	ab
'it'	it
"it's"	it's
a'b c'd	ab cd
a"b c"d	ab cd
a\ b	a b
""	
''	
"a\\b"	a\b
'a\b'	a\b
<<X	<<X
a<b	a<b
#x	#x
$É	
${P#'/a'}	/b/c.tar.gz
${P#${U}}	/a/b/c.tar.gz
${V/h/$P}	/a/b/c.tar.gzello
${V/h/"q"}	qello
${V:?}	hello
${E?ok}	
END
}

# One label a row; rows that have to fail are tried alone.
{
	printf 'FROM busybox\nARG V\nARG E\nARG P\nARG S\nARG Q\nARG STAR\n'
	table | while IFS='	' read -r word result; do
		[ "$result" = ERROR ] || printf 'LABEL w=%s\n' "$word"
	done | awk '{ sub(/^LABEL w=/, "LABEL w" NR "="); print }'
} >"$work/Dockerfile"
table | sed '/	ERROR$/d; s/.*	//' >"$work/want"

# check SHELL SCRIPT TEXT ARGUMENT...
check() {
	shell=$1 script=$2 text=$3
	shift 3
	# shellcheck disable=SC2086
	$shell "$script" --store "$work/store" $contexts "$@" -o "oci:$work/out" >"$work/log" 2>&1 &&
		"${DOCKCC_BUILD:-$source/build}/dockcc-rt" version >/dev/null &&
		config=$(jq -r .manifests[0].digest "$work/out/index.json" | cut -d : -f 2) &&
		config=$(jq -r .config.digest "$work/out/blobs/sha256/$config" | cut -d : -f 2) &&
		jq -r '.config.Labels | to_entries | sort_by(.key[1:] | tonumber) | .[].value' "$work/out/blobs/sha256/$config" >"$work/got"
	cmp -s "$work/want" "$work/got"
	same=$?
	ok "$same" "$text"
	if [ "$same" -ne 0 ]; then
		tail -n 5 "$work/log" | sed 's/^/# /'
		diff "$work/want" "$work/got" | sed 's/^/# /' | head -n 20
	fi
	rm -rf "$work/out" "$work/got"
}

set -- --build-arg V=hello --build-arg E= --build-arg P=/a/b/c.tar.gz --build-arg 'S=a b  c' --build-arg "Q=it's" --build-arg 'STAR=*'
"$dockcc" compile --freeze "$@" -o "$work/static.sh" "$work"
ok $? 'the frozen script is compiled'
check sh "$work/static.sh" 'values worked out by the compiler'
"$dockcc" compile -o "$work/dynamic.sh" "$work"
ok $? 'the script with parameters is compiled'
shells >"$work/shells"
while read -r shell; do
	check "$shell" "$work/dynamic.sh" "values worked out under $shell" "$@"
done <"$work/shells"

# words that nothing can expand are refused by the compiler, at the word
malformed() {
	cat <<'END'
${
${}
${:x}
${{V}}
${V
${V:x}
${V^}
${V:#h}
"abc
'abc
${V/a}
${V/a/b
${V@Q}
${V!x}
${#V}
${V:0:2}
${V=x}
${V:=x}
${U:-"x}
${P#\a}
${U:-a b}
END
}
malformed >"$work/words"
while IFS= read -r word; do
	printf 'FROM scratch\nARG V\nARG P\nENV x=%s\n' "$word" >"$work/Dockerfile"
	"$dockcc" compile -o "$work/none.sh" "$work" >"$work/log" 2>&1
	is "$word is refused" "1 Dockerfile:4:" "$? $(grep -o 'Dockerfile:4:' "$work/log" | head -n 1)"
done <"$work/words"

# a variable that must have a value and can have none is an error of the compiler; with an ARG the script finds out
for word in '${U?}' '${U:?custom msg}'; do
	printf 'FROM scratch\nENV x="%s"\n' "$word" >"$work/Dockerfile"
	"$dockcc" compile -o "$work/none.sh" "$work" >"$work/log" 2>&1
	is "$word without a value is refused" '1 Dockerfile:2:' "$? $(grep -o 'Dockerfile:2:' "$work/log" | head -n 1)"
done
grep -q 'U: custom msg' "$work/log"
ok $? 'with the words of the file'
printf 'FROM scratch\nARG E\nENV x=${E:?}\n' >"$work/Dockerfile"
"$dockcc" compile -o "$work/empty.sh" "$work"
while read -r shell; do
	# shellcheck disable=SC2086
	$shell "$work/empty.sh" --store "$work/store" --build-arg E= -o "$work/none" >"$work/log" 2>&1
	is "\${E:?} of an empty argument under $shell" '64 Dockerfile:3: E:' "$? $(grep -o 'Dockerfile:3: E:' "$work/log")"
done <"$work/shells"

# what has to fail does so before anything runs, with the line
printf 'FROM busybox\nARG V\nRUN touch /ran\nLABEL x=${V:?"has no value"}\n' >"$work/Dockerfile"
"$dockcc" compile -o "$work/require.sh" "$work"
while read -r shell; do
	# shellcheck disable=SC2086
	$shell "$work/require.sh" --store "$work/store" $contexts -o "$work/none" >"$work/log" 2>&1
	is "a required variable stops the script under $shell" '64 Dockerfile:4: V: has no value' \
		"$? $(grep -o 'Dockerfile:4: V: has no value' "$work/log")"
	grep -q touch "$work/log" && ok 1 'nothing has run'
done <"$work/shells"
finish
