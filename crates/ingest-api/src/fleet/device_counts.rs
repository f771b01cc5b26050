//! The number of devices by status, without a scan of all devices.
//!
//! Redis and `MongoDB` count the devices that fail, are silent, or have a suspect clock. A device with two of
//! these counts once, as the worse. So this reads the devices that fail or have a suspect clock, but not the
//! many healthy ones.

use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::models::{DeviceId, DeviceStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Fleet, refresh::TIMEOUT};
use crate::http::error::ApiError;

/// Number of devices in one lookup.
const TOGETHER: usize = 1_000;

/// Maximum age of the counts, and their maximum age while newer ones are unavailable.
const LAGS: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];

/// Maximum age of the total of failing devices, and its maximum age while a newer one is unavailable.
const TOTAL_LAGS: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// The number of devices by status; each device has one.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceCounts {
    /// Estimated by the store's metadata, without a scan.
    total: u64,
    failing: u64,
    silent: u64,
    clock_suspect: u64,
    ok: u64,
}

impl DeviceCounts {
    /// Returns each status and its number of devices, worst first.
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

impl Fleet {
    /// Returns the number of devices by status, a few seconds old: the first caller computes it for all.
    pub(crate) async fn device_counts(&self) -> Result<DeviceCounts, ApiError> {
        self.device_counts_within(TIMEOUT).await
    }

    /// Returns the same with another timeout.
    pub(super) async fn device_counts_within(&self, patience: Duration) -> Result<DeviceCounts, ApiError> {
        let this = self.clone();
        let count = || async move { this.count_devices().await };
        self.counts.get(LAGS, patience, "the counts of the devices", count).await
    }

    /// Returns the number of devices that keep failing, a moment old. A count takes one step for each, and one
    /// for each that recovered lately.
    pub(crate) async fn failing_total(&self) -> Result<u64, ApiError> {
        let counters = self.store.failure_counters();
        let count = || async move { Ok(counters.count_failing(DeviceStatus::REPEATED).await?) };
        self.failing_total.get(TOTAL_LAGS, TIMEOUT, "the counts of the failing devices", count).await
    }

    /// Counts the devices now. The counts are read one after the other, so they may differ by reports in
    /// between.
    async fn count_devices(&self) -> Result<DeviceCounts, ApiError> {
        let silent_before = self.silent_before();
        let total = self.store.failure_counters().estimated_count().await?;
        let (failing, failing_and_silent) = self.count_failing(silent_before).await?;
        let all_silent = self.last_seen.count_before(silent_before).await?;
        let silent = all_silent.saturating_sub(failing_and_silent);
        let clock_suspect = self.count_clock_suspect().await?;
        let ok = total.saturating_sub(failing + silent + clock_suspect);
        Ok(DeviceCounts { total, failing, silent, clock_suspect, ok })
    }

    /// Counts the failing devices, by the index only, and those of them that are silent as well.
    async fn count_failing(&self, silent_before: Timestamp) -> Result<(u64, u64), ApiError> {
        let (mut failing, mut silent) = (0, 0);
        let ids = self.store.failure_counters().ids_of_worst(DeviceStatus::REPEATED).await?;
        let mut some = ids.map_err(ApiError::from).try_chunks(TOGETHER);
        while let Some(ids) = some.try_next().await.map_err(|broken| broken.1)? {
            let ids: Vec<_> = ids.iter().filter_map(|id| DeviceId::parse(id).ok()).collect();
            let seen = self.last_seen.of(&ids).await?;
            failing += ids.len() as u64;
            silent += seen.values().filter(|at| **at < silent_before).count() as u64;
        }
        Ok((failing, silent))
    }

    /// Counts the devices with a suspect clock and no worse status.
    async fn count_clock_suspect(&self) -> Result<u64, ApiError> {
        let (mut count, mut after) = (0, None);
        loop {
            let most = u32::try_from(TOGETHER).unwrap_or(u32::MAX);
            let kept = self.store.failure_counters().clock_suspect_page(after.as_ref(), most).await?;
            let Some(last) = kept.last() else { return Ok(count) };
            after = Some(last.counter.device_id.clone());
            let known = self.known(kept.into_iter().map(|kept| kept.counter).collect()).await?;
            count += known.iter().filter(|known| known.status == DeviceStatus::ClockSuspect).count() as u64;
        }
    }
}
