//! `DeviceFlapping`: looking at the last reports of devices that have just begun to fail, and of
//! those that flap already.
//!
//! A device cannot flap without beginning to fail again and again, so it is enough to look then: it
//! costs what begins to fail, not what exists. What a look misses the next beginning shows.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, DeviceId, Finding, Labels, Silence, Subject},
    store::{KeptIncident, Store, StoreError, StoredEvent},
};

use crate::{
    routing::Routing,
    rules::{
        device_flapping::REPORTS,
        holding::{self, Episode},
        verdict::Verdict,
    },
    settling::{self, Said},
};

/// How long ago a device may have begun to fail to be looked at: late data never pages.
const RECENT: SignedDuration = SignedDuration::from_mins(15);

/// The most devices that are looked at for having begun to fail; the next look goes on.
const AT_ONCE: usize = 2_000;

/// How many histories are read at the same time.
const READERS: usize = 8;

/// Looks at the flapping devices. Cheap to clone; clones remember together.
#[derive(Debug, Clone)]
pub(crate) struct Flapping {
    store: Store,
    receivers: Routing,
    /// Who was looked at already, and since when they failed.
    looked_at: Arc<Mutex<HashMap<DeviceId, Timestamp>>>,
}

impl Flapping {
    pub(crate) fn new(store: Store, receivers: Routing) -> Self {
        Self { store, receivers, looked_at: Arc::default() }
    }

    /// Compares who flaps with the open incidents, and answers who flaps now. While the fleet as a
    /// whole fails, that is the reason, and nobody begins to flap.
    pub(crate) async fn look(
        &self,
        episodes: &[Episode],
        silences: &[Silence],
        now: Timestamp,
    ) -> Result<HashSet<DeviceId>, StoreError> {
        let open = settling::open(&self.store, AlertName::DeviceFlapping).await?;
        let fails = |episode: &Episode| {
            episode.holds == AlertName::DeviceSyncFailing && episode.scope.is_none() && episode.over.is_none()
        };
        let mut devices: Vec<_> = open.keys().cloned().collect();
        if !episodes.iter().any(fails) {
            devices.extend(self.beginning(&open, now).await?);
        }
        let reports = stream::iter(devices).map(|device| self.reports(device)).buffered(READERS);
        let said = reports.try_filter_map(|(device, reports)| {
            let labels = reports.first().map(|report| report.labels.clone()).unwrap_or_default();
            future::ok(self.say(device, &reports, &open, now).map(|said| {
                let (name, since) = (AlertName::DeviceSyncFailing, said.alert.starts_at);
                Said { inhibited_by: holding::holder(episodes, name, &labels, since, now), labels, ..said }
            }))
        });
        let said: Vec<_> = said.try_collect().await?;
        settling::settle(&self.store, &self.receivers, &open, &said, silences, now).await?;
        Ok(settling::open(&self.store, AlertName::DeviceFlapping).await?.into_keys().collect())
    }

    /// The last reports of a device, newest first.
    async fn reports(&self, device: DeviceId) -> Result<(DeviceId, Vec<StoredEvent>), StoreError> {
        let (ever, most) = (Timestamp::MIN..Timestamp::MAX, u32::try_from(REPORTS).unwrap_or(u32::MAX));
        let step = self.store.sync_events().history_step(&device, ever, None, most).await?;
        Ok((device, step.found))
    }

    /// Who of these flaps, as it was found last.
    pub(crate) async fn of(&self, devices: &[DeviceId]) -> Result<HashSet<DeviceId>, StoreError> {
        let fingerprints = devices.iter().map(|device| Alert::fingerprint(AlertName::DeviceFlapping, device));
        let open = self.store.alerts().open_by_fingerprint(&fingerprints.collect::<Vec<_>>()).await?;
        Ok(open.iter().filter_map(|kept| kept.incident.alert.device_id().cloned()).collect())
    }

    /// Who has begun to fail since the last look.
    async fn beginning(
        &self,
        open: &HashMap<DeviceId, KeptIncident>,
        now: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let since = now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
        let begun = self.store.failure_counters().begun(since).await?;
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.retain(|_, at| *at >= since);
        let is_new = |(device, at): &(DeviceId, Timestamp)| looked_at.get(device) != Some(at);
        let mut new: Vec<_> = begun.into_iter().filter(is_new).collect();
        new.truncate(AT_ONCE);
        looked_at.extend(new.iter().cloned());
        Ok(new.into_iter().map(|(device, _)| device).filter(|device| !open.contains_key(device)).collect())
    }

    /// What is to be said of a device by its last reports, newest first.
    fn say(
        &self,
        device: DeviceId,
        reports: &[StoredEvent],
        open: &HashMap<DeviceId, KeptIncident>,
        now: Timestamp,
    ) -> Option<Said> {
        let (rules, before) = (self.receivers.rules(), open.get(&device));
        let failed: Vec<_> = reports.iter().rev().map(|report| report.total_errors > 0).collect();
        let newest = reports.first().map(|report| report.timestamp);
        // One that is silent does not flap any more.
        let is_heard = newest.is_some_and(|at| now.duration_since(at) <= rules.device_silent_after);
        let verdict = if is_heard { rules.device_flapping.judge(before.is_some(), &failed) } else { Verdict::Well };
        let changes = failed.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
        let since = before.map(|kept| kept.incident.alert.starts_at).or_else(|| first_change(reports))?;
        let mut alert = Alert::new(AlertName::DeviceFlapping, Subject::Device(device), since);
        alert.failure_count = i32::try_from(failed.iter().filter(|failed| **failed).count()).unwrap_or(i32::MAX);
        let whole = (REPORTS - 1) as u64;
        alert.finding = Some(Finding { part: changes, whole, detail: None, changed: Vec::new(), named: Vec::new() });
        let (labels, well_since) = (Labels::default(), newest.unwrap_or(now));
        Some(Said { alert, labels, verdict, well_since, is_recent: true, inhibited_by: None })
    }
}

/// When the first of these reports came that is not as the one before it; they are newest first.
fn first_change(reports: &[StoredEvent]) -> Option<Timestamp> {
    let mut changed = reports.windows(2).filter(|pair| (pair[0].total_errors > 0) != (pair[1].total_errors > 0));
    changed.next_back().map(|pair| pair[0].timestamp)
}
