//! `fleet-sim latency`: posts at a steady rate and measures how long it takes from the 202 to the
//! row. A sample of the events is looked for every few milliseconds, all of them in one query.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use pisync_core::{models::EventId, store::Store};
use serde::Serialize;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep},
};

use crate::{
    config::{FleetSettings, LatencySettings},
    fleet::Fleet,
    report,
    stats::{Figures, Latency},
    workers::{self, Job, Watch},
};

/// How long the store is left alone after a look, at least.
const REST: Duration = Duration::from_millis(1);

/// How many times as long as a look took: who only looks must not be what keeps the store busy.
const RESTS: u32 = 9;

/// How many rows are looked for at once, the oldest first.
const BATCH_SIZE: usize = 200;

/// Share of the syncs that fail.
const FAILURE_RATE: f64 = 0.1;

/// The closing figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Closing<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    /// Rows that were waited for and came.
    stored: usize,
    /// Rows that were waited for in vain.
    missing: usize,
    /// From 202 to row, in milliseconds.
    row_latency_ms: Latency,
}

/// Posts, watches, and prints the figures; whether every event was accepted and every row that was
/// waited for came.
pub async fn run(settings: LatencySettings) -> anyhow::Result<bool> {
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    store.ping().await.context("opening the store")?;
    let (accepted, arrivals) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch(store, arrivals, settings.patience));
    let workers = workers(&settings, &accepted);
    drop(accepted);
    let expected = u64::from(settings.rate) * u64::from(settings.seconds);
    let driven = workers::drive(&settings.posting, workers, Some(expected)).await?;
    let (latencies, missing) = watching.await.context("the watch broke down")??;

    let row_latency_ms = Latency::of(&latencies);
    let mut rows = driven.figures.rows();
    rows.add("rows waited for", latencies.len()).add("of these never seen", missing);
    rows.add("202 to row, p50", format!("{:.2} ms", row_latency_ms.p50));
    rows.add("202 to row, p99", format!("{:.2} ms", row_latency_ms.p99));
    let closing = Closing { figures: &driven.figures, stored: latencies.len(), missing, row_latency_ms };
    report::print(settings.posting.json, &closing, rows)?;
    Ok(driven.figures.all_accepted() && missing == 0 && !driven.stopped)
}

/// The events in the order of their time, dealt to the workers one after the other.
fn workers(
    settings: &LatencySettings,
    accepted: &UnboundedSender<(EventId, Instant)>,
) -> Vec<impl Iterator<Item = anyhow::Result<Job>> + Send + use<>> {
    let (rate, devices) = (settings.rate, settings.devices);
    let count = rate * settings.seconds;
    let fleet = Arc::new(Fleet::new(&fleet(settings, count.div_ceil(devices)), Timestamp::now()));
    let every = rate.div_ceil(settings.sample);
    let workers = settings.posting.concurrency;
    let worker = |number: u32| {
        let (fleet, accepted) = (fleet.clone(), accepted.clone());
        (number..count).step_by(usize::try_from(workers).unwrap_or(usize::MAX)).map(move |place| {
            let (device, turn) = (place % devices, place / devices);
            let watch = if place % every == 0 {
                Some(Watch { id: fleet.event(device, turn)?.id(), accepted: accepted.clone() })
            } else {
                None
            };
            let due = Some(Duration::from_secs(1).mul_f64(f64::from(place) / f64::from(rate)));
            Ok(Job { body: fleet.report(device, turn).body, due, again: false, watch })
        })
    };
    (0..workers).map(worker).collect()
}

fn fleet(settings: &LatencySettings, rounds: u32) -> FleetSettings {
    FleetSettings {
        devices: settings.devices,
        rounds,
        labels: Vec::new(),
        bad_label: None,
        failure_rate: FAILURE_RATE,
        resend_rate: 0.0,
        shuffle: false,
        seed: None,
        device_prefix: settings.device_prefix.clone(),
        start: settings.start,
    }
}

/// Waits for the row of each event that arrives, until no more come and all are seen or
/// `patience` is at an end. Answers with the latencies in order, and how many were never seen.
async fn watch(
    store: Store,
    mut arrivals: UnboundedReceiver<(EventId, Instant)>,
    patience: Duration,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (mut latencies, mut pending) = (Vec::new(), HashMap::new());
    let mut last_arrival = Instant::now();
    while !arrivals.is_closed() || !arrivals.is_empty() || !pending.is_empty() {
        while let Ok((id, since)) = arrivals.try_recv() {
            pending.insert(id, since);
            last_arrival = Instant::now();
        }
        if arrivals.is_closed() && last_arrival.elapsed() > patience {
            break;
        }
        let look = Instant::now();
        if !pending.is_empty() {
            for id in store.sync_events().present(&oldest(&pending)).await.context("looking for rows")? {
                latencies.extend(pending.remove(&id).map(|since| since.elapsed()));
            }
        }
        sleep(REST.max(look.elapsed() * RESTS)).await;
    }
    latencies.sort_unstable();
    Ok((latencies, pending.len()))
}

fn oldest(pending: &HashMap<EventId, Instant>) -> Vec<EventId> {
    let mut by_age: Vec<_> = pending.iter().map(|(id, since)| (*since, *id)).collect();
    by_age.sort_unstable();
    by_age.into_iter().take(BATCH_SIZE).map(|(_, id)| id).collect()
}
