# shellcheck shell=bash
# What the benchmark needs beyond the servers: wrk, and the npm packages of the baseline.

ensure_wrk() {
  local dir=$STATE/wrk/root path
  if path=$(on_path wrk); then
    ln -sfn "$path" "$BIN/wrk"
  elif [[ $("$BIN/wrk" --version 2>/dev/null) != wrk* ]]; then
    command -v apt-get >/dev/null || die "no wrk here, and no apt-get to fetch it with: install wrk"
    say "fetching wrk (Debian's package, unpacked under $STATE)"
    fetch_debs "$dir" wrk || die_with_log "$STATE/apt.log" "apt could not fetch wrk; as root: apt-get install wrk"
    wrap wrk "$dir" "$dir/usr/bin/wrk"
  fi
}

# As the lock file says; installed again only when that has changed.
ensure_baseline() {
  local source=$ROOT/scripts/bench.d/baseline dir=$STATE/bench/baseline
  if ! cmp -s "$source/package-lock.json" "$dir/installed.json"; then
    say "fetching the packages of the baseline (npm ci)"
    rm -rf "$dir"
    mkdir -p "$dir"
    cp "$source"/package*.json "$dir/"
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund >"$STATE/npm.log" 2>&1 ||
      die_with_log "$STATE/npm.log" "npm could not fetch the packages of the baseline"
    cp "$source/package-lock.json" "$dir/installed.json"
  fi
  cp "$source/app.js" "$dir/"
}
