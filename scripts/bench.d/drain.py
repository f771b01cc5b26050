"""Rows of the way out: from a filled queue to rows and counters, beside what MongoDB takes at all."""

import time

import baseline
from processes import Failed
from stage import of_fleet

WORKERS = (1, 2, 4)
RAW = {"insert": "none", "insert-and-count": "each"}


def run(stage, plan, results):
    """Drains alone, the raw limits and the baseline, in turn."""
    stage.redis.fsync("always")
    for _ in range(plan.repeats):
        for name, counters in RAW.items():
            raw(stage, plan, results, name, counters)
        stage.fresh()
        stage.known_fleet("bench", plan.fleet)
        for workers in WORKERS:
            rate, costs = drain(stage, "bench", plan.fleet, plan.drain_events, workers)
            results.record(f"drain.{workers}", rate)
            if workers == 2:
                for process, cost in costs.items():
                    results.record(f"cpu.{process}", cost)
        strangers(stage, plan, results)
        results.record("baseline.drain", baseline.drain(stage))
        stage.mongo.empty(baseline.DATABASE)


def raw(stage, plan, results, name, counters):
    """The same documents with the same indexes, straight into MongoDB."""
    stage.fresh()
    rounds = max(1, plan.insert_rows // plan.fleet)
    flags = of_fleet("raw", plan.fleet, rounds, stage.next_start(rounds))
    said = stage.fleet("load", *flags, "--counters", counters)
    results.record(f"limit.{name}", said["rowsPerSecond"])


def strangers(stage, plan, results):
    """Devices that nobody has heard of before: each needs a counter of its own."""
    stage.fresh()
    rate, _ = drain(stage, "new", plan.drain_events, plan.drain_events, workers=2)
    results.record("drain.strangers", rate)


def drain(stage, prefix, devices, events, workers):
    """Fills the queue and lets workers empty it; rows per second, and the CPU seconds per million
    events of each process.

    The queue is paused until all workers listen; the clock runs from the first batch that is done
    to the last.
    """
    before = stage.mongo.rows(stage.database)
    filled = stage.fill(prefix, devices, events)["events"]
    acked_before = stage.total("acked")
    costs = stage.redis.cpu_seconds(), stage.mongo.cpu_seconds()
    stage.queue("pause")
    with stage.workers(workers) as running:
        stage.queue("resume")
        while (first := stage.total("acked") - acked_before) == 0:
            running[0].check()
            time.sleep(0.002)
        since = time.monotonic()
        stage.await_drained()
        spent = time.monotonic() - since
        costs = {
            "queue-worker": sum(worker.cpu_seconds() for worker in running),
            "redis.drain": stage.redis.cpu_seconds() - costs[0],
            "mongod": stage.mongo.cpu_seconds() - costs[1],
        }
    rows = stage.mongo.rows(stage.database) - before
    if rows != filled:
        raise Failed(f"{filled} events were queued and {rows} rows came of them")
    return (filled - first) / spent, {name: cost * 1e6 / filled for name, cost in costs.items()}
