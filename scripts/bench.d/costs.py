"""Rows of what the system costs: memory of the queue, time to start, work while idle."""

import http.client
import json
import os
import time

import baseline
from processes import Failed, Process, free_port
from stage import PARTITIONS, PREFIX

COLD_STARTS = 5


def queue_memory(stage, plan, results):
    """Bytes in Redis for each event that waits, beside the body that the device sent."""
    stage.redis.fsync("everysec")
    for _ in range(plan.repeats):
        stage.redis.empty()
        filled = stage.fill("bench", plan.fleet, plan.queued_events)
        lists = [f"{PREFIX}:{{q:{number:02}}}:ready" for number in range(PARTITIONS)]
        usage = stage.redis.ask_all([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in lists])
        each = sum(size or 0 for size in usage) / filled["events"]
        results.record("queued.bytes", each)
        results.record("queued.body", filled["bodyBytes"] / filled["events"])
        results.record("queued.over-message", each - filled["messageBytes"] / filled["events"])
        results.record("queued.over-body", each - filled["bodyBytes"] / filled["events"])
        results.record("baseline.queued.bytes", baseline.queued_bytes(stage))
    stage.mongo.empty(baseline.DATABASE)


def cold_start(stage, plan, results):
    """From the start of the process to the first 202."""
    stage.redis.fsync("always")
    stage.fresh()
    with stage.api():
        pass
    for number in range(COLD_STARTS):
        results.record("start.api", first_202(stage, number) * 1e3)


def first_202(stage, number):
    """Seconds from the start of an `ingest-api` until it has accepted an event."""
    address = f"127.0.0.1:{free_port()}"
    body = {"deviceId": f"start-{number}", "timestamp": stage.next_start() * 1_000}
    body |= {"totalFilesSynced": 1, "totalErrors": 0, "internetSpeed": 1.5}
    since = time.monotonic()
    command = [stage.binary("ingest-api"), "--bind", address]
    process = Process("ingest-api", command, stage.env, os.path.join(stage.run_dir, "start.log"))
    with stage.running(process):
        while not is_accepted(address, json.dumps(body)):
            process.check()
            if time.monotonic() - since > 30:
                raise Failed("ingest-api has accepted nothing within 30 s of its start")
            time.sleep(0.001)
        return time.monotonic() - since


def is_accepted(address, body):
    """Whether the API takes this event now."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("POST", "/api/sync-event", body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 202
    except OSError:
        return False
    finally:
        connection.close()


def idle(stage, plan, results):
    """Share of one processor that each service takes while nothing happens."""
    stage.fresh()
    with stage.api() as api, stage.workers(1) as (worker,), stage.alerter() as alerter:
        services = (api, worker, alerter)
        time.sleep(1)
        before = [service.cpu_seconds() for service in services]
        time.sleep(plan.idle_seconds)
        for service, cpu in zip(services, before):
            share = (service.cpu_seconds() - cpu) / plan.idle_seconds
            results.record(f"idle.{service.name}", share * 100)
