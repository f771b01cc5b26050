//! Which incidents inhibit others, as the store knows them.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{AlertId, AlertName, Incident, Subject},
    store::{Store, StoreError},
};

use crate::{
    inhibition::{Episode, INHIBITS, Inhibition, Over},
    routing::Rules,
};

/// For how long after its digest was due an episode is still read: an alerter that was away makes up
/// for it.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// Reads the episodes that matter now: open, over not long ago, or with a digest that is open.
pub(super) async fn read(store: &Store, rules: &Rules, now: Timestamp) -> Result<Inhibition, StoreError> {
    let alerts = store.alerts();
    let digests = alerts.open_of_rule(AlertName::FleetDigest).await?;
    let digests: HashMap<_, _> = digests.iter().filter_map(|kept| digest_of(&kept.incident)).collect();
    let since = now.saturating_sub(rules.digest_after().saturating_add(LATE)).unwrap_or(Timestamp::MIN);
    let mut found = Vec::new();
    for (name, _) in INHIBITS {
        found.extend(alerts.open_of_rule(name).await?);
        found.extend(alerts.ended_of_rule(name, since).await?);
    }
    for id in digests.keys() {
        if found.iter().all(|kept| kept.incident.alert.id != *id) {
            found.extend(alerts.find(*id).await?);
        }
    }
    let mut episodes: Vec<_> = found.iter().filter_map(|kept| episode(&kept.incident, &digests, rules)).collect();
    episodes.sort_by_key(|episode| (episode.starts_at, episode.id.bytes()));
    episodes.dedup_by_key(|episode| episode.id);
    let stalled = alerts.open_of_rule(AlertName::PipelineStalled).await?;
    Ok(Inhibition { episodes, stalled: stalled.first().map(|kept| kept.incident.alert.id) })
}

fn episode(incident: &Incident, digests: &HashMap<AlertId, AlertId>, rules: &Rules) -> Option<Episode> {
    let alert = &incident.alert;
    let (_, inhibits) = INHIBITS.into_iter().find(|(name, _)| *name == alert.name)?;
    let over = (!incident.is_open()).then(|| Over {
        ends_at: alert.ends_at.unwrap_or(incident.state_since),
        digest_at: incident.state_since.saturating_add(rules.digest_after()).unwrap_or(Timestamp::MAX),
    });
    let (scope, digest) = (alert.scope().cloned(), digests.get(&alert.id).copied());
    Some(Episode { id: alert.id, scope, inhibits, starts_at: alert.starts_at, over, digest })
}

/// Returns the alert that a digest is about, and the digest.
fn digest_of(incident: &Incident) -> Option<(AlertId, AlertId)> {
    match incident.alert.subject {
        Subject::After(of) => Some((of, incident.alert.id)),
        Subject::Device(_) | Subject::Fleet | Subject::Scope(_) => None,
    }
}
