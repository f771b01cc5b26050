//! What else is known of what an alert is about: read when a message leaves, for the people who
//! get it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use pisync_core::{
    models::{Alert, DeviceId},
    store::{Store, StoreError, StoredEvent},
};
use tokio::time::timeout;

/// How long all facts of a message may take: people are told without them rather than late.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many devices are looked at at a time.
const AT_ONCE: usize = 8;

/// How many of a device's newest rows are read.
const ROWS: u32 = 20;

/// How many failed syncs are told.
const ERRORS: usize = 3;

/// What is known of the device that an alert is about; empty where it could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Its last failed syncs, newest first, a few.
    pub last_errors: Vec<FailedSync>,
    /// When it last synced without an error.
    pub last_good_sync: Option<Timestamp>,
    /// The median speed of its last good syncs, in Mbps.
    pub usual_speed: Option<f64>,
}

/// One failed sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailedSync {
    /// When.
    pub at: Timestamp,
    /// Errors met.
    pub errors: i64,
    /// Files synced all the same.
    pub files: i64,
    /// Speed in Mbps.
    pub speed: f64,
}

/// The facts of these alerts, in their order. Never fails: what cannot be read in time is left
/// out, since a message that waits for it helps nobody.
pub async fn look_up(store: &Store, alerts: &[Alert]) -> Vec<Facts> {
    let looks = stream::iter(alerts).map(|alert| of_alert(store, alert)).buffered(AT_ONCE);
    let mut facts = Vec::with_capacity(alerts.len());
    let all = looks.for_each(|found| {
        facts.push(found.unwrap_or_else(|error| {
            log::warn!(error:% = error; "a message leaves without its facts");
            Facts::default()
        }));
        std::future::ready(())
    });
    if timeout(PATIENCE, all).await.is_err() {
        log::warn!("a message leaves without all of its facts: reading them took too long");
    }
    facts.resize(alerts.len(), Facts::default());
    facts
}

async fn of_alert(store: &Store, alert: &Alert) -> Result<Facts, StoreError> {
    match alert.device_id() {
        Some(device) => of_device(store, device).await,
        None => Ok(Facts::default()),
    }
}

async fn of_device(store: &Store, device: &DeviceId) -> Result<Facts, StoreError> {
    let events = store.sync_events();
    let newest = events.history_step(device, Timestamp::MIN..Timestamp::MAX, None, ROWS).await?.found;
    let mut good: Vec<_> = newest.iter().filter(|row| row.total_errors <= 0).cloned().collect();
    if good.is_empty() {
        let counters = store.failure_counters().readable(&[device]).await?;
        let last = counters.get(device).and_then(|counter| counter.last_success_at);
        if let Some(after) = last.and_then(|last| last.checked_add(Duration::from_millis(1)).ok()) {
            let before = events.history_step(device, Timestamp::MIN..after, None, ROWS).await?.found;
            good.extend(before.into_iter().filter(|row| row.total_errors <= 0));
        }
    }
    Ok(Facts {
        last_errors: newest.iter().filter(|row| row.total_errors > 0).take(ERRORS).map(FailedSync::from).collect(),
        last_good_sync: good.first().map(|row| row.timestamp),
        usual_speed: median(good.iter().map(|row| row.internet_speed).filter(|speed| *speed > 0.0).collect()),
    })
}

/// The middle one of these.
pub(crate) fn median(mut speeds: Vec<f64>) -> Option<f64> {
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

impl From<&StoredEvent> for FailedSync {
    fn from(row: &StoredEvent) -> Self {
        Self { at: row.timestamp, errors: row.total_errors, files: row.total_files_synced, speed: row.internet_speed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_speed_is_the_middle_one_whatever_the_outliers() {
        assert_eq!(median(vec![900.0, 5.0, 4.0, 0.1, 6.0]), Some(5.0));
        assert_eq!(median(vec![]), None);
    }
}
