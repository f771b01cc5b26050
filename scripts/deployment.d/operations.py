"""Checks that docs/OPERATIONS.md tells what to do about each metric and each alert rule."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows(page):
    """What stands in the first column of the tables, as code."""
    first = (line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    return {name for cell in first for name in re.findall(r"`(\w+)`", cell)}


def main():
    readme = (ROOT / "README.md").read_text()
    metrics = set(re.findall(r"`(pisync_\w+)", readme.split("\n## Metrics\n")[1].split("\n## ")[0]))
    rules = set(re.findall(r"- alert: (\w+)", (ROOT / "deploy/prometheus/pisync.rules.yml").read_text()))
    told = rows((ROOT / "docs/OPERATIONS.md").read_text())
    problems = [f"{name} is missing" for name in sorted((metrics | rules) - told)]
    ours = {name for name in told if re.match(r"pisync_|Pisync", name)}
    problems += [f"there is no {name}" for name in sorted(ours - metrics - rules)]
    print(f"{len(rules)} rules and {len(metrics)} metrics")
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
