//! How many devices have which status, without looking at all of them.
//!
//! Servers keep how many devices fail, are silent and have a clock that is not believed. A device
//! of which two are true counts as the worse alone, so those that fail and those whose clock is
//! not believed are looked at; the many that are well are not.

use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::models::{DeviceId, DeviceStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Known,
    known::silent_before,
    refresh::{Latest, PATIENCE},
};
use crate::{http::error::ApiError, state::State};

/// How many devices are asked after together.
const TOGETHER: usize = 1_000;

/// How old the counts of a [`Census`] may be, and how old while newer ones cannot be had.
const LAGS: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];

/// How many devices have which status; each has one.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceCounts {
    /// As the store keeps it of its collection, without a scan.
    total: u64,
    failing: u64,
    silent: u64,
    clock_suspect: u64,
    ok: u64,
}

impl DeviceCounts {
    /// The devices now. Counts that are taken one after the other may differ by what comes
    /// meanwhile.
    async fn of(state: &State) -> Result<Self, ApiError> {
        let silent_before = silent_before(state);
        let total = state.store.failure_counters().estimated_count().await?;
        let (failing, failing_and_silent) = failing(state, silent_before).await?;
        let all_silent = state.last_seen.count_before(silent_before).await?;
        let silent = all_silent.saturating_sub(failing_and_silent);
        let clock_suspect = clock_suspect(state).await?;
        let ok = total.saturating_sub(failing + silent + clock_suspect);
        Ok(Self { total, failing, silent, clock_suspect, ok })
    }

    /// Each status and how many devices have it, worst first.
    pub(crate) fn by_status(&self) -> [(DeviceStatus, u64); 4] {
        DeviceStatus::ALL.map(|status| {
            let count = match status {
                DeviceStatus::Failing => self.failing,
                DeviceStatus::Silent => self.silent,
                DeviceStatus::ClockSuspect => self.clock_suspect,
                DeviceStatus::Ok => self.ok,
            };
            (status, count)
        })
    }
}

/// The counts of a moment ago, for those who ask again and again: whoever asks first counts for
/// all.
#[derive(Debug, Clone, Default)]
pub struct Census(Latest<DeviceCounts>);

impl Census {
    /// The devices as they were a few seconds ago.
    pub(crate) async fn of(state: &State) -> Result<DeviceCounts, ApiError> {
        Self::within(state, PATIENCE).await
    }

    /// The same for who can wait.
    pub(crate) async fn within(state: &State, patience: Duration) -> Result<DeviceCounts, ApiError> {
        let counted = state.clone();
        let count = || async move { DeviceCounts::of(&counted).await };
        state.census.0.get(LAGS, patience, "the counts of the devices", count).await
    }
}

/// The devices that fail, by the index alone, and how many of them are silent as well.
async fn failing(state: &State, silent_before: Timestamp) -> Result<(u64, u64), ApiError> {
    let (mut failing, mut silent) = (0, 0);
    let ids = state.store.failure_counters().ids_of_worst(DeviceStatus::REPEATED).await?;
    let mut some = ids.map_err(ApiError::from).try_chunks(TOGETHER);
    while let Some(ids) = some.try_next().await.map_err(|broken| broken.1)? {
        let ids: Vec<_> = ids.iter().filter_map(|id| DeviceId::parse(id).ok()).collect();
        let seen = state.last_seen.of(&ids).await?;
        failing += ids.len() as u64;
        silent += seen.values().filter(|at| **at < silent_before).count() as u64;
    }
    Ok((failing, silent))
}

/// The devices whose clock is not believed, and that are nothing worse.
async fn clock_suspect(state: &State) -> Result<u64, ApiError> {
    let (mut count, mut after) = (0, None);
    loop {
        let most = u32::try_from(TOGETHER).unwrap_or(u32::MAX);
        let kept = state.store.failure_counters().clock_suspect_page(after.as_ref(), most).await?;
        let Some(last) = kept.last() else { return Ok(count) };
        after = Some(last.counter.device_id.clone());
        let known = Known::of(state, kept.into_iter().map(|kept| kept.counter).collect()).await?;
        count += known.iter().filter(|known| known.status == DeviceStatus::ClockSuspect).count() as u64;
    }
}
