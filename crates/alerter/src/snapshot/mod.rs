//! What rules read: the state of the fleet at one time, each part read when it is first asked for.
//!
//! All that a rule knows goes through here, so that another source can stand in for the live one.

mod inhibition;
mod presence;
mod usual_speed;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{
        Alert, AlertId, AlertName, DeviceId, FailureCounter, FleetWindows, Incident, Labels, Listening, Scope, Silence,
        WhatChanged,
    },
    queue::{LastSeen, PartitionStatus, Pulse, Queue, QueueError, Signs},
    store::{KeptIncident, Store, StoreError, StoredEvent},
};
use tokio::sync::OnceCell;

use self::presence::Sizes;
pub(crate) use self::presence::{Presence, Reach};
use crate::{inhibition::Inhibition, routing::Rules};

/// How many devices are evaluated at a time: the memory of a tick is bounded by them.
pub(crate) const PAGE: usize = 1_000;

/// How long ago a device may have been heard of to count as part of the fleet.
const PART_OF_FLEET: SignedDuration = SignedDuration::from_hours(24);

/// The most silences that are in force at a time; those that end last come first.
const MOST_SILENCES: u32 = 2_000;

/// How many histories are read at the same time.
const READERS: usize = 8;

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

/// Where snapshots are read from: the servers, and what is remembered from one to the next.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) store: Store,
    queue: Queue,
    sizes: Arc<Mutex<Sizes>>,
    /// The devices whose beginning to fail was evaluated for flapping, and when they began.
    begun: Arc<Mutex<HashMap<DeviceId, Timestamp>>>,
}

/// The state of the fleet at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) now: Timestamp,
    pub(crate) rules: Rules,
    pub(crate) threshold: i32,
    pub(crate) silences: Vec<Silence>,
    pub(crate) inhibition: Inhibition,
    /// The devices that are evaluated.
    pub(crate) devices: Vec<DeviceId>,
    /// The open incidents of the rule that is evaluated, of these devices or of the fleet, by their
    /// fingerprints.
    pub(crate) open: HashMap<String, KeptIncident>,
    source: Source,
    liveness: OnceCell<Signs>,
}

impl Source {
    pub(crate) fn new(store: Store, queue: Queue) -> Self {
        Self { store, queue, sizes: Arc::default(), begun: Arc::default() }
    }

    /// Begins a snapshot, with the silences and inhibitions of that time.
    pub(crate) async fn snapshot(&self, rules: Rules, threshold: i32, now: Timestamp) -> Result<Snapshot, StoreError> {
        let mut snapshot = Snapshot {
            now,
            rules,
            threshold,
            silences: Vec::new(),
            inhibition: Inhibition::default(),
            devices: Vec::new(),
            open: HashMap::new(),
            source: self.clone(),
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
        self.inhibition = inhibition::read(&self.source.store, &self.rules, self.now).await?;
        Ok(())
    }

    /// Puts the open incidents of a rule in; their devices are the page.
    pub(crate) fn open_page(&mut self, open: Vec<KeptIncident>) {
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

    /// Returns an incident by its id.
    pub(crate) async fn incident(&self, id: AlertId) -> Result<Option<Incident>, ReadError> {
        Ok(self.source.store.alerts().find(id).await?.map(|kept| kept.incident))
    }

    /// Returns the devices with an open incident that an episode covers, some at a time.
    pub(crate) async fn devices_open(
        &self,
        rule: AlertName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<impl Stream<Item = Result<Vec<DeviceId>, StoreError>> + Unpin + use<>, ReadError> {
        Ok(self.source.store.alerts().devices_open(rule, from, to, PAGE).await?)
    }

    /// Returns when an API and a worker were last alive, and when no API was.
    pub(crate) async fn liveness(&self) -> Result<&Signs, ReadError> {
        let read = || async { Pulse::new(self.source.queue.clone()).signs().await };
        Ok(self.liveness.get_or_try_init(read).await?)
    }

    /// Returns when devices could be heard; `None` while no API is alive.
    pub(crate) async fn listening(&self) -> Result<Option<&Listening>, ReadError> {
        let liveness = self.liveness().await?;
        let is_alive = |at| self.now.duration_since(at) <= self.rules.pipeline_stalled.longest_absence;
        Ok(liveness.ingest.is_none_or(is_alive).then_some(&liveness.listening))
    }

    /// Returns what waits in each partition.
    pub(crate) async fn partitions(&self) -> Result<Vec<PartitionStatus>, ReadError> {
        Ok(self.source.queue.status_of_all().await?)
    }

    /// Returns how many devices there are.
    pub(crate) async fn fleet_size(&self) -> Result<u64, ReadError> {
        Ok(LastSeen::new(self.source.queue.clone()).count_since(self.now - PART_OF_FLEET).await?)
    }

    /// Returns when each device of the page was last heard of.
    pub(crate) async fn last_seen(&self) -> Result<HashMap<DeviceId, Timestamp>, ReadError> {
        Ok(LastSeen::new(self.source.queue.clone()).of(&self.devices).await?)
    }

    /// Returns the devices that were last heard of in a range.
    pub(crate) fn last_seen_in(&self, range: Range<Timestamp>) -> Candidates {
        let walk = LastSeen::new(self.source.queue.clone()).walk(Some(range.start), Some(range.end), PAGE);
        let devices = |page: Vec<(DeviceId, _)>| page.into_iter().map(|(device, _)| device).collect();
        walk.map_ok(devices).map_err(ReadError::from).boxed()
    }

    /// Returns the counters of the page, `None` for one that cannot be read.
    pub(crate) async fn counters(&self) -> Result<HashMap<DeviceId, Option<FailureCounter>>, ReadError> {
        Ok(self.source.store.failure_counters().find_readable(&self.devices).await?)
    }

    /// Returns the devices that fail.
    pub(crate) async fn failing(&self) -> Result<Candidates, ReadError> {
        let failing = self.source.store.failure_counters().failing(self.threshold, PAGE).await?;
        Ok(failing.map_err(ReadError::from).boxed())
    }

    /// Returns up to `most` devices that have begun to fail since then and were not returned before.
    pub(crate) async fn newly_begun(&self, since: Timestamp, most: usize) -> Result<Vec<DeviceId>, ReadError> {
        let begun = self.source.store.failure_counters().begun(since).await?;
        let mut known = self.source.begun.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| *at >= since);
        let is_new = |(device, at): &(DeviceId, Timestamp)| known.get(device) != Some(at);
        let new: Vec<_> = begun.into_iter().filter(is_new).take(most).collect();
        known.extend(new.iter().cloned());
        Ok(new.into_iter().map(|(device, _)| device).collect())
    }

    /// Returns the last reports of each device of the page, newest first.
    pub(crate) async fn reports(&self, most: u32) -> Result<Vec<(DeviceId, Vec<StoredEvent>)>, ReadError> {
        let events = self.source.store.sync_events();
        let of = |device: DeviceId| {
            let events = events.clone();
            async move {
                let step = events.history_step(&device, Timestamp::MIN..Timestamp::MAX, None, most).await?;
                Ok((device, step.found))
            }
        };
        stream::iter(self.devices.clone()).map(of).buffered(READERS).try_collect().await
    }

    /// Returns what the fleet and its parts reported in a window.
    pub(crate) async fn windows(&self, range: Range<Timestamp>) -> Result<FleetWindows, ReadError> {
        let events = self.source.store.sync_events();
        Ok(events.windows(range, self.rules.connectivity_floor_mbps, &self.rules.fleet_by).await?)
    }

    /// Returns what the devices that failed in a window have in common.
    pub(crate) async fn what_changed(&self, range: Range<Timestamp>) -> Result<WhatChanged, ReadError> {
        Ok(self.source.store.sync_events().what_changed(range).await?)
    }

    /// Returns the labels of devices, by the newest report of each.
    pub(crate) async fn labels(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        self.source.store.sync_events().newest_labels(devices).await
    }
}
