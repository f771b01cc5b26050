//! Compares the current failures with the open incidents, and notifies people of the difference.
//!
//! In reading order: [`config`] (flags), [`routing`] (the file), [`daemon`] (the loops), [`tick_reporter`]
//! (heartbeat and ping), [`tick`] (the rules in their order), [`rules`] (a file for each, and their list),
//! `snapshot` (the data they read), [`evaluation`] (their results), `inhibition` (suppression between alerts),
//! `reconcile` (the writes), [`incident`] (its states), [`outbox`] (the due messages), [`notification`] (one
//! message), [`device_context`] (facts for people), [`messages`] (the texts), [`receivers`] (one file for each
//! kind), [`summary`] (the weekly summary), [`metrics`]; [`commands`] for the operator, and `tables` (reading
//! TOML).

pub mod commands;
pub mod config;
pub mod daemon;
pub mod device_context;
pub mod evaluation;
#[cfg(test)]
mod fixtures;
pub mod incident;
mod inhibition;
pub mod messages;
pub mod metrics;
pub mod notification;
pub mod outbox;
pub mod receivers;
mod reconcile;
pub mod routing;
pub mod rules;
mod snapshot;
pub mod summary;
pub mod tables;
pub mod tick;
pub mod tick_reporter;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::{
    ops::Need,
    process::Process,
    queue::{Hints, Queue},
    settings::CannotBind,
    shutdown,
    store::{Store, StoreError},
};

use crate::{
    config::Config, messages::Links, outbox::Outbox, receivers::log::AlertLog, routing::Routing,
    summary::SummarySender, tick::Alerter, tick_reporter::TickReporter,
};

/// The reason why an alerter that ticks too seldom is not ready.
const LATE: (&str, &str) = ("ticks_late", "the rules were not evaluated on schedule: the log says why");

/// Runs the alerter until a stop signal; or one tick and the due messages; or the operator's command.
///
/// Fails if the settings are wrong or the alert log cannot be opened. `--once` also fails if `MongoDB` is away
/// or a message could not be delivered.
// It waits for servers nearly all of the time: a thread for each core of a large machine would cost memory for
// nothing.
// Not in `main.rs`: a library's asynchronous code is compiled where a runtime runs it, and would be compiled twice.
#[tokio::main(worker_threads = 2)]
pub async fn run(config: Config) -> anyhow::Result<()> {
    match config.command.clone() {
        Some(command) => command.run(&config.mongo, &config.ops, || open_routing(&config)).await,
        None => Box::pin(watch(config)).await,
    }
}

async fn watch(config: Config) -> anyhow::Result<()> {
    let routing = open_routing(&config)?;
    let stop = shutdown::on_signal().context("listening for signals")?;
    let store = Store::open(&config.mongo, "alerter").await.context("opening the store")?;
    let queue = Queue::new(&config.redis)?;
    let crash = &config.crash;
    let alerter = Alerter::new(store.clone(), queue.clone(), config.threshold, routing.clone(), crash.clone());
    let metrics = alerter.metrics.clone();
    let outbox = Outbox::new(store.clone(), routing.clone(), config.lease, crash.clone(), metrics)?;
    let summaries = SummarySender::new(outbox, queue.clone());
    let reporter = TickReporter::new(queue.clone(), config.schedule.clone(), routing.clone());
    if config.once {
        return once(&alerter, reporter, &summaries).await;
    }
    routing::read_again_on_hangup(config.config.clone(), routing.clone()).context("listening for SIGHUP")?;
    queue.open(Process::Alerter).await?;
    open_ops(&config, &alerter, &store).await?;
    tokio::select! {
        prepared = store.ensure_indexes_in_time(Process::Alerter) => prepared?,
        () = stop.cancelled() => return Ok(()),
    }
    log::info!(schedule:% = config.schedule, threshold = config.threshold; "watching");
    let keeper = tokio::spawn(daemon::keep_alive(routing, store, config.tick_timeout));
    daemon::watch(&alerter, &reporter, &summaries, &Hints::new(queue), config.tick_timeout, &stop).await;
    keeper.abort();
    log::info!("stopped");
    Ok(())
}

/// Runs one tick and delivers the due messages.
async fn once(alerter: &Alerter, reporter: TickReporter, summaries: &SummarySender) -> anyhow::Result<()> {
    let Outbox { store, receivers, .. } = &summaries.outbox;
    match store.ensure_indexes().await {
        // Reads are served without it; the error has the remedy.
        Err(error @ StoreError::Index { .. }) => log::error!(error:% = error; "an index is missing"),
        made => made?,
    }
    alerter.tick().await?;
    reporter.ticked().await;
    let outcome = summaries.outbox.deliver().await?;
    let failed = outcome.failed + Box::pin(summaries.send()).await?.failed;
    receivers.keep_alive(store).await;
    ensure!(failed == 0, "{failed} messages could not be delivered");
    Ok(())
}

fn open_routing(config: &Config) -> anyhow::Result<Routing> {
    let file = routing::open(config.config.as_ref());
    let log = AlertLog::open(&config.alert_log)
        .with_context(|| format!("opening the alert log {}", config.alert_log.display()))?;
    let links = Links { dashboard: config.external_url.clone(), runbook: config.runbook_url.clone() };
    Ok(Routing::new(log, links, file))
}

async fn open_ops(config: &Config, alerter: &Alerter, store: &Store) -> Result<(), CannotBind> {
    let (schedule, metrics, store) = (config.schedule.clone(), alerter.metrics.clone(), store.clone());
    let needs = move || {
        let is_in_time = daemon::is_in_time(&schedule, metrics.last_tick(), Timestamp::now());
        let (store, ticks) = (store.clone(), Need::of("ticks", is_in_time.then_some(()).ok_or(LATE)));
        async move { vec![store.takes_writes(Process::Alerter).await.into(), ticks] }
    };
    config.ops.serve(alerter.metrics.registry(), needs).await
}
