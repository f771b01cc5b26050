//! The BSON shape of an incident.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, RawBson, doc, oid::ObjectId, raw::RawDocument};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VersionedIncident;
use crate::{
    models::{
        Ack, Alert, AlertId, AlertName, AlertState, Cause, CauseInputs, Dead, DeviceId, FleetPart, FleetStats,
        Incident, MessageId, NotificationKind, OutboxEntry, SentNotification, Subject,
    },
    store::{
        Revision,
        documents::{self, Moment, Unreadable, Whole},
        labels, object_id, update,
    },
};

/// Returns the statement that saves a whole incident.
pub(super) fn statement(kept: &VersionedIncident) -> Option<Document> {
    let (at, next) = update::revisions(kept.revision)?;
    let id = object_id(kept.incident.alert.id.bytes());
    let upsert = kept.revision == Revision::Unset;
    Some(doc! { "q": { "_id": id, "revision": at }, "u": written(&kept.incident, next), "upsert": upsert })
}

fn written(incident: &Incident, revision: i64) -> Document {
    let Incident { alert, .. } = incident;
    let mut document = doc! {
        "_id": object_id(alert.id.bytes()),
        "fingerprint": alert.own_fingerprint(),
        "alertname": alert.name.as_str(),
        "state": alert.state.as_str(),
        "failureCount": alert.failure_count,
        "cause": alert.cause.as_str(),
        "startsAt": DateTime::from(alert.starts_at),
        "stateSince": DateTime::from(incident.state_since),
        "updatedAt": DateTime::now(),
        "notified": list(incident.notified.iter().map(StoredNotification::from)),
        "outbox": list(incident.outbox.iter().map(StoredEntry::from)),
        "lastSeq": incident.last_seq,
        "revision": revision,
    };
    let ack = incident.acked.as_ref();
    let dead: Vec<_> = incident.dead.iter().map(StoredEntry::from).collect();
    let silences: Vec<_> = incident.silenced_by.iter().map(|id| object_id(id.bytes())).collect();
    for (field, value) in [
        ("deviceId", alert.device_id().map(|device_id| device_id.as_str().into())),
        ("labels", labels::to_bson(&alert.labels)),
        ("after", after(&alert.subject).map(|id| object_id(id.bytes()).into())),
        ("scope", alert.scope().map(|scope| doc! { "label": &scope.label, "value": &scope.value }.into())),
        ("finding", alert.finding.as_ref().map(|finding| list([StoredFinding::from(finding)].into_iter()))),
        ("speed", alert.evidence.map(|evidence| Bson::Double(evidence.speed))),
        ("usualSpeed", alert.evidence.and_then(|evidence| evidence.usual).map(Bson::Double)),
        ("wellSince", incident.well_since.map(date)),
        ("open", incident.is_open().then_some(Bson::Boolean(true))),
        ("endsAt", alert.ends_at.map(date)),
        ("outboxDueAt", incident.due_at().map(date)),
        ("acked", ack.map(|ack| doc! { "by": &ack.by, "comment": &ack.comment, "at": date(ack.at) }.into())),
        ("silencedBy", (!silences.is_empty()).then(|| silences.into())),
        ("inhibitedBy", incident.inhibited_by.map(|id| object_id(id.bytes()).into())),
        ("flapping", incident.flapping.then_some(Bson::Boolean(true))),
        ("dead", (!dead.is_empty()).then(|| list(dead.into_iter()))),
    ] {
        if let Some(value) = value {
            document.insert(field, value);
        }
    }
    document
}

/// Returns the alert that it follows.
fn after(subject: &Subject) -> Option<AlertId> {
    match subject {
        Subject::After(id) => Some(*id),
        Subject::Device(_) | Subject::Fleet | Subject::Part(_) => None,
    }
}

/// Returns a list. Values made here have only text keys, and nothing that BSON cannot hold.
fn list(items: impl Iterator<Item = impl Serialize>) -> Bson {
    Bson::Array(items.map(|item| bson::serialize_to_bson(&item).unwrap_or(Bson::Null)).collect())
}

fn date(timestamp: Timestamp) -> Bson {
    DateTime::from(timestamp).into()
}

/// Returns the incident of a document. An unknown name, state or reason was written by a later version.
pub(super) fn read(document: &RawDocument) -> Result<VersionedIncident, Unreadable> {
    let unknown = |field: &str, word: &str| Unreadable::new(field, format!("{word:?} is not known to this version"));
    let stored: Stored = documents::parse(document)?;
    let state = AlertState::parse(&stored.state).ok_or_else(|| unknown("state", &stored.state))?;
    let revision = stored.revision()?;
    let no_device = || Unreadable::new("deviceId", "expected a device id");
    let alert = Alert {
        id: AlertId::from_bytes(stored.id.bytes()),
        name: AlertName::parse(&stored.alertname).ok_or_else(|| unknown("alertname", &stored.alertname))?,
        subject: subject(stored.device_id.as_deref(), stored.scope, stored.after).ok_or_else(no_device)?,
        labels: labels::from_bson(stored.labels.as_ref()),
        state,
        failure_count: stored.failure_count.0,
        cause: Cause::parse(&stored.cause),
        evidence: stored.speed.map(|speed| CauseInputs { speed, usual: stored.usual_speed }),
        starts_at: stored.starts_at.0,
        ends_at: time(stored.ends_at),
        finding: stored.finding.into_iter().next().map(FleetStats::from),
    };
    let entries = |entries: Vec<StoredEntry>| -> Result<Vec<_>, Unreadable> {
        let read = |entry: StoredEntry| {
            let reason = entry.reason.clone();
            entry.read().ok_or_else(|| unknown("outbox.reason", &reason))
        };
        entries.into_iter().map(read).collect()
    };
    let incident = Incident {
        state_since: stored.state_since.0,
        well_since: time(stored.well_since),
        acked: stored.acked.map(Ack::from),
        silenced_by: stored.silenced_by.iter().map(|id| AlertId::from_bytes(id.bytes())).collect(),
        inhibited_by: stored.inhibited_by.map(|id| AlertId::from_bytes(id.bytes())),
        flapping: stored.flapping,
        notified: stored.notified.into_iter().map(SentNotification::from).collect(),
        last_seq: stored.last_seq.0,
        outbox: entries(stored.outbox)?,
        dead: entries(stored.dead)?,
        alert,
    };
    Ok(VersionedIncident { incident, revision })
}

fn time(moment: Option<Moment>) -> Option<Timestamp> {
    moment.map(|moment| moment.0)
}

fn subject(device_id: Option<&str>, scope: Option<StoredPart>, after: Option<ObjectId>) -> Option<Subject> {
    match (device_id, scope, after) {
        (Some(device_id), _, _) => Some(Subject::Device(DeviceId::parse(device_id).ok()?)),
        (None, Some(StoredPart { label, value }), _) => Some(Subject::Part(FleetPart { label, value })),
        (None, None, Some(id)) => Some(Subject::After(AlertId::from_bytes(id.bytes()))),
        (None, None, None) => Some(Subject::Fleet),
    }
}

#[derive(Deserialize)]
struct StoredPart {
    label: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: ObjectId,
    alertname: String,
    device_id: Option<String>,
    /// Anything, since a person's edit of it must not hide the incident.
    labels: Option<RawBson>,
    scope: Option<StoredPart>,
    after: Option<ObjectId>,
    /// One, or none.
    #[serde(default)]
    finding: Vec<StoredFinding>,
    well_since: Option<Moment>,
    state: String,
    failure_count: Whole<i32>,
    cause: String,
    speed: Option<f64>,
    usual_speed: Option<f64>,
    starts_at: Moment,
    ends_at: Option<Moment>,
    state_since: Moment,
    acked: Option<StoredAck>,
    #[serde(default)]
    silenced_by: Vec<ObjectId>,
    inhibited_by: Option<ObjectId>,
    #[serde(default)]
    flapping: bool,
    notified: Vec<StoredNotification>,
    outbox: Vec<StoredEntry>,
    #[serde(default)]
    dead: Vec<StoredEntry>,
    last_seq: Whole<i32>,
    revision: Option<Whole>,
}

impl Stored {
    fn revision(&self) -> Result<Revision, Unreadable> {
        match self.revision {
            Some(Whole(revision)) if revision >= 0 => Ok(Revision::At(revision)),
            Some(Whole(revision)) => Err(Unreadable::new("revision", format!("{revision}: expected 0 or more"))),
            None => Ok(Revision::Unset),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredFinding {
    part: i64,
    whole: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    examples: Vec<String>,
}

impl From<&FleetStats> for StoredFinding {
    fn from(finding: &FleetStats) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            part: count(finding.part),
            whole: count(finding.whole),
            facts: finding.facts.clone(),
            changed: finding.changed.clone(),
            examples: finding.examples.iter().map(|device_id| device_id.as_str().to_owned()).collect(),
        }
    }
}

impl From<StoredFinding> for FleetStats {
    fn from(StoredFinding { part, whole, facts, changed, examples }: StoredFinding) -> Self {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let examples = examples.iter().filter_map(|device_id| DeviceId::parse(device_id).ok()).collect();
        Self { part: count(part), whole: count(whole), facts, changed, examples }
    }
}

#[derive(Deserialize)]
struct StoredAck {
    by: String,
    comment: String,
    at: DateTime,
}

impl From<StoredAck> for Ack {
    fn from(StoredAck { by, comment, at }: StoredAck) -> Self {
        Self { by, comment, at: at.into() }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredNotification {
    receiver: String,
    group: BTreeMap<String, String>,
    at: DateTime,
    resolved: bool,
}

impl From<&SentNotification> for StoredNotification {
    fn from(sent: &SentNotification) -> Self {
        let SentNotification { receiver, group, at, is_resolved } = sent.clone();
        Self { receiver, group, at: at.into(), resolved: is_resolved }
    }
}

impl From<StoredNotification> for SentNotification {
    fn from(StoredNotification { receiver, group, at, resolved }: StoredNotification) -> Self {
        Self { receiver, group, at: at.into(), is_resolved: resolved }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredEntry {
    seq: i32,
    reason: String,
    attempts: i32,
    receiver: String,
    group: BTreeMap<String, String>,
    /// The key by which entries are found.
    group_key: String,
    due_since: DateTime,
    next_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_until: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_at: Option<DateTime>,
    /// The reason that it is dead, or the error of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl From<&OutboxEntry> for StoredEntry {
    fn from(entry: &OutboxEntry) -> Self {
        Self {
            seq: entry.seq,
            reason: entry.kind.as_str().into(),
            attempts: entry.attempts,
            receiver: entry.receiver.clone(),
            group: entry.group.clone(),
            group_key: entry.group_key(),
            due_since: entry.due_since.into(),
            next_at: entry.next_at.into(),
            message_id: entry.message.as_ref().map(|message| message.as_str().to_owned()),
            lease_until: entry.lease_until.map(DateTime::from),
            dead_at: entry.dead.as_ref().map(|dead| dead.at.into()),
            why: entry.dead.as_ref().map(|dead| dead.why.clone()).or_else(|| entry.last_error.clone()),
        }
    }
}

impl StoredEntry {
    /// Returns the entry; `None` if its kind is unknown.
    fn read(self) -> Option<OutboxEntry> {
        Some(OutboxEntry {
            seq: self.seq,
            kind: NotificationKind::parse(&self.reason)?,
            receiver: self.receiver,
            group: self.group,
            due_since: self.due_since.into(),
            next_at: self.next_at.into(),
            attempts: self.attempts,
            message: self.message_id.map(MessageId::from_stored),
            lease_until: self.lease_until.map(Timestamp::from),
            last_error: self.why.clone().filter(|_| self.dead_at.is_none()),
            dead: self.dead_at.map(|at| Dead { at: at.into(), why: self.why.unwrap_or_default() }),
        })
    }
}
