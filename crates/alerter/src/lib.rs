//! From the counters to the people: compares what is failing with what is known to be, and tells
//! the difference.
//!
//! In reading order: [`config`], [`daemon`] (when to look), [`tick`] (looking), `fleet` (looking at
//! all of it first), [`rules`] (what it means), [`incident`] (how it goes on), `silent` (who was not
//! heard of) and `flapping` (who fails and recovers in turn), which `settling` brings into line,
//! [`silences`] (what nobody wants to hear of), [`outbox`] (what is to leave), [`notification`] (one
//! message), [`facts`] (what people want to know), [`receivers`] (where to), [`routing`] (which
//! there are), [`summary`] (how the week was), [`metrics`] (what is counted); [`verbs`] and
//! [`trial`] for the operator.

pub mod config;
pub mod daemon;
mod device_labels;
pub mod facts;
mod flapping;
mod fleet;
pub mod incident;
pub mod metrics;
pub mod notification;
pub mod outbox;
pub mod receivers;
pub mod routing;
pub mod rules;
mod settling;
pub mod silences;
mod silent;
pub mod summary;
pub mod tables;
pub mod tick;
pub mod trial;
mod usual_speed;
pub mod verbs;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::{
    queue::{Hints, Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{
    config::{Command, Config},
    outbox::Outbox,
    receivers::{Links, log::AlertLog},
    routing::Routing,
    summary::Summaries,
    tick::Alerter,
};

/// Watches until a signal to stop comes; or looks once and sends what is due; or does what the
/// operator asks.
///
/// Fails where the settings are wrong or the alert log cannot be opened; `--once` also where
/// `MongoDB` is away or a message could not be delivered.
pub async fn run(config: Config) -> anyhow::Result<()> {
    match &config.command {
        Some(Command::CheckConfig { file }) => {
            verbs::check_config(file);
            Ok(())
        }
        Some(Command::Test { receiver }) => verbs::test(&open_receivers(&config)?, receiver).await,
        Some(Command::Silence(verb)) => verbs::silence(verb.clone(), &open_store(&config).await?).await,
        Some(Command::Healthcheck(healthcheck)) => Ok(config.ops.ask(*healthcheck)?),
        None => look(config).await,
    }
}

async fn look(config: Config) -> anyhow::Result<()> {
    let receivers = open_receivers(&config)?;
    let stop = shutdown::on_signal().context("listening for signals")?;
    let store = open_store(&config).await?;
    let queue = Queue::new(&config.redis)?;
    let alerter = Alerter::new(store.clone(), queue.clone(), config.threshold, receivers.clone(), config.crash.clone());
    let (lease, metrics) = (config.lease(), alerter.metrics().clone());
    let outbox = Outbox::new(store.clone(), receivers.clone(), lease, config.crash.clone(), metrics.clone())?;
    let (queue_of, crash) = (queue.clone(), config.crash.clone());
    let summaries = Summaries::new(store.clone(), queue_of, receivers.clone(), lease, crash, metrics);
    if config.once {
        return once(&store, &alerter, &outbox, &summaries, &receivers).await;
    }
    routing::read_again_on_hangup(config.config.clone(), receivers.clone()).context("listening for SIGHUP")?;
    if let Err(error @ QueueError::Misconfigured(_)) = queue.check().await {
        return Err(error.into());
    }
    open_ops(&config, &alerter, &store).await.context("binding --ops-bind (PISYNC_OPS_BIND)")?;
    tokio::select! {
        () = store.ensure_indexes_in_time() => {}
        () = stop.cancelled() => return Ok(()),
    }
    log::info!(schedule:% = config.schedule, threshold = config.threshold; "watching");
    let keeper = tokio::spawn(daemon::keep_alive(receivers, store));
    daemon::watch(&alerter, &outbox, &summaries, &Hints::new(queue), &config.schedule, &stop).await;
    keeper.abort();
    log::info!("stopped");
    Ok(())
}

/// One tick, and the delivery of what is due.
async fn once(
    store: &Store,
    alerter: &Alerter,
    outbox: &Outbox,
    summaries: &Summaries,
    receivers: &Routing,
) -> anyhow::Result<()> {
    store.ensure_indexes().await?;
    alerter.tick().await?;
    receivers.ping().await;
    let outcome = outbox.deliver().await?;
    let failed = outcome.failed + Box::pin(summaries.send()).await?.failed;
    receivers.keep_alive(store).await;
    ensure!(failed == 0, "{failed} messages could not be delivered");
    Ok(())
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    Store::open(&config.mongo, "alerter").await.context("opening the store")
}

fn open_receivers(config: &Config) -> anyhow::Result<Routing> {
    let alert_config = routing::open(config.config.as_ref());
    let log = AlertLog::open(&config.alert_log)
        .with_context(|| format!("opening the alert log {}", config.alert_log.display()))?;
    let links = config.external_url.clone().map(Links::to).unwrap_or_default();
    Ok(Routing::new(log, links, alert_config))
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
