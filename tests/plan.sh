#!/bin/sh
# The plan that a script prints, in every shell: a stand-in for the runtime writes it down instead of carrying it out.
# Nothing but the Dockerfile and the options may have a say in it.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

REAL=${DOCKCC_RT:-${DOCKCC_BUILD:-$source/build}/dockcc-rt}
DOCKCC_RT=$work/rt PLAN=$work/plan
export REAL DOCKCC_RT PLAN
cat >"$work/rt" <<'END'
#!/bin/sh
case $1 in
build)
	printf '%s\n' "$@" >"$PLAN.options"
	exec cat >"$PLAN" ;;
image-env) exit 1 ;;
*) exec "$REAL" "$@" ;;
esac
END
chmod +x "$work/rt"
shells >"$work/shells"

# compile ARGUMENT...: $work/Dockerfile from standard input
compile() {
	cat >"$work/Dockerfile"
	"$dockcc" compile --runtime=path -o "$work/build.sh" "$@" "$work" >"$work/log" 2>&1
	ok $? "it compiles${*:+ with $*}"
}

# fields PATTERN: the fields of the plan that match, one a line
fields() { tr '\0' '\n' <"$PLAN" | grep -- "$1"; }

# ---- what the caller's environment holds ------------------------------------------------------
for level in 0 1; do
	compile "-O$level" <<'END'
FROM scratch
ARG V
ARG A
ARG B
LABEL x=${NOPE:-$V} y=${NOPE#$V} z=$A
RUN ["x"]
END
	while read -r shell; do
		# shellcheck disable=SC2086
		env unset=evil never=evil A=evil b_A=evil d_A=evil d0_A=evil d0_B=evil d0_NOPE=evil t1=evil t2=evil r=evil \
			$shell "$work/build.sh" --build-arg V=v >"$work/log" 2>&1
		is "$shell -O$level: no value comes from the environment" '0 0 --label=x=v' \
			"$? $(fields evil | wc -l) $(fields '^--label')"
	done <"$work/shells"
done

# A bare --build-arg takes the caller's value, also of a name that the script itself uses; no shell lets IFS in.  The
# names are read from a script, so that a new variable of it cannot be forgotten.
own=$(sed -n 's/;/\n/g; p' "$work/build.sh" |
	sed -n 's/^ *\([A-Za-z_][A-Za-z_]*\)=.*/\1/p; s/^ *for \([a-z]*\) in .*/\1/p; s/^.*[ )]\([a-z]*\)=.*/\1/p' |
	sort -u | grep -v '^IFS$\|^sum$\|^[bde][0-9]*_\|^[xyz]$')
{
	echo 'FROM scratch'
	for each in $own; do echo "ARG $each"; done
	echo 'RUN ["x"]'
} >"$work/own"
compile <"$work/own"
want=$(for each in $own; do echo "$each=mine"; done)
set --
for each in $own; do set -- "$@" --build-arg "$each"; done
while read -r shell; do
	path=$(command -v "${shell%% *}") applet=${shell#"${shell%% *}"}
	(
		for each in $own; do export "$each=mine"; done
		# shellcheck disable=SC2086
		exec "$path" $applet "$work/build.sh" "$@"
	) >"$work/log" 2>&1
	is "$shell: the caller's value of $(echo "$own" | wc -l) names" "$want" "$(fields '=mine$')"
done <"$work/shells"

# ---- size, options ------------------------------------------------------------------------------
{
	printf 'FROM scratch\nARG V\nCOPY <<END /f\n'
	awk 'BEGIN { for (i = 0; i < 4000; i++) printf "%064d\n", i }'
	printf '%s\nEND\n' "\$V"
} >"$work/big"
compile <"$work/big"
while read -r shell; do
	# shellcheck disable=SC2086
	$shell "$work/build.sh" --build-arg V=v >"$work/log" 2>&1
	is "$shell: a word of 260 KB" '0 4000 v end' "$? $(fields '[0-9]\{64\}$' | wc -l) $(fields '^v$') $(fields . | tail -n 1)"
done <"$work/shells"

compile <<'END'
FROM scratch AS One
ARG A=d
ENV x=$A
FROM scratch
COPY --from=one / /
END
cat >"$work/want" <<'END'
build
--script=build.sh
--context=c d
--store=/s t
--target=one
--tag=x y
--tag=z
--tag=
--output=oci:d  e
--output=type=tar,dest=*
--jobs=3
--no-cache
--secret=id=a,src=$(x)
--dry-run
--build-arg=A=a  b
c
END
while read -r shell; do
	# shellcheck disable=SC2086,SC2016
	$shell "$work/build.sh" -t 'x y' -tz --tag= -o 'oci:d  e' --output='type=tar,dest=*' -j3 --no-cache --secret 'id=a,src=$(x)' \
		--target ONE --context 'c d' --store='/s t' -n --build-arg 'A=a  b
c' >"$work/log" 2>&1
	status=$?
	grep -v '^--dockerfile=' "$PLAN.options" | cmp -s "$work/want" -
	is "$shell: options arrive as they are" '0 0' "$status $?"
	for wrong in --bogus '--bogus x' --bogus=1 word --tag -j '--build-context x'; do
		rm -f "$PLAN"
		# shellcheck disable=SC2086
		$shell "$work/build.sh" $wrong >"$work/log" 2>&1
		is "$shell: $wrong" '64 build.sh: failed step=- line=- status=64 kind=usage no plan' \
			"$? $(tail -n 1 "$work/log") $([ -e "$PLAN" ] || echo no plan)"
	done
	# shellcheck disable=SC2086
	$shell "$work/build.sh" --target nowhere >"$work/log" 2>&1
	is "$shell: a plan that stops has no end" 0 "$(fields '^end$' | wc -l)"
done <"$work/shells"

# ---- where the runtime is unpacked to -------------------------------------------------------------
"$dockcc" compile -o "$work/embed.sh" "$work"
while read -r shell; do
	# shellcheck disable=SC2086
	env -u DOCKCC_RT HOME= XDG_CACHE_HOME= $shell "$work/embed.sh" --list --store "$work/s" >"$work/log" 2>&1
	is "$shell: without a place of its own nothing is unpacked" '69 embed.sh: failed step=- line=- status=69 kind=mode' \
		"$? $(tail -n 1 "$work/log")"
done <"$work/shells"
finish
