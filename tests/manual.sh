#!/bin/sh
# The manual says what the programs take, all of it and nothing else.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2013
. "$(dirname "$0")/lib.sh"
docs=$source/docs

# same WHAT WANT GOT: two lists, one name a line, in any order
same() {
	sort -u "$2" >"$work/want"
	sort -u "$3" >"$work/got"
	diff "$work/want" "$work/got" >"$work/diff"
	ok $? "$1"
	sed 's/^/# /' "$work/diff"
}

# section PAGE FIRST LAST: from one heading to the line before another
section() { sed -n "/^# $2\$/,/^# $3\$/p" "$docs/$1.scd"; }
# options: the long and short options that begin a paragraph of a page, names without dashes
options() { grep '^\*-' | grep -o '\*-[^*]*\*' | sed 's/^\*--*//; s/[=*].*//; s/\*$//'; }

# ---- pages -------------------------------------------------------------------------------------------
for page in "$docs"/*.scd; do
	name=${page##*/} name=${name%.scd}
	if ! command -v scdoc >/dev/null; then
		skip 'scdoc is not installed'
		break
	fi
	scdoc <"$page" >"$work/$name"
	ok $? "$name is a page"
	is "$name: its name and section" "$(sed -n 1p "$page")" "${name%.*}(${name##*.})"
	if command -v man >/dev/null; then
		is "$name: it is shown without complaints" '' "$(MANWIDTH=80 man -l --warnings "$work/$name" 2>&1 >/dev/null)"
	else
		skip 'man is not installed'
	fi
	# what a page refers to is there
	for other in $(sed -n '/^# SEE ALSO/,$p' "$page" | grep -o '\*[a-z.-]*\*([0-9])' | sed 's/\*//g; s/(\([0-9]\))/.\1/'); do
		[ -f "$docs/$other.scd" ]
		ok $? "$name refers to $other"
	done
done

# ---- dockcc(1): options.def, both ways ------------------------------------------------------------------
sed -n "s/^OPTION([a-z_]*, \"\([a-z-]*\)\", \(0\|'\(.\)'\),.*/\1\n\3/p" "$source/src/cli/options.def" | grep . >"$work/table"
section dockcc.1 'OPTIONS OF COMPILE AND BUILD' 'EXIT STATUS' | options >"$work/page"
same 'dockcc(1) has every option of the table and no other' "$work/table" "$work/page"
for command in build compile check fmt; do "$dockcc" "$command" --help; done >"$work/help"
"$dockcc" lock --help >>"$work/help"
grep -o '^  \(-.,\|   \) --[a-z-]*' "$work/help" | sed 's/^ *\(-\(.\),\)* *--\(.*\)/\3\n\2/' | grep . >"$work/shown"
same 'and so has --help' "$work/table" "$work/shown"
for command in compile build lock check fmt; do
	grep -q "^\*dockcc\* \[\*$command\*\]\|^\*dockcc $command\*" "$docs/dockcc.1.scd"
	ok $? "dockcc(1) has the command $command"
done

# ---- dockcc-script(7): what a script takes ----------------------------------------------------------------
printf 'FROM scratch\n' >"$work/Dockerfile"
"$dockcc" compile -o "$work/build.sh" "$work"
HOME=$work XDG_CACHE_HOME=$work/cache sh "$work/build.sh" --help | sed -n '/^$/,$p' | grep -o '\(^\|[ ,]\)--*[a-z][a-z-]*' | sed 's/^[ ,]*-*//' >"$work/usage"
section dockcc-script.7 OPTIONS PROGRESS | options >"$work/page"
same 'dockcc-script(7) has every option that --help shows and no other' "$work/usage" "$work/page"
while read -r option; do
	case $option in
	?) dashed=-$option ;;
	*) dashed=--$option ;;
	esac
	case $option in
	h | help | n | list | dry-run | shell*) continue ;;
	esac
	# each is known: what is wrong then is its value, or nothing
	HOME=$work XDG_CACHE_HOME=$work/cache sh "$work/build.sh" --list "$dashed" x=y >"$work/log" 2>&1
	! grep -q 'there is no option\|is unknown' "$work/log"
	ok $? "a script knows $dashed"
done <"$work/page"

# ---- environment ----------------------------------------------------------------------------------------------
# what is read of the environment is told; PATH is given a known value
grep -oh 'getenv("[A-Z_]*")' "$source"/runtime/*.c | sed 's/getenv("//; s/")//' | grep -v '^PATH$\|^GIT_SSH\|^TMPDIR$' >"$work/read"
sed -n '/^# ENVIRONMENT/,/^# [^E]/p' "$docs/dockcc-script.7.scd" "$docs/dockcc-registries.5.scd" | grep -o '\*[A-Z_]*\*' | tr -d '*' >"$work/told"
sort -u "$work/read" >"$work/want"
sort -u "$work/told" >"$work/got"
is 'every variable that the helper reads is told' '' "$(comm -23 "$work/want" "$work/got" | tr '\n' ' ')"

# ---- exit statuses -----------------------------------------------------------------------------------------------
for status in $(sed -n 's/^	RT_[A-Z]* = \([0-9]*\),.*/\1/p' "$source/runtime/rt.h"); do
	grep -q "\*$status\*" "$docs/dockcc-script.7.scd"
	ok $? "dockcc-script(7) has the status $status"
done
for status in $(sed -n '/^enum.*EXIT_/s/[^0-9]*\([0-9]*\)/\1 /gp' "$source/src/cli/options.h"); do
	sed -n '/^# EXIT STATUS/,$p' "$docs/dockcc.1.scd" | grep -q "^\*$status\*"
	ok $? "dockcc(1) has the status $status"
done

# ---- dockcc-rt(1): verbs, and what build takes --------------------------------------------------------------------
sed -n 's/^	X("\([a-z-]*\)".*/\1/p' "$source/runtime/verbs.h" >"$work/verbs"
grep -o '\*dockcc-rt [a-z-]*\*' "$docs/dockcc-rt.1.scd" | sed 's/\*dockcc-rt //; s/\*//' | grep -v '^help$' >"$work/page"
same 'dockcc-rt(1) has every verb and no other' "$work/verbs" "$work/page"
sed -n '/^build_option(/,/^}/p' "$source/runtime/build.c" | grep -o '"--[a-z-]*' | sed 's/"--//' | sort -u >"$work/taken"
cat "$docs/dockcc-rt.1.scd" "$docs/dockcc-script.7.scd" | grep -o '\*--[a-z-]*' | sed 's/\*--//' | sort -u >"$work/told"
is 'every option of dockcc-rt build is told' '' "$(comm -23 "$work/taken" "$work/told" | tr '\n' ' ')"
finish
