//! The environment of one row: its servers, its database, its API, and the checks at its end.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use fastrand::Rng;
use pisync_core::queue::{PartitionStatus, Queue};
use testkit::TestEnv;
use tokio::{process::Command, time::sleep};

use super::{
    own_servers::{OwnServers, Servers},
    processes::Processes,
    recovery::Recovery,
    verdict::{Findings, Outcome},
};
use crate::{
    play::{keep_logs, until},
    settings::Scale,
};

/// The timeout for the removal of the environment.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that killed processes may still write.
const LAST_WRITES: Duration = Duration::from_millis(300);

/// The environment of one row. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The size of the row.
    pub(crate) scale: Scale,
    /// The source of the row's random choices.
    pub(crate) rng: Rng,
    /// A client of the queue for the row itself.
    pub(crate) queue: Queue,
    /// The times of batches without a worker.
    pub(crate) recovery: Recovery,
    /// The servers of this row alone.
    pub(crate) servers: OwnServers,
    /// The processes of the system.
    pub(crate) processes: Processes,
    env: Arc<TestEnv>,
}

impl Scenario {
    /// Starts the servers of the row.
    pub(crate) async fn start(servers: Servers, scale: Scale, seed: u64) -> Self {
        let (servers, env) = OwnServers::start(servers).await;
        let (queue, mut rng) = (env.queue(), Rng::with_seed(seed));
        let env = Arc::new(env);
        let processes = Processes::new(Arc::clone(&env), scale.clone(), &mut rng);
        let recovery = Recovery::watch(queue.clone());
        Self { scale, rng, queue, recovery, servers, processes, env }
    }

    /// Returns the prefix of the keys.
    pub(crate) fn prefix(&self) -> &str {
        self.env.name()
    }

    /// Returns a random duration from `least` to `most` milliseconds.
    pub(crate) fn some_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// Ends the row: the fleet sends its last events, workers drain the queue, and the ledger is compared.
    pub(crate) async fn finish(&mut self, kills: usize) -> anyhow::Result<Outcome> {
        self.processes.wait_for_fleet().await?;
        self.drained().await?;
        self.processes.stop_workers().await?;
        let findings = self.verify().await?;
        let status = self.queue.status_of_all().await?;
        let total = |name| status.iter().map(|partition| partition.total(name)).sum();
        let redelivered = total("redelivered");
        Ok(Outcome { findings, redelivered, dead: total("dead"), kills, recovery: self.recovery.times() })
    }

    /// Waits until no event is ready or in flight.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        let is_empty = |partition: &PartitionStatus| partition.ready + partition.in_flight() == 0;
        until("an empty queue", async || {
            self.queue.status_of_all().await.is_ok_and(|status| status.iter().all(is_empty))
        })
        .await
    }

    /// Compares the ledger with the database at once: acknowledged batches must already have their rows and counts.
    async fn verify(&self) -> anyhow::Result<Findings> {
        let ledger = self.env.path("ledger.ndjson").display().to_string();
        let mut command: Command = self.env.command("fleet-sim", &["verify", "--ledger", &ledger, "--json"]);
        let output = command.kill_on_drop(true).output().await.context("starting fleet-sim verify")?;
        let findings: Findings = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("fleet-sim verify: {}", String::from_utf8_lossy(&output.stderr)))?;
        let expected = self.processes.sent;
        ensure!(findings.acknowledged == expected, "{} of {expected} were acknowledged", findings.acknowledged);
        Ok(findings)
    }

    /// Ends all processes and removes the data; the logs are copied to `keep` first.
    pub(crate) async fn teardown(self, row: &str, keep: Option<&Path>) {
        let Self { queue, recovery, servers, processes, env, .. } = self;
        drop((processes, recovery));
        let folder = env.path("");
        if let Some(keep) = keep {
            keep_logs(&folder, keep, row);
        }
        let remove = async {
            if !servers.have_redis()
                && let Err(error) = queue.remove().await
            {
                log::warn!(error:% = error; "keys were left behind");
            }
            if !servers.have_mongo()
                && let Err(error) = env.store().await.remove().await
            {
                log::warn!(error:% = error; "a database was left behind");
            }
        };
        if tokio::time::timeout(TEARDOWN_TIMEOUT, remove).await.is_err() {
            log::warn!("keys or a database were left behind");
        }
        let folder = servers.stop();
        sleep(LAST_WRITES).await;
        drop((env, folder));
    }
}
