"""Runs the groups of rows one after the other and prints the table; `scripts/bench` starts it."""

import argparse
import os
import signal
import sys
import time

import plan as plans

GROUPS = ("accept", "doors", "drain", "sustained", "herd", "latency", "memory", "volume", "pages", "start", "idle", "alerts")


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures PiSync and prints one table.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", dest="plan", const=plans.QUICK, help="in minutes (the default)")
    size.add_argument("--full", action="store_const", dest="plan", const=plans.FULL, help="with 10 million rows")
    size.add_argument("--tiny", action="store_const", dest="plan", const=plans.TINY, help="to try the benchmark itself")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="ROW", help=f"only these rows: {', '.join(GROUPS)}")
    parser.add_argument(
        "--against",
        metavar="DIR",
        help="only the ratio to another build: DIR has its release programs, both are measured in turn (accept, drain, alerts)",
    )
    parser.set_defaults(plan=plans.QUICK)
    return parser.parse_args()


def groups():
    """What measures each group; imported late, so that --help needs no packages."""
    import accept
    import alerts
    import costs
    import doors
    import drain
    import pages
    import volume
    import whole

    return {
        "accept": accept.run,
        "doors": doors.run,
        "drain": drain.run,
        "sustained": whole.sustained,
        "herd": whole.herd,
        "latency": whole.latency,
        "memory": costs.queue_memory,
        "volume": volume.run,
        "pages": pages.run,
        "start": costs.cold_start,
        "idle": costs.idle,
        "alerts": alerts.run,
    }


def measure(stage, plan, results, only):
    """All groups that were asked for."""
    for name, group in groups().items():
        if name in only:
            since = time.monotonic()
            print(f"-- {name}", flush=True)
            group(stage, plan, results)
            print(f"-- {name}: {time.monotonic() - since:.0f} s", flush=True)


def compare(stage, asked):
    """Two builds in turn, in place of the table."""
    import against
    from processes import Failed

    try:
        print("\n" + against.run(stage, asked.plan, asked.against, asked.only))
    except Failed as failed:
        sys.exit(f"error: {failed}")
    finally:
        stage.stop_all()


def main():
    """From the arguments to the table."""
    asked = arguments()
    # Ends by an exception, so that every block sees to the end of what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    import table
    from processes import Failed
    from results import Results
    from servers import Mongo, Redis
    from stage import Stage

    env = os.environ
    results = Results()
    redis = Redis(env["BENCH_REDIS_URL"], int(env["BENCH_REDIS_PID"]))
    mongo = Mongo(env["BENCH_MONGO_URI"], int(env["BENCH_MONGO_PID"]))
    stage = Stage(redis, mongo, results, asked.plan)
    if asked.against:
        compare(stage, asked)
        return
    command = " ".join(["scripts/bench", f"--{asked.plan.name}", *(["--only", *asked.only] if asked.only else [])])
    machine = table.machine_of(stage, command)
    print(f"\n== measuring ({asked.plan.name})", flush=True)
    try:
        measure(stage, asked.plan, results, asked.only or GROUPS)
    except Failed as failed:
        sys.exit(f"error: {failed}")
    finally:
        stage.stop_all()
    directory = os.path.join(env["BENCH_STATE"], "bench")
    print("\n" + table.write(results, asked.plan, machine, directory))
    print(f"raw numbers: {os.path.join(directory, 'result.json')}")


if __name__ == "__main__":
    main()
