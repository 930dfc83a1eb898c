#!/bin/sh
# The quoting function: arbitrary bytes put into a script come back unchanged, in every shell.  test_quote
# writes the words; each shell prints them again.  yash reads its input as characters, so it gets a script of
# well-formed UTF-8 and a UTF-8 locale.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

quote=${DOCKCC_BUILD:-$source/build}/test_quote
count=${QUOTE_COUNT:-5000}
"$quote" write bytes "$count" "$work/bytes" "$work/bytes.want" && "$quote" write utf8 "$count" "$work/utf8" "$work/utf8.want"
ok $? "$count random strings are written"
shells >"$work/shells"
while read -r shell; do
	kind=bytes locale=C
	if [ "$shell" = yash ]; then kind=utf8 locale=C.UTF-8; fi
	# shellcheck disable=SC2086
	LC_ALL=$locale $shell "$work/$kind" >"$work/got" 2>"$work/err" </dev/null
	cmp -s "$work/$kind.want" "$work/got"
	ok $? "$shell gives back every byte"
	sed 's/^/# /' "$work/err" | head -n 5
done <"$work/shells"
finish
