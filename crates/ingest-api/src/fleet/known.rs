//! The state of a device: its counter, its last-seen time, and its status.

use jiff::Timestamp;
use pisync_core::models::{DeviceStatus, FailureCounter};

use super::Fleet;
use crate::http::error::ApiError;

/// The state of a device, without its rows.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) counter: FailureCounter,
    pub(crate) last_seen_at: Option<Timestamp>,
    pub(crate) status: DeviceStatus,
}

impl Known {
    /// Returns the state with the status that follows.
    pub(super) fn new(counter: FailureCounter, last_seen_at: Option<Timestamp>, silent_before: Timestamp) -> Self {
        let is_suspect = counter.clock_suspect_since.is_some();
        let status = DeviceStatus::of(counter.failure_count(), last_seen_at, silent_before, is_suspect);
        Self { counter, last_seen_at, status }
    }
}

impl Fleet {
    /// Returns the states of the devices of these counters.
    pub(crate) async fn known(&self, counters: Vec<FailureCounter>) -> Result<Vec<Known>, ApiError> {
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = counters.iter().map(|counter| counter.device_id.clone()).collect();
        let seen = self.last_seen.of(&ids).await?;
        let silent_before = self.silent_before();
        let known = counters.into_iter().map(|counter| {
            let last_seen_at = seen.get(&counter.device_id).copied();
            Known::new(counter, last_seen_at, silent_before)
        });
        Ok(known.collect())
    }

    /// Returns the time before which a last-seen time means silent.
    pub(super) fn silent_before(&self) -> Timestamp {
        Timestamp::now().checked_sub(self.silent_after).unwrap_or(Timestamp::MIN)
    }
}
