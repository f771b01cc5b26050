"""How much is measured: the quick form in minutes, the full form as docs/evidence/benchmark.md shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes and times of all rows; seconds where the name does not say otherwise."""

    name: str
    repeats: int
    wrk_seconds: int
    drain_events: int
    sustained_seconds: int
    latency_seconds: int
    herd_seconds: tuple
    herd_devices: int
    many_rows: int
    many_devices: int
    reads: int
    idle_seconds: int
    counters: int
    failing: int
    incidents: int
    thirds: int
    fleet: int = 20_000
    insert_rows: int = 100_000
    queued_events: int = 100_000


QUICK = Plan(
    name="quick",
    repeats=3,
    wrk_seconds=3,
    drain_events=120_000,
    sustained_seconds=8,
    latency_seconds=4,
    herd_seconds=(10,),
    herd_devices=100_000,
    many_rows=500_000,
    many_devices=50_000,
    reads=1_000,
    idle_seconds=20,
    counters=200_000,
    failing=1_000,
    incidents=2_000,
    thirds=100,
)

FULL = Plan(
    name="full",
    repeats=3,
    wrk_seconds=10,
    drain_events=200_000,
    sustained_seconds=20,
    latency_seconds=15,
    herd_seconds=(10, 60),
    herd_devices=100_000,
    many_rows=10_000_000,
    many_devices=100_000,
    reads=5_000,
    idle_seconds=20,
    counters=1_000_000,
    failing=1_000,
    incidents=10_000,
    thirds=500,
    insert_rows=300_000,
)

# To try the benchmark itself; its figures mean nothing.
TINY = Plan(
    name="tiny",
    repeats=1,
    wrk_seconds=1,
    drain_events=8_000,
    sustained_seconds=2,
    latency_seconds=1,
    herd_seconds=(10,),
    herd_devices=2_000,
    many_rows=10_000,
    many_devices=2_000,
    reads=50,
    idle_seconds=1,
    counters=3_000,
    failing=100,
    incidents=200,
    thirds=10,
    fleet=4_000,
    insert_rows=8_000,
    queued_events=5_000,
)
