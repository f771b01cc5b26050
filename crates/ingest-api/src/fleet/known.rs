//! What is known of a device: its counter, when it was heard of, and the status that follows.

use jiff::Timestamp;
use pisync_core::models::{DeviceStatus, FailureCounter};

use crate::{http::error::ApiError, state::State};

/// What is known of a device, before its rows are asked.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) counter: FailureCounter,
    pub(crate) last_seen_at: Option<Timestamp>,
    pub(crate) status: DeviceStatus,
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
}
