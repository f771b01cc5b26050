//! One rule about devices: what it says of each, brought into line with its incidents.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, DeviceId, Labels, Silence},
    store::{KeptIncident, Revision, Saved, Store, StoreError},
};

use crate::{
    incident::{self, SAME_INCIDENT, Seen},
    routing::Routing,
    rules::verdict::Verdict,
    silences,
};

/// The most devices in one question to the store, and the most incidents in one write.
const AT_ONCE: usize = 500;

/// What a rule says of a device.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// The alert, as it would begin now; of an open incident, as it began.
    pub(crate) alert: Alert,
    /// What the device says of itself, where that is asked for.
    pub(crate) labels: Labels,
    pub(crate) verdict: Verdict,
    /// Since when all is well, where it is.
    pub(crate) well_since: Timestamp,
    /// Whether it is fresh enough to begin with.
    pub(crate) is_recent: bool,
    /// The alert that holds it back.
    pub(crate) inhibited_by: Option<AlertId>,
}

/// The open incidents of a rule by their devices.
pub(crate) async fn open(store: &Store, name: AlertName) -> Result<HashMap<DeviceId, KeptIncident>, StoreError> {
    let open = store.alerts().open_of_rule(name).await?.into_iter();
    Ok(open.filter_map(|kept| Some((kept.incident.alert.device_id()?.clone(), kept))).collect())
}

/// Writes down what has to change: what is said of a device of which there is nothing to say stays
/// as it was. Where another alerter was first, the next look sees to it.
pub(crate) async fn settle(
    store: &Store,
    receivers: &Routing,
    open: &HashMap<DeviceId, KeptIncident>,
    said: &[Said],
    in_force: &[Silence],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = ended(store, said, open, now).await?;
    let change = |said: &Said| {
        let device = said.alert.device_id()?;
        let (is_open, before) = (open.contains_key(device), open.get(device).or_else(|| ended.get(device)));
        let is_wrong = said.verdict == Verdict::Wrong || (said.verdict == Verdict::Unknown && is_open);
        let seen = Seen {
            wrong: is_wrong.then(|| said.alert.clone()),
            well_since: said.well_since,
            is_recent: said.is_recent,
            lasts: SignedDuration::ZERO,
            clears_after: SignedDuration::ZERO,
            silenced_by: silences::holding_back(in_force, &said.alert.labels_with(Some(&said.labels)), now),
            inhibited_by: said.inhibited_by,
            flapping: false,
        };
        let routes = receivers.routes(&said.alert);
        let incident = incident::next(before.map(|kept| &kept.incident), &seen, &routes, now)?;
        let is_same = before.filter(|kept| kept.incident.alert.id == incident.alert.id);
        Some(KeptIncident { incident, revision: is_same.map_or(Revision::Unset, |kept| kept.revision) })
    };
    let changes: Vec<_> = said.iter().filter_map(change).collect();
    for some in changes.chunks(AT_ONCE) {
        let (Saved::All | Saved::Outrun) = store.alerts().save(some).await?;
    }
    Ok(())
}

/// The last incidents of those that have none that is open, and could come back.
async fn ended(
    store: &Store,
    said: &[Said],
    open: &HashMap<DeviceId, KeptIncident>,
    now: Timestamp,
) -> Result<HashMap<DeviceId, KeptIncident>, StoreError> {
    let is_new = |said: &&Said| said.alert.device_id().is_some_and(|device| !open.contains_key(device));
    let fingerprints: Vec<_> = said.iter().filter(is_new).map(|said| said.alert.own_fingerprint()).collect();
    let mut ended = HashMap::<DeviceId, KeptIncident>::new();
    for some in fingerprints.chunks(AT_ONCE) {
        for kept in store.alerts().ended_by_fingerprint(some, now - SAME_INCIDENT).await? {
            let Some(device) = kept.incident.alert.device_id().cloned() else { continue };
            let is_later = |known: &KeptIncident| known.incident.state_since < kept.incident.state_since;
            if ended.get(&device).is_none_or(is_later) {
                ended.insert(device, kept);
            }
        }
    }
    Ok(ended)
}
