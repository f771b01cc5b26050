//! From the queue to the store: claims batches, writes rows, keeps the failure counters.
//!
//! In reading order: [`config`], [`worker`] (the loop), [`batch`] (the effect of one batch),
//! [`keeper`] (holding a lease meanwhile).

pub mod batch;
pub mod config;
pub mod keeper;
pub mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use pisync_core::{
    queue::{Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{config::Config, worker::Worker};

/// Works until a signal to stop comes, then gives back what it holds.
///
/// Fails where the settings are wrong; Redis or `MongoDB` being away is waited for.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let mut redis = config.redis.clone();
    // A worker is in no hurry, and a slow answer is no reason to lose a batch.
    redis.response_timeout = Duration::from_secs(5);
    let queue = Queue::new(&redis)?;
    match queue.check().await {
        Err(error @ QueueError::Misconfigured(_)) => return Err(error.into()),
        Err(error) => log::warn!(error:% = error; "starting without redis"),
        Ok(()) => {}
    }
    let store = Store::open(&config.mongo, "queue-worker").await.context("opening the store")?;
    tokio::select! {
        () = store.ensure_indexes_in_time() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let worker = Arc::new(Worker::new(queue, store, config.work.clone()));
    log::info!(owner = worker.owner(), lanes = config.work.lanes; "working");
    worker::run(worker, stop).await;
    log::info!("stopped");
    Ok(())
}
