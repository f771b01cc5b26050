//! The world of one row: its servers, its database, its address, and what is found there at the
//! end.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use fastrand::Rng;
use pisync_core::queue::{PartitionStatus, Queue};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use testkit::{MongoServer, MongoSet, RedisServer, RedisSet, TestEnv};
use tokio::{process::Command, time::sleep};

use super::{cast::Cast, line::Outcome, recovery::Recovery, rows::Servers};
use crate::settings::Scale;

/// How long the system may take to a state that is waited for.
const PATIENCE: Duration = Duration::from_secs(100);

/// How long taking down may take.
const STRIKE: Duration = Duration::from_secs(10);

/// How long processes that were killed may still write.
const LAST_WRITES: Duration = Duration::from_millis(300);

/// The world of one row. All processes in it are killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    /// How large the row is.
    pub(crate) scale: Scale,
    /// The random choices of the row.
    pub(crate) rng: Rng,
    /// The queue, by a way of its own.
    pub(crate) queue: Queue,
    /// How long batches are without a worker.
    pub(crate) recovery: Recovery,
    /// A Redis of its own.
    pub(crate) redis: Option<RedisServer>,
    /// A `MongoDB` of its own.
    pub(crate) mongo: Option<MongoServer>,
    /// Several Redis servers of its own.
    pub(crate) redis_set: Option<RedisSet>,
    /// A `MongoDB` of three nodes of its own.
    pub(crate) mongo_set: Option<MongoSet>,
    /// The processes of the system.
    pub(crate) cast: Cast,
    env: Arc<TestEnv>,
    servers: TempDir,
}

/// What `fleet-sim verify` says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    /// Events answered by 202.
    pub(crate) acknowledged: u64,
    /// Those of them without a row.
    pub(crate) lost: u64,
    /// Rows beyond the first of their event.
    pub(crate) duplicated: u64,
    /// Devices whose counter is not the fold of their rows.
    pub(crate) wrong_counters: u64,
    /// The first faults of any kind.
    pub(crate) faults: Vec<Value>,
}

impl Stage {
    /// Starts the servers of the row.
    pub(crate) async fn set(servers: Servers, scale: Scale, seed: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("pisync-chaos-").tempdir().expect("a folder");
        let (mut redis, mut mongo, mut redis_set, mut mongo_set) = (None, None, None, None);
        let own = |set: &RedisSet| TestEnv::at(Some(set.url()), None);
        let env = match servers {
            Servers::Shared => TestEnv::new(),
            Servers::OwnRedis => {
                TestEnv::on_redis(redis.insert(RedisServer::start(folder.path().join("redis"), &[]).await))
            }
            Servers::OwnMongo => {
                TestEnv::on_mongo(mongo.insert(MongoServer::start(folder.path().join("mongodb")).await))
            }
            Servers::OwnCluster(options) => own(redis_set.insert(RedisSet::cluster(folder.path(), options).await)),
            Servers::OwnSentinels => own(redis_set.insert(RedisSet::sentinels(folder.path(), &[]).await)),
            Servers::OwnMongoSet => {
                let set = mongo_set.insert(MongoSet::start(folder.path()).await);
                TestEnv::at(None, Some(set.uri()))
            }
        };
        let (queue, mut rng) = (env.queue(), Rng::with_seed(seed));
        let env = Arc::new(env);
        let cast = Cast::new(Arc::clone(&env), scale.clone(), &mut rng);
        let recovery = Recovery::watch(queue.clone());
        Self { scale, rng, queue, recovery, redis, mongo, redis_set, mongo_set, cast, env, servers: folder }
    }

    /// The prefix of the keys.
    pub(crate) fn prefix(&self) -> &str {
        self.env.name()
    }

    /// A random duration from `least` to `most` milliseconds.
    pub(crate) fn some_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// Ends the row: the fleet has sent all, nothing waits any more, and the ledger is compared.
    pub(crate) async fn settle(&mut self, kills: usize) -> anyhow::Result<Outcome> {
        self.cast.fleet_is_through().await?;
        self.drained().await?;
        self.cast.workers_go_home().await?;
        let findings = self.verify().await?;
        let status = self.queue.status_of_all().await?;
        let total = |name| status.iter().map(|partition| partition.total(name)).sum();
        let redelivered = total("redelivered");
        Ok(Outcome { findings, redelivered, dead: total("dead"), kills, recovery: self.recovery.times() })
    }

    /// Waits until no message waits or is in flight.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        let is_empty = |partition: &PartitionStatus| partition.ready + partition.in_flight() == 0;
        until("an empty queue", async || {
            self.queue.status_of_all().await.is_ok_and(|status| status.iter().all(is_empty))
        })
        .await
    }

    /// Compares the ledger with what is there now: what was acknowledged to the queue by its
    /// workers must have its row and count, without further waiting.
    async fn verify(&self) -> anyhow::Result<Findings> {
        let ledger = self.env.path("ledger.ndjson").display().to_string();
        let mut command: Command = self.env.command("fleet-sim", &["verify", "--ledger", &ledger, "--json"]);
        let output = command.kill_on_drop(true).output().await.context("starting fleet-sim verify")?;
        let findings: Findings = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("fleet-sim verify: {}", String::from_utf8_lossy(&output.stderr)))?;
        let expected = self.cast.sent;
        ensure!(findings.acknowledged == expected, "{} of {expected} were acknowledged", findings.acknowledged);
        Ok(findings)
    }

    /// Takes everything down; the logs are copied to `keep` first.
    pub(crate) async fn strike(self, row: &str, keep: Option<&Path>) {
        let Self { queue, recovery, redis, mongo, redis_set, mongo_set, cast, env, servers, .. } = self;
        drop((cast, recovery));
        let folder = env.path("");
        if let Some(keep) = keep {
            copy_logs(&folder, &keep.join(row.replace([' ', ','], "-")));
        }
        let remove = async {
            if redis.is_none()
                && redis_set.is_none()
                && let Err(error) = queue.remove().await
            {
                log::warn!(error:% = error; "keys were left behind");
            }
            if mongo.is_none()
                && mongo_set.is_none()
                && let Err(error) = env.store().await.remove().await
            {
                log::warn!(error:% = error; "a database was left behind");
            }
        };
        if tokio::time::timeout(STRIKE, remove).await.is_err() {
            log::warn!("keys or a database were left behind");
        }
        drop((redis, mongo, redis_set, mongo_set));
        sleep(LAST_WRITES).await;
        drop((env, servers));
    }
}

/// Waits until `reached` says so; fails when that takes too long.
pub(crate) async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !reached().await {
        ensure!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Copies the files of a folder.
pub(crate) fn copy_logs(from: &Path, to: &Path) {
    let copied = std::fs::create_dir_all(to).and_then(|()| {
        for entry in std::fs::read_dir(from)?.flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    });
    if let Err(error) = copied {
        log::warn!(error:% = error, folder:% = to.display(); "logs were not kept");
    }
}
