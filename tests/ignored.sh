#!/bin/sh
# The ignore file in emitted scripts, under every shell: what COPY . /o brings of a small tree; in a list of patterns \n is a
# line break and \\ a backslash.  The language itself: tests/unit/test_ignore.c.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

table() {
	cat <<'END'
a\n	README.md b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
/a\n**/b.txt\n	README.md d/a d/e/a d/e/c.md x/y/z
**/a\n!d/a\n	README.md b.txt d/a d/b.txt d/e/c.md x/y/z
*\n!d/e\n	d/e/a d/e/c.md
d\n!d/e/a\n	README.md a b.txt d/e/a x/y/z
*.md\n!README.md\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
!README.md\n*.md\n	a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
  a  \n#b.txt\n # x\nd/\n./x/../b.txt\n	README.md x/y/z
d/**\n!d/e/**\n	README.md a b.txt d/e/a d/e/c.md x/y/z
**\n!**/a\n	a d/a d/e/a
?\nd/?.txt\n[d]/e\n	README.md b.txt
Dockerfile\n.dockerignore\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
**/e\n	README.md a b.txt d/a d/b.txt x/y/z
d/*/a\n	README.md a b.txt d/a d/b.txt d/e/c.md x/y/z
\\a\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
!\n	ERROR
[\n	ERROR
.\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
/\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
..\n../a\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
a*\n!a\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
d/e/../a\n	README.md a b.txt d/b.txt d/e/a d/e/c.md x/y/z
**/*.md\n!**/c.md\nd/e/c*\n	a b.txt d/a d/b.txt d/e/a x/y/z
a/\nx/*\n	README.md b.txt d/a d/b.txt d/e/a d/e/c.md
e\n	README.md a b.txt d/a d/b.txt d/e/a d/e/c.md x/y/z
d*\n	README.md a b.txt x/y/z
END
}

mkdir -p "$work/tree/d/e" "$work/tree/x/y"
for file in a b.txt d/a d/b.txt d/e/a d/e/c.md README.md x/y/z; do echo "$file" >"$work/tree/$file"; done
printf 'FROM scratch\nCOPY . /o\n' >"$work/tree/Dockerfile"
"$dockcc" compile -o "$work/build.sh" "$work/tree"
ok $? 'the script is compiled'

# result SHELL: what the image holds, or ERROR when the script says which line of the ignore file is wrong
result() {
	# shellcheck disable=SC2086
	if $1 "$work/build.sh" --store "$work/store" --context "$work/tree" -o "type=tar,dest=$work/out.tar" >"$work/log" 2>&1; then
		tar tf "$work/out.tar" | sed -n '/\/$/!s|^o/||p' | grep -vx 'Dockerfile\|\.dockerignore' | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//'
	else
		sed -n 's/.*the ignore file: line 1: .*/ERROR/p' "$work/log" | head -n 1
	fi
}

shells >"$work/shells"
while read -r shell; do
	bad=0 rows=0
	table >"$work/table"
	while IFS='	' read -r patterns want; do
		printf '%b' "$patterns" >"$work/tree/.dockerignore"
		got=$(result "$shell")
		rows=$((rows + 1))
		[ "$got" = "$want" ] && continue
		bad=1
		printf '# %s\n# want %s\n# got  %s\n' "$patterns" "$want" "$got"
		tail -n 3 "$work/log" | sed 's/^/# /'
	done <"$work/table"
	[ "$rows" -gt 20 ] || bad=1
	ok "$bad" "$rows lists of patterns under $shell"
done <"$work/shells"
finish
