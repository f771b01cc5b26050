//! What is known of a device: its counter, when it was heard of, and the status that follows.

use jiff::Timestamp;
use pisync_core::models::{DeviceStatus, FailureCounter};

use super::Fleet;
use crate::http::error::ApiError;

/// What is known of a device, before its rows are asked.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) counter: FailureCounter,
    pub(crate) last_seen_at: Option<Timestamp>,
    pub(crate) status: DeviceStatus,
}

impl Known {
    /// With the status that follows.
    pub(super) fn new(counter: FailureCounter, last_seen_at: Option<Timestamp>, silent_before: Timestamp) -> Self {
        let is_suspect = counter.clock_suspect_since.is_some();
        let status = DeviceStatus::of(counter.failure_count(), last_seen_at, silent_before, is_suspect);
        Self { counter, last_seen_at, status }
    }
}

impl Fleet {
    /// Returns what is known of the devices of these counters.
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

    /// The time before which a device must have been heard of to be silent.
    pub(super) fn silent_before(&self) -> Timestamp {
        Timestamp::now().checked_sub(self.silent_after).unwrap_or(Timestamp::MIN)
    }
}
