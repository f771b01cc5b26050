//! What rules read: the state of the fleet at one time, each part read when it is first asked for.
//!
//! All that a rule knows goes through here, so that another source can stand in for the live one.

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
    models::{Alert, AlertName, DeviceId, FleetWindowsFold, Incident, Listening, Scope, Silence},
    presence::{Heartbeat, LastSeen, Liveness},
    queue::{Queue, QueueError},
    store::{Store, StoreError, VersionedIncident},
};
use tokio::sync::OnceCell;

pub(crate) use self::presence::{Presence, Reach};
use self::{clocks::Heard, presence::Sizes};
use crate::{
    inhibition::{Inhibition, Inhibitor},
    rules::common::Common,
};

/// How many devices are evaluated at a time: the memory of a tick is bounded by them.
pub(crate) const PAGE: usize = 1_000;

/// The most silences that are in force at a time; those that end last come first.
const MOST_SILENCES: u32 = 2_000;

/// Devices that a rule has to evaluate, some at a time.
pub(crate) type Candidates = BoxStream<'static, Result<Vec<DeviceId>, ReadError>>;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Redis did not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// `MongoDB` did not answer, or with what cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The state of the fleet at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) source: Source,
    pub(crate) now: Timestamp,
    pub(crate) common: Common,
    pub(crate) silences: Vec<Silence>,
    pub(crate) inhibition: Inhibition,
    /// The devices that are evaluated.
    pub(crate) devices: Vec<DeviceId>,
    /// The open incidents of the rule that is evaluated, of these devices or of the fleet, by their
    /// fingerprints.
    pub(crate) open: HashMap<String, VersionedIncident>,
    liveness: OnceCell<Liveness>,
}

/// Where snapshots are read from: the servers, and what is remembered from one to the next. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) last_seen: LastSeen,
    /// The failed syncs in a row from which on a device fails.
    pub(crate) threshold: i32,
    inhibitors: Arc<[Inhibitor]>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    sizes: Sizes,
    /// The devices whose last change was evaluated for flapping, and when it was.
    changed: HashMap<DeviceId, Timestamp>,
    /// The devices whose clock put their reports elsewhere than their receipt, when they were heard of last.
    heard: HashMap<DeviceId, Heard>,
}

impl Source {
    pub(crate) fn new(store: Store, queue: Queue, threshold: i32, inhibitors: Vec<Inhibitor>) -> Self {
        let last_seen = LastSeen::new(queue.clone());
        Self { store, queue, last_seen, threshold, inhibitors: inhibitors.into(), known: Arc::default() }
    }

    /// Begins a snapshot, with the silences and inhibitions of that time.
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
        };
        snapshot.refresh().await?;
        Ok(snapshot)
    }
}

impl Snapshot {
    /// Reads again which messages are suppressed.
    pub(crate) async fn refresh(&mut self) -> Result<(), StoreError> {
        let mut silences = self.source.store.silences().not_over(self.now, MOST_SILENCES).await?;
        silences.retain(|silence| silence.is_active(self.now));
        self.silences = silences;
        self.refresh_inhibition().await
    }

    /// Reads again which alerts inhibit others.
    pub(crate) async fn refresh_inhibition(&mut self) -> Result<(), StoreError> {
        let digest_after = self.common.digest_after();
        let Source { store, inhibitors, .. } = &self.source;
        self.inhibition = Inhibition::read(store, inhibitors, digest_after, self.now).await?;
        Ok(())
    }

    /// Puts the open incidents of a rule in; their devices are the page.
    pub(crate) fn open_page(&mut self, open: Vec<VersionedIncident>) {
        self.devices = open.iter().filter_map(|kept| kept.incident.alert.device_id().cloned()).collect();
        self.open = open.into_iter().map(|kept| (kept.incident.alert.own_fingerprint(), kept)).collect();
    }

    /// Returns the open incident of a rule about this, if there is one.
    pub(crate) fn open(&self, alert: &Alert) -> Option<&Incident> {
        self.open.get(&alert.own_fingerprint()).map(|kept| &kept.incident)
    }

    /// Returns the open incident of a rule about this device, if there is one.
    pub(crate) fn open_of(&self, rule: AlertName, device: &DeviceId) -> Option<&Incident> {
        self.open.get(&Alert::fingerprint(rule, device)).map(|kept| &kept.incident)
    }

    /// Returns the parts of the fleet that have an open incident.
    pub(crate) fn open_scopes(&self) -> BTreeSet<Scope> {
        self.open.values().filter_map(|kept| kept.incident.alert.scope().cloned()).collect()
    }

    /// Returns when an API and a worker were last alive, and when no API was.
    pub(crate) async fn liveness(&self) -> Result<&Liveness, ReadError> {
        let read = || async { Heartbeat::new(self.source.queue.clone()).liveness().await };
        Ok(self.liveness.get_or_try_init(read).await?)
    }

    /// Returns when devices could be heard; `None` if no API was alive for longer than this.
    pub(crate) async fn listening(&self, longest_absence: SignedDuration) -> Result<Option<&Listening>, ReadError> {
        let liveness = self.liveness().await?;
        let is_alive = |at| self.now.duration_since(at) <= longest_absence;
        Ok(liveness.ingest.is_none_or(is_alive).then_some(&liveness.listening))
    }

    /// Returns up to `most` devices that have begun to fail or were well again since then and were not
    /// returned for it before.
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

    /// Returns what the fleet and its parts reported in a window, by the devices' own clocks.
    pub(crate) async fn windows(&self, range: Range<Timestamp>) -> Result<FleetWindowsFold<'_>, ReadError> {
        let events = self.source.store.sync_events();
        Ok(events.windows(range, self.common.connectivity_floor_mbps, &self.common.fleet_by).await?)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.source.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
