# ---- prelude: the same in every script, see dockcc-script(7) ----------------------
# Nothing of a Dockerfile is ever evaluated here: values travel as arguments.
unset never # what a name stands for that no instruction can set

# die STATUS TEXT [KIND [LINE]]: an error of the script itself, in the form that a failed step has; the helper at the
# other end of the plan says no more
planning=
die() {
  printf '%s: %s\n' "$script" "$2" >&2
  printf '%s: failed step=- line=%s status=%s kind=%s\n' "$script" "${4:--}" "$1" "${3:-usage}" >&2
  [ -z "$planning" ] || record failed "$1"
  exit "$1"
}

# record WORD...: one record of the plan: the number of words, then the words, each ended by a NUL
record() { printf '%s\0' "$#" "$@"; }
# mksh has no printf of its own, and no word handed to another program may be longer than 128 KiB
if [ -n "${KSH_VERSION-}" ] && [ "$(command -v printf)" != printf ] && [ "$(command -v print)" = print ]; then
  record() {
    print -n "$#\0"
    for word in "$@"; do
      print -nr -- "$word"
      print -n '\0'
    done
  }
fi
step() { record step "$@"; }
stage() { record stage "$@"; }

# match LINE OP VALUE PATTERN [REPLACEMENT]: ${v#p}, ${v/p/r} and relatives; the result is in r
match() {
  match_line=$1
  shift
  r=$("$rt" match "$@" && printf x) || die 64 "$dockerfile:$match_line: a pattern of \${ } cannot be used" usage "$match_line"
  r=${r%x}
}

# require SET LINE NAME TEXT: ${NAME:?TEXT}
require() {
  [ -n "$1" ] || die 64 "$dockerfile:$2: $3: ${4:-has no value and must have one}" usage "$2"
}

# image_env REF NAME: a variable of a base image in r; false when the image does not set it
image_env() {
  p=${3:-$platform}
  r=$("$rt" image-env "--store=$store" ${p:+"--platform=$p"} -- "$1" "$2" && printf x) && r=${r%x} && return 0
  case $? in
    1) return 1 ;;
    *) die 69 "the environment of $1 is needed and cannot be read" mode ;;
  esac
}

# where the runtime of this script goes; never a place where somebody else could have put one before
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
cache=${cache:+$cache/dockcc/rt}

# runtime_ready: true when the payload does not have to be read
runtime_ready() { [ -n "${DOCKCC_RT-}" ] || [ -z "$cache" ] || [ -z "$payload_sha256" ] || [ -x "$cache/$payload_sha256-$machine" ]; }

# unpack: the program of the payload as $new/dockcc-rt
unpack() {
  payload | gzip -dc >"$new/dockcc-rt" 2>"$new/log"
  sum=$(sha256sum <"$new/dockcc-rt")
  [ "${sum%% *}" = "$payload_sha256" ] || die 65 "the runtime in this script is damaged or cannot be unpacked to $cache" digest
  chmod 700 "$new/dockcc-rt"
}

# c_compiler WORD...: calls cc, with the caller's PATH; link says how. musl-gcc has no kernel headers of its own
c_compiler() {
  case $link in
    static) set -- -static "$@" ;;
    musl) set -- -static "$@" -idirafter /usr/include -idirafter "/usr/include/$machine-linux-gnu" ;;
    *) ;;
  esac
  PATH=$user_path "$cc" -std=gnu11 -O2 -w -D_GNU_SOURCE "$@" >>"$new/log" 2>&1
}

# compile_all: four compilers side by side; what one of them does not make is what the last call does not find
compile_all() (
  cd "$new" || exit
  c_compiler -c ./[a-d]*.c &
  c_compiler -c ./[e-m]*.c &
  c_compiler -c ./[n-r]*.c &
  c_compiler -c ./[s-z]*.c &
  wait
  c_compiler -o dockcc-rt ./*.o && ./dockcc-rt version >>log 2>&1
)

# compile: the program from source, by the first compiler that makes one that runs, static where it can
compile() {
  (cd "$new" && payload)
  sum=$(sha256sum <"$new/all")
  [ "${sum%% *}" = "$payload_sha256" ] || die 65 "the source of the runtime in this script is damaged or cannot be written to $cache" digest
  mkdir "$new/try"
  printf '#include <linux/audit.h>\n#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$new/try/try.c"
  for name in "${CC:-cc}" cc gcc clang tcc; do
    cc=$(PATH=$user_path command -v "$name") || continue
    for link in static musl dynamic; do
      : >"$new/log"
      c_compiler -o "$new/try/try" "$new/try/try.c" || continue
      "$new/try/try" >>"$new/log" 2>&1 || continue
      printf '%s: compiling dockcc-rt with %s, once\n' "$script" "$cc" >&2
      if compile_all; then return 0; fi
    done
    printf '%s: %s does not make a program:\n' "$script" "$cc" >&2
    head -n 5 "$new/log" >&2
  done
  die 69 'this script carries dockcc-rt as source and needs a C compiler, a C library and the headers of Linux: gcc libc6-dev on Debian, gcc musl-dev linux-headers on Alpine, gcc glibc-devel kernel-headers on Fedora; CC names another compiler, DOCKCC_RT a dockcc-rt' mode
}

# find_runtime: the path of dockcc-rt in rt; the one in this script is made once, complete or not at all
find_runtime() {
  rt=${DOCKCC_RT-}
  if [ -n "$rt" ]; then return 0; fi
  if [ "$payload" = path ]; then
    rt=$(PATH=$user_path command -v dockcc-rt) || die 69 'dockcc-rt is not on the PATH; set DOCKCC_RT to where it is' mode
    return 0
  fi
  [ -n "$payload_sha256" ] ||
    die 69 "this script carries no dockcc-rt for $machine: compile it with --runtime=embed:$machine or --runtime=source, or set DOCKCC_RT" mode
  [ -n "$cache" ] || die 69 'no place for the runtime of this script: set XDG_CACHE_HOME or HOME, or DOCKCC_RT' mode
  rt=$cache/$payload_sha256-$machine
  if [ -x "$rt" ]; then return 0; fi
  (
    umask 077
    mkdir -p "$cache" || die 74 "cannot make $cache" io
    new=$(mktemp -d "$cache/new.XXXXXX") || die 74 "cannot write to $cache" io
    trap 'rm -rf "$new"' EXIT
    trap 'exit 130' HUP INT TERM
    case $payload in
      source) compile ;;
      *) unpack ;;
    esac
    mv -f "$new/dockcc-rt" "$rt" || die 74 "cannot write to $cache" io
  ) || exit $?
}

usage() {
  cat <<END
usage: sh $script [OPTION...]
builds the image that $dockerfile describes, without a container engine

  -t, --tag NAME            name of the image; without -o it goes into the store
  -o, --output SPEC         type=oci|docker|tar|local,dest=PATH; oci:DIR; docker:FILE; - is a tar of the files;
                            type=registry|image,name=NAME; compression=gzip|zstd,compression-level=N,force-compression=true,
                            squash=true,annotation.KEY=VALUE
      --squash              the image in one layer
      --push                push the image to the registries of its names
      --pull                look in the registries for newer base images
      --offline             never use the network for images and files
      --cache-from SPEC, --cache-to SPEC   type=local,src=DIR (dest=DIR), type=registry,ref=REF; mode=max: all stages
      --tls-ca FILE         the roots to trust for registries instead of the host's
      --build-arg NAME=VALUE
      --build-context NAME=LOCATION   oci-layout://DIR:TAG, oci-archive:FILE, docker-archive:FILE, docker-image://REF, DIR,
                            or a tar, a URL, a git repository
      --context DIR         where COPY takes its files from (default: ${context:-none}); or a tar, - for one on standard input,
                            an http(s) URL of one, a git URL
      --ignorefile FILE     the ignore file (default: $dockerfile.dockerignore, else .dockerignore in the context)
      --target STAGE        default: $target
      --platform OS/ARCH[/VARIANT],...   several make one image for all; default: ${platform:-that of this machine}
      --secret id=ID,src=FILE   --ssh ID=SOCKET   --label KEY=VALUE   --annotation KEY=VALUE
      --add-host NAME:IP
  -j, --jobs N              stages that may work at once
      --store DIR           default: \$DOCKCC_STORE, else under the XDG cache directory
      --no-cache            run every step
      --from-step STEP      run this step and all that depends on it, cached or not
      --until-step STEP     stop behind this step; the image is what there is then
      --shell STAGE         then a shell in the finished stage, with its environment
      --shell-on-failure    a shell where a step failed
  -k, --keep-going          after a failure build what does not depend on it
      --record FILE         write down what was built: layers and config
      --verify FILE         compare files and config with what --record wrote; 65 when they differ
      --trace               show what RUN runs, command by command
      --progress MODE       auto, tty, plain, raw, quiet or rawjson
      --timeline FILE       a chart of the build, SVG
      --iidfile FILE        --metadata-file FILE
      --lock MODE           build nothing: add to, update, check or check-update the lock file of --lock-file FILE
      --bundle FILE         put the context, the base images and this script into one file that builds without a network
      --bundle-dir DIR      the same as a directory
      --bundle-verify       of a bundle: read it all and compare the digests
      --bundle-extract DIR  of a bundle: make it a directory
  -n, --dry-run             the steps and which of them are cached; runs nothing
      --list                the steps
  -h, --help
END
}

set_target() { target=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]'); }

# normal_platform PLATFORM: in p, as images name it
normal_platform() {
  p=$1
  case $p in
    *[ABCDEFGHIJKLMNOPQRSTUVWXYZ]*) p=$(printf '%s' "$p" | tr '[:upper:]' '[:lower:]') ;;
    *) ;;
  esac
  case $p in
    */*) ;;
    *) p=linux/$p ;;
  esac
  arch=${p#*/}
  p=${p%%/*}
  variant=${arch#"${arch%%/*}"}
  arch=${arch%%/*}
  case $arch$variant in
    x86_64 | x86-64 | amd64/v1) arch=amd64 variant= ;;
    aarch64 | arm64/v8 | arm64/8 | aarch64/v8) arch=arm64 variant= ;;
    arm | armhf | armv7l) arch=arm variant=/v7 ;;
    armel | armv6l) arch=arm variant=/v6 ;;
    arm/[5678]) variant=/v${variant#/} ;;
    i?86) arch=386 ;;
    *) ;;
  esac
  p=$p/$arch$variant
}

# set_platform BUILD|TARGET PLATFORM
set_platform() {
  set_platform_arg "$1PLATFORM=$2"
  set_platform_arg "$1OS=${2%%/*}"
  rest=${2#*/}
  set_platform_arg "$1ARCH=${rest%%/*}"
  variant=${rest#"${rest%%/*}"}
  set_platform_arg "$1VARIANT=${variant#/}"
}

# platform_args: the platform arguments, where they differ from what the script was compiled with
platform_args() {
  normal_platform "$machine"
  host=$p
  if [ "$host" != "$compiled_host" ]; then set_platform BUILD "$host"; fi
  p=${platform:-$host}
  if [ "$p" != "$compiled_platform" ]; then set_platform TARGET "$p"; fi
}

# option NAME VALUE: what takes a value; says whether it is handed on as it is (0), was used up (1) or is unknown (2)
option() {
  case $1 in
    --tag | --output | --secret | --ssh | --label | --annotation | --jobs | --progress | --timeline | --record | --verify | --iidfile | --metadata-file)
      return 0 ;;
    --add-host | --cache-from | --cache-to | --ignorefile | --lock | --lock-file) return 0 ;;
    --build-arg)
      set_arg "$2"
      case $2 in
        *=*) return 0 ;;
        *) return 1 ;;
      esac ;;
    --build-context)
      case $2 in
        *"$newline"*) die 64 'a build context with a line break in it' ;;
        *=*) contexts=$contexts$2$newline ;;
        *) die 64 "--build-context takes NAME=LOCATION, not $2" ;;
      esac ;;
    --context) context=$2 ;;
    --bundle | --bundle-dir | --bundle-extract)
      [ -n "$2" ] || die 64 "$1 takes a name"
      [ -z "$bundle" ] || [ "$1" = --bundle-extract ] || die 64 'this script is a bundle already'
      case $1 in
        --bundle) action=bundle to=--to=$2 ;;
        --bundle-dir) action=bundle to=--to-directory=$2 ;;
        *) action=unbundle to=--to-directory=$2 ;;
      esac ;;
    --store) store=$2 ;;
    --platform) platform=$2 ;;
    --tls-ca) export DOCKCC_TLS_CA="$2" ;;
    --target) set_target "$2" ;;
    --until-step)
      set_target "${2%.*}"
      return 0 ;;
    --from-step) return 0 ;;
    --shell)
      input=shell
      set_target "$2"
      return 0 ;;
    *) return 2 ;;
  esac
  return 1
}

long_name() {
  case $1 in
    -t?*) name=${1#-t}; name=--tag=${name#=} ;;
    -o?*) name=${1#-o}; name=--output=${name#=} ;;
    -j?*) name=${1#-j}; name=--jobs=${name#=} ;;
    -t) name=--tag ;;
    -o) name=--output ;;
    -j) name=--jobs ;;
    -n) name=--dry-run ;;
    -k) name=--keep-going ;;
    -h) name=--help ;;
    *) name=$1 ;;
  esac
}

# what the standard input of this script is for: nothing, context, or shell
input=

# open_input: dockcc-rt gets it as descriptor 3, unless the script itself comes from there
open_input() {
  case $- in
    *s*) input= ;;
    *) ;;
  esac
  if [ "$context" = - ]; then input=context; fi
  if [ -n "$input" ]; then exec 3<&0; fi
}

# helper ARGUMENT...: dockcc-rt; some shells keep descriptors to themselves that are not named where a program starts
helper() {
  case $input in
    shell) "$rt" "$action" --console=3 "$@" 3<&3 ;;
    context) "$rt" "$action" "$@" 3<&3 ;;
    *) "$rt" "$action" "$@" ;;
  esac
}

# in_bundle: all that a bundle reads comes from it
in_bundle() {
  unset DOCKCC_BUNDLE
  if [ -z "$bundle" ]; then return 0; fi
  [ -f "$self" ] || die 64 "a bundle reads its own file: run it as sh $script"
  contexts=
  context=
  export DOCKCC_OFFLINE="${DOCKCC_OFFLINE-1}" DOCKCC_BUNDLE="$bundle:$self"
}

# unbundle: looks at the bundle that this script is, or takes it apart
unbundle() {
  [ -n "$bundle" ] || die 64 'this script is no bundle'
  set -- "--script=$script"
  if [ -n "$to" ]; then set -- "$@" "$to"; fi
  "$rt" unbundle "$@" && return 0
  left=$?
  printf '%s: failed step=- line=- status=%s kind=bundle\n' "$script" "$left" >&2
  return "$left"
}

# one_platform N ARGUMENT...: the image for $platform as the layout $parts/N; where images go is for later
one_platform() (
  name=$1
  shift
  left=$#
  how=
  while [ "$left" -gt 0 ]; do
    case $1 in
      --output=*compression=*) value=${1#*compression=}; how=,compression=${value%%,*} ;;
      --output=*type=registry* | --output=*type=image* | --push) how=${how:-,compression=gzip} ;;
      --output=* | --tag=* | --iidfile=* | --metadata-file=* | --annotation=*) ;;
      *) set -- "$@" "$1" ;;
    esac
    shift
    left=$((left - 1))
  done
  platform_args
  set -- "$@" "--platform=$platform"
  case " $* " in
    *' --dry-run '* | *' --list '*) { planning=1; plan; } | helper "$@" ;;
    *) { planning=1; plan; } | helper "$@" "--output=type=oci,tar=false,dest=$parts/$name$how" >/dev/null ;;
  esac
)

# make_index ARGUMENT...: of what $parts holds; where builds have more options than images
make_index() {
  left=$#
  while [ "$left" -gt 0 ]; do
    case $1 in
      --output=* | --tag=* | --push | --iidfile=* | --metadata-file=* | --annotation=* | --progress=* | --store=* | --script=* | --part=*)
        set -- "$@" "$1" ;;
      *) ;;
    esac
    shift
    left=$((left - 1))
  done
  "$rt" index "$@" && return 0
  left=$?
  case $left in
    64) value=usage ;;
    65) value=digest ;;
    *) value=io ;;
  esac
  printf '%s: failed step=- line=- status=%s kind=%s\n' "$script" "$left" "$value" >&2
  return "$left"
}

# several ARGUMENT...: an image for each platform of a list, and an index of them
several() {
  make_index "$@" || return
  parts=$(mktemp -d "${TMPDIR:-/tmp}/dockcc.XXXXXX") || die 74 'no place for the images of the platforms' io
  trap 'rm -rf "$parts"' EXIT
  trap 'exit 130' HUP INT TERM
  rest=$platform,
  number=0
  layouts=
  while [ -n "$rest" ]; do
    platform=${rest%%,*}
    rest=${rest#*,}
    normal_platform "$platform"
    platform=$p
    printf '%s: for %s\n' "$script" "$platform" >&2
    one_platform "$number" "$@" || return
    if [ -e "$parts/$number" ]; then layouts=$layouts${layouts:+ }$number; fi
    number=$((number + 1))
  done
  # the numbers hold no blanks
  for name in $layouts; do set -- "$@" "--part=$parts/$name"; done
  if [ -n "$layouts" ]; then make_index "$@"; fi
}

# main ARGUMENT...: options become options of dockcc-rt, in order, behind those not looked at yet
main() {
  action=build
  to=
  in_bundle
  left=$#
  while [ "$left" -gt 0 ]; do
    long_name "$1"
    shift
    left=$((left - 1))
    case $name in
      --dry-run | --list | --no-cache | --push | --squash | --keep-going | --trace) set -- "$@" "$name"; continue ;;
      --shell-on-failure) input=shell; set -- "$@" "$name"; continue ;;
      --pull) export DOCKCC_PULL=1; continue ;;
      --offline) export DOCKCC_OFFLINE=1; continue ;;
      --bundle-verify) action=unbundle; continue ;;
      --help) usage; exit 0 ;;
      --*=*) value=${name#*=}; name=${name%%=*} ;;
      -*)
        [ "$left" -gt 0 ] || die 64 "$name needs a value, or is unknown; try --help"
        value=$1
        shift
        left=$((left - 1)) ;;
      *) die 64 "$name is not an option; try --help" ;;
    esac
    if option "$name" "$value"; then
      set -- "$@" "$name=$value"
    else
      case $? in
        2) die 64 "there is no option $name; try --help" ;;
        *) ;;
      esac
    fi
  done
  case $platform in
    '' | *,*) ;;
    *) normal_platform "$platform"; platform=$p ;;
  esac
  find_runtime
  open_input
  export DOCKCC_BUILD_CONTEXTS="$contexts" DOCKCC_LOCKED="$locked"
  case $action in
    unbundle) unbundle; return ;;
    bundle) set -- "$@" "$to" "--text=${DOCKCC_SCRIPT_TEXT:-$self}" ;;
    *) ;;
  esac
  set -- "--script=$script" "--dockerfile=$dockerfile" "--context=$context" "--store=$store" "--target=$target" "$@"
  case $platform in
    *,*)
      [ "$action" = build ] || die 64 'a bundle is for one platform'
      [ "$input" = '' ] || die 64 'what comes on standard input is there for one platform only'
      several "$@"
      return ;;
    *) ;;
  esac
  platform_args
  if [ -n "$platform" ]; then set -- "$@" "--platform=$platform"; fi
  { planning=1; plan; } | helper "$@"
}
