//! `naive_alerter`: an alerter that is wrong on purpose, as a control of the kill matrix.

use std::{path::PathBuf, time::Duration};

use alerter::{
    device_context::DeviceContext,
    incident::{self, Trigger},
    messages::Links,
    notification::{AlertNotification, Delivery, Notification},
    outbox::LISTED,
    receivers::log::AlertLog,
    routing::{Routing, RoutingFile},
    tick::Alerter,
};
use anyhow::Context;
use chaos::naive::NaiveSettings;
use clap::{Parser, ValueEnum};
use jiff::Timestamp;
use pisync_core::{
    models::MessageId,
    process::Process,
    queue::Queue,
    settings::{self, LogSettings},
    shutdown,
    store::{Saved, Store, VersionedIncident},
};

/// The failure threshold of the counters.
const THRESHOLD: i32 = 3;

/// The interval between two ticks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Sends messages as simple outboxes do: loses or repeats some when it is killed
#[derive(Debug, Parser)]
#[command(name = "naive_alerter", version)]
struct Config {
    /// Its fault
    #[arg(long, value_enum)]
    mode: Mode,
    /// File to append the lines to
    #[arg(long)]
    alert_log: PathBuf,
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
    /// Marks a message as sent before it sends it: at most once.
    Mark,
    /// Sends messages without a claim, and marks them afterwards.
    Send,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = settings::parse();
    let stop = shutdown::on_signal().context("listening for signals")?;
    let store = Store::open(&config.common.mongo, "naive_alerter").await.context("opening the store")?;
    let log = AlertLog::open(&config.alert_log).context("opening the alert log")?;
    let receivers = Routing::new(log, Links::default(), RoutingFile::default());
    let queue = Queue::new(&config.common.redis)?;
    let alerter = Alerter::new(store.clone(), queue, THRESHOLD, receivers.clone(), config.common.crash.clone());
    store.ensure_indexes_in_time(Process::Worker).await?;
    log::info!("watching");
    while !stop.is_cancelled() {
        alerter.tick().await?;
        for group in store.alerts().due_groups().await? {
            while deliver(&config, &store, &receivers, &group).await? {}
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Delivers one message of a group. Returns true if there was one.
async fn deliver(config: &Config, store: &Store, receivers: &Routing, group: &str) -> anyhow::Result<bool> {
    let mut waiting = store.alerts().unclaimed(group, LISTED).await?;
    if waiting.is_empty() {
        return Ok(false);
    }
    let message = MessageId::random()?;
    for kept in &mut waiting {
        if let Some(entry) = kept.incident.outbox.first_mut() {
            entry.message = Some(message.clone());
        }
    }
    let notification = notification(&message, &waiting);
    match config.mode {
        Mode::Mark => {
            mark(store, &message, waiting).await?;
            config.common.crash.pass("after_mark");
            receivers.send(&notification).await;
        }
        Mode::Send => {
            receivers.send(&notification).await;
            mark(store, &message, waiting).await?;
        }
    }
    Ok(true)
}

fn notification(message: &MessageId, waiting: &[VersionedIncident]) -> Notification {
    let notices = waiting.iter().filter_map(|kept| {
        let kind = kept.incident.outbox.first()?.kind;
        Some(AlertNotification { kind, alert: kept.incident.alert.clone(), context: DeviceContext::default() })
    });
    let first = waiting.first().and_then(|kept| kept.incident.outbox.first());
    Notification {
        id: message.to_string(),
        receiver: first.map(|entry| entry.receiver.clone()).unwrap_or_default(),
        group: first.map(|entry| entry.group.clone()).unwrap_or_default(),
        notices: notices.collect(),
        more: 0,
    }
}

async fn mark(store: &Store, message: &MessageId, sent: Vec<VersionedIncident>) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let trigger = Trigger { message, delivery: &Delivery::Sent, now, next_at: now };
    let mark =
        |kept: VersionedIncident| VersionedIncident { incident: incident::delivered(&kept.incident, &trigger), ..kept };
    let marked: Vec<_> = sent.into_iter().map(mark).collect();
    // The next tick reads whatever another alerter has changed meanwhile.
    let (Saved::All | Saved::Conflict | Saved::Refused) = store.alerts().save(&marked).await?;
    Ok(())
}
