# shellcheck shell=bash
# Where the checkout is, how the scripts speak, and what they need from the machine.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
STATE=${PISYNC_STATE_DIR:-$ROOT/.pisync}
mkdir -p "$STATE/bin"
STATE=$(cd "$STATE" && pwd)
BIN=$STATE/bin
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
# What has code for tests in it, as programs that can be told where to die: never beside what is released.
TEST_TARGET=$TARGET/testing

say() { printf '%s\n' "$*"; }

heading() { printf '\n== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Ends the script with the last lines of a log, so that nobody has to look for it.
die_with_log() {
  local log=$1
  shift
  printf 'error: %s\n--- last lines of %s\n' "$*" "$log" >&2
  tail -n 20 "$log" >&2 || true
  exit 1
}

# need COMMAND HOW: notes a missing command together with the command that installs it.
MISSING=()
need() {
  command -v "$1" >/dev/null || MISSING+=("$1: $2")
}

# Names all that is missing at once: a person fixes it in one go.
need_prerequisites() {
  MISSING=()
  need cargo "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh   (https://rustup.rs)"
  need cc "apt-get install gcc libc6-dev"
  need python3 "apt-get install python3 python3-pip"
  need flock "apt-get install util-linux"
  need setsid "apt-get install util-linux"
  if command -v python3 >/dev/null && ! python3 -c 'import pip' 2>/dev/null; then
    MISSING+=("pip: apt-get install python3-pip   (or: python3 -m ensurepip)")
  fi
  ((${#MISSING[@]} == 0)) && return
  printf 'missing %s\n' "${MISSING[@]}" >&2
  die "install the above and try again"
}

# The path of a command, not counting what these scripts put into $BIN themselves.
on_path() {
  local found
  while read -r found; do
    [[ $found == "$BIN"/* ]] || { printf '%s\n' "$found"; return 0; }
  done < <(type -aP "$1")
  return 1
}

port_is_free() {
  python3 - "$1" <<'PY'
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind(("127.0.0.1", int(sys.argv[1])))
except OSError:
    sys.exit(1)
PY
}

# Below 32768, where Linux takes the ports of outgoing connections: none of those
# can slip onto the port between this look and the server's start.
free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 12000))
    port_is_free "$port" && { printf '%s\n' "$port"; return; }
  done
  die "no free port between 20000 and 32000"
}
