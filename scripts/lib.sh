# Shared by the scripts beside it: where tools live, and how what is missing gets installed.
# shellcheck shell=bash

# Tools that are built from source stay outside the checkout, so that only the first run on a machine
# pays for them. The version is part of the path: a new one is built beside the old.
OTTO_TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/ottoscaler/tools"

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# need_packages COMMAND=PACKAGE…: installs the Debian package of each command that is not there.
need_packages() {
  local pair missing=()
  for pair in "$@"; do
    have "${pair%%=*}" || missing+=("${pair#*=}")
  done
  ((${#missing[@]} == 0)) && return
  local sudo=()
  if [[ $(id -u) != 0 ]]; then
    have sudo || die "missing: ${missing[*]}; install these packages, or run as root"
    sudo=(sudo)
  fi
  have apt-get || die "missing: ${missing[*]}; install these packages (no apt-get here)"
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  # The packages' own services stay off: what needs a server starts its own.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_cargo_tool NAME VERSION: makes NAME available on PATH, built once.
need_cargo_tool() {
  local root="$OTTO_TOOLS/$1-$2"
  if [[ ! -x $root/bin/$1 ]]; then
    say "building $1 $2 (once on this machine)"
    cargo install --quiet --locked --root "$root" "$1@$2"
  fi
  PATH="$root/bin:$PATH"
}

# need_go_tool NAME VERSION MODULE: makes NAME available on PATH, built once.
need_go_tool() {
  local root="$OTTO_TOOLS/$1-$2"
  if [[ ! -x $root/bin/$1 ]]; then
    have go || need_packages go=golang-go
    say "building $1 $2 (once on this machine)"
    mkdir -p "$root/bin"
    GOBIN="$root/bin" GOFLAGS=-trimpath go install "$3@v$2"
  fi
  PATH="$root/bin:$PATH"
}

# at_least WHAT HAS WANTS
at_least() {
  [[ $(printf '%s\n' "$2" "$3" | sort -V | head -n 1) == "$3" ]] || die "$1 $2 is too old: $3 is the oldest that will do"
}

# installed NAME LOCK-FILE…: the folder for what these lock files pin, the same for the same contents.
installed() {
  local name=$1 hash
  shift
  hash=$(cat "$@" | sha256sum)
  echo "$OTTO_TOOLS/$name-${hash:0:16}"
}

# once WHAT FOLDER COMMAND…: fills a folder that is not there yet. The command is given a folder of another name,
# so that one which was interrupted leaves nothing that looks whole.
once() {
  local what=$1 place=$2
  shift 2
  [[ -d $place ]] && return
  say "installing for $what (once on this machine)"
  mkdir -p "$OTTO_TOOLS"
  rm -rf "$place.part"
  "$@" "$place.part" >&2
  mv "$place.part" "$place"
}

# node_packages SOURCE FOLDER: what the lock file in SOURCE pins.
node_packages() {
  mkdir "$2"
  cp "$1/package.json" "$1/package-lock.json" "$2"
  (cd "$2" && npm ci --silent --ignore-scripts --no-audit --no-fund)
}

# browser_programs STAGE: what drives browsers, built from tests/page in a copy of it, STAGE. One at a time.
browser_programs() {
  local tests=tests/page modules stage=$1
  need_packages node=nodejs npm=npm
  at_least Node.js "$(command node --version | tr -d v)" 20.19
  modules=$(installed page-tests "$tests/package-lock.json")
  once "the tests of the page" "$modules" node_packages "$tests"
  rm -rf "$stage"
  mkdir -p "$stage"
  cp -r "$tests"/{src,package.json,tsconfig.json,biome.json} "$stage"
  ln -s "$modules/node_modules" "$stage/node_modules"
  (cd "$stage" && npm run --silent lint && npm run --silent build) >&2
}

# Whether there is a compiler that can build with sanitizers.
has_nightly() { have rustup && rustup toolchain list | grep -q ^nightly; }
