"""Rows of the system as a whole: API, workers and alerter at the same time."""

import os
import time

from load import wrk_beside
from processes import Busy
from stage import of_fleet

RATES = (100, 1_000, 5_000)
# Small enough to be full soon: then the API takes in what the workers take out.
SUSTAINED_QUEUE = 32_000
RESPITE_MS = 25
WARM_UP = 3
# Of what `fleet-sim verify` tells; `phantom` are the rows from before the herd.
FAULTS = ("lost", "duplicated", "wrongValues", "wrongCounters")


def sustained(stage, plan, results):
    """Accepting and draining at once, at the rate that lasts: the queue is at its limit."""
    stage.redis.fsync("always")
    for _ in range(plan.repeats):
        stage.fresh()
        stage.known_fleet("bench", plan.fleet)
        seconds = WARM_UP + plan.sustained_seconds
        with stage.api("--max-queue", str(SUSTAINED_QUEUE)) as api, stage.workers(2), stage.alerter():
            with wrk_beside(stage, api.url, 64, seconds + 1, devices=plan.fleet, respite=RESPITE_MS):
                time.sleep(WARM_UP)
                busy = Busy()
                before, since = [stage.total(name) for name in ("pushed", "acked")], time.monotonic()
                time.sleep(plan.sustained_seconds)
                after, spent = [stage.total(name) for name in ("pushed", "acked")], time.monotonic() - since
                results.record("busy.sustained", busy.percent())
            stage.await_drained()
        accepted, stored = ((late - early) / spent for early, late in zip(before, after))
        results.record("sustained.accepted", accepted)
        results.record("sustained.stored", stored)


def herd(stage, plan, results):
    """A whole fleet that reports at the same time; each 202 must be one row."""
    stage.redis.fsync("always")
    for seconds in plan.herd_seconds:
        for _ in range(plan.repeats if seconds <= 10 else 1):
            one_herd(stage, plan, results, seconds)


def one_herd(stage, plan, results, seconds):
    """One herd, verified."""
    stage.fresh()
    stage.known_fleet("herd", plan.herd_devices)
    ledger = os.path.join(stage.run_dir, "herd.ledger")
    if os.path.exists(ledger):
        os.remove(ledger)
    flags = of_fleet("herd", plan.herd_devices, 1, stage.next_start())
    with stage.api() as api, stage.workers(2), stage.alerter():
        flags += ["--api", api.url, "--over", f"{seconds}s", "--concurrency", "1000", "--ledger", ledger]
        said = stage.fleet("run", *flags, may_fail=True)
        since = time.monotonic()
        stage.await_drained()
        after = time.monotonic() - since
    verdict = stage.fleet("verify", "--ledger", ledger, "--wait", "10", may_fail=True)
    name = f"herd.{seconds}"
    results.record(f"{name}.accepted", said["accepted"])
    results.record(f"{name}.seconds", said["seconds"])
    results.record(f"{name}.retries", said["retries"])
    results.record(f"{name}.refused", said["sent"] - said["accepted"])
    results.record(f"{name}.p99", said["latencyMs"]["p99"])
    results.record(f"{name}.drained", after)
    results.record(f"{name}.faults", sum(verdict[fault] for fault in FAULTS))


def latency(stage, plan, results):
    """From the 202 to the row, at rates that the system is far from."""
    stage.redis.fsync("always")
    for _ in range(plan.repeats):
        for rate in RATES:
            stage.fresh()
            stage.known_fleet("bench", plan.fleet)
            with stage.api() as api, stage.workers(2), stage.alerter():
                flags = ["--api", api.url, "--rate", rate, "--seconds", plan.latency_seconds]
                flags += ["--devices", plan.fleet, "--device-prefix", "bench", "--concurrency", 256]
                said = stage.fleet("latency", *flags, may_fail=True)
            for figure in ("p50", "p99", "max"):
                results.record(f"row.{rate}.{figure}", said["rowLatencyMs"][figure])
            results.record("row.missing", said["missing"] + said["sent"] - said["accepted"])
