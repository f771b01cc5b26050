//! The data of the rules: the state of the fleet at one time, each part read on its first use.
//!
//! Rules read through the snapshot alone, so that another source can replace the live one.

mod clocks;
mod presence;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{TryStreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, DeviceId, FleetPart, FleetWindowsFold, Incident, Listening, Silence},
    presence::{Heartbeat, LastSeen, Liveness},
    queue::{Queue, QueueError},
    store::{Store, StoreError, VersionedIncident},
};
use tokio::sync::OnceCell;

pub(crate) use self::presence::{AbsenceLimits, Presence};
use self::{clocks::Heard, presence::Sizes};
use crate::{
    inhibition::{Inhibition, Inhibitor},
    rules::common::Common,
};

/// The number of devices that are evaluated at a time. It bounds the memory of a tick.
pub(crate) const PAGE: usize = 1_000;

/// The maximum number of silences in force; the ones with the latest ends come first.
const MOST_SILENCES: u32 = 2_000;

/// Devices that a rule has to evaluate, some at a time.
pub(crate) type Candidates = BoxStream<'static, Result<Vec<DeviceId>, ReadError>>;

/// The error of a failed read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Redis did not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// `MongoDB` did not answer, or sent an unreadable document.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The state of the fleet at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) source: SnapshotSource,
    pub(crate) now: Timestamp,
    pub(crate) common: Common,
    pub(crate) silences: Vec<Silence>,
    pub(crate) inhibition: Inhibition,
    /// The devices that are evaluated, a page.
    pub(crate) devices: Vec<DeviceId>,
    /// The open incidents of the evaluated rule, of these devices or of the fleet, by fingerprint.
    pub(crate) open: HashMap<String, VersionedIncident>,
    liveness: OnceCell<Liveness>,
    listening: OnceCell<Listening>,
}

/// The source of snapshots: the servers, and the facts remembered between snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotSource {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) last_seen: LastSeen,
    /// The number of consecutive failed syncs from which on a device is failing.
    pub(crate) threshold: i32,
    inhibitors: Arc<[Inhibitor]>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    sizes: Sizes,
    /// The devices whose last change was evaluated for flapping, with its time.
    changed: HashMap<DeviceId, Timestamp>,
    /// The devices that were checked for a clock that is off, with their last-seen times.
    heard: HashMap<DeviceId, Heard>,
}

impl SnapshotSource {
    pub(crate) fn new(store: Store, queue: Queue, threshold: i32, inhibitors: Vec<Inhibitor>) -> Self {
        let last_seen = LastSeen::new(queue.clone());
        Self { store, queue, last_seen, threshold, inhibitors: inhibitors.into(), known: Arc::default() }
    }

    /// Returns a snapshot, with the silences and inhibitions of that time.
    pub(crate) async fn snapshot(&self, common: Common, now: Timestamp) -> Result<Snapshot, StoreError> {
        let mut snapshot = Snapshot {
            source: self.clone(),
            now,
            common,
            silences: Vec::new(),
            inhibition: Inhibition::default(),
            devices: Vec::new(),
            open: HashMap::new(),
            liveness: OnceCell::new(),
            listening: OnceCell::new(),
        };
        snapshot.refresh().await?;
        Ok(snapshot)
    }
}

impl Snapshot {
    /// Reads the silences and inhibitions again.
    pub(crate) async fn refresh(&mut self) -> Result<(), StoreError> {
        let mut silences = self.source.store.silences().not_over(self.now, MOST_SILENCES).await?;
        silences.retain(|silence| silence.is_active(self.now));
        self.silences = silences;
        self.refresh_inhibition().await
    }

    /// Reads the inhibitions again.
    pub(crate) async fn refresh_inhibition(&mut self) -> Result<(), StoreError> {
        let digest_after = self.common.digest_after();
        let SnapshotSource { store, inhibitors, .. } = &self.source;
        self.inhibition = Inhibition::read(store, inhibitors, digest_after, self.now).await?;
        Ok(())
    }

    /// Sets the open incidents of a rule; their devices become the page.
    pub(crate) fn open_page(&mut self, open: Vec<VersionedIncident>) {
        self.devices = open.iter().filter_map(|kept| kept.incident.alert.device_id().cloned()).collect();
        self.open = open.into_iter().map(|kept| (kept.incident.alert.own_fingerprint(), kept)).collect();
    }

    /// Returns the open incident of this alert, if there is one.
    pub(crate) fn open(&self, alert: &Alert) -> Option<&Incident> {
        self.open.get(&alert.own_fingerprint()).map(|kept| &kept.incident)
    }

    /// Returns the open incident of a rule about this device, if there is one.
    pub(crate) fn open_of(&self, rule: AlertName, device: &DeviceId) -> Option<&Incident> {
        self.open.get(&Alert::fingerprint(rule, device)).map(|kept| &kept.incident)
    }

    /// Returns the parts of the fleet that have an open incident.
    pub(crate) fn open_scopes(&self) -> BTreeSet<FleetPart> {
        self.open.values().filter_map(|kept| kept.incident.alert.scope().cloned()).collect()
    }

    /// Returns the last heartbeats of APIs and workers, and the gaps without an API.
    pub(crate) async fn liveness(&self) -> Result<&Liveness, ReadError> {
        let read = || async { Heartbeat::new(self.source.queue.clone()).liveness().await };
        Ok(self.liveness.get_or_try_init(read).await?)
    }

    /// Returns whether an API was alive within this time before now, or there never was one.
    pub(crate) async fn is_listening(&self, longest_absence: SignedDuration) -> Result<bool, ReadError> {
        let is_alive = |at| self.now.duration_since(at) <= longest_absence;
        Ok(self.liveness().await?.ingest.is_none_or(is_alive))
    }

    /// Returns the times at which devices could be heard and were expected.
    pub(crate) async fn listening(&self) -> Result<&Listening, ReadError> {
        let listening = &self.liveness().await?.listening;
        let Some(schedule) = &self.common.schedule else { return Ok(listening) };
        let expected = || async { listening.without(schedule.gaps_before(self.now)) };
        Ok(self.listening.get_or_init(expected).await)
    }

    /// Returns up to `most` devices that have begun to fail or recovered since then. Each change of a device is
    /// returned once.
    pub(crate) async fn newly_changed(&self, since: Timestamp, most: usize) -> Result<Vec<DeviceId>, ReadError> {
        self.known().changed.retain(|_, at| *at >= since);
        let (mut changed, mut new) = (self.source.store.failure_counters().changed(since, PAGE).await?, Vec::new());
        while new.len() < most
            && let Some(mut page) = changed.try_next().await?
        {
            let known = &mut self.known().changed;
            page.retain(|(device, at)| known.get(device) != Some(at));
            page.truncate(most - new.len());
            known.extend(page.iter().cloned());
            new.extend(page.into_iter().map(|(device, _)| device));
        }
        Ok(new)
    }

    /// Returns the reports of the fleet and its parts in a window, by the devices' own clocks.
    pub(crate) async fn windows(&self, range: Range<Timestamp>) -> Result<FleetWindowsFold<'_>, ReadError> {
        let events = self.source.store.sync_events();
        Ok(events.windows(range, self.common.connectivity_floor_mbps, &self.common.fleet_by).await?)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.source.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
