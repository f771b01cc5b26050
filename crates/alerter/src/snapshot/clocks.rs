//! Devices whose clock is off: the lag of the clock, and their reports by receipt.

use std::{collections::HashMap, ops::Range};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Cause, ClockLag, DeviceId, FleetWindowsFold, LATE_AFTER, Labels},
    store::StoredEvent,
};

use super::{PAGE, ReadError, Snapshot};
use crate::device_context::{self, Rows};

/// The number of devices whose newest rows are read at a time.
const BATCH_SIZE: usize = 100;

/// The number of such reads at the same time.
const READERS: usize = 8;

/// The maximum number of devices whose rows a tick reads for their clocks; the next tick continues.
const MOST: usize = 5_000;

/// A device that was heard of, and its report if its clock is off.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    at: Timestamp,
    report: Option<Report>,
}

/// The newest report of a device whose clock is off.
#[derive(Debug, Clone)]
struct Report {
    /// Time of the sync, by our clock.
    at: Timestamp,
    lag: ClockLag,
    failed: Option<Cause>,
    labels: Labels,
}

impl Snapshot {
    /// Returns the lag of these devices' clocks. Devices that have sent nothing for long are left out, since
    /// their reports are old.
    pub(crate) async fn clock_lags(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, ClockLag>, ReadError> {
        let heard = self.source.last_seen.of(devices).await?;
        let is_heard = |at: &Timestamp| self.now.duration_since(*at) <= LATE_AFTER;
        let devices: Vec<_> =
            devices.iter().filter(|device| heard.get(*device).is_some_and(is_heard)).cloned().collect();
        let rows = self.newest_rows(&devices, ClockLag::REPORTS).await?;
        Ok(rows.into_iter().map(|(device, rows)| (device, StoredEvent::clock_lag(&rows))).collect())
    }

    /// Adds the devices that were heard of in a window while their clock puts their reports elsewhere. Returns
    /// the median lag of their clocks.
    ///
    /// Fewer than `at_least` devices make no difference, and are not looked for.
    pub(crate) async fn add_clocks_off(
        &self,
        windows: &mut FleetWindowsFold<'_>,
        window: &Range<Timestamp>,
        at_least: u64,
    ) -> Result<SignedDuration, ReadError> {
        self.known().heard.retain(|_, heard| window.contains(&heard.at));
        let heard = self.source.last_seen.count_since(window.start).await?;
        if heard.saturating_sub(windows.reporting()) < at_least {
            return Ok(SignedDuration::ZERO);
        }
        let (mut lags, mut left) = (Vec::new(), MOST);
        let mut walk = self.source.last_seen.walk(Some(window.start), None, PAGE);
        while let Some(mut page) = walk.try_next().await? {
            page.retain(|(device, _)| !windows.has(device.as_str()));
            left = left.saturating_sub(self.read_reports(&page, left).await?);
            for (device, _) in page {
                let known = self.known();
                let Some(report) = known.heard.get(&device).and_then(|heard| heard.report.as_ref()) else { continue };
                if window.contains(&report.at) {
                    windows.add_clock_off(device.as_str(), report.failed, report.labels.iter());
                    lags.push(report.lag.behind().unwrap_or_default());
                }
            }
        }
        lags.sort_unstable();
        Ok(lags.get(lags.len() / 2).copied().unwrap_or_default())
    }

    /// Reads the reports of up to `most` of these devices that were heard of since the last read. Returns the
    /// number of devices read.
    async fn read_reports(&self, page: &[(DeviceId, Timestamp)], most: usize) -> Result<usize, ReadError> {
        let is_new =
            |(device, at): &&(DeviceId, Timestamp)| self.known().heard.get(device).is_none_or(|heard| heard.at != *at);
        let new: Vec<_> = page.iter().filter(is_new).take(most).cloned().collect();
        let devices: Vec<_> = new.iter().map(|(device, _)| device.clone()).collect();
        let mut rows = self.newest_rows(&devices, ClockLag::REPORTS).await?;
        let floor = self.common.connectivity_floor_mbps;
        let heard = new.iter().map(|(device, at)| {
            let report = Report::of(&rows.remove(device).unwrap_or_default(), floor);
            (device.clone(), Heard { at: *at, report })
        });
        self.known().heard.extend(heard);
        Ok(new.len())
    }

    /// Returns up to `most` rows of each of these devices, newest first.
    pub(crate) async fn newest_rows(&self, devices: &[DeviceId], most: u32) -> Result<Rows, ReadError> {
        let some = |devices: Vec<DeviceId>| {
            let store = self.source.store.clone();
            async move {
                let newest: Vec<_> = devices.iter().map(|device| (device, Timestamp::MAX)).collect();
                device_context::rows_of(&store, &newest, most).await
            }
        };
        let chunks: Vec<_> = devices.chunks(BATCH_SIZE).map(<[DeviceId]>::to_vec).collect();
        let found: Vec<_> = stream::iter(chunks).map(some).buffer_unordered(READERS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Report {
    /// Returns the report of a device with these rows, newest first; `None` if its clock is not off.
    fn of(rows: &[StoredEvent], floor: f64) -> Option<Self> {
        let (newest, lag) = (rows.first()?, StoredEvent::clock_lag(rows));
        if newest.device_timestamp.is_none() && lag.behind().is_none() {
            return None;
        }
        let failed = (newest.total_errors > 0).then(|| Cause::with_floor(newest.internet_speed, floor));
        Some(Self { at: lag.corrected(newest.timestamp), lag, failed, labels: newest.details.labels.clone() })
    }
}
