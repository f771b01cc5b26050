#!/bin/sh
# Keeps the reports of a device in a folder until PiSync has taken them. Needs curl.
#   report.sh add FILES ERRORS MBPS   keeps a report of a sync attempt
#   report.sh send                    sends what is kept: 0 if all was sent, 75 if some is left
set -eu
: "${PISYNC_URL:?}" "${PISYNC_DEVICE:?}" "${PISYNC_KEY:=any}" "${PISYNC_SPOOL:=$HOME/.pisync}"
: "${PISYNC_TRIES:=8}" "${PISYNC_MAX_WAIT:=3600}"
mkdir -p "$PISYNC_SPOOL/dead"
cd "$PISYNC_SPOOL"
# Two that send at a time must not read each other's answers.
head=head.$$ body=body.$$
trap 'rm -f "$head" "$body"' EXIT
trap 'exit 75' HUP INT TERM

add() {
  id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  now=$(date +%s)
  printf '{"reportId":"%s","deviceId":"%s","timestamp":%s000,"totalFilesSynced":%s,"totalErrors":%s,"internetSpeed":%s}\n' \
    "$id" "$PISYNC_DEVICE" "$now" "$1" "$2" "$3" >"$id.new"
  mv "$id.new" "$now-$id.json"
}

# 0 if the report need not be sent again: it was taken, or it never will be and lies in dead.
# 1 if it is kept, 2 if nobody answers.
send_one() {
  : >"$head"; : >"$body"
  answer=$(curl -sS --max-time 60 -D "$head" -o "$body" -w '%{http_code} %{content_type}' \
    -H "Authorization: Bearer $PISYNC_KEY" -H 'Content-Type: application/json' \
    --data-binary "@$1" "$PISYNC_URL/api/sync-event") || return 2
  # The type in lower case and without parameters, and the JSON without white space.
  answer=$(printf '%s' "$answer" | tr '[:upper:]' '[:lower:]' | sed 's/ *;.*//')
  case "$answer $(tr -d ' \t\r\n' <"$body")" in
    '202 application/json {"success":true,"message":"Synceventqueuedsuccessfully"'[,}]*)
      rm -f "$1" ;;
    '400 application/problem+json '* | '413 application/problem+json '* | \
    '415 application/problem+json '* | '431 application/problem+json '*)
      echo "never taken: $1: $(cat "$body")" >&2
      mv "$1" dead/ ;;
    *) return 1 ;;
  esac
}

# How many seconds to wait: what Retry-After says, as seconds or as a date, or ever longer.
pause() {
  wait=$((5 << ($1 > 10 ? 10 : $1 - 1)))
  asked=$(grep -i '^retry-after:' "$head" | tail -n 1 | cut -d: -f2- | tr -d '\r' | sed 's/^ *0*//')
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

# A report that is kept goes behind all others, so that it holds up none. Once five in a row are kept,
# or nobody answers, it is time to wait.
send() {
  tries=0
  while queue=$(ls -tr | grep '\.json$'); do
    in_a_row=0
    for report in $queue; do
      [ -e "$report" ] || continue
      result=0
      send_one "$report" || result=$?
      if [ "$result" -eq 0 ]; then
        in_a_row=0 tries=0
        continue
      fi
      in_a_row=$((in_a_row + 1))
      touch -c "$report"
      if [ "$result" -eq 2 ] || [ "$in_a_row" -ge 5 ]; then break; fi
    done
    [ "$in_a_row" -gt 0 ] || continue
    tries=$((tries + 1))
    [ "$tries" -lt "$PISYNC_TRIES" ] || exit 75
    sleep "$(pause "$tries")"
  done
}

case ${1:-} in
  add) add "$2" "$3" "$4" ;;
  send) send ;;
  *) echo "usage: $0 add FILES ERRORS MBPS | send" >&2; exit 2 ;;
esac
