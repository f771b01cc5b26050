//! The only writer of incidents: evaluations, open incidents, inhibition and silences in, writes out.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    crash::CrashSettings,
    models::{Alert, AlertName, DeviceId, Incident, Labels, Silence, SilenceEnd, SilenceId},
    store::{Alerts, Revision, Saved, Store, StoreError, VersionedIncident},
};

use crate::{
    evaluation::Evaluation,
    incident::{self, SAME_INCIDENT, Suppression},
    routing::{Route, Routing},
    rules::{Rule, device_sync_failing},
    snapshot::Snapshot,
};

/// The data that decides about the messages of one rule's incidents, beside the evaluations.
struct Context<'a> {
    rule: &'a Rule,
    snapshot: &'a Snapshot,
    /// The last incident of each fingerprint that has no open one.
    before: HashMap<String, VersionedIncident>,
    /// The current labels of devices without an open incident.
    labels: HashMap<DeviceId, Labels>,
    /// The fingerprints of flapping devices.
    flapping: HashSet<String>,
}

/// Returns the incidents that change by these evaluations of one rule.
pub(crate) async fn plan(
    rule: &Rule,
    snapshot: &Snapshot,
    routing: &Routing,
    evaluations: &[Evaluation],
) -> Result<Vec<VersionedIncident>, StoreError> {
    let matter = |found: &&Evaluation| found.may_open() || snapshot.open(&found.alert).is_some();
    let evaluations: Vec<_> = evaluations.iter().filter(matter).collect();
    let (context, current) = (Context::read(rule, snapshot, &evaluations).await?, routing.current());
    let next = |found: &Evaluation| {
        let known = context.known(found);
        let labelled = Alert { labels: context.labels_of(found, known), ..found.alert.clone() };
        let routes = current.routes(&labelled);
        context.next(&Evaluation { alert: labelled, ..found.clone() }, known, &routes)
    };
    let mut changes: Vec<_> = evaluations.into_iter().filter_map(next).collect();
    let opens = |kept: &&mut VersionedIncident| {
        rule.name == device_sync_failing::RULE.name && kept.revision == Revision::Unset && !kept.incident.is_held_back()
    };
    let mut opened: Vec<_> = changes.iter_mut().filter(opens).map(|kept| &mut kept.incident.alert).collect();
    device_sync_failing::compare_with_usual(snapshot, &mut opened).await;
    Ok(changes)
}

/// Writes incidents whose documents have not changed since they were read. Returns the devices of those that
/// another alerter changed meanwhile.
pub(crate) async fn write(
    store: &Store,
    crash: &CrashSettings,
    all: &[VersionedIncident],
) -> Result<Vec<DeviceId>, StoreError> {
    let mut conflicts = Vec::new();
    for some in all.chunks(Alerts::BATCH_SIZE) {
        match store.alerts().save(some).await? {
            // A refusal by the server was logged: another attempt does not help.
            Saved::All | Saved::Refused => {}
            Saved::Conflict => {
                let device = |kept: &VersionedIncident| kept.incident.alert.device_id().cloned();
                conflicts.extend(some.iter().filter_map(device));
            }
        }
        crash.pass("after_open");
    }
    Ok(conflicts)
}

/// Ends the silences whose alerts are all resolved, after all rules were evaluated.
pub(crate) async fn end_silences(snapshot: &Snapshot) -> Result<(), StoreError> {
    let waiting = || snapshot.silences.iter().filter(|silence| matches!(silence.end, SilenceEnd::Resolved { .. }));
    if waiting().next().is_none() {
        return Ok(());
    }
    let silences = snapshot.source.store.silences();
    let mut matching = HashSet::new();
    let mut open = silences.open_labels().await?;
    while let Some(page) = open.try_next().await? {
        let matches = |silence: &&Silence| page.iter().any(|labels| silence.matches(labels));
        matching.extend(waiting().filter(matches).map(|silence| silence.id));
    }
    for silence in waiting() {
        if let Some(end) = silence.after_look(matching.contains(&silence.id), snapshot.now) {
            silences.set_end(silence.id, end).await?;
        }
    }
    Ok(())
}

impl<'a> Context<'a> {
    async fn read(rule: &'a Rule, snapshot: &'a Snapshot, evaluations: &[&Evaluation]) -> Result<Self, StoreError> {
        let devices: Vec<_> = evaluations.iter().filter_map(|found| found.alert.device_id()).collect();
        let opens = evaluations.iter().filter(|found| snapshot.open(&found.alert).is_none());
        let opens: Vec<_> = opens.filter_map(|found| found.alert.device_id()).collect();
        let (store, mut flapping) = (&snapshot.source.store, HashSet::new());
        let labels = store.failure_counters().labels(&opens).await?;
        if rule.name == device_sync_failing::RULE.name && !devices.is_empty() {
            let flaps = |device: &&DeviceId| Alert::fingerprint(AlertName::DEVICE_FLAPPING, device);
            flapping = store.alerts().open_among(&devices.iter().map(flaps).collect::<Vec<_>>()).await?;
        }
        Ok(Self { rule, snapshot, before: before(snapshot, evaluations).await?, labels, flapping })
    }

    /// Returns the open incident of an evaluation, or else the last one.
    fn known(&self, found: &Evaluation) -> Option<&VersionedIncident> {
        let fingerprint = found.alert.own_fingerprint();
        self.snapshot.open.get(&fingerprint).or_else(|| self.before.get(&fingerprint))
    }

    /// Returns the labels of the device: those of its incident, if that goes on, so that it ends where it fired.
    fn labels_of(&self, found: &Evaluation, known: Option<&VersionedIncident>) -> Labels {
        let goes_on = |known: &&VersionedIncident| incident::goes_on(&known.incident, found, self.snapshot.now);
        if let Some(known) = known.filter(goes_on) {
            return known.incident.alert.labels.clone();
        }
        found.alert.device_id().and_then(|device| self.labels.get(device)).cloned().unwrap_or_default()
    }

    fn next(
        &self,
        found: &Evaluation,
        before: Option<&VersionedIncident>,
        routes: &[Route],
    ) -> Option<VersionedIncident> {
        let known = before.map(|kept| &kept.incident);
        let incident = incident::next(known, found, &self.suppression(found, known), routes, self.snapshot.now)?;
        if incident.alert.device_id().is_none() && known.is_none_or(|known| known.alert.state != incident.alert.state) {
            let (alert, state) = (&incident.alert, incident.alert.state.as_str());
            log::info!(alert:% = alert.id, alertname:% = alert.name, state = state; "fleet alert changed state");
        }
        let is_same = before.filter(|kept| kept.incident.alert.id == incident.alert.id);
        Some(VersionedIncident { incident, revision: is_same.map_or(Revision::Unset, |kept| kept.revision) })
    }

    /// Returns the reasons that suppress the messages about an evaluation.
    fn suppression(&self, found: &Evaluation, before: Option<&Incident>) -> Suppression {
        let Snapshot { inhibition, silences, now, .. } = self.snapshot;
        let alert = &found.alert;
        let mut labels = alert.labels();
        labels.extend(found.follows.clone().map(|scope| (scope.label, scope.value)));
        let open = before.filter(|before| before.is_open());
        let starts_at = open.map_or(alert.starts_at, |open| open.alert.starts_at);
        let flaps = |device| self.flapping.contains(&Alert::fingerprint(AlertName::DEVICE_FLAPPING, device));
        let by = self.rule.inhibited_by;
        Suppression {
            silenced_by: silenced_by(silences, &labels, *now),
            inhibited_by: inhibition.of(by, alert, starts_at),
            flapping: alert.device_id().is_some_and(flaps),
        }
    }
}

/// Returns the last incident of each alert that may open, by fingerprint.
async fn before(
    snapshot: &Snapshot,
    evaluations: &[&Evaluation],
) -> Result<HashMap<String, VersionedIncident>, StoreError> {
    let new = evaluations.iter().filter(|found| snapshot.open(&found.alert).is_none());
    let (fingerprints, ids): (Vec<_>, Vec<_>) =
        new.map(|found| (found.alert.own_fingerprint(), found.alert.id)).unzip();
    if fingerprints.is_empty() {
        return Ok(HashMap::new());
    }
    let after = snapshot.now.saturating_sub(SAME_INCIDENT).unwrap_or(Timestamp::MIN);
    let mut ended = snapshot.source.store.alerts().find_ended(&fingerprints, after, &ids).await?;
    // Of each fingerprint the last one counts: one that is open by now, else the newest.
    ended.sort_by_key(|kept| (kept.incident.is_open(), kept.incident.state_since));
    Ok(ended.into_iter().map(|kept| (kept.incident.alert.own_fingerprint(), kept)).collect())
}

fn silenced_by(silences: &[Silence], labels: &BTreeMap<String, String>, now: Timestamp) -> Vec<SilenceId> {
    let matching = silences.iter().filter(|silence| silence.holds_back(labels, now));
    let mut ids: Vec<_> = matching.map(|silence| silence.id).collect();
    ids.sort_by_key(|id| id.bytes());
    ids
}
