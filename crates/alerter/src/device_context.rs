//! Further facts about the device of an alert, for people. They are read when a message is sent.

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, DeviceId, NotificationKind},
    store::{Store, StoreError, StoredEvent, detached},
};
use serde::Serialize;

/// The timeout for all contexts of a message. A message without them is better than a late one.
const CONTEXT_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of a device's newest rows that are read.
pub(crate) const ROWS: u32 = 20;

/// The maximum number of failed syncs in a message.
const ERRORS: usize = 3;

/// Facts about the device of an alert, as templates get them. Empty if they could not be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DeviceContext {
    /// Its last failed syncs, newest first, at most 3.
    pub last_errors: Vec<FailedSync>,
    /// Time of its last sync without an error, UTC.
    pub last_good_sync: Option<Timestamp>,
    /// The median speed of its last good syncs, in Mbps.
    pub usual_speed: Option<f64>,
    /// The lag of its clock behind ours, if there is one. Templates get it in words.
    #[serde(skip)]
    pub clock_behind: Option<SignedDuration>,
}

/// One failed sync.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FailedSync {
    /// Time of the sync, UTC.
    pub at: Timestamp,
    /// The number of errors.
    pub errors: i64,
    /// The number of files that were synced nevertheless.
    pub files: i64,
    /// Speed in Mbps.
    pub speed: f64,
}

/// Returns the contexts of these alerts, in their order.
///
/// Never fails: after a timeout the contexts are empty, since a message must not wait for them. A resolved
/// alert needs no read: its last good sync is the one that ended it.
pub async fn read(store: &Store, alerts: &[(NotificationKind, Alert)]) -> Vec<DeviceContext> {
    let wrong = alerts.iter().filter(|(reason, _)| *reason != NotificationKind::Resolved);
    let known = in_time(store, wrong.filter_map(|(_, alert)| syncing(alert).cloned()).collect()).await;
    let of = |(reason, alert): &(NotificationKind, Alert)| match reason {
        NotificationKind::Resolved => {
            let last_good_sync = alert.ends_at.filter(|_| alert.name == AlertName::DEVICE_SYNC_FAILING);
            DeviceContext { last_good_sync, ..DeviceContext::default() }
        }
        _ => syncing(alert).and_then(|device| known.get(device)).cloned().unwrap_or_default(),
    };
    alerts.iter().map(of).collect()
}

/// Returns the device, if the alert is about its syncs.
fn syncing(alert: &Alert) -> Option<&DeviceId> {
    alert.device_id().filter(|_| [AlertName::DEVICE_SYNC_FAILING, AlertName::DEVICE_FLAPPING].contains(&alert.name))
}

/// Returns the contexts of these devices. Empty if they cannot be read in time.
async fn in_time(store: &Store, devices: Vec<DeviceId>) -> HashMap<DeviceId, DeviceContext> {
    let store = store.clone();
    let read = detached(CONTEXT_TIMEOUT, async move { of_devices(&store, &devices).await }).await;
    read.map_err(StoreError::from).flatten().unwrap_or_else(|error| {
        log::warn!(error:% = error; "a message is sent without the context of its devices");
        HashMap::new()
    })
}

/// Reads the contexts with three queries at most, whatever the number of devices.
async fn of_devices(store: &Store, devices: &[DeviceId]) -> Result<HashMap<DeviceId, DeviceContext>, StoreError> {
    let newest: Vec<_> = devices.iter().map(|device| (device, Timestamp::MAX)).collect();
    let mut rows = rows_of(store, &newest, ROWS).await?;
    let has_good = |device: &DeviceId| rows.get(device).is_some_and(|rows| rows.iter().any(is_good));
    let without: Vec<_> = devices.iter().filter(|device| !has_good(device)).collect();
    if !without.is_empty() {
        let counters = store.failure_counters().readable(&without).await?;
        let until = |device: &DeviceId| {
            let last = counters.get(device)?.last_success_at?;
            last.checked_add(Duration::from_millis(1)).ok()
        };
        let until: Vec<_> = without.into_iter().filter_map(|device| Some((device, until(device)?))).collect();
        for (device, before) in rows_of(store, &until, ROWS).await? {
            rows.entry(device).or_default().extend(before.into_iter().filter(is_good));
        }
    }
    Ok(rows.into_iter().map(|(device, rows)| (device, DeviceContext::of(&rows))).collect())
}

/// Rows by device, each device's newest first.
pub(crate) type Rows = HashMap<DeviceId, Vec<StoredEvent>>;

/// Returns up to `most` rows of each device, newest first, before the given time of that device.
pub(crate) async fn rows_of(store: &Store, devices: &[(&DeviceId, Timestamp)], most: u32) -> Result<Rows, StoreError> {
    let mut rows = Rows::new();
    for row in store.sync_events().newest_rows(devices, most).await? {
        if let Ok(device) = DeviceId::parse(&row.device_id) {
            rows.entry(device).or_default().push(row);
        }
    }
    Ok(rows)
}

fn is_good(row: &StoredEvent) -> bool {
    row.total_errors <= 0
}

impl DeviceContext {
    /// Returns the context of a device from its rows, newest first.
    pub(crate) fn of(rows: &[StoredEvent]) -> Self {
        let good: Vec<_> = rows.iter().filter(|row| is_good(row)).collect();
        Self {
            last_errors: rows.iter().filter(|row| !is_good(row)).take(ERRORS).map(FailedSync::from).collect(),
            last_good_sync: good.first().map(|row| row.timestamp),
            usual_speed: median(good.iter().map(|row| row.internet_speed).filter(|speed| *speed > 0.0).collect()),
            clock_behind: StoredEvent::clock_lag(rows).behind(),
        }
    }
}

/// Returns the median of these speeds, if there are any.
fn median(mut speeds: Vec<f64>) -> Option<f64> {
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
