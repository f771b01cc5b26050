//! `naive_worker`: a worker that is wrong on purpose, as a control of the kill matrix.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chaos::naive::NaiveSettings;
use clap::{Parser, ValueEnum};
use pisync_core::{
    models::{FailureCounter, FailureRun},
    process::Process,
    queue::{BatchId, Claim, ClaimedBatch, Queue},
    settings::{self, LogSettings},
    shutdown,
    store::{Saved, Store, VersionedCounter},
};
use queue_worker::{
    batch::{WrittenEvent, write_rows},
    counters::keep_counters,
    decode,
    repeats::Repeats,
};

/// The failure threshold of the counters, which matters to alerts alone.
const THRESHOLD: i32 = 3;

/// The number of events in one insert after a pop.
const BATCH_SIZE: usize = 5;

/// Works as simple queues do: loses or miscounts events when it is killed
#[derive(Debug, Parser)]
#[command(name = "naive_worker", version)]
struct Config {
    /// Its fault
    #[arg(long, value_enum)]
    mode: Mode,
    /// Events in one batch at the most
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Lease of a batch, in milliseconds: time until another worker may claim it
    #[arg(long, default_value_t = 1000)]
    lease_ms: u64,
    #[command(flatten)]
    common: NaiveSettings,
}

impl AsRef<LogSettings> for Config {
    fn as_ref(&self) -> &LogSettings {
        &self.common.log
    }
}

/// The fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Acknowledges before it works: at most once.
    Pop,
    /// Counts the events that it has inserted, in the order of arrival.
    Count,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = settings::parse();
    let stop = shutdown::on_signal().context("listening for signals")?;
    let queue = Queue::new(&config.common.redis)?;
    let store = Store::open(&config.common.mongo, "naive_worker").await.context("opening the store")?;
    store.ensure_indexes_in_time(Process::Worker).await?;
    log::info!("working");
    while !stop.is_cancelled() {
        if !step(&config, &queue, &store).await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Processes a batch of each partition that has one. Returns true if there was any.
async fn step(config: &Config, queue: &Queue, store: &Store) -> anyhow::Result<bool> {
    let mut has_worked = false;
    for partition in queue.partitions() {
        let lease = Duration::from_millis(config.lease_ms);
        let claim = queue.claim(partition, &BatchId::new(), "naive", config.batch, lease).await?;
        if let Claim::Batch(batch) = claim {
            work(config, queue, store, &batch).await?;
            has_worked = true;
        }
    }
    Ok(has_worked)
}

async fn work(config: &Config, queue: &Queue, store: &Store, batch: &ClaimedBatch) -> anyhow::Result<()> {
    let contents = decode::read(queue, batch, &config.common.crash).await?;
    let events = contents.rows;
    match config.mode {
        Mode::Pop => {
            let _ = queue.ack(&batch.lease, &contents.dead).await?;
            // A few at a time: events not yet sent to MongoDB are lost with the process.
            for events in events.chunks(BATCH_SIZE) {
                let (rested, _) = write_rows(store, events).await?;
                keep_counters(store, &rested, &Repeats::default(), THRESHOLD).await?;
            }
        }
        Mode::Count => {
            let (rested, _) = write_rows(store, &events).await?;
            config.common.crash.pass("after_insert_before_counter");
            count_what_is_new(store, &rested).await?;
            let _ = queue.ack(&batch.lease, &contents.dead).await?;
        }
    }
    Ok(())
}

/// Adds one for a failure and resets to zero for a success, in the order of arrival. That is wrong for late events,
/// and for rows whose worker died before it counted them.
async fn count_what_is_new(store: &Store, rested: &[WrittenEvent]) -> anyhow::Result<()> {
    let devices: Vec<_> = rested.iter().map(|event| event.device_id.clone()).collect();
    loop {
        let mut counters = store.failure_counters().find(&devices).await?;
        for event in rested.iter().filter(|event| event.is_new) {
            let device_id = event.device_id.clone();
            let kept = counters.entry(device_id.clone()).or_insert_with(|| VersionedCounter::none(device_id));
            count(&mut kept.counter, event);
        }
        let counters: Vec<_> = counters.into_values().map(|kept| (kept.counter, kept.revision)).collect();
        if store.failure_counters().save(&counters, &HashMap::new()).await? == Saved::All {
            return Ok(());
        }
    }
}

fn count(counter: &mut FailureCounter, event: &WrittenEvent) {
    let at = event.observation.timestamp;
    counter.run = event.observation.failed.then(|| FailureRun {
        count: counter.failure_count() + 1,
        since: at,
        last_at: at,
        last_speed: event.observation.internet_speed,
    });
}
