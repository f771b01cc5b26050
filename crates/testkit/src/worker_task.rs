//! A worker within the test's process, for tests that are about something else than its process.

use std::{num::NonZeroU64, sync::Arc};

use pisync_core::{crash::CrashSettings, presence::Heartbeat, process::Process};
use queue_worker::{
    config::WorkSettings,
    worker::{self, Worker},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::test_env::TestEnv;

/// A worker that runs until this is dropped.
#[derive(Debug)]
pub struct WorkerTask {
    _tasks: JoinSet<()>,
}

impl TestEnv {
    /// Starts a worker with the settings of the program's tests in this process.
    pub async fn work(&self) -> WorkerTask {
        let (queue, store, mut tasks) = (self.queue(), self.store().await, JoinSet::new());
        store.ensure_indexes().await.expect("MongoDB");
        let settings = WorkSettings {
            batch: 1_000,
            lease_ms: 5_000,
            lanes: 2,
            threshold: 3,
            max_devices: NonZeroU64::MAX,
            retain_days: None,
            crash: CrashSettings::default(),
        };
        tasks.spawn(Heartbeat::new(queue.clone()).keep(Process::Worker));
        tasks.spawn(worker::run(Arc::new(Worker::new(queue, store, settings)), CancellationToken::new()));
        WorkerTask { _tasks: tasks }
    }
}
