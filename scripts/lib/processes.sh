# shellcheck shell=bash
# The processes a script starts, and their end: last started is first stopped.

STARTED=()
PID=

# The kernel ends our processes should this script be killed with no chance to clean up.
if setpriv --pdeathsig TERM true 2>/dev/null; then
  WITH_US=(setpriv --pdeathsig TERM)
else
  WITH_US=()
fi

# spawn LOG COMMAND...: sets PID. The process gets a session of its own, so Ctrl-C reaches
# this script alone and the order of the stop is ours.
spawn() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  setsid "${WITH_US[@]}" "$@" >"$log" 2>&1 </dev/null &
  PID=$!
  STARTED+=("$PID")
}

# The same on this terminal, for a command that ends by itself.
spawn_here() {
  setsid "${WITH_US[@]}" "$@" </dev/null &
  PID=$!
  STARTED+=("$PID")
}

# Waits for a process and gives its exit status.
finish() {
  local pid=$1 status=0
  wait "$pid" || status=$?
  forget "$pid"
  return "$status"
}

# Runs a command to its end. A signal gets through at once, which a plain command in the
# foreground would hold up.
run() {
  spawn_here "$@"
  finish "$PID"
}

# Asks the shell's own job table: a number that the system has given away again is not ours.
running() {
  jobs -pr | grep -qx "$1"
}

forget() {
  local pid kept=()
  for pid in "${STARTED[@]}"; do
    [[ $pid == "$1" ]] || kept+=("$pid")
  done
  STARTED=("${kept[@]}")
}

# To the process and all that it started; it may have ended just now.
signal() {
  kill "-$1" -- "-$2" 2>/dev/null || true
}

# stop PID: asks, waits up to STOP_SECONDS, then insists.
stop() {
  local pid=$1 tenths=$((${STOP_SECONDS:-15} * 10))
  forget "$pid"
  if running "$pid"; then signal TERM "$pid"; fi
  while running "$pid" && ((tenths-- > 0)); do sleep 0.1; done
  if running "$pid"; then
    say "process $pid did not stop in time: killed"
    signal KILL "$pid"
  fi
  wait "$pid" 2>/dev/null || true
}

stop_started() {
  trap '' INT TERM HUP
  while ((${#STARTED[@]} > 0)); do stop "${STARTED[-1]}"; done
}

# on_exit COMMAND: runs it however the script ends, except by SIGKILL.
on_exit() {
  # shellcheck disable=SC2064  # the command is known now
  trap "$1" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}
