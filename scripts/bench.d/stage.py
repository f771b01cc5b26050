"""The system under test: its services, its queue, its database, and the fleet that drives it."""

import contextlib
import http.client
import json
import os
import subprocess
import time

from processes import Failed, Process, await_true, free_port

PREFIX = "pisync"
PARTITIONS = 16
HOUR = 3_600
# The fleets report about the time from here on; what is older than 400 days is not believed.
BEGINNING = 390 * 24 * HOUR


class Stage:
    """Starts services, each with what it cost when it stops."""

    def __init__(self, redis, mongo, results, plan):
        self.redis = redis
        self.mongo = mongo
        self.results = results
        self.plan = plan
        self.bin = os.path.join(os.environ["BENCH_STATE"], "bin")
        self.run_dir = os.environ["BENCH_RUN"]
        self.binaries = os.environ["BENCH_BINARIES"]
        self.alert_log = os.path.join(self.run_dir, "alerts.log")
        self.database = "pisync"
        self.started = []
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("PISYNC_")}
        self.env |= {
            "PISYNC_REDIS_URL": redis.url,
            "PISYNC_MONGO_URI": mongo.uri,
            "PISYNC_MONGO_DB": self.database,
            "RUST_LOG": "warn",
        }
        self.clock = int(time.time()) - BEGINNING

    def fresh(self):
        """Empty servers."""
        self.redis.empty()
        self.mongo.empty(self.database)
        self.clock = int(time.time()) - BEGINNING

    def use(self, database):
        """Another database from now on."""
        self.database = self.env["PISYNC_MONGO_DB"] = database

    def next_start(self, hours=12):
        """A time for the reports of the next fleet, later than all that were sent before."""
        start = self.clock
        self.clock += (hours + 1) * HOUR
        if self.clock > time.time():
            raise Failed("the clock of the fleet has reached the present")
        return start

    @contextlib.contextmanager
    def service(self, name, *arguments):
        """A service from here to the end of the block."""
        log = os.path.join(self.run_dir, f"{name}.log")
        with self.running(Process(name, [self.binary(name), *arguments], self.env, log)) as process:
            yield process

    @contextlib.contextmanager
    def running(self, process):
        """Sees to the end of a process, and notes its peak of memory."""
        self.started.append(process)
        try:
            yield process
            self.results.record(f"peak.{process.name}", process.peak_mb())
        finally:
            process.stop()
            self.started.remove(process)

    @contextlib.contextmanager
    def api(self, *arguments):
        """An `ingest-api`; yields its process, which has a `url`."""
        address = f"127.0.0.1:{free_port()}"
        with self.service("ingest-api", "--bind", address, *arguments) as process:
            process.url = f"http://{address}"
            await_true("ingest-api", lambda: process.check() or answers(address))
            yield process

    @contextlib.contextmanager
    def workers(self, count):
        """Some `queue-worker`s, once all of them listen for work."""
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(self.service("queue-worker")) for _ in range(count)]
            channel = f"{PREFIX}:wake"
            await_true(
                "workers that listen",
                lambda: any(map(Process.check, workers))
                or self.redis.ask("PUBSUB", "NUMSUB", channel)[1] >= count,
            )
            yield workers

    def queue(self, verb):
        """Lets the operator's tool do something to the queue: `pause` or `resume`."""
        subprocess.run([self.binary("queue-worker"), "queue", verb], env=self.env, check=True, capture_output=True)

    def alerter(self, *arguments):
        """An `alerter`."""
        return self.service("alerter", "--alert-log", self.alert_log, *arguments)

    def binary(self, name):
        """The path of one of our programs."""
        return os.path.join(self.binaries, name)

    def fleet(self, verb, *arguments, may_fail=False):
        """Runs a verb of `fleet-sim` to its end; its closing figures."""
        command = [self.binary("fleet-sim"), verb, "--json", *map(str, arguments)]
        return run_json(command, self.env, may_fail)

    def fill(self, prefix, devices, events):
        """Puts events of these devices into the queue, past the API; what `fleet-sim fill` says."""
        rounds = max(1, events // devices)
        return self.fleet("fill", *of_fleet(prefix, devices, rounds, self.next_start(rounds)))

    def known_fleet(self, prefix, devices, rounds=1):
        """Devices that have reported before: their rows and counters."""
        start = self.next_start(rounds)
        return self.fleet("load", *of_fleet(prefix, devices, rounds, start), "--counters", "last")

    def total(self, name):
        """A total of the queue over all partitions, such as `acked`."""
        keys = [f"{PREFIX}:{{q:{number:02}}}:stats" for number in range(PARTITIONS)]
        return sum(int(value or 0) for value in self.redis.ask_all([("HGET", key, name) for key in keys]))

    def waiting(self):
        """Events that are queued or in flight."""
        return self.total("pushed") - self.total("acked") - self.total("dead")

    def await_drained(self, seconds=600.0):
        """Waits until every event has had its effect."""
        await_true("an empty queue", lambda: self.waiting() == 0, seconds)

    def stop_all(self):
        """Ends what still runs, last started first."""
        while self.started:
            self.started.pop().stop()


def of_fleet(prefix, devices, rounds, start):
    """The flags that name a fleet of the benchmark: one sync in ten fails."""
    time_of_first = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))
    flags = {"--device-prefix": prefix, "--devices": devices, "--rounds": rounds, "--failure-rate": 0.1}
    flags |= {"--start": time_of_first, "--seed": 1}
    return [str(part) for flag in flags.items() for part in flag]


def answers(address):
    """Whether an API says that it is ready."""
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def run_json(command, env, may_fail=False):
    """The last line that a command prints, as JSON."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if (done.returncode != 0 and not may_fail) or not lines:
        said = (done.stderr or done.stdout).strip()[-2_000:]
        raise Failed(f"{' '.join(command)}: status {done.returncode}\n{said}")
    return json.loads(lines[-1])
