"""The processes that the benchmark starts, what they cost, and their end."""

import os
import shutil
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")

# The kernel ends them should the benchmark be killed with no chance to clean up.
WITH_US = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


class Failed(Exception):
    """Something that was started did not do what it is for."""


def cpu_seconds(pid):
    """User and system time of a process with all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def processor_ticks():
    """What all processors have done so far: how long they were busy, and that with their rest."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, idle, waiting, *interrupts = map(int, stat.readline().split()[1:9])
    busy = user + nice + system + sum(interrupts)
    return busy, busy + idle + waiting


class Busy:
    """How much of the processors is in use from its making on, by whomever."""

    def __init__(self):
        self.since = processor_ticks()

    def percent(self):
        """Of all their time, rest included."""
        busy, all_time = (now - then for now, then in zip(processor_ticks(), self.since))
        return 100 * busy / max(all_time, 1)


def peak_mb(pid):
    """The most memory that was resident, in MB (10^6 bytes)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Process:
    """One service, until it is stopped."""

    def __init__(self, name, command, env, log):
        self.name = name
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                WITH_US + command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.pid = self.child.pid

    def cpu_seconds(self):
        """Its time on the processors so far."""
        self.check()
        return cpu_seconds(self.pid)

    def peak_mb(self):
        """Its most memory so far."""
        self.check()
        return peak_mb(self.pid)

    def check(self):
        """Fails where it has ended by itself."""
        if self.child.poll() is not None:
            raise Failed(f"{self.name} ended by itself, status {self.child.returncode}{self.last_lines()}")

    def last_lines(self):
        """The end of its log, so that nobody has to look for it."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(f"\n  {line.rstrip()}" for line in log.readlines()[-10:])

    def stop(self, seconds=15):
        """Asks, waits, then insists."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def free_port():
    """A port below those that outgoing connections take."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failed("no free port")


def await_true(what, condition, seconds=60.0, every=0.01):
    """Waits until the condition holds, and says what did not come if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(every)
