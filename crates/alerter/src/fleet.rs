//! Looking at the fleet as a whole, before any single device: what is wrong with many is said
//! once, and holds back what would be said of each.

mod digest;
mod episodes;
mod failing;
mod observed;
mod parts;
mod presence;
mod silence;

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertState, Incident, Scope},
    queue::Queue,
    store::{KeptIncident, Revision, Saved, Store, StoreError},
};

use self::presence::Sizes;
use crate::{
    incident::{self, SAME_INCIDENT, Seen},
    routing::Routing,
    rules::{holding::Episode, verdict::Verdict},
    silences,
};

/// Looks at the fleet. Cheap to clone; clones remember together.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    store: Store,
    queue: Queue,
    receivers: Routing,
    sizes: Arc<Mutex<Sizes>>,
}

/// What a rule says of the fleet.
struct Judged {
    /// The alert, as it would begin now.
    alert: Alert,
    verdict: Verdict,
    /// For how long it has to be well.
    clears_after: SignedDuration,
    inhibited_by: Option<AlertId>,
    /// The part of the fleet that it follows from, where the alert does not say so itself.
    follows: Option<Scope>,
}

impl Fleet {
    pub(crate) fn new(store: Store, queue: Queue, receivers: Routing) -> Self {
        Self { store, queue, receivers, sizes: Arc::default() }
    }

    /// Looks at all that is said of the fleet, and answers with what holds back devices now.
    ///
    /// Redis being away leaves the fleet's alerts as they are; what they hold stays held.
    pub(crate) async fn look(&self, now: Timestamp) -> Result<Vec<Episode>, StoreError> {
        // Boxed, as the compiler gives up on futures that lie in each other so deep.
        Box::pin(self.look_at_rules(now)).await?;
        let episodes = self.episodes(now).await?;
        if Box::pin(self.tell_digests(&episodes, now)).await? {
            return self.episodes(now).await;
        }
        Ok(episodes)
    }

    /// The open incident of a fingerprint, or else the last that could come back.
    async fn last(&self, fingerprint: String, now: Timestamp) -> Result<Option<KeptIncident>, StoreError> {
        let (alerts, fingerprints) = (self.store.alerts(), [fingerprint]);
        let open = alerts.open_by_fingerprint(&fingerprints).await?;
        if let Some(open) = open.into_iter().next() {
            return Ok(Some(open));
        }
        let ended = alerts.ended_by_fingerprint(&fingerprints, now - SAME_INCIDENT).await?;
        Ok(ended.into_iter().max_by_key(|kept| kept.incident.state_since))
    }

    /// Brings the incident into line with what a rule says. Where another alerter was first, the
    /// next look sees to it.
    async fn settle(&self, before: Option<KeptIncident>, judged: Judged, now: Timestamp) -> Result<(), StoreError> {
        let known = before.as_ref().map(|kept| &kept.incident);
        let is_wrong = is_wrong(known, judged.verdict);
        let alert = known.filter(|incident| incident.is_open()).map_or(&judged.alert, |incident| &incident.alert);
        let (mut labels, routes) = (alert.labels(), self.receivers.routes(alert));
        labels.extend(judged.follows.map(|scope| (scope.label, scope.value)));
        let in_force = silences::in_force(&self.store, now).await?;
        let seen = Seen {
            wrong: is_wrong.then(|| judged.alert.clone()),
            well_since: now,
            is_recent: true,
            lasts: SignedDuration::ZERO,
            clears_after: judged.clears_after,
            silenced_by: silences::holding_back(&in_force, &labels, now),
            inhibited_by: judged.inhibited_by,
            flapping: false,
        };
        let Some(after) = incident::next(known, &seen, &routes, now) else { return Ok(()) };
        let is_same = before.as_ref().filter(|kept| kept.incident.alert.id == after.alert.id);
        let revision = is_same.map_or(Revision::Unset, |kept| kept.revision);
        say(known, &after);
        let (Saved::All | Saved::Outrun) =
            self.store.alerts().save(&[KeptIncident { incident: after, revision }]).await?;
        Ok(())
    }
}

/// Whether it counts as wrong: where nothing can be said, it is as it was said last.
fn is_wrong(before: Option<&Incident>, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Wrong => true,
        Verdict::Well => false,
        Verdict::Unknown => before.is_some_and(|incident| incident.is_open() && incident.well_since.is_none()),
    }
}

fn say(before: Option<&Incident>, after: &Incident) {
    if before.is_none_or(|before| before.alert.state != after.alert.state) {
        let state = if after.alert.state == AlertState::Resolved { "over" } else { "begins" };
        log::info!(alert:% = after.alert.id, alertname:% = after.alert.name, state = state; "the fleet");
    }
}
