#!/bin/sh
# The Makefile back end: the image is the script's, make rebuilds what changed and no more.  TAP.
# usage: DOCKCC=path [DOCKCC_RT=path] tests/make.sh
set -eu
: "${DOCKCC:?the compiler}"
DOCKCC_RT=${DOCKCC_RT:-${DOCKCC_BUILD:-$(dirname "$DOCKCC")}/dockcc-rt}
DOCKCC=$(realpath "$DOCKCC") DOCKCC_RT=$(realpath "$DOCKCC_RT")
export DOCKCC_RT SOURCE_DATE_EPOCH=1000000000 LC_ALL=C
unset MAKEFLAGS MAKELEVEL MFLAGS DOCKCC_STORE DOCKCC_LAUNCH
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
n=0 bad=0
makes=
for m in make bmake; do
	command -v "$m" >/dev/null && makes="$makes $m"
done

ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		bad=1
		echo "not ok $n - $2"
		if [ -f "$tmp/log" ]; then sed 's/^/# /' "$tmp/log" | tail -n 40; fi
	fi
}
check() { # TEXT COMMAND...
	text=$1
	shift
	if "$@"; then ok 0 "$text"; else ok 1 "$text"; fi
}
plan_end() {
	echo "1..$n"
	exit "$bad"
}

# ---- a base image of one static busybox ----------------------------------------------------------
busybox=$(command -v busybox) || { echo "1..0 # SKIP no busybox"; exit 0; }
blob() { # FILE -> its digest, in the layout
	sum=$(sha256sum <"$1" | cut -d ' ' -f 1)
	cp "$1" "$tmp/base/blobs/sha256/$sum"
	echo "$sum"
}
base_image() {
	mkdir -p "$tmp/base/blobs/sha256" "$tmp/root/bin" "$tmp/root/etc" "$tmp/root/tmp"
	cp "$busybox" "$tmp/root/bin/busybox"
	for tool in sh cat echo ls mkdir sleep cp env touch head printf rm sed find sort od; do ln -s busybox "$tmp/root/bin/$tool"; done
	echo root:x:0:0:root:/root:/bin/sh >"$tmp/root/etc/passwd"
	tar --owner=0 --group=0 --mtime=@0 --sort=name -C "$tmp/root" -cf "$tmp/layer.tar" .
	layer=$(blob "$tmp/layer.tar")
	printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","BASE=of base"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$layer" >"$tmp/config"
	config=$(blob "$tmp/config")
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
		"$config" "$(wc -c <"$tmp/config")" "$layer" "$(wc -c <"$tmp/layer.tar")" >"$tmp/manifest"
	manifest=$(blob "$tmp/manifest")
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"base"}}]}' \
		"$manifest" "$(wc -c <"$tmp/manifest")" >"$tmp/base/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$tmp/base/oci-layout"
}
base_image
new_store() { # NAME
	rm -rf "${tmp:?}/$1"
	"$DOCKCC_RT" import "--store=$tmp/$1" "oci-layout://$tmp/base:base" base
	"$DOCKCC_RT" import "--store=$tmp/$1" "oci-layout://$tmp/base:base" base:2
}
digest() { # LAYOUT
	sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' "$1/index.json"
}
new_case() {
	rm -rf "$tmp/case"
	mkdir "$tmp/case"
	cd "$tmp/case"
	new_store store
	DOCKCC_STORE=$tmp/store
	export DOCKCC_STORE
}
# The steps that ran, "build.2 build.3"
ran() { sed -n '/ [0-9.]*s$/s/^\([a-z0-9._-]*\.[0-9]*\)  *\(from\|run\|copy\|add\|workdir\) .*/\1/p' "$tmp/log" | sort | tr '\n' ' '; }
build() { # MAKE ARGUMENT...
	"$@" >"$tmp/log" 2>&1
}
expect_ran() { # STEPS
	[ "$(ran)" = "$1" ] && return
	echo "# ran: $(ran), not: $1"
	return 1
}

# ---- the same image as the script ------------------------------------------------------------------
same_image() { # NAME [OPTION...]
	name=$1
	shift
	"$DOCKCC" compile --runtime=path "$@" -o b.sh . && "$DOCKCC" compile "$@" -o image.mk . || return 1
	new_store other
	DOCKCC_STORE=$tmp/other sh b.sh -o "oci:$tmp/script.oci" >"$tmp/log" 2>&1 || return 1
	for m in $makes; do
		for j in -j1 -j4; do
			rm -rf .dockcc image.oci
			new_store store
			build "$m" "$j" -f image.mk || return 1
			[ "$(digest image.oci)" = "$(digest "$tmp/script.oci")" ] || { echo "# $name: $m $j makes another image"; return 1; }
		done
		# the same keys: the script finds every layer, and make finds the script's
		rm -rf .dockcc image.oci
		sh b.sh -o "oci:$tmp/again.oci" >"$tmp/log" 2>&1 || return 1
		expect_ran '' && [ "$(digest "$tmp/again.oci")" = "$(digest "$tmp/script.oci")" ] || return 1
		DOCKCC_STORE=$tmp/other build "$m" -f image.mk || return 1
		expect_ran '' && [ "$(digest image.oci)" = "$(digest "$tmp/script.oci")" ] || return 1
	done
}

dockerfile_stages() {
	mkdir dir && echo a >a.txt && echo b >b.txt && echo x >dir/x && echo c >skipped && echo skipped >.dockerignore
	cat >Dockerfile <<'END'
ARG TAG=2
FROM base:${TAG} AS build
ARG VERSION=1.0
WORKDIR /src
COPY a.txt b.txt ./
RUN cat a.txt >/out-$VERSION && echo "$VERSION it's # \\ $BASE" >>/out-$VERSION
RUN --mount=type=bind,source=dir,target=/d ls /d >/list
FROM base AS other
COPY . /all
RUN cat /all/dir/x >/x
FROM base
ENV P=$PATH:/x Q=${NONE:-${BASE}-q} R="${BASE/of/on}"
ENV S=${P%%:*} T=${Q##*-}
COPY --from=build /out-* /list /res/
RUN --mount=type=bind,from=other,target=/o cat /o/x >/y
RUN <<E
echo "a b"
env | sort >/env
E
LABEL a="b # c" d='$e' "f g"=h
EXPOSE 80
USER ${NOBODY:-root}
CMD ["cat","/res"]
END
}
dockerfile_joined() {
	cat >Dockerfile <<'END'
FROM base
ARG A B=x C=$B-y
RUN echo 1 >/one
RUN echo "$C" >/two
RUN cat /one /two >/three
COPY <<F <<"G" /four/
$C it's
F
raw $C \ % #
G
ENTRYPOINT exec $0
HEALTHCHECK --interval=3s CMD true || false
ONBUILD RUN echo $X
END
}
dockerfile_names() {
	touch -- "a b" "c#d" "e%f" "it's" m:n o=p "q\\r" "dollar\$x" -dash
	cat >Dockerfile <<'END'
FROM scratch AS empty
COPY ["a b","c#d","e%f","it\\'s","m:n","o=p","/a/"]
COPY ["-dash","dollar\\$x","./"]
FROM empty
COPY --from=empty / /copy/
FROM empty AS last
WORKDIR /w/%/#/$$
LABEL "k$"="$$(touch pwned)`touch pwned`" x='\' y="\\n" z="tab	tab" w="ü" v='"' u="'" t="; touch pwned" s="$(1) @ - + :="
ENV A="\$(HOME) ${B:+x}${B:-\}/} ${PATH#*/}"
END
}
for c in stages joined names; do
	for level in '-O0' '-O1' '-O2' '-O1 --grain=chain'; do
		new_case
		"dockerfile_$c"
		# shellcheck disable=SC2086
		check "$c: the script's image in all makes, $level" same_image "$c" $level
		check "$c: no value was run" [ ! -e pwned ]
	done
done

# ---- what is rebuilt --------------------------------------------------------------------------------------
for m in $makes; do
	new_case
	dockerfile_stages
	"$DOCKCC" compile -o image.mk .
	check "$m: first build" build "$m" -f image.mk
	check "$m: a second build runs nothing" build "$m" -f image.mk
	check "$m: and says nothing" [ ! -s "$tmp/log" ]
	touch a.txt dir/x
	check "$m: a touch" build "$m" -f image.mk
	check "$m: ends at the scan" [ ! -s "$tmp/log" ]
	echo new >a.txt
	check "$m: a changed file" build "$m" -f image.mk
	check "$m: rebuilds its readers" expect_ran 'build.3 build.4 build.5 other.1 other.2 stage-2.3 stage-2.4 stage-2.5 '
	echo new >dir/x
	check "$m: a file that a mount reads" build "$m" -j2 -f image.mk
	check "$m: rebuilds no others" expect_ran 'build.4 build.5 other.1 other.2 stage-2.3 stage-2.4 stage-2.5 '
	echo new >skipped
	check "$m: an ignored file" build "$m" -f image.mk
	check "$m: is not seen" [ ! -s "$tmp/log" ]
	check "$m: an argument" build "$m" -f image.mk VERSION=2 image
	check "$m: rebuilds what sees it" expect_ran 'build.4 build.5 stage-2.3 stage-2.4 stage-2.5 '
	check "$m: the argument once more" build "$m" -f image.mk VERSION=2 image
	check "$m: changes nothing" [ ! -s "$tmp/log" ]
	check "$m: without it" build "$m" -f image.mk
	check "$m: the layers are still there" expect_ran ''
	check "$m: one stage" build "$m" -f image.mk image-stage-other
	for t in help list graph; do
		check "$m: $t" build "$m" -f image.mk "$t"
		check "$m: $t prints" [ -s "$tmp/log" ]
	done
	rm -rf image.oci
	check "$m: a lost output" build "$m" -f image.mk
	check "$m: comes back" [ -f image.oci/index.json ]
	check "$m: clean" build "$m" -f image.mk clean
	check "$m: leaves no stamp" [ -z "$(ls .dockcc)" ]
	check "$m: after clean" build "$m" -f image.mk
	check "$m: all is cached" expect_ran ''
	new_store store
	check "$m: another store of that name" build "$m" -f image.mk
	check "$m: is filled" [ -n "$(ran)" ]
done

# ---- failure, interruption, parallel stages ------------------------------------------------------------------
for m in $makes; do
	new_case
	echo 'exit 3' >script
	printf 'FROM base\nRUN echo one\nCOPY script /\nRUN sh /script\nRUN echo end\n' >Dockerfile
	"$DOCKCC" compile -O0 -o image.mk .
	if build "$m" -f image.mk; then ok 1 "$m: a failing step"; else ok 0 "$m: a failing step"; fi
	check "$m: names step, line and status" grep -q 'failed step=stage-0.3 line=4 status=3 kind=run' "$tmp/log"
	check "$m: leaves no image" [ ! -e image.oci ]
	echo 'exit 0' >script
	check "$m: goes on" build "$m" -f image.mk
	check "$m: from there" expect_ran 'stage-0.2 stage-0.3 stage-0.4 '

	new_case
	printf 'FROM base\nRUN echo one\nRUN sleep 2; echo two >/two\nRUN echo end\n' >Dockerfile
	"$DOCKCC" compile -O0 -o image.mk .
	setsid "$m" -f image.mk >"$tmp/log" 2>&1 &
	pid=$!
	sleep 1
	kill -9 -"$pid" 2>/dev/null || kill -9 "$pid"
	wait "$pid" 2>/dev/null || :
	check "$m: after kill -9" build "$m" -f image.mk
	check "$m: goes on with the step" expect_ran 'stage-0.2 stage-0.3 '

	new_case
	cat >Dockerfile <<'END'
FROM base AS a
RUN --mount=type=cache,id=meet,target=/c touch /c/a; i=0; until [ -e /c/b ]; do sleep 1; i=$((i+1)); [ $i -lt 120 ] || exit 1; done
FROM base AS b
RUN --mount=type=cache,id=meet,target=/c touch /c/b; i=0; until [ -e /c/a ]; do sleep 1; i=$((i+1)); [ $i -lt 120 ] || exit 1; done
FROM base
COPY --from=a /etc /a
COPY --from=b /etc /b
END
	"$DOCKCC" compile -o image.mk .
	check "$m: -j2 builds stages side by side" build "$m" -j2 -f image.mk
done

# ---- a diamond: stages that wait gain from -j, whatever the number of processors --------------------------------
diamond() {
	echo 'FROM base AS top' && echo 'RUN echo top >/top'
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do
		printf 'FROM top AS s%s\nRUN sleep 0.5; echo %s >/s%s\n' "$i" "$i" "$i"
	done
	echo 'FROM base'
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do echo "COPY --from=s$i /s$i /"; done
}
ratio() { # MAKE -> 10 times the time of one job in times of six
	for j in 1 6; do
		rm -rf .dockcc image.oci
		new_store store
		begin=$(date +%s%N)
		build "$1" "-j$j" -f image.mk || return 1
		eval "time_$j=\$(((\$(date +%s%N) - begin) / 1000000))"
	done
	# shellcheck disable=SC2154
	echo "# $1: ${time_1} ms with one job, ${time_6} ms with six"
	[ $((time_1 * 10 / time_6)) -ge 20 ]
}
for m in $makes; do
	new_case
	diamond >Dockerfile
	"$DOCKCC" compile -o image.mk .
	check "$m: a diamond of 20 stages gains from -j6" ratio "$m"
done

# ---- values from the command line -------------------------------------------------------------------------------
values() { # number of the value -> v
	case $1 in
		1) v="it's" ;;
		2) v='$(touch pwned) `touch pwned` ${HOME} $HOME $$' ;;
		3) v='blanks  inside	' ;; # make itself drops those in front
		4) v='# % \ \\ \# "' ;;
		5) v="'; touch pwned; '" ;;
		6) v='one
two' ;;
		7) v='' ;;
		8) v='a=b:c,d;e&f|g<h>i*?[x]~!' ;;
		9) v=$(printf '\303\274\377\001\033x') ;;
		*) return 1 ;;
	esac
}
hostile() { # MAKE
	i=1
	while values "$i"; do
		rm -rf .dockcc image.oci
		escaped=$(printf '%sx' "$v" | sed 's/\$/$$/g')
		build "$1" -f image.mk "VALUE=${escaped%x}" image || { echo "# value $i"; return 1; }
		sh b.sh --build-arg "VALUE=$v" -o "oci:$tmp/script.oci" >"$tmp/log" 2>&1 || return 1
		expect_ran '' && [ "$(digest image.oci)" = "$(digest "$tmp/script.oci")" ] || { echo "# value $i"; return 1; }
		i=$((i + 1))
	done
}
for m in $makes; do
	new_case
	cat >Dockerfile <<'END'
FROM base
ARG VALUE
ARG OTHER=${VALUE:-none}
ENV A=x$VALUE B=${VALUE/o/\}/0} C=${VALUE%?}
RUN printf '%s' "$OTHER" >/value
LABEL l=$VALUE
END
	"$DOCKCC" compile -o image.mk .
	"$DOCKCC" compile --runtime=path -o b.sh .
	check "$m: values of every kind arrive as they are" hostile "$m"
	check "$m: none was run" [ ! -e pwned ]
	USER=ambient HOME=/ambient VALUE=ambient
	export VALUE
	rm -rf .dockcc
	check "$m: a variable of the environment" build "$m" -f image.mk
	unset VALUE
	sh b.sh -o "oci:$tmp/script.oci" >"$tmp/log" 2>&1
	check "$m: is no argument" [ "$(digest image.oci)" = "$(digest "$tmp/script.oci")" ]
done

# ---- in a bigger Makefile ------------------------------------------------------------------------------------------
for m in $makes; do
	new_case
	mkdir sub sub/one
	dockerfile_joined
	"$DOCKCC" compile --emit=make --prefix=app -o sub/app.mk .
	printf 'FROM base\nARG VERSION=1\nRUN echo $VERSION >/v\n' >sub/Dockerfile
	"$DOCKCC" compile -o two.mk -f sub/Dockerfile .
	cat >Makefile <<'END'
VERSION = mine
all: app-image two-image
	@echo all $(VERSION)
clean help list graph image:
	@echo my $@
two_VERSION = 7
app_OUTPUT = oci:bigger.oci
include sub/app.mk
include two.mk
END
	check "$m: two included files" build "$m" -j2
	check "$m: build both images" [ -f bigger.oci/index.json -a -f two.oci/index.json ]
	check "$m: beside the other's targets" grep -q '^all mine' "$tmp/log"
	check "$m: which stay what they are" build "$m" clean help image
	check "$m: all of them" [ "$(grep -c '^my ' "$tmp/log")" -eq 3 ]
	"$DOCKCC" compile --runtime=path --build-arg VERSION=7 -f sub/Dockerfile -o b.sh .
	sh b.sh -o "oci:$tmp/script.oci" >"$tmp/log" 2>&1
	check "$m: with the argument that the outer file sets" [ "$(digest two.oci)" = "$(digest "$tmp/script.oci")" ]
	cp "$DOCKCC_RT" sub/dockcc-rt
	(unset DOCKCC_RT; build "$m" app-image) && rc=0 || rc=1
	ok "$rc" "$m: the helper beside the included file"
	check "$m: a launcher" build "$m" app_S=.dockcc/l DOCKCC_LAUNCH='env LAUNCHED=1' app-image
	check "$m: prefixed targets" build "$m" app-list app-help app-graph app-clean two-clean
done
plan_end
