//! From the counters to the people: compares what is failing with what is known to be, and tells
//! the difference.
//!
//! In reading order: [`config`], [`daemon`] (when to look), [`tick`] (looking), [`rules`] (what
//! it means), [`outbox`] (what is to leave), [`notification`] (one message), [`facts`] (what people
//! want to know), [`receivers`] (where to), [`metrics`] (what is counted).

pub mod config;
pub mod daemon;
pub mod facts;
pub mod metrics;
pub mod notification;
pub mod outbox;
pub mod receivers;
pub mod rules;
pub mod tick;

use anyhow::Context;
use jiff::Timestamp;
use pisync_core::{
    queue::{Hints, Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{
    config::Config,
    receivers::{Receivers, log::AlertLog},
    tick::Alerter,
};

/// Watches until a signal to stop comes, or looks once and sends what is due.
///
/// Fails where the settings are wrong or the alert log cannot be written; `--once` also where
/// `MongoDB` is away.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let store = Store::open(&config.mongo, "alerter").await.context("opening the store")?;
    let log = AlertLog::open(&config.alert_log)
        .with_context(|| format!("opening the alert log {}", config.alert_log.display()))?;
    let receivers = Receivers::log_only(log);
    let alerter = Alerter::new(store.clone(), config.threshold);
    if config.once {
        store.ensure_indexes().await?;
        alerter.tick().await?;
        outbox::deliver(&store, &receivers, alerter.metrics()).await?;
        return Ok(());
    }
    let queue = Queue::new(&config.redis)?;
    if let Err(error @ QueueError::Misconfigured(_)) = queue.check().await {
        return Err(error.into());
    }
    open_ops(&config, &alerter, &store).await.context("binding --ops-bind (PISYNC_OPS_BIND)")?;
    tokio::select! {
        () = store.ensure_indexes_in_time() => {}
        () = stop.cancelled() => return Ok(()),
    }
    log::info!(schedule:% = config.schedule, threshold = config.threshold; "watching");
    daemon::watch(&alerter, &store, &Hints::new(queue), &receivers, &config.schedule, &stop).await;
    log::info!("stopped");
    Ok(())
}

async fn open_ops(config: &Config, alerter: &Alerter, store: &Store) -> std::io::Result<()> {
    let (schedule, metrics, store) = (config.schedule.clone(), alerter.metrics().clone(), store.clone());
    let needs = move || {
        let ticks = daemon::is_in_time(&schedule, metrics.last_tick(), Timestamp::now());
        let store = store.clone();
        async move { vec![("mongodb", store.answers().await), ("ticks", ticks)] }
    };
    config.ops.serve(alerter.metrics().registry(), needs).await
}
