//! A device in the answers of the API.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::{models::Cause, time::rfc3339};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{fleet::Known, http::error::ApiError, state::State};

/// A device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceItem {
    pub(super) device_id: String,
    pub(super) status: &'static str,
    pub(super) failure_count: i32,
    /// Time of the first failed sync after the last good one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failing_since: Option<String>,
    /// Time of receipt of the device's last report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_seen_at: Option<String>,
    /// Time of the last good sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_success_at: Option<String>,
    /// Cause of the newest failed sync, while the device fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<&'static str>,
    /// Time since which the device's clock is suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clock_suspect_since: Option<String>,
    /// Reports without a report id that had the time and content of an earlier one. They share its row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clock_repeats: Option<ClockRepeatsItem>,
}

/// Reports of a clock that repeats its times.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClockRepeatsItem {
    /// Number of these reports.
    pub(super) count: i64,
    /// Time of receipt of the newest.
    pub(super) last_at: String,
}

impl DeviceItem {
    /// Returns the item of a device with the time of its last good sync.
    pub(super) fn new(known: &Known, last_success_at: Option<Timestamp>) -> Self {
        let (counter, run) = (&known.counter, known.counter.run);
        Self {
            device_id: counter.device_id.to_string(),
            status: known.status.as_str(),
            failure_count: counter.failure_count(),
            failing_since: run.map(|run| rfc3339(run.since)),
            last_seen_at: known.last_seen_at.map(rfc3339),
            last_success_at: last_success_at.map(rfc3339),
            cause: run.map(|run| Cause::of_failed_sync(run.last_speed).as_str()),
            clock_suspect_since: counter.clock_suspect_since.map(rfc3339),
            clock_repeats: counter
                .clock_repeats
                .map(|repeats| ClockRepeatsItem { count: repeats.count, last_at: rfc3339(repeats.last_at) }),
        }
    }
}

/// Returns the items of these devices. The counter of a failing device has its last good sync; that of a healthy
/// device has not, but its newest row is a good sync.
pub(super) async fn items(state: &State, known: Vec<Known>) -> Result<Vec<DeviceItem>, ApiError> {
    let well = known.iter().map(|known| &known.counter).filter(|counter| counter.run.is_none());
    let well: Vec<_> = well.map(|counter| &counter.device_id).collect();
    let newest = if well.is_empty() { Vec::new() } else { state.store.sync_events().newest_if_good(&well).await? };
    let newest: HashMap<String, Timestamp> = newest.into_iter().collect();
    let item = |known: Known| {
        let last_success_at = newest.get(known.counter.device_id.as_str()).copied().or(known.counter.last_success_at);
        DeviceItem::new(&known, last_success_at)
    };
    Ok(known.into_iter().map(item).collect())
}
