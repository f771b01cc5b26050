"""Shards the two large collections by device, and checks the server's rules for it.

`apply URI DATABASE [--key hashed|ranged]` runs the commands over a mongos. `check MONGOD FOLDER` starts a
config server and two shards of its own, without a mongos, and runs what a mongos would ask of them.
"""

import argparse
import atexit
import os
import subprocess
import sys
import time

import pymongo
from pymongo.errors import OperationFailure

EVENTS, COUNTERS = "SyncEvent", "FailureCounter"
MAJORITY = {"writeConcern": {"w": "majority"}}
INDEXES = {
    EVENTS: [([("deviceId", 1)], {}), ([("deviceId", 1), ("timestamp", 1)], {}), ([("totalErrors", 1)], {})],
    COUNTERS: [([("deviceId", 1)], {"unique": True}), ([("failureCount", 1)], {})],
}


def key_of(kind):
    return {"deviceId": "hashed" if kind == "hashed" else 1}


def apply(uri, database, kind):
    """The indexes must be there: start a queue-worker once, which makes them."""
    client = pymongo.MongoClient(uri)
    if client.admin.command("hello").get("msg") != "isdbgrid":
        sys.exit("this is no mongos: name one of the cluster's mongos in the URI")
    client.admin.command("enableSharding", database)
    for collection in (EVENTS, COUNTERS):
        if kind == "hashed":
            client[database][collection].create_index([("deviceId", "hashed")])
        command = {"shardCollection": f"{database}.{collection}", "key": key_of(kind)}
        client.admin.command(command)
        print(f"sharded {database}.{collection} by {command['key']}")


class Node:
    """A replica set of one node with a role in a sharded cluster."""

    def __init__(self, mongod, folder, name, role, port):
        self.address = f"{name}/127.0.0.1:{port}"
        data = os.path.join(folder, name)
        os.makedirs(data)
        command = [mongod, "--replSet", name, role, "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", data]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "16", "--nounixsocket", "--quiet"]
        self.process = subprocess.Popen(command, stdout=open(data + ".log", "w"), stderr=subprocess.STDOUT)
        atexit.register(self.stop)
        self.client = pymongo.MongoClient("127.0.0.1", port, directConnection=True)
        config = {"_id": name, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
        if role == "--configsvr":
            config["configsvr"] = True
        self.until(lambda: self.client.admin.command("replSetInitiate", config)["ok"])
        self.until(lambda: self.client.admin.command("hello")["isWritablePrimary"])

    def stop(self):
        self.process.kill()
        self.process.wait()

    def until(self, reached):
        for _ in range(200):
            try:
                if reached():
                    return
            except pymongo.errors.AutoReconnect:
                pass
            if self.process.poll() is not None:
                sys.exit(f"mongod ended with {self.process.returncode}")
            time.sleep(0.05)
        sys.exit(f"waited in vain for {self.address}")


class Cluster:
    """What a mongos would talk to."""

    def __init__(self, mongod, folder, ports):
        self.config = Node(mongod, folder, "config", "--configsvr", ports[0])
        self.shards = [Node(mongod, folder, f"shard{i}", "--shardsvr", port) for i, port in enumerate(ports[1:])]
        for shard in self.shards:
            self.config.client.admin.command({"_configsvrAddShard": shard.address, **MAJORITY})

    def database(self, name):
        """A new database on the first shard, with our indexes."""
        self.config.client.admin.command({"_configsvrCreateDatabase": name, "primaryShardId": "shard0", **MAJORITY})
        database = self.shards[0].client[name]
        for collection, indexes in INDEXES.items():
            for keys, options in indexes:
                database[collection].create_index(keys, **options)
        return database

    def shard(self, database, collection, key):
        """What a mongos asks of the primary shard for `shardCollection`."""
        version = self.config.client.config.databases.find_one({"_id": database.name})["version"]
        command = {"_shardsvrCreateCollection": collection, "shardKey": key, "databaseVersion": version}
        database.command({**command, **MAJORITY})

    def chunks(self, database, collection):
        config = self.config.client.config
        uuid = config.collections.find_one({"_id": f"{database.name}.{collection}"})["uuid"]
        return [chunk["shard"] for chunk in config.chunks.find({"uuid": uuid})]


def check(mongod, folder, ports):
    cluster = Cluster(mongod, folder, ports)
    by_hash(cluster)
    by_range(cluster)
    what_is_refused(cluster)


def by_hash(cluster):
    database = cluster.database("by_hash")
    for collection in (EVENTS, COUNTERS):
        before = names(database, collection)
        cluster.shard(database, collection, {"deviceId": "hashed"})
        added = names(database, collection) - before
        shards = cluster.chunks(database, collection)
        say(f"hashed: {collection} is sharded, with {', '.join(added)} beside its indexes; chunks on", shards)
        expect(added == {"deviceId_hashed"} and len(set(shards)) == 2)
    unique = database[COUNTERS].index_information()["deviceId_1"]
    say("hashed: FailureCounter keeps its unique index on deviceId", unique.get("unique"))
    expect(unique["unique"])
    duplicate = refusal(lambda: [database[COUNTERS].insert_one({"deviceId": "a"}) for _ in range(2)])
    say("hashed: a second counter of a device is refused with", duplicate)
    expect(duplicate == 11000)


def by_range(cluster):
    database = cluster.database("by_range")
    for collection in (EVENTS, COUNTERS):
        before = names(database, collection)
        cluster.shard(database, collection, {"deviceId": 1})
        shards = cluster.chunks(database, collection)
        say(f"ranged: {collection} is sharded with the indexes that it has; chunks on", shards)
        expect(names(database, collection) == before and len(shards) == 1)


def what_is_refused(cluster):
    database = cluster.database("refused")
    refused = refusal(lambda: cluster.shard(database, COUNTERS, {"failureCount": 1}))
    say("a key that the unique index does not begin with is refused with", refused)
    expect(refused is not None)
    refused = refusal(lambda: database[EVENTS].create_index([("deviceId", "hashed")], unique=True))
    say("a hashed index that is unique is refused with", refused)
    expect(refused is not None)


def names(database, collection):
    return set(database[collection].index_information())


def refusal(action):
    try:
        action()
    except OperationFailure as error:
        return error.code
    return None


def say(what, outcome):
    print(f"{what} {outcome}")


def expect(condition):
    if not condition:
        sys.exit("FAILED: this is not what docs/admins/mongodb.md says of the server")


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    applying = verbs.add_parser("apply")
    applying.add_argument("uri")
    applying.add_argument("database")
    applying.add_argument("--key", choices=["hashed", "ranged"], default="hashed")
    checking = verbs.add_parser("check")
    checking.add_argument("mongod")
    checking.add_argument("folder")
    checking.add_argument("ports", type=int, nargs=3)
    args = parser.parse_args()
    if args.verb == "apply":
        apply(args.uri, args.database, args.key)
    else:
        check(args.mongod, args.folder, args.ports)


main()
