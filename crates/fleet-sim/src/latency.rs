//! `fleet-sim latency`: posts at a steady rate and measures the time from the 202 to the row. It polls for a sample
//! of the events every few milliseconds, with one query for all of them.

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

/// The minimum pause between two queries.
const REST: Duration = Duration::from_millis(1);

/// The pause as a multiple of the query's duration: polling must not load the store.
const RESTS: u32 = 9;

/// The maximum number of rows in one query, the oldest first.
const BATCH_SIZE: usize = 200;

/// The share of failed syncs.
const FAILURE_RATE: f64 = 0.1;

/// The closing figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Closing<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    /// The number of rows that were found.
    stored: usize,
    /// The number of rows that were not found in time.
    missing: usize,
    /// Time from the 202 to the row, in milliseconds.
    row_latency_ms: Latency,
}

/// Posts, polls, and prints the figures. Returns true if every event was accepted and every row of the sample was
/// found.
pub async fn run(settings: LatencySettings) -> anyhow::Result<bool> {
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    store.ping().await.context("opening the store")?;
    let (accepted, arrivals) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch(store, arrivals, settings.patience));
    let workers = workers(&settings, &accepted);
    drop(accepted);
    let expected = u64::from(settings.rate) * u64::from(settings.seconds);
    let driven = workers::drive(&settings.posting, workers, Some(expected)).await?;
    let (latencies, missing) = watching.await.context("the watch panicked")??;

    let row_latency_ms = Latency::of(&latencies);
    let mut rows = driven.figures.rows();
    rows.add("rows found", latencies.len()).add("rows not found in time", missing);
    rows.add("202 to row, p50", format!("{:.2} ms", row_latency_ms.p50));
    rows.add("202 to row, p99", format!("{:.2} ms", row_latency_ms.p99));
    let closing = Closing { figures: &driven.figures, stored: latencies.len(), missing, row_latency_ms };
    report::print(settings.posting.json, &closing, rows)?;
    Ok(driven.figures.all_accepted() && missing == 0 && !driven.stopped)
}

/// Returns the events of each worker: all events in the order of their time, dealt in turn.
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

/// Polls for the row of each event that arrives, until there are no more events and all rows are found, or `patience`
/// is over. Returns the sorted latencies and the number of missing rows.
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
        let asked = Instant::now();
        if !pending.is_empty() {
            for id in store.sync_events().present(&oldest(&pending)).await.context("looking for rows")? {
                latencies.extend(pending.remove(&id).map(|since| since.elapsed()));
            }
        }
        sleep(REST.max(asked.elapsed() * RESTS)).await;
    }
    latencies.sort_unstable();
    Ok((latencies, pending.len()))
}

fn oldest(pending: &HashMap<EventId, Instant>) -> Vec<EventId> {
    let mut by_age: Vec<_> = pending.iter().map(|(id, since)| (*since, *id)).collect();
    by_age.sort_unstable();
    by_age.into_iter().take(BATCH_SIZE).map(|(_, id)| id).collect()
}
