"""Redis and MongoDB of the benchmark: emptied between measurements, asked for what they hold."""

import os
import socket
import time

import pymongo

from processes import Failed, await_true, cpu_seconds, peak_mb

GB = 1 << 30


class Redis:
    """As much of a client as the benchmark needs."""

    def __init__(self, url, pid):
        self.url = url
        self.pid = pid
        self.port = int(url.rsplit(":", 1)[1])
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.answers = self.socket.makefile("rb")

    def ask(self, *command):
        """The answer to one command."""
        return self.ask_all([command])[0]

    def ask_all(self, commands):
        """The answers to some commands, sent together."""
        self.socket.sendall(b"".join(map(self._encode, commands)))
        return [self._read() for _ in commands]

    @staticmethod
    def _encode(command):
        parts = [str(part).encode() for part in command]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)

    def _read(self):
        line = self.answers.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Failed(f"redis: {rest.decode()}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.answers.read(size + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        return rest.decode()

    def info(self, section):
        """A section of INFO as a dict."""
        lines = self.ask("INFO", section).split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def used_memory(self):
        """Bytes of its data, without what it owes to clients and to the log on disk."""
        info = self.info("memory")
        return int(info["used_memory"]) - int(info.get("mem_aof_buffer", 0)) - int(info.get("mem_clients_normal", 0))

    def empty(self):
        """Forgets everything, also on disk, so that each measurement begins the same."""
        self.ask("FLUSHALL", "SYNC")
        self._rest()
        self.ask("BGREWRITEAOF")
        self._rest()

    def _rest(self):
        await_true("a quiet redis", lambda: self.info("persistence")["aof_rewrite_in_progress"] == "0")

    def fsync(self, mode):
        """Sets when the log is on disk: `always` before the answer, or `everysec`."""
        self.ask("CONFIG", "SET", "appendfsync", mode)

    def version(self):
        """Its version."""
        return self.info("server")["redis_version"]

    def cpu_seconds(self):
        """Its time on the processors so far."""
        return cpu_seconds(self.pid)

    def peak_mb(self):
        """Its most memory so far."""
        return peak_mb(self.pid)


def usual_cache_gb():
    """What MongoDB takes for its cache where nobody says otherwise: half of all memory but one GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, round((memory - GB) / 2 / GB))


class Mongo:
    """The databases, for what is not measured."""

    def __init__(self, uri, pid):
        self.uri = uri
        self.pid = pid
        self.client = pymongo.MongoClient(uri)
        self.cache_gb = usual_cache_gb()
        self.client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=f"cache_size={self.cache_gb}G")

    def empty(self, database):
        """Drops a database and lets what is left of it reach the disk."""
        self.client.drop_database(database)
        self.settle()

    def drop_rows(self, database):
        """Drops the rows and keeps the counters."""
        self.client[database]["SyncEvent"].drop()
        self.settle()

    def settle(self):
        """Makes a checkpoint now, so that none of it falls into what comes next."""
        self.client.admin.command("fsync")
        time.sleep(0.2)

    def rows(self, database, collection="SyncEvent"):
        """How many rows there are."""
        return self.client[database][collection].estimated_document_count()

    def version(self):
        """Its version."""
        return self.client.server_info()["version"]

    def cpu_seconds(self):
        """Its time on the processors so far."""
        return cpu_seconds(self.pid)

    def peak_mb(self):
        """Its most memory so far."""
        return peak_mb(self.pid)
