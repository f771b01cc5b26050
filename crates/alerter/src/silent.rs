//! `DeviceSilent`: looking at who was last heard of too long ago, by the order in which Redis keeps
//! them: what it costs is who fell silent, not who exists.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, DeviceId, Listening, Subject},
    queue::{LastSeen, Pulse, Queue, QueueError},
    store::{KeptIncident, Revision, Saved, Store, StoreError},
};

use crate::{
    incident::{self, SAME_INCIDENT, Seen},
    receivers::Receivers,
    rules::{
        device_silent,
        holding::{self, Episode},
        verdict::Verdict,
    },
    silences,
};

/// The most devices in one question to Redis or the store, and the most incidents in one write.
const AT_ONCE: usize = 500;

/// Looks at the silent devices. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Silent {
    store: Store,
    queue: Queue,
    receivers: Receivers,
}

/// What was heard.
struct Ears {
    listening: Listening,
    heard: HashMap<DeviceId, Timestamp>,
    /// The alert that the pipeline stalls: then nobody knows who is silent.
    stalled: Option<AlertId>,
}

impl Silent {
    pub(crate) fn new(store: Store, queue: Queue, receivers: Receivers) -> Self {
        Self { store, queue, receivers }
    }

    /// Compares who is silent with the open incidents. While nobody listens, or Redis does not say
    /// who was heard of, nothing is said of anyone.
    pub(crate) async fn look(
        &self,
        episodes: &[Episode],
        stalled: Option<AlertId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let open = self.store.alerts().open_of_rule(AlertName::DeviceSilent).await?;
        match self.last_words(&open, now).await {
            Ok(Some((listening, heard))) => {
                self.compare(open, &Ears { listening, heard, stalled }, episodes, now).await
            }
            Ok(None) => Ok(()),
            Err(error) => {
                log::warn!(error:% = error; "who is silent is not known");
                Ok(())
            }
        }
    }

    /// When those who have an open incident, and those whose time ran out only now, were last
    /// heard of.
    async fn last_words(
        &self,
        open: &[KeptIncident],
        now: Timestamp,
    ) -> Result<Option<(Listening, HashMap<DeviceId, Timestamp>)>, QueueError> {
        let signs = Pulse::new(self.queue.clone()).signs().await?;
        if !self.receivers.rules().pipeline_stalled.listens(signs.ingest, now) {
            return Ok(None);
        }
        let seen = LastSeen::new(self.queue.clone());
        let devices: Vec<_> = open.iter().filter_map(|kept| kept.incident.alert.device_id().cloned()).collect();
        let mut heard = HashMap::new();
        for some in devices.chunks(AT_ONCE) {
            heard.extend(seen.of(some).await?);
        }
        let range = device_silent::newly_silent(self.receivers.rules().device_silent_after, &signs.listening, now);
        let mut after = None;
        loop {
            let page = seen.page(Some(range.start), Some(range.end), after, AT_ONCE).await?;
            after = page.last().map(|(device, at)| (*at, device.clone()));
            let is_last = page.len() < AT_ONCE;
            heard.extend(page);
            if is_last {
                return Ok(Some((signs.listening, heard)));
            }
        }
    }

    async fn compare(
        &self,
        open: Vec<KeptIncident>,
        ears: &Ears,
        episodes: &[Episode],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let in_force = silences::in_force(&self.store, now).await?;
        let known: HashMap<_, _> =
            open.into_iter().filter_map(|kept| Some((kept.incident.alert.device_id()?.clone(), kept))).collect();
        let new: Vec<_> = ears.heard.keys().filter(|device| !known.contains_key(*device)).collect();
        let ended = self.ended(&new, now).await?;
        let devices: HashSet<_> = ears.heard.keys().chain(known.keys()).collect();
        let change = |device: &DeviceId| {
            let before = known.get(device).or_else(|| ended.get(device));
            let (alert, verdict) = self.judge(device, known.get(device), ears, now)?;
            let since = alert.starts_at;
            let is_wrong = verdict == Verdict::Wrong || (verdict == Verdict::Unknown && known.contains_key(device));
            let seen = Seen {
                silenced_by: silences::holding_back(&in_force, &alert.labels(), now),
                inhibited_by: ears.stalled.or_else(|| holding::holder(episodes, AlertName::DeviceSilent, since, now)),
                wrong: is_wrong.then(|| alert.clone()),
                well_since: ears.heard.get(device).copied().unwrap_or(now),
                is_recent: true,
                lasts: SignedDuration::ZERO,
                clears_after: SignedDuration::ZERO,
                flapping: false,
            };
            let routes = self.receivers.routes(&alert);
            let incident = incident::next(before.map(|kept| &kept.incident), &seen, &routes, now)?;
            let is_same = before.filter(|kept| kept.incident.alert.id == incident.alert.id);
            Some(KeptIncident { incident, revision: is_same.map_or(Revision::Unset, |kept| kept.revision) })
        };
        let changes: Vec<_> = devices.into_iter().filter_map(change).collect();
        for some in changes.chunks(AT_ONCE) {
            // Where another alerter was first, the next look sees to it.
            let (Saved::All | Saved::Outrun) = self.store.alerts().save(some).await?;
        }
        Ok(())
    }

    /// What is to be said of a device, which began when it was last heard of before that.
    fn judge(
        &self,
        device: &DeviceId,
        open: Option<&KeptIncident>,
        ears: &Ears,
        now: Timestamp,
    ) -> Option<(Alert, Verdict)> {
        let last_word = ears.heard.get(device).copied();
        let since = open.map(|kept| kept.incident.alert.starts_at).or(last_word)?;
        let verdict = device_silent::judge(last_word, self.receivers.rules().device_silent_after, &ears.listening, now);
        Some((Alert::new(AlertName::DeviceSilent, Subject::Device(device.clone()), since), verdict))
    }

    /// The last incidents of these devices that could come back.
    async fn ended(
        &self,
        devices: &[&DeviceId],
        now: Timestamp,
    ) -> Result<HashMap<DeviceId, KeptIncident>, StoreError> {
        let mut ended = HashMap::<DeviceId, KeptIncident>::new();
        for some in devices.chunks(AT_ONCE) {
            let fingerprints: Vec<_> =
                some.iter().map(|device| Alert::fingerprint(AlertName::DeviceSilent, device)).collect();
            for kept in self.store.alerts().ended_by_fingerprint(&fingerprints, now - SAME_INCIDENT).await? {
                let Some(device) = kept.incident.alert.device_id().cloned() else { continue };
                let is_later = |known: &KeptIncident| known.incident.state_since < kept.incident.state_since;
                if ended.get(&device).is_none_or(is_later) {
                    ended.insert(device, kept);
                }
            }
        }
        Ok(ended)
    }
}
