"""Rows of the other ways in, in turn with the plain one: with keys that are checked, and in batches."""

import os
import subprocess

from load import wrk

CONNECTIONS = 64
BATCH = 100


def run(stage, plan, results):
    """The plain door, the one with a lock, and the wide one."""
    stage.redis.fsync("always")
    keys_file = os.path.join(stage.run_dir, "keys.toml")
    key = new_key(stage, keys_file)
    locked = ("--auth", "enforce", "--keys-file", keys_file)
    for _ in range(plan.repeats):
        stage.fresh()
        through(stage, plan, results, "open")
        through(stage, plan, results, "locked", *locked, key=key)
        through(stage, plan, results, "batch", batch=BATCH)


def through(stage, plan, results, name, *arguments, batch=0, key="-"):
    """Accepted events per second, as fast as the connections allow."""
    stage.redis.empty()
    with stage.api("--max-queue", "50000000", *arguments) as api:
        said = wrk(stage, api.url, CONNECTIONS, plan.wrk_seconds, batch=batch, key=key)
    results.record(f"door.{name}.rate", said["rate"] * max(1, batch))
    results.record(f"door.{name}.p50", said["p50"])
    results.record(f"door.{name}.p99", said["p99"])
    results.record("accept.errors", said["refused"] + said["broken"])


def new_key(stage, keys_file):
    """A key that may post events."""
    command = [stage.binary("ingest-api"), "keys", "--keys-file", keys_file, "new", "--scope", "ingest"]
    done = subprocess.run(command, env=stage.env, check=True, capture_output=True, text=True)
    return done.stdout.strip()
