//! A device as the answers show it.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::models::{Cause, DeviceStatus, FailureCounter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{api::sync_history::rfc3339, http::error::ApiError, state::State};

/// What is known of a device, before its rows are asked.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) counter: FailureCounter,
    pub(crate) last_seen_at: Option<Timestamp>,
    pub(crate) status: DeviceStatus,
}

/// A device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceItem {
    pub(crate) device_id: String,
    pub(crate) status: &'static str,
    pub(crate) failure_count: i32,
    /// Time of the first failed sync after the last good one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failing_since: Option<String>,
    /// When a report of the device was received last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_seen_at: Option<String>,
    /// Time of the last good sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_success_at: Option<String>,
    /// What the newest failed sync points to, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<&'static str>,
    /// Since when the device's clock is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock_suspect_since: Option<String>,
    /// Reports that had the time and content of an earlier one and no report id: each is that
    /// one's row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock_repeats: Option<ClockRepeatsItem>,
}

/// Reports of a clock that says the same time again and again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClockRepeatsItem {
    /// How many.
    pub(crate) count: i64,
    /// When the newest was received.
    pub(crate) last_at: String,
}

/// The time before which a device must have been heard of to be silent.
pub(crate) fn silent_before(state: &State) -> Timestamp {
    Timestamp::now().checked_sub(state.silent_after).unwrap_or(Timestamp::MIN)
}

impl Known {
    /// Of these counters, with when their devices were last heard of.
    pub(crate) async fn of(state: &State, counters: Vec<FailureCounter>) -> Result<Vec<Self>, ApiError> {
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = counters.iter().map(|counter| counter.device_id.clone()).collect();
        let seen = state.last_seen.of(&ids).await?;
        let silent_before = silent_before(state);
        let known = counters.into_iter().map(|counter| {
            let last_seen_at = seen.get(&counter.device_id).copied();
            Self::new(counter, last_seen_at, silent_before)
        });
        Ok(known.collect())
    }

    /// With the status that follows.
    pub(crate) fn new(counter: FailureCounter, last_seen_at: Option<Timestamp>, silent_before: Timestamp) -> Self {
        let is_suspect = counter.clock_suspect_since.is_some();
        let status = DeviceStatus::of(counter.failure_count(), last_seen_at, silent_before, is_suspect);
        Self { counter, last_seen_at, status }
    }

    /// As it is shown, with the time of the last good sync.
    pub(crate) fn item(self, last_success_at: Option<Timestamp>) -> DeviceItem {
        let (counter, run) = (&self.counter, self.counter.run);
        DeviceItem {
            device_id: counter.device_id.to_string(),
            status: self.status.as_str(),
            failure_count: counter.failure_count(),
            failing_since: run.map(|run| rfc3339(run.since)),
            last_seen_at: self.last_seen_at.map(rfc3339),
            last_success_at: last_success_at.map(rfc3339),
            cause: run.map(|run| Cause::of_failed_sync(run.last_speed).as_str()),
            clock_suspect_since: counter.clock_suspect_since.map(rfc3339),
            clock_repeats: counter
                .clock_repeats
                .map(|repeats| ClockRepeatsItem { count: repeats.count, last_at: rfc3339(repeats.last_at) }),
        }
    }
}

/// These devices as they are shown. The counter of a device that fails knows its last good sync;
/// that of a device that is well does not, but then its newest row is one.
pub(crate) async fn items(state: &State, known: Vec<Known>) -> Result<Vec<DeviceItem>, ApiError> {
    let well = known.iter().map(|known| &known.counter).filter(|counter| counter.run.is_none());
    let well: Vec<_> = well.map(|counter| &counter.device_id).collect();
    let newest = if well.is_empty() { Vec::new() } else { state.store.sync_events().newest_if_good(&well).await? };
    let newest: HashMap<String, Timestamp> = newest.into_iter().collect();
    let item = |known: Known| {
        let last_success_at = newest.get(known.counter.device_id.as_str()).copied().or(known.counter.last_success_at);
        known.item(last_success_at)
    };
    Ok(known.into_iter().map(item).collect())
}
