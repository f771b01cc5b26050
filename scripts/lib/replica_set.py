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


def configure(admin, host):
    """Idempotent; a set made on another port is moved to this one."""
    try:
        config = admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        members = [{"_id": 0, "host": host}]
        admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        return
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        admin.command("replSetReconfig", config, force=True)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(port, pid):
    host = f"127.0.0.1:{port}"
    client = MongoClient(
        host, directConnection=True, serverSelectionTimeoutMS=500, retryReads=False
    )
    deadline = time.monotonic() + SECONDS
    problem = "mongod has ended"
    while is_alive(pid) and time.monotonic() < deadline:
        try:
            configure(client.admin, host)
            if client.admin.command("hello")["isWritablePrimary"]:
                return
            problem = "it is not primary yet"
        except PyMongoError as error:
            problem = error
        time.sleep(0.05)
    sys.exit(f"no primary on {host}: {problem}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
