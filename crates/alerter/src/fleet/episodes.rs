//! The times in which something was wrong with the fleet, as its incidents tell of them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{AlertId, AlertName, Incident, Subject},
    store::StoreError,
};

use super::Fleet;
use crate::rules::holding::{Episode, Over};

/// For how long after its digest was due an episode is still looked at: an alerter that was away
/// makes up for it.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// Which alert of the fleet holds back which of devices.
const HOLDS: [(AlertName, AlertName); 2] =
    [(AlertName::FleetSyncFailing, AlertName::DeviceSyncFailing), (AlertName::FleetSilent, AlertName::DeviceSilent)];

impl Fleet {
    /// The episodes that matter now: open, over not long ago, or with a digest that is open.
    pub(crate) async fn episodes(&self, now: Timestamp) -> Result<Vec<Episode>, StoreError> {
        let alerts = self.store.alerts();
        let digests: HashMap<AlertId, AlertId> = alerts
            .open_of_rule(AlertName::FleetDigest)
            .await?
            .iter()
            .filter_map(|kept| digest_of(&kept.incident))
            .collect();
        let since = now - self.receivers.rules().digest_after() - LATE;
        let mut found = Vec::new();
        for (name, _) in HOLDS {
            found.extend(alerts.open_of_rule(name).await?);
            found.extend(alerts.ended_of_rule(name, since).await?);
        }
        for id in digests.keys() {
            if found.iter().all(|kept| kept.incident.alert.id != *id) {
                found.extend(alerts.find(*id).await?);
            }
        }
        let mut episodes: Vec<_> = found.iter().filter_map(|kept| self.episode(&kept.incident, &digests)).collect();
        episodes.sort_by_key(|episode| (episode.starts_at, episode.id.bytes()));
        episodes.dedup_by_key(|episode| episode.id);
        Ok(episodes)
    }

    fn episode(&self, incident: &Incident, digests: &HashMap<AlertId, AlertId>) -> Option<Episode> {
        let alert = &incident.alert;
        let (_, holds) = HOLDS.into_iter().find(|(name, _)| *name == alert.name)?;
        let over = (!incident.is_open()).then(|| Over {
            ends_at: alert.ends_at.unwrap_or(incident.state_since),
            digest_at: incident
                .state_since
                .saturating_add(self.receivers.rules().digest_after())
                .unwrap_or(Timestamp::MAX),
        });
        let (scope, digest) = (alert.scope().cloned(), digests.get(&alert.id).copied());
        Some(Episode { id: alert.id, scope, holds, starts_at: alert.starts_at, over, digest })
    }
}

/// The alert that a digest is about, and the digest.
fn digest_of(incident: &Incident) -> Option<(AlertId, AlertId)> {
    match incident.alert.subject {
        Subject::After(of) => Some((of, incident.alert.id)),
        Subject::Device(_) | Subject::Fleet | Subject::Scope(_) => None,
    }
}
