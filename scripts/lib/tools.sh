# shellcheck shell=bash
# The cargo tools of the test suite: from the PATH, else from pinned wheels.

TOOLS=$STATE/tools
PATH=$PATH:$TOOLS/bin

NEXTEST_VERSION=0.9.148
NEXTEST_SHA256=76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968
DENY_VERSION=0.20.2
DENY_SHA256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee

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
