# shellcheck shell=bash
# The browser that looks at the dashboard: Debian's chromium, driven by playwright-core. Neither
# downloads anything by itself.

ensure_browser() {
  ensure_chromium
  ensure_browser_packages
}

ensure_chromium() {
  local dir=$STATE/chromium path
  if path=$(on_path chromium); then
    ln -sfn "$path" "$BIN/chromium"
  elif ! works chromium; then
    command -v apt-get >/dev/null || die "no chromium here, and no apt-get to fetch it with: install chromium"
    say "fetching a browser (Debian's chromium package, unpacked under $STATE)"
    fetch_debs "$dir" chromium fonts-dejavu-core ||
      die_with_log "$STATE/apt.log" "apt could not fetch chromium; as root: apt-get install chromium"
    wrap chromium "$dir" "$dir/usr/lib/chromium/chromium"
    add_fonts "$dir"
    works chromium || die "the fetched chromium does not run: install chromium"
  fi
}

# The fonts that were fetched, beside the system's own.
add_fonts() {
  cat >"$1/fonts.conf" <<EOF_FONTS
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>$1/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>$1/fonts-cache</cachedir>
</fontconfig>
EOF_FONTS
  sed -i "2s|^|FONTCONFIG_FILE='$1/fonts.conf' |" "$BIN/chromium"
}

# As the lock file says; installed again only when that has changed.
ensure_browser_packages() {
  local source=$ROOT/scripts/lib/browser dir=$STATE/browser
  if cmp -s "$source/package-lock.json" "$dir/installed.json"; then return; fi
  command -v npm >/dev/null || die "the test of the dashboard needs Node.js and npm: apt-get install nodejs npm"
  say "fetching playwright-core and axe-core (npm ci)"
  rm -rf "$dir"
  mkdir -p "$dir"
  cp "$source"/package*.json "$dir/"
  npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund >"$STATE/npm.log" 2>&1 ||
    die_with_log "$STATE/npm.log" "npm could not fetch the packages of the browser's test"
  cp "$source/package-lock.json" "$dir/installed.json"
}
