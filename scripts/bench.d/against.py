"""Two builds of the services in turn: `scripts/bench --against DIR` prints their ratio, pair by pair."""

import os
import statistics

from drain import drain
from load import wrk
from processes import Failed
from results import number

PROGRAMS = ("ingest-api", "queue-worker", "alerter", "fleet-sim")
PAIRS = 7
CONNECTIONS = 64
FIGURES = {
    "accept": "accepts/s, 64 connections, appendfsync always",
    "accept.cpu": "CPU seconds of ingest-api per million accepts",
    "drain": "drain, 2 workers, events/s",
    "drain.cpu": "CPU seconds of both workers per million events",
    "drain.mongod": "CPU seconds of MongoDB per million events",
}


def run(stage, plan, directory):
    """Returns the table of both builds; the one that goes first changes from pair to pair."""
    missing = [name for name in PROGRAMS if not os.access(os.path.join(directory, name), os.X_OK)]
    if missing:
        raise Failed(f"{directory} lacks {', '.join(missing)}: build the other commit with --release and name its folder")
    sides = {"this": stage.binaries, "other": os.path.abspath(directory)}
    pairs = []
    for number_of_pair in range(PAIRS):
        order = list(sides) if number_of_pair % 2 == 0 else list(reversed(sides))
        pair = {}
        for side in order:
            stage.binaries = sides[side]
            pair[side] = measure(stage, plan)
        pairs.append(pair)
        print(f"pair {number_of_pair + 1} of {PAIRS}: {ratios_of(pair)}", flush=True)
    stage.binaries = sides["this"]
    return table(pairs)


def measure(stage, plan):
    """The figures of one build on empty servers."""
    stage.redis.fsync("always")
    stage.fresh()
    with stage.api() as api:
        before = api.cpu_seconds()
        said = wrk(stage, api.url, CONNECTIONS, plan.wrk_seconds)
        cpu = api.cpu_seconds() - before
    stage.fresh()
    stage.known_fleet("bench", plan.fleet)
    rate, costs = drain(stage, "bench", plan.fleet, plan.drain_events, 2)
    return {
        "accept": said["rate"],
        "accept.cpu": cpu * 1e6 / said["requests"],
        "drain": rate,
        "drain.cpu": costs["queue-worker"],
        "drain.mongod": costs["mongod"],
    }


def ratios_of(pair):
    """Each figure of this build over the other's, in one line."""
    return ", ".join(f"{name} {pair['this'][name] / pair['other'][name]:.3f}" for name in FIGURES)


def table(pairs):
    """Medians of both, and the ratio over the pairs: median, least and greatest."""
    lines = ["| figure | this | other | this/other | least | greatest |", "| --- | --- | --- | --- | --- | --- |"]
    for name, title in FIGURES.items():
        ratios = [pair["this"][name] / pair["other"][name] for pair in pairs]
        medians = [number(statistics.median(pair[side][name] for pair in pairs)) for side in ("this", "other")]
        spread = [f"{figure:.3f}" for figure in (statistics.median(ratios), min(ratios), max(ratios))]
        lines.append(f"| {' | '.join([title, *medians, *spread])} |")
    return "\n".join(lines)
