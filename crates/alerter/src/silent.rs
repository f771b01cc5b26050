//! `DeviceSilent`: looking at who was last heard of too long ago, by the order in which Redis keeps
//! them: what it costs is who fell silent, not who exists.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use pisync_core::{
    models::{Alert, AlertId, AlertName, DeviceId, Labels, Listening, Silence, Subject},
    queue::{LastSeen, Pulse, Queue, QueueError},
    store::{KeptIncident, Store, StoreError},
};

use crate::{
    device_labels,
    routing::Routing,
    rules::{
        device_silent,
        holding::{self, Episode},
    },
    settling::{self, Said},
};

/// The most devices in one question to Redis.
const AT_ONCE: usize = 500;

/// Looks at the silent devices. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Silent {
    store: Store,
    queue: Queue,
    receivers: Routing,
}

/// What was heard.
struct Ears {
    listening: Listening,
    heard: HashMap<DeviceId, Timestamp>,
}

impl Silent {
    pub(crate) fn new(store: Store, queue: Queue, receivers: Routing) -> Self {
        Self { store, queue, receivers }
    }

    /// Compares who is silent with the open incidents. While nobody listens, or Redis does not say
    /// who was heard of, nothing is said of anyone. While the pipeline stalls, its alert holds back
    /// all that is said.
    pub(crate) async fn look(
        &self,
        episodes: &[Episode],
        silences: &[Silence],
        stalled: Option<AlertId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let open = settling::open(&self.store, AlertName::DeviceSilent).await?;
        let ears = match self.listen(&open, now).await {
            Ok(Some(ears)) => ears,
            Ok(None) => return Ok(()),
            Err(error) => {
                log::warn!(error:% = error; "who is silent is not known");
                return Ok(());
            }
        };
        let devices: HashSet<_> = ears.heard.keys().chain(open.keys()).collect();
        let mut said: Vec<_> =
            devices.into_iter().filter_map(|device| self.say(device, open.get(device), &ears, now)).collect();
        self.hold(&mut said, episodes, silences, stalled, now).await?;
        settling::settle(&self.store, &self.receivers, &open, &said, silences, now).await
    }

    /// Notes what the devices say of themselves, and what holds back what is said: the pipeline's
    /// alert, or else that of the fleet or of the part of it that the device is in.
    async fn hold(
        &self,
        said: &mut [Said],
        episodes: &[Episode],
        silences: &[Silence],
        stalled: Option<AlertId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let name = AlertName::DeviceSilent;
        let devices: Vec<_> = said.iter().filter_map(|said| said.alert.device_id()).collect();
        // While the pipeline stalls, nothing else matters.
        let episodes = if stalled.is_none() { episodes } else { &[] };
        let labels = device_labels::where_held(&self.store, episodes, silences, name, &devices).await?;
        for said in said {
            said.labels = said.alert.device_id().and_then(|device| labels.get(device)).cloned().unwrap_or_default();
            let of_fleet = holding::holder(episodes, name, &said.labels, said.alert.starts_at, now);
            said.inhibited_by = stalled.or(of_fleet);
        }
        Ok(())
    }

    /// When those who have an open incident, and those whose time ran out only now, were last
    /// heard of; none while nobody listens.
    async fn listen(&self, open: &HashMap<DeviceId, KeptIncident>, now: Timestamp) -> Result<Option<Ears>, QueueError> {
        let signs = Pulse::new(self.queue.clone()).signs().await?;
        if !self.receivers.rules().pipeline_stalled.listens(signs.ingest, now) {
            return Ok(None);
        }
        let seen = LastSeen::new(self.queue.clone());
        let (devices, mut heard): (Vec<_>, _) = (open.keys().cloned().collect(), HashMap::new());
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
                return Ok(Some(Ears { listening: signs.listening, heard }));
            }
        }
    }

    /// What is to be said of a device, which began when it was last heard of before that.
    fn say(&self, device: &DeviceId, open: Option<&KeptIncident>, ears: &Ears, now: Timestamp) -> Option<Said> {
        let last_word = ears.heard.get(device).copied();
        let since = open.map(|kept| kept.incident.alert.starts_at).or(last_word)?;
        let verdict = device_silent::judge(last_word, self.receivers.rules().device_silent_after, &ears.listening, now);
        let alert = Alert::new(AlertName::DeviceSilent, Subject::Device(device.clone()), since);
        let (labels, well_since) = (Labels::default(), last_word.unwrap_or(now));
        Some(Said { alert, labels, verdict, well_since, is_recent: true, inhibited_by: None })
    }
}
