"""Makes a mongod on 127.0.0.1 the primary of the one-node replica set rs0.

replica_set.py PORT PID: returns once it is, fails if that process ends. The end-to-end
tests use it too, for servers of their own.
"""

import os
import sys
import time

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

NOT_YET_INITIALIZED = 94
SECONDS = 60


def configure(admin, hosts):
    """Idempotent; a set of one node made on another port is moved to this one."""
    try:
        config = admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        members = [{"_id": i, "host": host} for i, host in enumerate(hosts)]
        settings = {"electionTimeoutMillis": 2000}
        admin.command(
            "replSetInitiate", {"_id": "rs0", "members": members, "settings": settings}
        )
        return
    if len(hosts) == 1 and config["members"][0]["host"] != hosts[0]:
        config["members"][0]["host"] = hosts[0]
        config["version"] += 1
        admin.command("replSetReconfig", config, force=True)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(ports, pids):
    hosts = [f"127.0.0.1:{port}" for port in ports]
    client = MongoClient(
        hosts[0], directConnection=True, serverSelectionTimeoutMS=500, retryReads=False
    )
    deadline = time.monotonic() + SECONDS
    problem = "a mongod has ended"
    while all(map(is_alive, pids)) and time.monotonic() < deadline:
        try:
            configure(client.admin, hosts)
            if client.admin.command("hello").get("primary"):
                return
            problem = "there is none yet"
        except PyMongoError as error:
            problem = error
        time.sleep(0.05)
    sys.exit(f"no primary on {hosts}: {problem}")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0::2], numbers[1::2])
