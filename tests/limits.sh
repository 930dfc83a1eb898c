#!/bin/sh
# Large files: four times as much takes about four times as long, in memory that is bounded; or an error names the limit.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034,SC2016,SC3045
. "$(dirname "$0")/lib.sh"
mkdir "$work/context"

# spent: the milliseconds of processor time that children took so far, in $ms
spent() {
	times >"$work/times"
	ms=$(awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); sum += (t[1] * 60 + t[2]) * 1000 } print int(sum) }' "$work/times")
}

# run COMMAND FILE: status in $status; more than 4 GiB or a minute is a failure
run() {
	(
		ulimit -v 4194304
		case $1 in
		ast) exec timeout 60 "$dockcc" compile --emit=ast -f "$2" -o "$work/out" ;;
		script) exec timeout 60 "$dockcc" compile --runtime=path -f "$2" -o "$work/out.sh" "$work/context" ;;
		make) exec timeout 60 "$dockcc" compile --runtime=path -f "$2" -o "$work/out.mk" "$work/context" ;;
		check) exec timeout 60 "$dockcc" check --shellcheck=never -Wall --format=gcc "$2" ;;
		fmt) exec timeout 60 "$dockcc" fmt "$2" ;;
		esac
	) >"$work/stdout" 2>"$work/stderr"
	status=$?
}

# linear WHAT 'AWK PROGRAM WITH n' N COMMAND...: each command on N/4 and on N; commands end with 0, or with 5 for findings
linear() {
	what=$1 program=$2 n=$3
	shift 3
	awk -v n=$((n / 4)) "BEGIN { $program }" >"$work/small"
	awk -v n="$n" "BEGIN { $program }" >"$work/large"
	for command; do
		spent
		begin=$ms
		run "$command" "$work/small"
		spent
		small=$((ms - begin)) begin=$ms
		run "$command" "$work/large"
		spent
		large=$((ms - begin))
		# quadratic would be 16 times; what is short is not measured
		{ [ "$status" -eq 0 ] || [ "$status" -eq 5 ]; } && [ "$large" -lt $((small * 9 + 300)) ]
		ok $? "$what: $command"
		echo "# status $status, $small ms, then $large ms; $(head -n 1 "$work/stderr")"
	done
}

# refused WHAT TEXT COMMAND: the error of the file $work/large says TEXT
refused() {
	run "$3" "$work/large"
	is "$1: $3 refuses it" 1 "$status"
	grep -q "$2" "$work/stderr" "$work/stdout"
	ok $? "$1: $3 names the limit"
	[ "$(wc -c <"$work/stderr")" -lt 4000 ]
	ok $? "$1: $3 says it in short"
}

linear '100000 RUNs' 'print "FROM a"; for (i = 0; i < n; i++) print "RUN echo $(foo \"" i "\") && bar | baz"' 100000 ast script check fmt
linear '100000 ENVs, each of the one before' 'print "FROM a\nENV A0=1"; for (i = 1; i < n; i++) print "ENV A" i "=$A" i - 1' 100000 ast script check
linear '100000 ARGs, each of the one before' 'print "FROM a"; for (i = 1; i < n; i++) print "ARG A" i "=${A" i - 1 "}"' 100000 script check
linear '100000 global ARGs' 'for (i = 1; i < n; i++) print "ARG A" i "=${A" i - 1 "}"; print "FROM a"' 100000 script check
linear '100000 COPYs' 'print "FROM a"; for (i = 0; i < n; i++) print "COPY a" i ".tar /b" i' 100000 script check
linear '100000 steps that stay apart' 'print "FROM a"; for (i = 0; i < n / 2; i++) print "RUN x" i "\nWORKDIR /a" i' 100000 script
linear '100000 configurations' 'print "FROM a"; for (i = 0; i < n; i++) print "CMD [\"a" i "\"]\nLABEL a" i "=b"' 50000 script check
linear '10000 stages, each on the one before' 'print "FROM a AS s0"; for (i = 1; i < n; i++) print "FROM s" i - 1 " AS s" i "\nENV A" i "=$A" i - 1' 10000 ast script check
linear '10000 stages, all copied from' 'for (i = 0; i < n; i++) print "FROM a AS s" i "\nRUN x" i; print "FROM a"; for (i = 0; i < n; i++) print "COPY --from=s" i " /a /b"' 10000 script check
linear '10 MB in one instruction' 'print "FROM a"; printf "RUN "; for (i = 0; i < n / 100; i++) print "echo some words that fill the line \"$and a variable\" '"'quoted'"' && \\"; print "true"' 10000000 ast script check fmt
linear '10 MB of words' 'print "FROM a"; printf "COPY "; for (i = 0; i < n / 40; i++) printf "a/somewhat/longer/path/%09d.c \\\n", i; print "/x/"' 10000000 ast script check
linear '10 MB in a here-document' 'print "FROM a\nRUN <<E"; for (i = 0; i < n / 20; i++) print "echo nineteen bytes"; print "E"' 10000000 ast script check fmt
linear '10 MB of blank continuation lines' 'print "FROM a\nRUN a \\"; for (i = 0; i < n; i++) print ""; print "b"' 10000000 ast script fmt
linear '100000 mistakes' 'print "FROM a"; for (i = 0; i < n; i++) print "RUN apt-get install x" i " y; cd z; sudo q"' 100000 check

# nesting: JSON that is too deep is no JSON, and the shell's nesting is the shell's business
linear 'JSON 10000 deep' 'print "FROM a"; printf "RUN "; for (i = 0; i < n; i++) printf "["; print ""' 10000 ast script check fmt
for open in '(' '$(' '{ ' '\"$(' '\"${x:-' 'if ' 'case x in a) ' '$((' '<('; do
	linear "$open 10000 deep in RUN" "print \"FROM a\"; printf \"RUN \"; for (i = 0; i < n; i++) printf \"%s%s\", \"$open\", i % 1000 == 999 ? \"\\\\\\n\" : \"\"; print \"\"" 10000 script check
done
awk 'BEGIN { print "FROM a"; printf "USER "; for (i = 0; i < 10000; i++) printf "${a:-"; for (i = 0; i < 10000; i++) printf "}"; print "" }' >"$work/large"
refused '${} 10000 deep' 'deeper than 200 levels' script
refused '${} 10000 deep' 'deeper than 200 levels' check
awk 'BEGIN { print "FROM a"; printf "USER "; for (i = 0; i < 10000; i++) printf "${a:-\""; print "" }' >"$work/large"
refused '${ and quotes 10000 deep' 'deeper than 200 levels' script

awk 'BEGIN { print "FROM a"; printf "RUN "; for (i = 0; i < 1000000; i++) printf "0123456789"; print "" }' >"$work/large"
for command in ast script check fmt; do
	case $command in
	ast) run ast "$work/large"; is 'a line of 10 MB: the line of the error' '{"ok":false,"error_line":2}' "$(cat "$work/out")" ;;
	*) refused 'a line of 10 MB' 'the limit is 65535' "$command" ;;
	esac
done
awk 'BEGIN { print "FROM a\nENV a=0123456789"; for (i = 0; i < 40; i++) print "ENV a=$a$a"; print "USER $a" }' >"$work/large"
refused 'values that double' 'more than 1 MiB' script
awk 'BEGIN { print "FROM a\nENV a=0123456789"; for (i = 0; i < 16; i++) print "ENV a=$a$a"; for (i = 0; i < 3000; i++) print "ENV b" i "=$a" }' >"$work/large"
refused 'one large value in 3000 variables' '64 MiB altogether' script
refused 'one large value in 3000 variables' '64 MiB altogether' check
head -c 70000000 /dev/zero | tr '\0' '#' >"$work/large"
run script "$work/large"
[ "$status" -ne 0 ] && grep -q '64 MiB' "$work/stderr"
ok $? 'a file of 70 MB: the limit is named'
finish
