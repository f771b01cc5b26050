"""Two builds of the services in turn: `scripts/bench --against DIR` prints their ratio, pair by pair."""

import os
import statistics

import alerts
from drain import drain
from load import wrk
from processes import Failed
from results import number

PROGRAMS = ("ingest-api", "queue-worker", "alerter", "fleet-sim")
# Even, since the second of a pair may be faster: each build is it as often as the other.
PAIRS = 12
CONNECTIONS = 64
FIGURES = {
    "accept": "accepts/s, 64 connections, appendfsync always",
    "accept.cpu": "CPU seconds of ingest-api per million accepts",
    "drain": "drain, 2 workers, events/s",
    "drain.cpu": "CPU seconds of both workers per million events",
    "drain.mongod": "CPU seconds of MongoDB per million events",
    "tick.opens": "a tick that opens an incident for each failing device, ms",
    "tick.finds": "a tick that finds all as it was, ms",
}


def run(stage, plan, directory, only):
    """Returns the table of both builds; the one that goes first changes from pair to pair."""
    missing = [name for name in PROGRAMS if not os.access(os.path.join(directory, name), os.X_OK)]
    if missing:
        raise Failed(f"{directory} lacks {', '.join(missing)}: build the other commit with --release and name its folder")
    unknown = set(only or ()) - set(GROUPS)
    if unknown:
        raise Failed(f"--against measures {', '.join(GROUPS)}, not {', '.join(sorted(unknown))}")
    sides = {"this": stage.binaries, "other": os.path.abspath(directory)}
    pairs = [{side: {} for side in sides} for _ in range(PAIRS)]
    for name, (prepare, measure) in GROUPS.items():
        if only and name not in only:
            continue
        stage.redis.fsync("always")
        prepare(stage, plan)
        for number_of_pair, pair in enumerate(pairs):
            order = list(sides) if number_of_pair % 2 == 0 else list(reversed(sides))
            measured = {}
            for side in order:
                stage.binaries = sides[side]
                measured[side] = measure(stage, plan)
                pair[side].update(measured[side])
            stage.binaries = sides["this"]
            print(f"{name}, pair {number_of_pair + 1} of {PAIRS}: {ratios_of(measured)}", flush=True)
    return table(pairs)


def accepted(stage, plan):
    """Accepts of one build on empty servers."""
    stage.fresh()
    with stage.api() as api:
        before = api.cpu_seconds()
        said = wrk(stage, api.url, CONNECTIONS, plan.wrk_seconds)
        cpu = api.cpu_seconds() - before
    return {"accept": said["rate"], "accept.cpu": cpu * 1e6 / said["requests"]}


def drained(stage, plan):
    """The drain of one build, from full queues of an empty database."""
    stage.fresh()
    stage.known_fleet("bench", plan.fleet)
    rate, costs = drain(stage, "bench", plan.fleet, plan.drain_events, 2)
    return {"drain": rate, "drain.cpu": costs["queue-worker"], "drain.mongod": costs["mongod"]}


def ticked(stage, _):
    """Two ticks of one build over the fleet that is there, of which nobody was told."""
    alerts.forget_alerts(stage)
    return {name: alerts.one_look(stage) * 1e3 for name in ("tick.opens", "tick.finds")}


# What is made ready once for both builds, and what is measured of each.
GROUPS = {
    "accept": (lambda stage, plan: None, accepted),
    "drain": (lambda stage, plan: None, drained),
    "alerts": (alerts.fleet_to_look_at, ticked),
}


def ratios_of(pair):
    """Each figure of this build over the other's, in one line."""
    return ", ".join(f"{name} {pair['this'][name] / pair['other'][name]:.3f}" for name in pair["this"])


def table(pairs):
    """Medians of both, and the ratio over the pairs: median, least and greatest."""
    lines = ["| figure | this | other | this/other | least | greatest |", "| --- | --- | --- | --- | --- | --- |"]
    for name in pairs[0]["this"]:
        ratios = [pair["this"][name] / pair["other"][name] for pair in pairs]
        medians = [number(statistics.median(pair[side][name] for pair in pairs)) for side in ("this", "other")]
        spread = [f"{figure:.3f}" for figure in (statistics.median(ratios), min(ratios), max(ratios))]
        lines.append(f"| {' | '.join([FIGURES[name], *medians, *spread])} |")
    return "\n".join(lines)
