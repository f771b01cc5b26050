"""The rows of the table: what is shown of what was measured, beside what, and what it must reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line. `names` are measurements, told together; the last of them is judged.

    `beside` maps measurements of the same run to the word for each; ratios are to these. `least`
    and `most` are what is asked of the figure, `ratio` what is asked of the first ratio.
    """

    title: str
    names: tuple
    unit: str
    beside: tuple = ()
    least: float | None = None
    most: float | None = None
    ratio: float | None = None
    worst: bool = False


def accepts(mode, connections, least=None, ratio=None):
    """The two rows of one way to accept."""
    name = f"accept.{mode}.{connections}"
    title = f"accepts, {connections:,} connections, appendfsync {mode}"
    beside = (
        (f"baseline.all.{mode}.rate", "baseline"),
        (f"baseline.api.{mode}.rate", "its way in alone"),
        (f"limit.redis.{mode}.1", "RPUSH"),
    )
    waits = ((f"baseline.all.{mode}.p99", "baseline"),)
    return (
        Row(title, (f"{name}.rate",), "/s", beside, least=least, ratio=ratio),
        Row("p50, p99 of these", (f"{name}.p50", f"{name}.p99"), "ms", waits),
        Row("processors in use meanwhile, the client's part too", (f"busy.{name}",), "%"),
    )


def doors():
    """The rows of the other ways in; what is asked of the one with keys is nine tenths of the open one."""
    plain = (("door.open.rate", "no keys, one by one"),)
    return (
        Row("accepts with keys checked, 64 connections", ("door.locked.rate",), "/s", plain, ratio=0.9),
        Row("p50, p99 of these", ("door.locked.p50", "door.locked.p99"), "ms"),
        Row("events accepted in batches of 100, 64 connections", ("door.batch.rate",), "/s", plain),
        Row("p50, p99 of a batch", ("door.batch.p50", "door.batch.p99"), "ms"),
    )


def drains():
    """The rows of the way out."""
    beside = (("baseline.drain", "baseline"), ("limit.insert", "insert only"), ("limit.insert-and-count", "with counters"))
    for workers in (1, 2, 4):
        reach = {"least": 15_000, "ratio": 25} if workers == 2 else {}
        title = f"drain, rows and counters, {workers} worker{'s' * (workers > 1)}"
        yield Row(title, (f"drain.{workers}",), "/s", beside, **reach)
    yield Row("drain of devices that are new, 2 workers", ("drain.strangers",), "/s", beside)


def herds(seconds):
    """The rows of one herd."""
    name = f"herd.{seconds}"
    return (
        Row(f"herd of a whole fleet within {seconds} s: accepted", (f"{name}.accepted",), ""),
        Row("it took, sending and all", (f"{name}.seconds",), "s"),
        Row("refused for good; tried again", (f"{name}.refused", f"{name}.retries"), ""),
        Row("lost, doubled, changed or miscounted", (f"{name}.faults",), "", most=0, worst=True),
        Row("p99 of accept", (f"{name}.p99",), "ms"),
        Row("from the last accept to the last row", (f"{name}.drained",), "s", most=10),
    )


def latencies():
    """The rows of the way from 202 to row."""
    for rate in (100, 1_000, 5_000):
        yield Row(f"from 202 to row at {rate:,} /s: p50, p99", (f"row.{rate}.p50", f"row.{rate}.p99"), "ms")
    yield Row("rows that did not come, of these", ("row.missing",), "", most=0, worst=True)


def alerts():
    """The rows of the alerter."""
    return (
        Row("counters, and those of them that fail, at the next two rows", ("alert.counters", "alert.failing"), ""),
        Row("a tick that opens an incident for each", ("alert.tick.opens",), "ms", most=1_000),
        Row("a tick that finds them open", ("alert.tick.finds",), "ms", most=1_000),
        Row("incidents opened, claimed, sent and marked, one alerter", ("alert.told",), "/s"),
        Row(
            "from the 202 of a third failure to the line in the alert log: p50, p99",
            ("alert.hinted.p50", "alert.hinted.p99"),
            "ms",
            most=2_000,
        ),
        Row(
            "from the 202 of a third failure to the message at a webhook: p50, p99",
            ("alert.webhook.p50", "alert.webhook.p99"),
            "ms",
            most=2_000,
        ),
        Row("to the line with all hints deleted: the last of some", ("alert.unhinted.max",), "s", most=61),
    )


def pages():
    """The rows of the dashboard."""
    return (
        Row("fleet page, as the server makes it: p50, p99", ("page.fleet.p50", "page.fleet.p99"), "ms", most=300),
        Row("data of its charts: p50, p99", ("page.chart.p50", "page.chart.p99"), "ms", most=300),
        Row("its first paint in a browser that has kept nothing: p50, worst", ("page.paint.p50", "page.paint.max"), "ms", most=1_000),
        Row("its charts drawn: p50, worst", ("page.charts.p50", "page.charts.max"), "ms"),
        Row("all that it loads", ("page.kb",), "kB", most=150, worst=True),
        Row("devices, rows there at these", ("page.devices", "page.rows"), ""),
        Row("hours of these rows added up for the first time", ("page.hours",), "s"),
    )


ROWS = (
    *accepts("always", 64, least=25_000, ratio=15),
    *accepts("always", 1_000),
    *accepts("everysec", 64),
    *accepts("everysec", 1_000),
    *doors(),
    Row("answers that were no 202, in all of these", ("accept.errors",), "", most=0, worst=True),
    Row("accepts at 5,000 /s, nothing else running: p50, p99", ("steady.p50", "steady.p99"), "ms", most=10),
    Row("accepts at 5,000 /s while draining: p50, p99", ("draining.p50", "draining.p99"), "ms", most=10),
    Row("processors in use meanwhile, the client's part too", ("busy.draining",), "%"),
    Row("baseline accepts, 64 connections, appendfsync always", ("baseline.all.always.rate",), "/s"),
    Row("baseline accepts, its way in alone", ("baseline.api.always.rate",), "/s"),
    Row("raw limit: RPUSH, appendfsync always, one at a time", ("limit.redis.always.1",), "/s"),
    Row("raw limit: RPUSH, appendfsync always, 64 sent together", ("limit.redis.always.64",), "/s"),
    Row("raw limit: RPUSH, appendfsync everysec, one at a time", ("limit.redis.everysec.1",), "/s"),
    Row("raw limit: RPUSH, appendfsync everysec, 64 sent together", ("limit.redis.everysec.64",), "/s"),
    *drains(),
    Row("baseline drain", ("baseline.drain",), "/s"),
    Row("raw limit: insertMany, 3 indexes, 2 at a time", ("limit.insert",), "/s"),
    Row("raw limit: with one counter update per event", ("limit.insert-and-count",), "/s"),
    Row("sustained, accepting and draining at once: accepted", ("sustained.accepted",), "/s"),
    Row(
        "sustained, accepting and draining at once: stored",
        ("sustained.stored",),
        "/s",
        (("baseline.all.always.stored", "baseline"),),
        least=8_000,
    ),
    Row("processors in use meanwhile, the client's part too", ("busy.sustained",), "%"),
    *herds(10),
    *herds(60),
    *latencies(),
    Row("Redis per queued event, over the body", ("queued.over-body",), "B", most=40),
    Row("Redis per queued event, over the message itself", ("queued.over-message",), "B", most=40),
    Row("Redis per queued event, in all", ("queued.bytes",), "B", (("baseline.queued.bytes", "baseline"),)),
    Row("drain at many rows", ("drain.large",), "/s", (("drain.empty", "empty"),), ratio=0.7),
    Row("CPU of MongoDB per million drained, at many rows", ("cpu.mongod.large",), "s", (("cpu.mongod.empty", "empty"),)),
    Row("rows there before that", ("many.rows",), ""),
    Row("history at many rows: p50, p99", ("history.p50", "history.p99"), "ms", most=10),
    Row(
        "repeated-failures at many rows: p50, p99",
        ("repeated-failures.p50", "repeated-failures.p99"),
        "ms",
        most=10,
    ),
    *pages(),
    Row("cold start of ingest-api to the first 202", ("start.api",), "ms", most=300),
    Row("peak memory of ingest-api", ("peak.ingest-api",), "MB", most=50, worst=True),
    Row("peak memory of queue-worker", ("peak.queue-worker",), "MB", most=80, worst=True),
    Row("peak memory of alerter", ("peak.alerter",), "MB", most=30, worst=True),
    Row("peak memory of the baseline", ("peak.baseline",), "MB", worst=True),
    Row("CPU per million accepts: ingest-api, Redis", ("cpu.ingest-api", "cpu.redis.accept"), "s"),
    Row(
        "CPU per million drained: Redis, MongoDB, queue-workers",
        ("cpu.redis.drain", "cpu.mongod", "cpu.queue-worker"),
        "s",
    ),
    Row("CPU per million drained: baseline's worker", ("cpu.baseline.drain",), "s"),
    Row("idle: ingest-api, alerter, queue-worker", ("idle.ingest-api", "idle.alerter", "idle.queue-worker"), "%"),
    *alerts(),
)
