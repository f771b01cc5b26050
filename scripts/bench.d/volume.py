"""Rows with many rows: does the drain keep its pace, do the reads keep theirs."""

import http.client
import random
import time

from drain import drain
from processes import Failed

WORKERS = 2


def run(stage, plan, results):
    """Drains into an empty and into a large collection, in turn; then reads from the large one.

    The large and the empty collection lie in databases of their own, with the same counters.
    """
    stage.redis.fsync("always")
    stage.fresh()
    results.record("many.rows", plan.many_rows)
    usual = stage.database
    large, empty = f"{usual}_large", f"{usual}_empty"
    for database, rounds in ((empty, 1), (large, max(1, plan.many_rows // plan.many_devices))):
        stage.mongo.empty(database)
        stage.use(database)
        stage.known_fleet("many", plan.many_devices, rounds)
    for _ in range(plan.repeats):
        stage.mongo.drop_rows(empty)
        for database, name in ((empty, "empty"), (large, "large")):
            stage.use(database)
            stage.redis.empty()
            events = max(plan.drain_events, plan.many_devices)
            rate, costs = drain(stage, "many", plan.many_devices, events, WORKERS)
            results.record(f"drain.{name}", rate)
            results.record(f"cpu.mongod.{name}", costs["mongod"])
    reads(stage, plan, results)
    stage.use(usual)
    for database in (empty, large):
        stage.mongo.empty(database)


def reads(stage, plan, results):
    """Pages of both lists, one request after the other, as from a dashboard."""
    with stage.api() as api:
        for _ in range(plan.repeats):
            read(api, plan, results, "history", history)
            read(api, plan, results, "repeated-failures", repeated_failures)


def read(api, plan, results, name, path):
    """Latencies of some requests over one connection."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=10)
    spent = []
    for _ in range(plan.reads):
        since = time.monotonic()
        connection.request("GET", path(plan))
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise Failed(f"{path(plan)}: {response.status}")
        spent.append((time.monotonic() - since) * 1e3)
    connection.close()
    spent.sort()
    results.record(f"{name}.p50", spent[len(spent) // 2])
    results.record(f"{name}.p99", spent[len(spent) * 99 // 100])


def history(plan):
    """A page of a device."""
    device = random.randrange(plan.many_devices)
    return f"/api/device/many-{device:06}/sync-history?page={random.randint(1, 3)}&limit=10"


def repeated_failures(_):
    """One of the first pages of the devices that keep failing."""
    return f"/api/devices/repeated-failures?page={random.randint(1, 5)}&limit=20"
