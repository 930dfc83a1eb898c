#!/bin/sh
# The emitted text: golden/NAME/ holds a Dockerfile, perhaps `options`, and in want/ the script (without the payload), what
# went to standard error and the status.  ACCEPT=1 writes want/ anew: read the difference before you commit it.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

for case in "$source"/golden/*/; do
	name=$(basename "$case")
	# those are the cases of findings.sh
	case $name in check-*) continue ;; *) ;; esac
	got=$work/$name
	mkdir "$got"
	options=
	[ ! -f "$case/options" ] || options=$(cat "$case/options")
	# shellcheck disable=SC2086
	(cd "$case" && "$dockcc" compile --runtime=path $options . >"$got/out" 2>"$got/stderr")
	echo $? >"$got/status"
	# the version and the prelude are the same everywhere: one case shows them
	if [ "$name" != whole-script ] && head -n 1 "$got/out" | grep -q '^#!/bin/sh'; then
		sed -i '/^# ---- prelude/,/^# ---- arguments before/{/^# ---- arguments before/!d}; s/^# dockcc [0-9.]* /# dockcc /' "$got/out"
	fi
	if [ -n "${ACCEPT:-}" ]; then
		mkdir -p "$case/want"
		cp "$got"/* "$case/want"
	fi
	diff -Nru "$case/want" "$got" >"$work/diff"
	same=$?
	ok "$same" "$name"
	if [ "$same" -ne 0 ]; then sed 's/^/# /' "$work/diff" | head -n 60; fi
done
finish
