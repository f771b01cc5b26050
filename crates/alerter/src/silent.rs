//! `DeviceSilent`: looking at who was last heard of too long ago, by the order in which Redis keeps
//! them: what it costs is who fell silent, not who exists.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use pisync_core::{
    models::{Alert, AlertId, AlertName, DeviceId, Labels, Listening, Subject},
    queue::{LastSeen, Pulse, Queue, QueueError},
    store::{KeptIncident, Store, StoreError},
};

use crate::{
    receivers::Receivers,
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
    receivers: Receivers,
}

/// What was heard.
struct Ears {
    listening: Listening,
    heard: HashMap<DeviceId, Timestamp>,
}

impl Silent {
    pub(crate) fn new(store: Store, queue: Queue, receivers: Receivers) -> Self {
        Self { store, queue, receivers }
    }

    /// Compares who is silent with the open incidents. While nobody listens, or Redis does not say
    /// who was heard of, nothing is said of anyone. While the pipeline stalls, its alert holds back
    /// all that is said.
    pub(crate) async fn look(
        &self,
        episodes: &[Episode],
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
        for said in &mut said {
            let since = said.alert.starts_at;
            // Silence is looked at in the whole fleet alone.
            let of_fleet = || holding::holder(episodes, AlertName::DeviceSilent, &Labels::default(), since, now);
            said.inhibited_by = stalled.or_else(of_fleet);
        }
        settling::settle(&self.store, &self.receivers, &open, &said, now).await
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
        Some(Said { alert, verdict, well_since: last_word.unwrap_or(now), is_recent: true, inhibited_by: None })
    }
}
