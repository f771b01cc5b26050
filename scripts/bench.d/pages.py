"""Rows of the dashboard: the fleet page over many devices and rows of the last days, as the server makes
it and as a browser paints it."""

import http.client
import json
import os
import subprocess
import time

from processes import Failed
from stage import HOUR, of_fleet

READS = 200
PAINTS = 10
# The hours of all rows are added up when somebody first asks for them.
PATIENCE = 600


def run(stage, plan, results):
    """Devices that have reported until now, the failing ones with their incidents; then the page."""
    stage.redis.fsync("always")
    stage.fresh()
    report(stage, plan)
    results.record("page.devices", plan.many_devices)
    results.record("page.rows", stage.mongo.rows(stage.database))
    with stage.api() as api:
        results.record("page.hours", ask(api, "/chart/hours.json") / 1e3)
        for _ in range(plan.repeats):
            read(api, results, "page.fleet", "/")
            read(api, results, "page.chart", "/chart/hours.json")
            paint(stage, api, results)
    stage.mongo.empty(stage.database)


def report(stage, plan):
    """A row of each device and hour. The last hour comes through the queue, so that it is known when each
    device was heard of."""
    rounds = max(2, plan.many_rows // plan.many_devices)
    start = int(time.time()) - rounds * HOUR
    earlier = of_fleet("page", plan.many_devices, rounds - 1, start)
    stage.fleet("load", *earlier, "--counters", "last")
    stage.fleet("fill", *of_fleet("page", plan.many_devices, 1, start + (rounds - 1) * HOUR))
    with stage.workers(2):
        stage.await_drained()
    look = [stage.binary("alerter"), "--once", "--alert-log", stage.alert_log]
    subprocess.run(look, env=stage.env, check=True, capture_output=True)


def ask(api, path):
    """Milliseconds of one answer over a connection of its own."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=PATIENCE)
    since = time.monotonic()
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise Failed(f"{path}: {response.status}")
    return (time.monotonic() - since) * 1e3


def read(api, results, name, path):
    """Latencies of some requests, one after the other."""
    spent = sorted(ask(api, path) for _ in range(READS))
    results.record(f"{name}.p50", spent[len(spent) // 2])
    results.record(f"{name}.p99", spent[len(spent) * 99 // 100])


def paint(stage, api, results):
    """What a browser that has kept nothing says of its first paint, its charts, and all that it got."""
    script = os.path.join(os.path.dirname(__file__), "paint.mjs")
    env = stage.env | {"BENCH_CHROMIUM": os.path.join(stage.bin, "chromium")}
    env |= {"BENCH_PACKAGES": os.path.join(os.environ["BENCH_STATE"], "browser", "node_modules")}
    done = subprocess.run(
        ["node", script, api.url, str(PAINTS)], env=env, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Failed(f"paint.mjs: status {done.returncode}\n{done.stderr.strip()[-2_000:]}")
    said = json.loads(done.stdout)
    for name in ("paint", "charts"):
        spent = sorted(said[name])
        results.record(f"page.{name}.p50", spent[len(spent) // 2])
        results.record(f"page.{name}.max", spent[-1])
    results.record("page.kb", max(said["bytes"]) / 1e3)
