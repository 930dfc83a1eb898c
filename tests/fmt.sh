#!/bin/sh
# dockcc fmt: one layout, the same meaning, twice is once.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

# same TEXT FILE WANT: both with \n for line breaks
same() {
	printf "$2" >"$work/in"
	printf "$3" >"$work/want"
	"$dockcc" fmt "$work/in" >"$work/out" 2>&1
	cmp -s "$work/want" "$work/out"
	ok $? "$1"
	diff "$work/want" "$work/out" | sed 's/^/# /'
	"$dockcc" compile --emit=ast -f "$work/in" -o - | sed 's/"line_[a-z]*":[0-9]*,*//g' >"$work/before"
	"$dockcc" compile --emit=ast -f "$work/out" -o - | sed 's/"line_[a-z]*":[0-9]*,*//g' >"$work/after"
	cmp -s "$work/before" "$work/after"
	ok $? "$1: the same tree"
	"$dockcc" fmt --check "$work/out"
	ok $? "$1: nothing is left to do"
}

same 'keywords and blanks' 'from   a   as b\n\trun  x  y\n' 'FROM a   AS b\nRUN x  y\n'
same 'blank lines' '\n\nFROM a\n\n\n\nRUN x\n\n' 'FROM a\n\nRUN x\n'
same 'continuations' 'FROM a\nRUN x \\  \n\n   && y \\\n# c\n   z  \n' 'FROM a\nRUN x \\\n   && y \\\n# c\n   z\n'
same 'comments' 'FROM a\n   # one  \nRUN x # y\n' 'FROM a\n# one\nRUN x # y\n'
same 'a comment that would become a directive' '  # syntax=x\nFROM a\n' '  # syntax=x\nFROM a\n'
same 'a comment behind a blank line that would become a directive' '\n\n# syntax=x\nFROM a\n' '\n# syntax=x\nFROM a\n'
same 'a comment behind a blank line' '\n# x\nFROM a\n' '# x\nFROM a\n'
same 'a continuation in front of the keyword' 'FROM a\n\t\\\t\nrun x\n\\\nRUN\\\n y\n' 'FROM a\n\t\\\nrun x\n\\\nRUN\\\n y\n'
same 'a continuation in the keyword' 'FROM a\nru\\\nn x\n' 'FROM a\nru\\\nn x\n'
same 'a byte order mark' '\357\273\277from a\n' 'FROM a\n'
same 'here-documents stay' 'FROM a\nrun <<E\n  echo  \n\n\ty\t\nE\ncmd ["x"]\n' 'FROM a\nRUN <<E\n  echo  \n\n\ty\t\nE\nCMD ["x"]\n'
same 'CRLF' 'FROM a\r\nRUN x\r\n' 'FROM a\nRUN x\n'
same 'the escape directive' '# escape=`\nfrom a\nrun x `\n  y\n' '# escape=`\nFROM a\nRUN x `\n  y\n'
same 'ONBUILD' 'FROM a\nonbuild   run  x\n' 'FROM a\nONBUILD run  x\n'
same 'blanks at the end of a trigger' 'FROM a\nonbuild run x \nonbuild run x \\ \n  y \n' 'FROM a\nONBUILD run x \nONBUILD run x \\\n  y \n'
same 'no line break at the end' 'FROM a\nRUN x' 'FROM a\nRUN x\n'
printf 'from a\n' >"$work/in"
"$dockcc" fmt --check "$work/in" 2>"$work/log"
is 'a file that would change' 1 $?
is 'the difference' '-from a +FROM a' "$("$dockcc" fmt --diff "$work/in" | grep '^[-+][fF]' | tr '\n' ' ' | sed 's/ $//')"
is 'a difference is no failure' 0 $?
chmod 640 "$work/in"
ln -s in "$work/link"
"$dockcc" fmt --write "$work/link"
is 'written back' 'FROM a' "$(cat "$work/in")"
is 'the mode stays, and so does a link' '640 symbolic link' "$(stat -c %a "$work/in") $(stat -c %F "$work/link")"
printf 'from a\n\n\n\nrun \\\n  x  \ncmd y\n# c\n\n\n' >"$work/in"
"$dockcc" fmt "$work/in" >"$work/want"
cp "$work/in" "$work/Dockerfile"
(cd "$work" && "$dockcc" fmt --diff Dockerfile >changes)
(cd "$work" && timeout 10 patch -t -s -p1 <changes >log 2>&1)
cmp -s "$work/Dockerfile" "$work/want"
ok $? 'patch makes of the difference what --write makes'
is 'nothing to show' '' "$("$dockcc" fmt --diff "$work/want")"
printf 'FROM a\nRUM x\n' >"$work/in"
"$dockcc" fmt "$work/in" >"$work/out" 2>&1
is 'a file with an error stays' 1 $?
for file in "$source"/golden/*/Dockerfile "$source"/tests/e2e/*/Dockerfile; do
	"$dockcc" compile --emit=ast -f "$file" -o "$work/a" 2>"$work/log" || continue
	# the AST of a NUL byte can be shown, but the file cannot be compiled
	case $file in */error-nul/*) continue ;; *) ;; esac
	"$dockcc" fmt "$file" >"$work/out"
	"$dockcc" compile --emit=ast -f "$work/out" -o "$work/b"
	sed -i 's/"line_[a-z]*":[0-9]*,*//g' "$work/a" "$work/b"
	cmp -s "$work/a" "$work/b"
	ok $? "the same tree: ${file#"$source"/}"
done
finish
