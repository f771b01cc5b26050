"""Load from other processes: wrk for HTTP, redis-benchmark for the raw limit of Redis."""

import contextlib
import csv
import os
import subprocess

from processes import Failed, Process
from stage import run_json

THREADS = 2
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sync_events.lua")


def wrk_command(
    stage, url, connections, seconds, prefix="bench", devices=20_000, rate=0, respite=0, batch=0, key="-"
):
    """Posts events for some seconds; `sync_events.lua` tells what the last arguments are."""
    command = [os.path.join(stage.bin, "wrk"), "-t", str(THREADS), "-c", str(connections)]
    command += ["-d", f"{seconds}s", "--timeout", "10s", "-s", SCRIPT]
    command += [f"{url}/api/{'v1/sync-events' if batch else 'sync-event'}", "--"]
    return command + [str(part) for part in (prefix, devices, stage.next_start(), THREADS, rate, respite, batch, key)]


def wrk(stage, url, *arguments, **more):
    """Runs wrk to its end; what it says, with the accepts per second."""
    said = run_json(wrk_command(stage, url, *arguments, **more), stage.env)
    if said["requests"] == 0:
        raise Failed(f"{url} answered nothing")
    said["rate"] = (said["requests"] - said["refused"]) / said["seconds"]
    return said


@contextlib.contextmanager
def wrk_beside(stage, url, *arguments, **more):
    """Runs wrk beside the block, which ends no sooner than wrk."""
    command = wrk_command(stage, url, *arguments, **more)
    process = Process("wrk", command, stage.env, os.path.join(stage.run_dir, "wrk.log"))
    stage.started.append(process)
    try:
        yield process
        if process.child.wait() != 0:
            process.check()
    finally:
        process.stop()
        stage.started.remove(process)


def redis_limit(stage, pipeline, count, value_bytes, clients=64):
    """Single RPUSHes per second of values of a size, `pipeline` of them sent together."""
    command = [os.path.join(stage.bin, "redis-benchmark"), "-p", str(stage.redis.port), "--csv"]
    command += ["-t", "rpush", "-d", str(value_bytes), "-n", str(count), "-c", str(clients), "-P", str(pipeline)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    stage.redis.ask("DEL", "mylist")
    rows = list(csv.DictReader(done.stdout.strip().splitlines()))
    return float(rows[-1]["rps"])
