//! Looking: reads counters and incidents, lets the rule and the incident decide, and writes the
//! difference.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Instant,
};

use jiff::Timestamp;
use pisync_core::{
    crash::CrashSettings,
    models::{AlertId, AlertName, DeviceId, FailureCounter, Incident, Labels, Silence},
    queue::Queue,
    store::{KeptIncident, Revision, Saved, Store, StoreError},
};

use crate::{
    device_labels,
    flapping::Flapping,
    fleet::Fleet,
    incident::{self, SAME_INCIDENT, Seen},
    metrics::Metrics,
    routing::Routing,
    rules::{
        device_sync_failing,
        holding::{self, Episode},
    },
    silences::{self, Silences},
    silent::Silent,
    usual_speed,
};

/// The most devices that are compared at a time: what a look keeps in memory is bounded by them.
const AT_ONCE: usize = 1_000;

/// The most incidents in one write.
const SAVED_AT_ONCE: usize = 500;

/// How often a look is begun again for what others changed meanwhile; then the next tick sees to
/// it.
const ROUNDS: usize = 5;

/// How many incidents one hinted look may open before the fleet is looked at: so many at once are
/// seldom many reasons.
const MANY: usize = 10;

/// Compares the state of the fleet with the incidents.
///
/// Level-triggered: what a look finds depends on how things are, not on what it was told before,
/// so a look that was missed is made good by the next. Hints and ticks go the same way; a hint
/// only says which devices.
#[derive(Debug, Clone)]
pub struct Alerter {
    store: Store,
    threshold: i32,
    receivers: Routing,
    fleet: Fleet,
    silent: Silent,
    flapping: Flapping,
    crash: CrashSettings,
    metrics: Metrics,
}

/// What a look has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Incidents opened.
    pub opened: usize,
    /// Incidents resolved.
    pub resolved: usize,
}

/// What there is to compare of the devices that are looked at.
struct Sight {
    counters: HashMap<DeviceId, FailureCounter>,
    /// The open incident of each, or else the last one.
    incidents: HashMap<DeviceId, KeptIncident>,
    /// What they say of themselves; looked up only where an episode is of a part of the fleet, or a
    /// silence asks for it.
    labels: HashMap<DeviceId, Labels>,
}

/// What holds back what would be said of devices.
struct Held {
    silences: Vec<Silence>,
    episodes: Vec<Episode>,
    /// Who fails and recovers in turn.
    flapping: HashSet<DeviceId>,
}

impl Alerter {
    /// An alerter that calls a device failing from `threshold` failed syncs in a row.
    pub fn new(store: Store, queue: Queue, threshold: i32, receivers: Routing, crash: CrashSettings) -> Self {
        let fleet = Fleet::new(store.clone(), queue.clone(), receivers.clone());
        let silent = Silent::new(store.clone(), queue, receivers.clone());
        let flapping = Flapping::new(store.clone(), receivers.clone());
        Self { store, threshold, receivers, fleet, silent, flapping, crash, metrics: Metrics::new() }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Looks at every device that is failing or has an open incident: what a tick costs is what
    /// is wrong, not what exists.
    pub async fn tick(&self) -> Result<Changed, StoreError> {
        self.tick_at(self.store.now().await?).await
    }

    /// The same as if it were another time.
    pub async fn tick_at(&self, now: Timestamp) -> Result<Changed, StoreError> {
        let start = Instant::now();
        // The fleet first: it holds back what is looked at after it.
        let episodes = Box::pin(self.fleet.look(now)).await?;
        let silences = silences::in_force(&self.store, now).await?;
        Box::pin(self.silent.look(&episodes, &silences, self.fleet.stalled().await?, now)).await?;
        let flapping = Box::pin(self.flapping.look(&episodes, &silences, now)).await?;
        let held = Held { silences, episodes, flapping };
        let mut changed = Changed::default();
        for some in self.failing_or_told_of().await?.chunks(AT_ONCE) {
            changed += self.close_the_difference(self.sight(some, &held, now).await?, &held, now).await?;
        }
        Silences::new(self.store.clone()).end_what_is_resolved(&held.silences, now).await?;
        self.metrics.look_at(&self.store, self.threshold).await?;
        self.metrics.ticked(start.elapsed());
        Ok(changed)
    }

    /// Says that a look was done, to who waits for it.
    pub(crate) fn ping(&self) -> impl Future<Output = ()> + Send + use<> {
        let receivers = self.receivers.clone();
        async move { receivers.ping().await }
    }

    /// Looks at these devices only.
    pub async fn look_at(&self, devices: &[DeviceId]) -> Result<Changed, StoreError> {
        let mut changed = Changed::default();
        for some in devices.chunks(AT_ONCE) {
            let now = self.store.now().await?;
            let mut held = self.held(some, now).await?;
            let mut sight = self.sight(some, &held, now).await?;
            if self.opens_many(&sight, &held, now) {
                held.episodes = Box::pin(self.fleet.look(now)).await?;
                sight.labels = self.labels(some, &held).await?;
            }
            changed += self.close_the_difference(sight, &held, now).await?;
        }
        Ok(changed)
    }

    /// Who has to be compared: who fails, and who has an open incident.
    async fn failing_or_told_of(&self) -> Result<Vec<DeviceId>, StoreError> {
        let ever = (Timestamp::MIN, Timestamp::MAX);
        let open = self.store.alerts().devices_open(AlertName::DeviceSyncFailing, ever.0, ever.1).await?;
        let mut devices = BTreeSet::from_iter(open);
        devices.extend(self.store.failure_counters().failing(self.threshold).await?);
        Ok(devices.into_iter().collect())
    }

    /// What holds back what would be said of these devices.
    async fn held(&self, devices: &[DeviceId], now: Timestamp) -> Result<Held, StoreError> {
        let (silences, episodes) = (silences::in_force(&self.store, now).await?, self.fleet.episodes(now).await?);
        Ok(Held { silences, episodes, flapping: self.flapping.of(devices).await? })
    }

    /// Whether so many incidents would begin, with nothing known of the fleet, that it has to be
    /// looked at before they do.
    fn opens_many(&self, sight: &Sight, held: &Held, now: Timestamp) -> bool {
        let is_known = held.episodes.iter().any(|episode| episode.over.is_none());
        let begins = |kept: &&KeptIncident| kept.revision == Revision::Unset;
        !is_known && self.changes(sight, held, now).iter().filter(begins).count() >= MANY
    }

    /// The counters and incidents of these devices; of those that fail and have no open incident,
    /// the last one that ended.
    async fn sight(&self, devices: &[DeviceId], held: &Held, now: Timestamp) -> Result<Sight, StoreError> {
        let open = self.store.alerts().find_open(Some(devices)).await?;
        let found = self.store.failure_counters().find_readable(devices).await?;
        let open = open.into_iter().filter_map(|kept| Some((device(&kept)?.clone(), kept)));
        // Of who cannot be compared nothing is known, not that it is well.
        let mut incidents: HashMap<_, _> = open.filter(|(device, _)| found.get(device) != Some(&None)).collect();
        let counters: HashMap<_, _> =
            found.into_iter().filter_map(|(device, counter)| Some((device, counter?))).collect();
        let new: Vec<(DeviceId, AlertId)> = counters
            .values()
            .filter(|counter| !incidents.contains_key(&counter.device_id))
            .map(|counter| self.seen(Some(counter), None, now))
            .filter(|seen| seen.is_recent)
            .filter_map(|seen| seen.wrong.and_then(|alert| Some((alert.device_id()?.clone(), alert.id))))
            .collect();
        if !new.is_empty() {
            let (devices, ids): (Vec<_>, Vec<_>) = new.into_iter().unzip();
            for ended in self.store.alerts().find_ended(&devices, now - SAME_INCIDENT, &ids).await? {
                remember_latest(&mut incidents, ended);
            }
        }
        let labels = self.labels(devices, held).await?;
        Ok(Sight { counters, incidents, labels })
    }

    /// What the devices say of themselves, where that matters.
    async fn labels(&self, devices: &[DeviceId], held: &Held) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let (name, devices) = (AlertName::DeviceSyncFailing, devices.iter().collect::<Vec<_>>());
        device_labels::where_held(&self.store, &held.episodes, &held.silences, name, &devices).await
    }

    /// Saves what has to change. Where someone else changed an incident meanwhile, its device is
    /// looked at again.
    async fn close_the_difference(&self, sight: Sight, held: &Held, mut now: Timestamp) -> Result<Changed, StoreError> {
        let (mut changed, mut due) = (Changed::default(), self.weighed(sight, held, now).await);
        for _ in 0..ROUNDS {
            let mut outrun = Vec::new();
            for some in due.chunks(SAVED_AT_ONCE) {
                match self.store.alerts().save(some).await? {
                    Saved::All => changed += Changed::of(some),
                    Saved::Outrun => outrun.extend(some.iter().filter_map(device).cloned()),
                }
                self.crash.pass("after_open");
            }
            if outrun.is_empty() {
                break;
            }
            now = now.max(self.store.now().await?);
            let held = self.held(&outrun, now).await?;
            due = self.weighed(self.sight(&outrun, &held, now).await?, &held, now).await;
        }
        Ok(changed)
    }

    /// What has to change, with the cause of what begins.
    async fn weighed(&self, sight: Sight, held: &Held, now: Timestamp) -> Vec<KeptIncident> {
        let (changes, floor) = (self.changes(&sight, held, now), self.receivers.rules().connectivity_floor_mbps);
        Box::pin(usual_speed::weigh(&self.store, floor, changes)).await
    }

    fn changes(&self, sight: &Sight, held: &Held, now: Timestamp) -> Vec<KeptIncident> {
        let devices: HashSet<_> = sight.counters.keys().chain(sight.incidents.keys()).collect();
        devices.into_iter().filter_map(|device| self.change(sight, held, device, now)).collect()
    }

    fn seen(&self, counter: Option<&FailureCounter>, usual: Option<f64>, now: Timestamp) -> Seen {
        device_sync_failing::look(counter, self.threshold, self.receivers.rules().connectivity_floor_mbps, usual, now)
    }

    fn change(&self, sight: &Sight, held: &Held, device: &DeviceId, now: Timestamp) -> Option<KeptIncident> {
        let kept = sight.incidents.get(device);
        let usual = kept.and_then(|kept| kept.incident.alert.evidence?.usual);
        let mut seen = self.seen(sight.counters.get(device), usual, now);
        let alert = seen.wrong.as_ref().or(kept.map(|kept| &kept.incident.alert))?;
        let labels = sight.labels.get(device);
        seen.silenced_by = silences::holding_back(&held.silences, &alert.labels_with(labels), now);
        seen.flapping = held.flapping.contains(device);
        let since =
            kept.filter(|kept| kept.incident.is_open()).map_or(alert.starts_at, |kept| kept.incident.alert.starts_at);
        let (name, none) = (AlertName::DeviceSyncFailing, Labels::default());
        seen.inhibited_by = holding::holder(&held.episodes, name, labels.unwrap_or(&none), since, now);
        let routes = self.receivers.routes(alert);
        let incident = incident::next(kept.map(|kept| &kept.incident), &seen, &routes, now)?;
        let is_same = kept.filter(|kept| kept.incident.alert.id == incident.alert.id);
        Some(KeptIncident { incident, revision: is_same.map_or(Revision::Unset, |kept| kept.revision) })
    }
}

/// The device of an incident of this rule.
fn device(kept: &KeptIncident) -> Option<&DeviceId> {
    let alert = &kept.incident.alert;
    alert.device_id().filter(|_| alert.name == AlertName::DeviceSyncFailing)
}

/// The open incident comes before those that are over, and of these the last.
fn remember_latest(incidents: &mut HashMap<DeviceId, KeptIncident>, kept: KeptIncident) {
    let rank = |incident: &Incident| (incident.is_open(), incident.state_since);
    let Some(device) = device(&kept).cloned() else { return };
    if incidents.get(&device).is_none_or(|known| rank(&known.incident) < rank(&kept.incident)) {
        incidents.insert(device, kept);
    }
}

impl Changed {
    fn of(saved: &[KeptIncident]) -> Self {
        let is_new = |kept: &&KeptIncident| kept.revision == Revision::Unset;
        let resolved = saved.iter().filter(|kept| !kept.incident.is_open()).count();
        Self { opened: saved.iter().filter(is_new).count(), resolved }
    }
}

impl std::ops::AddAssign for Changed {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.resolved += other.resolved;
    }
}
