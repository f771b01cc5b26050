"""The table, and the machine below it."""

import json
import os
import platform
import time

from results import number
from rows import ROWS

HEAD = ("row", "figure", "spread", "beside it, in the same run", "ratio", "at least", "reached")


def write(results, plan, machine, directory):
    """Keeps `result.md` and `result.json`; answers with the text of the first."""
    text = table(results) + "\n" + describe(plan, machine)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "result.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(directory, "result.json"), "w", encoding="utf-8") as file:
        json.dump({"plan": vars(plan), "machine": machine, "values": results.values}, file, indent=1)
    return text


def table(results):
    """All rows that were measured, in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [cells(row, results) for row in ROWS if results.has(*row.names)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(row, results):
    """One line of the table."""
    judged = row.names[-1]
    values = results.values[judged]
    figures = [figure(row, results, name) for name in row.names]
    beside = [(name, word) for name, word in row.beside if results.has(name)]
    ratios = [results.ratio(judged, name) for name, _ in beside]
    return (
        row.title,
        f"{', '.join(map(number, figures))} {row.unit}".strip(),
        f"{number(min(values))}–{number(max(values))}" if len(set(values)) > 1 else "",
        ", ".join(f"{word} {number(results.median(name))}" for name, word in beside),
        ", ".join(f"{number(ratio)}×" for ratio in ratios if ratio is not None),
        goal(row),
        reached(row, figures[-1], ratios),
    )


def figure(row, results, name):
    """The median, or the worst where one bad value is one too many."""
    return max(results.values[name]) if row.worst else results.median(name)


def goal(row):
    """What is asked of the row."""
    goals = []
    if row.least is not None:
        goals.append(f"{number(row.least)} {row.unit}".strip())
    if row.most is not None:
        goals.append(f"at most {number(row.most)} {row.unit}".strip())
    if row.ratio is not None:
        goals.append(f"{number(row.ratio)}×")
    return ", ".join(goals)


def reached(row, value, ratios):
    """Whether all that is asked was reached."""
    verdicts = []
    if row.least is not None:
        verdicts.append(value >= row.least)
    if row.most is not None:
        verdicts.append(value <= row.most)
    if row.ratio is not None:
        verdicts.append(bool(ratios) and ratios[0] is not None and ratios[0] >= row.ratio)
    return "" if not verdicts else "yes" if all(verdicts) else "**no**"


def machine_of(stage, command):
    """What the figures were measured on, and how."""
    return {
        "command": command,
        "cpu": first_of("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memoryGb": round(int(first_of("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9, 1),
        "kernel": platform.release(),
        "redis": stage.redis.version(),
        "mongodb": stage.mongo.version(),
        "mongodbCacheGb": stage.mongo.cache_gb,
        "date": time.strftime("%Y-%m-%d"),
        "loadBefore": os.getloadavg()[0],
    }


def first_of(path, name):
    """The first value of a field in a file of /proc."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return ""


def describe(plan, machine):
    """The machine and the form of the run, for below the table."""
    return (
        f"`{machine['command']}` on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memoryGb']:g} GB, Linux {machine['kernel']}, Redis {machine['redis']}, MongoDB "
        f"{machine['mongodb']} (one-node replica set, majority, its usual cache of {machine['mongodbCacheGb']} GB); clients, services and servers all on this "
        f"machine, whose load before was {machine['loadBefore']:.2f}. Figures are medians of {plan.repeats} runs "
        "(the worst for memory and faults), ratios medians over runs made in turn. The baseline is Express, "
        "BullMQ and Mongoose in one process with worker concurrency 10, and stores while it accepts.\n"
    )
