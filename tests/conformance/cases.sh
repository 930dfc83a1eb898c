# What both builders of the cases share; `run` says what a file of cases looks like.
# what they set: here, work
# shellcheck shell=sh disable=SC2154,SC1091,SC2317

# split FAMILY: its cases below $work/FAMILY, in order in $work/FAMILY/order
split() {
	mkdir -p "$work/$1"
	awk -v out="$work/$1" '
		/^## / {
			dir = out "/" $2; what = $0; sub(/^## +[^ ]+ */, "", what)
			system("mkdir -p " dir "/ctx"); print $2 >(out "/order"); print what >(dir "/what"); part = "head"; next
		}
		part == "head" && /^---$/ { part = "file"; printf "" >(dir "/Dockerfile"); next }
		part == "head" && /^run: / { print substr($0, 6) >(dir "/run"); next }
		part == "head" && /^base: / { print substr($0, 7) >(dir "/base"); next }
		part == "head" && /^compile: / { print substr($0, 10) >(dir "/compile"); next }
		part == "head" && /^ctx: ?/ { sub(/^ctx: ?/, ""); print >(dir "/make"); next }
		part == "head" && /^\t/ { print substr($0, 2) >(dir "/make"); next }
		part == "file" { print >(dir "/Dockerfile") }
	' "$here/cases/$1"
}

# context DIR: the build context of the case in DIR
context() {
	mkdir -p "$1"
	[ ! -f Dockerfile ] || cp Dockerfile "$1/Dockerfile"
	if [ -f make ]; then
		(
			tar() { command tar "$@" --mtime=@1000000000; }
			cd "$1" && . ../make
		) || exit 1
	fi
	find "$1" -exec touch -h -d @1234567890 {} +
}
