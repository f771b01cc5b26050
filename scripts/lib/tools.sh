# shellcheck shell=bash
# The cargo tools of the test suite: from the PATH, else from pinned wheels.

TOOLS=$STATE/tools
PATH=$PATH:$TOOLS/bin

NEXTEST_VERSION=0.9.148
NEXTEST_SHA256=76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968
DENY_VERSION=0.20.2
DENY_SHA256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee

MACHETE_VERSION=0.9.2

# How long the network may take to give the database of advisories, in seconds.
ADVISORIES_TIMEOUT=60

has_tool() {
  cargo "$1" --version >/dev/null 2>&1
}

# fetch_tool NAME VERSION SHA256: the wheels are for x86-64 Linux. Fails where they do not run.
fetch_tool() {
  local name=$1 dir=$TOOLS/$1
  say "fetching cargo-$name $2"
  mkdir -p "$TOOLS/bin"
  fetch_wheel "astral-dev-toolchain-cargo-$name==$2" "$3" "$dir" || return 1
  mv "$dir"/*.data/scripts/"cargo-$name" "$TOOLS/bin/" || return 1
  rm -rf "$dir"
  chmod +x "$TOOLS/bin/cargo-$name"
  has_tool "$name" && return
  rm -f "$TOOLS/bin/cargo-$name"
  return 1
}

ensure_nextest() {
  has_tool nextest || fetch_tool nextest "$NEXTEST_VERSION" "$NEXTEST_SHA256" ||
    say "no cargo-nextest for this machine: the tests run with cargo test"
}

ensure_cargo_deny() {
  has_tool deny || fetch_tool deny "$DENY_VERSION" "$DENY_SHA256" ||
    cargo install --locked --root "$TOOLS" --version "$DENY_VERSION" cargo-deny
}

ensure_cargo_machete() {
  has_tool machete || cargo install --quiet --locked --root "$TOOLS" --version "$MACHETE_VERSION" cargo-machete ||
    say "no cargo-machete for this machine: unused dependencies are not looked for"
}

# Known faults of dependencies, where the network lets their database through.
advisories() {
  if GIT_TERMINAL_PROMPT=0 timeout -k 5 "$ADVISORIES_TIMEOUT" cargo deny fetch db >"$STATE/advisories.log" 2>&1 </dev/null; then
    run cargo deny check --disable-fetch advisories
  else
    say "the database of advisories (github.com/RustSec/advisory-db) cannot be fetched: advisories were not checked"
  fi
}

unused_dependencies() {
  with_download_lock ensure_cargo_machete
  if has_tool machete; then
    run cargo machete
  fi
}
