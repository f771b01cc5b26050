"""The stack that PiSync replaces, in one process of node."""

import contextlib
import os
import time

from load import wrk
from processes import Process, await_true, free_port

DATABASE = "baseline"
DEVICES = 1_000
WINDOW = 4.0


@contextlib.contextmanager
def baseline(stage, role):
    """The baseline as `api`, `worker` or `all`; yields its process, which has a `url`."""
    directory = os.path.join(os.environ["BENCH_STATE"], "bench", "baseline")
    port = free_port()
    settings = {"ROLE": role, "PORT": str(port), "REDIS_PORT": str(stage.redis.port), "NODE_ENV": "production"}
    settings |= {"MONGO_URI": stage.mongo.uri, "MONGO_DB": DATABASE}
    log = os.path.join(stage.run_dir, "baseline.log")
    if os.path.exists(log):
        os.remove(log)
    process = Process("baseline", ["node", os.path.join(directory, "app.js")], stage.env | settings, log)
    process.url = f"http://127.0.0.1:{port}"
    with stage.running(process):
        await_true("the baseline", lambda: process.check() or is_ready(log))
        yield process


def is_ready(log):
    """Whether it has said so."""
    with open(log, encoding="utf-8") as lines:
        return "ready\n" in lines


def accept(stage, role, seconds, connections=64):
    """What it takes over HTTP on servers that are empty at first."""
    stage.redis.empty()
    stage.mongo.empty(DATABASE)
    with baseline(stage, role) as process:
        said = wrk(stage, process.url, connections, seconds, devices=DEVICES)
        said["stored"] = stage.mongo.rows(DATABASE) / said["seconds"]
        return said


def drain(stage):
    """Rows with their counters per second, from a queue that was filled before."""
    accept(stage, "api", seconds=3)
    with baseline(stage, "worker") as process:
        await_true("the first row", lambda: stage.mongo.rows(DATABASE) > 0)
        first, since, cpu = stage.mongo.rows(DATABASE), time.monotonic(), process.cpu_seconds()
        time.sleep(WINDOW)
        rows, spent = stage.mongo.rows(DATABASE) - first, time.monotonic() - since
        stage.results.record("cpu.baseline.drain", (process.cpu_seconds() - cpu) * 1e6 / rows)
        return rows / spent


def queued_bytes(stage, seconds=2):
    """Bytes in Redis for each event that waits."""
    stage.redis.empty()
    stage.mongo.empty(DATABASE)
    with baseline(stage, "api") as process:
        before = stage.redis.used_memory()
        taken = wrk(stage, process.url, 64, seconds, devices=DEVICES)
        return (stage.redis.used_memory() - before) / taken["requests"]
