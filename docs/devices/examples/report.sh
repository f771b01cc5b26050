#!/bin/sh
# Keeps the reports of a device in a folder until PiSync has taken them. Needs curl.
#   report.sh add FILES ERRORS MBPS   keeps a report of a sync attempt
#   report.sh send                    sends what is kept: 0 if all was sent, 75 if some is left
set -eu
: "${PISYNC_URL:?}" "${PISYNC_DEVICE:?}" "${PISYNC_KEY:=any}" "${PISYNC_SPOOL:=$HOME/.pisync}"
: "${PISYNC_TRIES:=8}" "${PISYNC_MAX_WAIT:=3600}"
mkdir -p "$PISYNC_SPOOL/dead"
cd "$PISYNC_SPOOL"

add() {
  id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  now=$(date +%s)
  printf '{"reportId":"%s","deviceId":"%s","timestamp":%s000,"totalFilesSynced":%s,"totalErrors":%s,"internetSpeed":%s}\n' \
    "$id" "$PISYNC_DEVICE" "$now" "$1" "$2" "$3" >"$id.new"
  mv "$id.new" "$now-$id.json"
}

# 0 if the report need not be sent again: it was taken, or it never will be and lies in dead.
send_one() {
  answer=$(curl -sS --max-time 60 -D head -o body -w '%{http_code} %{content_type}' \
    -H "Authorization: Bearer $PISYNC_KEY" -H 'Content-Type: application/json' \
    --data-binary "@$1" "$PISYNC_URL/api/sync-event") || { : >head; return 1; }
  case $answer in
    '202 application/json'*)
      grep -q '"success": *true' body || return 1
      rm -f "$1" ;;
    '400 application/problem+json'* | '413 application/problem+json'* | \
    '415 application/problem+json'* | '431 application/problem+json'*)
      echo "never taken: $1: $(cat body)" >&2
      mv "$1" dead/ ;;
    *) return 1 ;;
  esac
}

# How many seconds to wait: what Retry-After says, as seconds or as a date, or ever longer.
pause() {
  wait=$((5 << ($1 > 10 ? 10 : $1 - 1)))
  asked=$(grep -i '^retry-after:' head | tail -n 1 | cut -d: -f2- | tr -d '\r' | sed 's/^ *0*//')
  case $asked in
    '') ;;
    *[!0-9]*) due=$(date -d "$asked" +%s 2>/dev/null) && wait=$((due - $(date +%s))) ;;
    *) [ "${#asked}" -gt 6 ] || wait=$asked ;;
  esac
  [ "$wait" -ge 1 ] || wait=1
  [ "$wait" -le "$PISYNC_MAX_WAIT" ] || wait=$PISYNC_MAX_WAIT
  # Not all devices at the same second.
  echo $((wait + $(od -An -N1 -tu1 /dev/urandom) * wait / 1024))
}

send() {
  for report in *.json; do
    tries=1
    while [ -e "$report" ] && ! send_one "$report"; do
      [ "$tries" -lt "$PISYNC_TRIES" ] || exit 75
      sleep "$(pause "$tries")"
      tries=$((tries + 1))
    done
  done
}

case ${1:-} in
  add) add "$2" "$3" "$4" ;;
  send) send ;;
  *) echo "usage: $0 add FILES ERRORS MBPS | send" >&2; exit 2 ;;
esac
