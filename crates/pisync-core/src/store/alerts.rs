//! The collection `Alert`: one document per incident, with the messages that still have to leave.
//!
//! A message is put into the document by the same write that changes its state, so that neither
//! can be without the other (the transactional outbox of C. Richardson, "Microservices Patterns",
//! 2018). Any alerter claims a message under a lease on the database's clock, sends it and marks
//! it sent: a crash between means the same message again, never none.

mod list;

use std::time::Duration;

use bson::{DateTime, Document, doc, oid::ObjectId};
use futures_util::TryStreamExt;
use jiff::Timestamp;
pub use list::{AlertFilter, ListedAlert};
use mongodb::{
    Collection,
    options::{IndexOptions, ReturnDocument},
};
use serde::Deserialize;

use super::{Raw, StoreError, index, malformed, object_id};
use crate::models::{Alert, AlertId, AlertName, AlertState, Cause, DeviceId};

/// The server's code for an incident that is open already.
const DUPLICATE_KEY: i32 = 11000;

/// The alerts.
#[derive(Debug, Clone)]
pub struct Alerts(Collection<Document>);

/// What became of a new incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It is open now, and its message is due.
    Now,
    /// It was open already.
    Before,
}

/// A message that is to leave, claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number within the incident, from 1.
    pub seq: i32,
    /// What it says happened.
    pub reason: AlertState,
    /// How often its delivery was begun, this time included.
    pub attempts: i32,
    /// The incident it is about.
    pub alert: Alert,
}

impl Alerts {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    pub(super) async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let open = IndexOptions::builder().unique(true).partial_filter_expression(doc! { "open": true }).build();
        let due =
            IndexOptions::builder().partial_filter_expression(doc! { "outboxDueAt": { "$exists": true } }).build();
        let indexes = [index(doc! { "fingerprint": 1 }, open), index(doc! { "outboxDueAt": 1 }, due)];
        self.0.create_indexes(indexes.into_iter().chain(list::indexes())).await?;
        Ok(())
    }

    /// Opens an incident and puts its firing message into the outbox.
    ///
    /// At most one incident of a fingerprint is open, whoever opens it (unique partial index).
    pub async fn open(&self, alert: &Alert) -> Result<Opened, StoreError> {
        let now = DateTime::now();
        let document = doc! {
            "_id": object_id(alert.id.bytes()),
            "fingerprint": Alert::fingerprint(alert.name, &alert.device_id),
            "open": true,
            "alertname": alert.name.as_str(),
            "deviceId": alert.device_id.as_str(),
            "state": AlertState::Firing.as_str(),
            "failureCount": alert.failure_count,
            "cause": alert.cause.as_str(),
            "startsAt": DateTime::from(alert.starts_at),
            "createdAt": now,
            "updatedAt": now,
            "outbox": [{ "seq": 1, "reason": AlertState::Firing.as_str(), "attempts": 0 }],
            "outboxDueAt": DateTime::MIN,
        };
        match self.0.insert_one(document).await.map_err(StoreError::from) {
            Ok(_) => Ok(Opened::Now),
            Err(StoreError::Refused { code: DUPLICATE_KEY, .. }) => Ok(Opened::Before),
            Err(error) => Err(error),
        }
    }

    /// Closes an incident at `ends_at` and puts its resolved message into the outbox, behind
    /// what is still in there. Does nothing where it is closed already.
    pub async fn resolve(&self, id: AlertId, ends_at: Timestamp) -> Result<(), StoreError> {
        let change = doc! {
            "$set": {
                "state": AlertState::Resolved.as_str(),
                "endsAt": DateTime::from(ends_at),
                "updatedAt": DateTime::now(),
            },
            "$unset": { "open": "" },
            "$push": { "outbox": { "seq": 2, "reason": AlertState::Resolved.as_str(), "attempts": 0 } },
            // A lease on the message before this one keeps its time.
            "$max": { "outboxDueAt": DateTime::MIN },
        };
        self.0.update_one(doc! { "_id": object_id(id.bytes()), "open": true }, change).await?;
        Ok(())
    }

    /// How many incidents are open.
    pub async fn count_open(&self) -> Result<u64, StoreError> {
        let keys = mongodb::options::Hint::Keys(doc! { "fingerprint": 1 });
        Ok(self.0.count_documents(doc! { "open": true }).hint(keys).await?)
    }

    /// The open incidents, of these devices or of all.
    pub async fn find_open(&self, devices: Option<&[DeviceId]>) -> Result<Vec<Alert>, StoreError> {
        let mut filter = doc! { "open": true };
        if let Some(devices) = devices {
            let fingerprints: Vec<_> =
                devices.iter().map(|device| Alert::fingerprint(AlertName::DeviceSyncFailing, device)).collect();
            filter.insert("fingerprint", doc! { "$in": fingerprints });
        }
        let found = self.0.find(filter).hint(mongodb::options::Hint::Keys(doc! { "fingerprint": 1 })).await?;
        found
            .map_err(StoreError::from)
            .and_then(async |document| read(document).map(|stored| stored.alert))
            .try_collect()
            .await
    }

    /// Claims the oldest message that is due, of any incident, for `lease` on the database's
    /// clock; messages of one incident leave in their order.
    pub async fn claim_message(&self, lease: Duration) -> Result<Option<Message>, StoreError> {
        let due = doc! { "outboxDueAt": { "$exists": true }, "$expr": { "$lte": ["$outboxDueAt", "$$NOW"] } };
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let first = doc! { "$first": "$outbox" };
        let counted = doc! { "$mergeObjects": [&first, { "attempts": { "$add": [1, { "$let": { "vars": { "first": &first }, "in": "$$first.attempts" } }] } }] };
        let rest = doc! { "$slice": ["$outbox", 1, { "$max": [1, { "$size": "$outbox" }] }] };
        let claim = [doc! { "$set": {
            "outboxDueAt": { "$add": ["$$NOW", lease_ms] },
            "outbox": { "$concatArrays": [[counted], rest] },
        } }];
        let claimed = self.0.find_one_and_update(due, claim.to_vec());
        let claimed = claimed.sort(doc! { "outboxDueAt": 1 }).return_document(ReturnDocument::After).await?;
        let Some(stored) = claimed.map(read).transpose()? else { return Ok(None) };
        Ok(stored.outbox.into_iter().next().map(|entry| Message { alert: stored.alert, ..entry }))
    }

    /// Takes a message that was sent out of the outbox; the next of its incident is due then.
    pub async fn mark_sent(&self, message: &Message) -> Result<(), StoreError> {
        let rest =
            doc! { "$filter": { "input": "$outbox", "as": "entry", "cond": { "$ne": ["$$entry.seq", message.seq] } } };
        let change = vec![
            doc! { "$set": { "outbox": rest } },
            doc! { "$set": { "outboxDueAt": { "$cond": [{ "$eq": ["$outbox", []] }, "$$REMOVE", "$$NOW"] } } },
        ];
        let one = doc! { "_id": object_id(message.alert.id.bytes()), "outbox.0.seq": message.seq };
        self.0.update_one(one, change).await?;
        Ok(())
    }
}

/// An incident and its outbox; the messages stand without their alert.
struct StoredAlert {
    alert: Alert,
    outbox: Vec<Message>,
}

fn read(document: Document) -> Result<StoredAlert, StoreError> {
    let detail = |what: &str| StoreError::Malformed { collection: "Alert", detail: format!("unknown {what}") };
    let stored: Stored = bson::deserialize_from_document(document).map_err(malformed("Alert"))?;
    let alert = Alert {
        id: AlertId::from_bytes(stored.id.bytes()),
        name: AlertName::parse(&stored.alertname).ok_or_else(|| detail("alertname"))?,
        device_id: DeviceId::parse(&stored.device_id).map_err(|_| detail("device id"))?,
        state: AlertState::parse(&stored.state).ok_or_else(|| detail("state"))?,
        failure_count: stored.failure_count,
        cause: Cause::parse(&stored.cause),
        starts_at: stored.starts_at.into(),
        ends_at: stored.ends_at.map(Timestamp::from),
    };
    let entry = |entry: Entry| {
        let reason = AlertState::parse(&entry.reason).ok_or_else(|| detail("reason"))?;
        Ok(Message { seq: entry.seq, reason, attempts: entry.attempts, alert: alert.clone() })
    };
    let outbox = stored.outbox.into_iter().map(entry).collect::<Result<_, StoreError>>()?;
    Ok(StoredAlert { alert, outbox })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: ObjectId,
    alertname: String,
    device_id: String,
    state: String,
    failure_count: i32,
    cause: String,
    starts_at: DateTime,
    ends_at: Option<DateTime>,
    #[serde(default)]
    outbox: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    seq: i32,
    reason: String,
    attempts: i32,
}
