"""Rows of the alerter: what a look costs, how many incidents it can tell, how soon people know."""

import http.client
import json
import os
import threading
import time

from far_end import FarEnd
from processes import Failed, await_true, free_port
from servers import Redis
from stage import PREFIX

# There is a look at the start, and none by the schedule.
NEVER = ("--schedule", "0 0 29 2 1")
BY_THE_MINUTE = ("--schedule", "* * * * *")
TICK = "alerter_tick_duration_seconds"
# How long after another the third failures come.
PACE = 0.02
STRANGERS = 20


def run(stage, plan, results):
    """Looks at many counters first, then messages."""
    stage.redis.fsync("always")
    looks(stage, plan, results)
    told(stage, plan, results)
    hinted(stage, plan, results)
    unhinted(stage, results)


def looks(stage, plan, results):
    """One look at a fleet of which a few devices fail: the first opens an incident for each, and
    the next finds all as it was."""
    fleet_to_look_at(stage, plan)
    results.record("alert.counters", plan.counters)
    results.record("alert.failing", plan.failing)
    for _ in range(plan.repeats):
        forget_alerts(stage)
        results.record("alert.tick.opens", one_look(stage) * 1e3)
        results.record("alert.tick.finds", one_look(stage) * 1e3)


def fleet_to_look_at(stage, plan):
    """Many counters, of which a few are of devices that fail."""
    stage.fresh()
    stage.known_fleet("well", plan.counters - plan.failing)
    failing_fleet(stage, "ill", plan.failing)


def one_look(stage):
    """Seconds of the look that an alerter begins with; it ends when its messages are sent."""
    address = f"127.0.0.1:{free_port()}"
    with alerter(stage, *NEVER, "--ops-bind", address) as process:
        await_true("a look", lambda: process.check() or metric(address, f"{TICK}_count") >= 1, seconds=120)
        seconds = metric(address, f"{TICK}_sum")
        await_true("an empty outbox", lambda: settled(stage, stage.plan.failing), seconds=300, every=0.1)
        return seconds


def told(stage, plan, results):
    """As many devices as fail at once, told one by one by one alerter: opened, claimed, sent and
    marked."""
    stage.fresh()
    failing_fleet(stage, "ill", plan.incidents)
    since = time.monotonic()
    with alerter(stage, *NEVER) as process:
        is_told = lambda: process.check() or settled(stage, plan.incidents)
        await_true("all incidents told", is_told, seconds=900, every=0.05)
        spent = time.monotonic() - since
    lines = len(AlertLog(stage).lines())
    if lines != plan.incidents:
        raise Failed(f"{plan.incidents} incidents made {lines} lines")
    results.record("alert.told", plan.incidents / spent)


def hinted(stage, plan, results):
    """From the 202 of a device's third failure to its line in the log, and to its message to a
    webhook that is told of each device at once. No look but by a hint."""
    stage.fresh()
    for _ in range(plan.repeats):
        with FarEnd() as people, stage.api() as api, stage.workers(1), alerter(stage, *NEVER, webhook=people.url):
            told = third_failures(stage, api, plan.thirds, AlertLog(stage), people)
        for name, waits in zip(("hinted", "webhook"), told):
            results.record(f"alert.{name}.p50", waits[len(waits) // 2] * 1e3)
            results.record(f"alert.{name}.p99", waits[len(waits) * 99 // 100] * 1e3)


def unhinted(stage, results):
    """The same while the list of hints is deleted as fast as Redis can: a look by the schedule
    finds them."""
    stage.fresh()
    with stage.api() as api, stage.workers(1), alerter(stage, *BY_THE_MINUTE), no_hints(stage):
        [waits] = third_failures(stage, api, STRANGERS, AlertLog(stage))
    results.record("alert.unhinted.max", waits[-1])


def third_failures(stage, api, devices, *ends):
    """Seconds from the third failure of each of some new devices until each of these ends has
    heard of it, shortest first."""
    run = time.monotonic_ns()
    names = [f"third-{run}-{number}" for number in range(devices)]
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=10)
    for minutes in (3, 2):
        for name in names:
            fail(connection, name, minutes)
    stage.await_drained()
    accepted, heard = {}, [{} for _ in ends]
    watches = [threading.Thread(target=end.watch, args=(names, seen), daemon=True) for end, seen in zip(ends, heard)]
    for watch in watches:
        watch.start()
    for name in names:
        fail(connection, name, 1)
        accepted[name] = time.monotonic()
        time.sleep(PACE)
    for watch in watches:
        watch.join(120)
    missing = max(len(names) - len(seen) for seen in heard)
    if missing:
        raise Failed(f"{missing} of {len(names)} devices that failed were not told of")
    return [sorted(seen[name] - accepted[name] for name in names) for seen in heard]


def fail(connection, device, minutes):
    """Reports a failed sync of some minutes ago."""
    body = {"deviceId": device, "timestamp": int(time.time() - 60 * minutes) * 1_000}
    body |= {"totalFilesSynced": 1, "totalErrors": 1, "internetSpeed": 1.5}
    connection.request("POST", "/api/sync-event", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    if response.status != 202:
        raise Failed(f"a report was answered by {response.status}")


class AlertLog:
    """The file that the alerters append to."""

    def __init__(self, stage):
        self.path = stage.alert_log
        self.start = 0
        if os.path.exists(self.path):
            self.start = os.path.getsize(self.path)

    def lines(self):
        """All whole lines."""
        with open(self.path, "rb") as file:
            return file.read().splitlines()

    def watch(self, names, seen):
        """Notes when the first line of each of these devices is there."""
        rest, waiting = b"", set(names)
        await_true("the alert log", lambda: os.path.exists(self.path))
        with open(self.path, "rb") as file:
            file.seek(self.start)
            while waiting:
                rest += file.read()
                now = time.monotonic()
                *whole, rest = rest.split(b"\n")
                for line in whole:
                    device = json.loads(line).get("deviceId")
                    if device in waiting:
                        waiting.remove(device)
                        seen[device] = now
                time.sleep(0.002)


class no_hints:
    """Deletes the list of hints over and over, from here to the end of the block."""

    def __init__(self, stage):
        self.redis = Redis(stage.redis.url, stage.redis.pid)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.delete, daemon=True)

    def delete(self):
        """Faster than an alerter looks."""
        while not self.over.is_set():
            self.redis.ask("DEL", f"{PREFIX}:alerts")

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def alerter(stage, *arguments, webhook=None):
    """An alerter with an empty log, to which all devices are no reason to hold back each; it tells
    a webhook, too, of each device by itself."""
    if os.path.exists(stage.alert_log):
        os.remove(stage.alert_log)
    config = stage.alert_log + ".toml"
    with open(config, "w", encoding="utf-8") as file:
        file.write("[rules.fleet_sync_failing]\nat_least = 1000000000\n")
        if webhook:
            file.write(f'[[receiver]]\nname = "people"\ntype = "webhook"\nurl = "{webhook}"\n')
            file.write('[[route]]\nreceiver = "people"\ngroup_by = ["deviceId"]\ngroup_wait = "0s"\n')
    return stage.alerter("--config", config, *arguments)


def failing_fleet(stage, prefix, devices):
    """Devices that have failed three times until now; their rows and counters."""
    flags = ("--device-prefix", prefix, "--devices", devices, "--rounds", 3, "--failure-rate", 1, "--seed", 1)
    stage.fleet("load", *flags, "--counters", "last")


def alerts_of(stage):
    """The collection of the incidents."""
    return stage.mongo.client[stage.database]["Alert"]


def forget_alerts(stage):
    """Nobody has been told of anything."""
    alerts_of(stage).delete_many({})
    stage.mongo.settle()


def settled(stage, incidents):
    """Whether there are so many incidents, and nothing of them is still to be told."""
    alerts, waiting = alerts_of(stage), {"outboxDueAt": {"$exists": True}}
    return alerts.estimated_document_count() == incidents and not alerts.count_documents(waiting, limit=1)


def metric(address, name):
    """The value of a metric without labels; 0 where nobody answers yet."""
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    except OSError:
        return 0.0
    finally:
        connection.close()
    values = [line.split()[1] for line in lines if line.split(" ")[0].endswith(name)]
    return float(values[0]) if values else 0.0
