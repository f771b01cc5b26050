//! From the queue to the store: claims batches, writes rows, keeps the failure counters.
//!
//! In reading order: [`config`], [`worker`] (the loop), [`away`] (partitions that do not answer), [`decode`]
//! (the messages of a batch), [`poison_check`] (the message that kills), [`batch`] (its rows), [`counters`] (of
//! its devices), `batch_summary`, [`repeats`] and
//! `labels` (other facts of the batch), [`lease_keeper`] (extending the
//! lease), [`overflow`] (dead letters over the bound), [`retention`] (removing old rows), [`metrics`],
//! [`commands`] (of the operator).

pub mod away;
pub mod batch;
mod batch_summary;
pub mod commands;
pub mod config;
pub mod counters;
pub mod decode;
mod labels;
pub mod lease_keeper;
mod left_alone;
pub mod metrics;
pub mod overflow;
pub mod poison_check;
pub mod repeats;
pub mod retention;
pub mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use pisync_core::{
    ops::OpsSettings, presence::Heartbeat, process::Process, queue::Queue, settings::CannotBind, shutdown, store::Store,
};

use crate::{commands::Command, config::Config, retention::RowRemoval, worker::Worker};

/// Runs the worker until a stop signal, then releases its batches; or runs the operator's command.
///
/// Fails if the settings are wrong or a command fails. A worker waits for Redis and `MongoDB` to come up.
// Not in `main.rs`: a library's asynchronous code is compiled where a runtime runs it, and would be compiled twice.
#[tokio::main]
pub async fn run(config: Config) -> anyhow::Result<()> {
    match config.command {
        Some(Command::Probe) => return Ok(poison_check::run(&config.work.crash)?),
        Some(Command::Healthcheck(healthcheck)) => return Ok(config.ops.ask(healthcheck)?),
        _ => {}
    }
    let mut redis = config.redis.clone();
    // A worker is in no hurry, and a slow answer is no reason to lose a batch.
    redis.response_timeout = Duration::from_secs(5);
    let queue = Queue::new(&redis)?;
    let store = Store::open(&config.mongo, "queue-worker").await.context("opening the store")?;
    match config.command {
        Some(command) => commands::run(command, &config.redis, &queue, &store).await,
        None => work(queue, store, config).await,
    }
}

async fn work(queue: Queue, store: Store, config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let retain_days = config.work.retain_days;
    let worker = Arc::new(Worker::new(queue.clone(), store.clone(), config.work));
    open_ops(config.ops, &worker, &queue, &store).await?;
    queue.open(Process::Worker).await?;
    tokio::select! {
        prepared = store.ensure_indexes_in_time(Process::Worker) => prepared?,
        () = stop.cancelled() => return Ok(()),
    }
    let heartbeat = tokio::spawn(Heartbeat::new(queue.clone()).keep(Process::Worker));
    let overflow = tokio::spawn(overflow::keep(queue.clone(), store.clone()));
    let retention =
        retain_days.map(|days| RowRemoval::new(queue, store, worker.owner(), days, worker.metrics().clone()));
    let remover = retention.map(|retention| tokio::spawn(retention.keep(stop.clone())));
    log::info!(owner = worker.owner(); "working");
    worker::run(worker, stop).await;
    // Their queries to the store run on in tasks of their own until the process ends.
    overflow.abort();
    heartbeat.abort();
    if let Some(remover) = remover {
        remover.abort();
    }
    log::info!("stopped");
    Ok(())
}

async fn open_ops(ops: OpsSettings, worker: &Worker, queue: &Queue, store: &Store) -> Result<(), CannotBind> {
    let (queue, store) = (queue.clone(), store.clone());
    let needs = move || {
        let (queue, store) = (queue.clone(), store.clone());
        async move {
            let (redis, mongodb) = tokio::join!(queue.readiness_to_work(), store.takes_writes(Process::Worker));
            vec![redis.into(), mongodb.into()]
        }
    };
    ops.serve(worker.metrics().registry(), needs).await
}
