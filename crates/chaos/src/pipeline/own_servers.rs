//! The servers of one row alone: those that it kills or fills.

use tempfile::TempDir;
use testkit::{MongoServer, MongoSet, RedisServer, RedisSet, TestEnv};

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Servers {
    /// No own servers.
    Shared,
    /// A Redis.
    OwnRedis,
    /// A `MongoDB`.
    OwnMongo,
    /// A Redis cluster of three masters and three replicas, with these options.
    OwnCluster(&'static [&'static str]),
    /// A Redis with two replicas and three sentinels.
    OwnSentinels,
    /// A `MongoDB` of three nodes.
    OwnMongoSet,
}

/// The running servers; they are killed when they are dropped.
#[derive(Debug)]
pub(crate) struct OwnServers {
    /// A Redis.
    pub(crate) redis: Option<RedisServer>,
    /// A `MongoDB`.
    pub(crate) mongo: Option<MongoServer>,
    /// Several Redis servers.
    pub(crate) redis_set: Option<RedisSet>,
    /// A `MongoDB` of three nodes.
    pub(crate) mongo_set: Option<MongoSet>,
    folder: TempDir,
}

impl Servers {
    /// Returns true if they take too long to start for the small form of the matrix.
    pub(crate) const fn are_many(self) -> bool {
        matches!(self, Self::OwnCluster(_) | Self::OwnSentinels | Self::OwnMongoSet)
    }
}

impl OwnServers {
    /// Starts the servers. Returns them, and an environment on them.
    pub(super) async fn start(servers: Servers) -> (Self, TestEnv) {
        let folder = tempfile::Builder::new().prefix("pisync-chaos-").tempdir().expect("a folder");
        let (mut redis, mut mongo, mut redis_set, mut mongo_set) = (None, None, None, None);
        let on = |set: &RedisSet| TestEnv::at(Some(set.url()), None);
        let env = match servers {
            Servers::Shared => TestEnv::new(),
            Servers::OwnRedis => {
                TestEnv::on_redis(redis.insert(RedisServer::start(folder.path().join("redis"), &[]).await))
            }
            Servers::OwnMongo => {
                TestEnv::on_mongo(mongo.insert(MongoServer::start(folder.path().join("mongodb")).await))
            }
            Servers::OwnCluster(options) => on(redis_set.insert(RedisSet::cluster(folder.path(), options).await)),
            Servers::OwnSentinels => on(redis_set.insert(RedisSet::sentinels(folder.path(), &[]).await)),
            Servers::OwnMongoSet => {
                let set = mongo_set.insert(MongoSet::start(folder.path()).await);
                TestEnv::at(None, Some(set.uri()))
            }
        };
        (Self { redis, mongo, redis_set, mongo_set, folder }, env)
    }

    /// Returns true if they include Redis.
    pub(super) fn have_redis(&self) -> bool {
        self.redis.is_some() || self.redis_set.is_some()
    }

    /// Returns true if they include `MongoDB`.
    pub(super) fn have_mongo(&self) -> bool {
        self.mongo.is_some() || self.mongo_set.is_some()
    }

    /// Kills them. Returns their folder, in which they may still write for a moment.
    pub(super) fn stop(self) -> TempDir {
        self.folder
    }
}
