//! From the counters to the people: compares what is failing with what is known to be, and tells
//! the difference.
//!
//! In reading order: [`config`], [`daemon`] (when to look), [`tick`] (looking), `fleet` (looking at all of it first), [`rules`] (what
//! it means), [`incident`] (how it goes on), `silent` (who was not heard of), [`silences`] (what nobody wants to hear of), [`outbox`] (what is to leave), [`notification`] (one message), [`facts`] (what people
//! want to know), [`receivers`] (where to), [`metrics`] (what is counted).

pub mod admin;
pub mod config;
pub mod daemon;
pub mod facts;
mod fleet;
pub mod incident;
pub mod metrics;
pub mod notification;
pub mod outbox;
pub mod receivers;
pub mod rules;
pub mod silences;
mod silent;
pub mod tick;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::{
    queue::{Hints, Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{
    config::Config,
    outbox::Outbox,
    receivers::{Receivers, log::AlertLog},
    rules::Rules,
    tick::Alerter,
};

/// Watches until a signal to stop comes; or looks once and sends what is due; or does what the
/// operator asks.
///
/// Fails where the settings are wrong or the alert log cannot be opened; `--once` also where
/// `MongoDB` is away or a message could not be delivered.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let store = Store::open(&config.mongo, "alerter").await.context("opening the store")?;
    if let Some(command) = config.command {
        return admin::run(command, &store).await;
    }
    let log = AlertLog::open(&config.alert_log)
        .with_context(|| format!("opening the alert log {}", config.alert_log.display()))?;
    let receivers = Receivers::log_only(log);
    let (queue, rules) = (Queue::new(&config.redis)?, Rules::default());
    let alerter =
        Alerter::new(store.clone(), queue.clone(), config.threshold, receivers.clone(), rules, config.crash.clone());
    let (lease, metrics) = (config.lease(), alerter.metrics().clone());
    let outbox = Outbox::new(store.clone(), receivers, lease, config.crash.clone(), metrics)?;
    if config.once {
        return once(&store, &alerter, &outbox).await;
    }
    if let Err(error @ QueueError::Misconfigured(_)) = queue.check().await {
        return Err(error.into());
    }
    open_ops(&config, &alerter, &store).await.context("binding --ops-bind (PISYNC_OPS_BIND)")?;
    tokio::select! {
        () = store.ensure_indexes_in_time() => {}
        () = stop.cancelled() => return Ok(()),
    }
    log::info!(schedule:% = config.schedule, threshold = config.threshold; "watching");
    daemon::watch(&alerter, &outbox, &Hints::new(queue), &config.schedule, &stop).await;
    log::info!("stopped");
    Ok(())
}

/// One tick, and the delivery of what is due.
async fn once(store: &Store, alerter: &Alerter, outbox: &Outbox) -> anyhow::Result<()> {
    store.ensure_indexes().await?;
    alerter.tick().await?;
    let outcome = outbox.deliver().await?;
    ensure!(outcome.failed == 0, "{} messages could not be delivered", outcome.failed);
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
