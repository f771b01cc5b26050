"""Rows of the way in: how many reports are accepted, and how fast each."""

import baseline
from load import redis_limit, wrk
from processes import Busy

MODES = ("everysec", "always")
CONNECTIONS = (64, 1_000)
STEADY_RATE = 5_000
STEADY_CONNECTIONS = 256


def run(stage, plan, results):
    """Accepts alone, beside what Redis takes at all and what the baseline takes."""
    value_bytes = message_bytes(stage)
    for _ in range(plan.repeats):
        stage.fresh()
        for mode in MODES:
            stage.redis.fsync(mode)
            limits(stage, plan, results, mode, value_bytes)
            for connections in CONNECTIONS:
                ours(stage, plan, results, mode, connections)
            theirs(stage, plan, results, mode, "all")
            theirs(stage, plan, results, mode, "api")
        steady(stage, plan, results)
        draining(stage, plan, results)


def message_bytes(stage):
    """What an event takes in the queue by itself, on average."""
    stage.redis.empty()
    filled = stage.fill("bench", 1_000, 1_000)
    return filled["messageBytes"] // filled["events"]


def limits(stage, plan, results, mode, value_bytes):
    """What Redis takes of values as large as an event's message."""
    for pipeline, count in ((1, 12_000), (64, 200_000)):
        stage.redis.empty()
        rate = redis_limit(stage, pipeline, count * plan.wrk_seconds, value_bytes)
        results.record(f"limit.redis.{mode}.{pipeline}", rate)


def ours(stage, plan, results, mode, connections):
    """As fast as the connections allow."""
    stage.redis.empty()
    with stage.api() as api:
        before, busy = (api.cpu_seconds(), stage.redis.cpu_seconds()), Busy()
        said = wrk(stage, api.url, connections, plan.wrk_seconds)
        spent = api.cpu_seconds() - before[0], stage.redis.cpu_seconds() - before[1]
        results.record(f"busy.accept.{mode}.{connections}", busy.percent())
    note(results, f"accept.{mode}.{connections}", said)
    if (mode, connections) == ("always", 64):
        results.record("cpu.ingest-api", spent[0] * 1e6 / said["requests"])
        results.record("cpu.redis.accept", spent[1] * 1e6 / said["requests"])


def theirs(stage, plan, results, mode, role):
    """The baseline as it is, with its worker in the same process, or the way in alone."""
    said = baseline.accept(stage, role, plan.wrk_seconds)
    note(results, f"baseline.{role}.{mode}", said, is_ours=False)
    results.record(f"baseline.{role}.{mode}.stored", said["stored"])


def steady(stage, plan, results):
    """At a rate far below the limit: what a device waits."""
    stage.redis.fsync("always")
    stage.redis.empty()
    with stage.api() as api:
        said = wrk(stage, api.url, STEADY_CONNECTIONS, plan.wrk_seconds, rate=STEADY_RATE)
    note(results, "steady", said)


def draining(stage, plan, results):
    """The same while workers take out what comes in."""
    stage.redis.empty()
    stage.known_fleet("bench", plan.fleet)
    with stage.api() as api, stage.workers(2), stage.alerter():
        busy = Busy()
        said = wrk(stage, api.url, STEADY_CONNECTIONS, plan.wrk_seconds, devices=plan.fleet, rate=STEADY_RATE)
        results.record("busy.draining", busy.percent())
        stage.await_drained()
    note(results, "draining", said)


def note(results, name, said, is_ours=True):
    """Keeps what wrk said; anything but a 202 shows in the table."""
    for figure in ("rate", "p50", "p99"):
        results.record(f"{name}.{figure}", said[figure])
    if is_ours:
        results.record("accept.errors", said["refused"] + said["broken"])
