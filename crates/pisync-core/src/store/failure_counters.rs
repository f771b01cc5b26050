//! The collection `FailureCounter`: one document per device, changed by compare-and-set.

mod reads;

use std::collections::HashMap;

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use futures_util::{Stream, StreamExt, TryStreamExt, future};
use jiff::Timestamp;
use mongodb::{
    Database,
    options::{Hint, IndexOptions},
};
pub use reads::Walked;
use serde::Deserialize;

use super::{Raw, Saved, StoreError, index, malformed, number, update};
use crate::models::{ClockRepeats, DeviceId, FailureCounter, FailureRun, Settled};

/// The counters.
#[derive(Debug, Clone)]
pub struct FailureCounters {
    database: Database,
    collection: Raw,
}

/// A counter as it stands, and the revision to compare when it is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The counter.
    pub counter: FailureCounter,
    /// Which version of it this is.
    pub revision: Revision,
}

/// The version of a stored counter; each save makes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// There is no document, or one that another program made without a revision.
    Unset,
    /// The revision in the document.
    At(i64),
}

/// A counter as the list of repeated failures shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedCounter {
    /// The document's id, in hex.
    pub id: String,
    /// The device.
    pub device_id: String,
    /// Its failed syncs in a row.
    pub failure_count: i32,
}

impl Revision {
    /// The version that a save of this one makes.
    #[must_use]
    pub fn saved(self) -> Self {
        match self {
            Self::Unset => Self::At(1),
            Self::At(revision) => Self::At(revision + 1),
        }
    }
}

impl Kept {
    /// The state of a device that has no document.
    pub fn none(device_id: DeviceId) -> Self {
        Self { counter: FailureCounter::new(device_id), revision: Revision::Unset }
    }
}

impl FailureCounters {
    pub(super) fn new(database: Database, collection: Raw) -> Self {
        Self { database, collection }
    }

    pub(super) async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let unique = IndexOptions::builder().unique(true).build();
        let plain = IndexOptions::default;
        let suspect = doc! { "clockSuspectSince": { "$exists": true } };
        let suspect = IndexOptions::builder().partial_filter_expression(suspect).build();
        let indexes = [
            index(doc! { "deviceId": 1 }, unique),
            index(doc! { "failureCount": 1 }, plain()),
            // The order of the list of repeated failures, which would be sorted in memory else.
            index(doc! { "failureCount": -1, "deviceId": 1 }, plain()),
            index(suspect_keys(), suspect),
        ];
        self.collection.create_indexes(indexes).await?;
        Ok(())
    }

    /// The counters of these devices, those that have one.
    pub async fn find(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Kept>, StoreError> {
        let ids: Vec<_> = devices.iter().map(DeviceId::as_str).collect();
        let found = self.collection.find(doc! { "deviceId": { "$in": ids } }).await?;
        found.map(read).map_ok(|kept| (kept.counter.device_id.clone(), kept)).try_collect().await
    }

    /// Saves counters where their documents are still at the given revision. All or some are
    /// saved; after [`Saved::Outrun`] or an error, read and fold again.
    pub async fn save(&self, counters: &[(FailureCounter, Revision)]) -> Result<Saved, StoreError> {
        let statements = counters.iter().map(|(counter, revision)| statement(counter, *revision)).collect();
        update::save(&self.database, self.collection.name(), statements).await
    }

    /// How many counters are at or over `threshold`.
    pub async fn count_failing(&self, threshold: i32) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(doc! { "failureCount": { "$gte": threshold } }).await?)
    }

    /// A page of the counters at or over `threshold`, highest first, ties by device.
    pub async fn failing_page(&self, threshold: i32, skip: u64, limit: u32) -> Result<Vec<ListedCounter>, StoreError> {
        let failing = doc! { "failureCount": { "$gte": threshold } };
        let by = doc! { "failureCount": -1, "deviceId": 1 };
        let found = self.collection.find(failing).sort(by).skip(skip).limit(i64::from(limit)).await?;
        let results = found.map(|found| {
            let stored = stored(found)?;
            Ok::<_, StoreError>(ListedCounter {
                id: stored.id.to_hex(),
                failure_count: stored.failure_count(),
                device_id: stored.device_id,
            })
        });
        results.try_collect().await
    }

    /// Up to `limit` counters of devices whose clock is not believed, by device, those `after` one.
    pub async fn clock_suspect_page(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<Kept>, StoreError> {
        let mut suspect = doc! { "clockSuspectSince": { "$exists": true } };
        if let Some(after) = after {
            suspect.insert("deviceId", doc! { "$gt": after.as_str() });
        }
        let found = self.collection.find(suspect).sort(doc! { "deviceId": 1 }).limit(i64::from(limit));
        let found = found.hint(Hint::Keys(suspect_keys())).await?.map(read);
        found.filter(|kept| future::ready(!is_malformed(kept))).try_collect().await
    }

    /// How many devices have a clock that is not believed.
    pub async fn clock_suspect_count(&self) -> Result<u64, StoreError> {
        let suspect = self.collection.count_documents(doc! { "clockSuspectSince": { "$exists": true } });
        Ok(suspect.hint(Hint::Keys(suspect_keys())).await?)
    }

    /// All counters, in no order.
    pub async fn all(&self) -> Result<impl Stream<Item = Result<Kept, StoreError>> + Unpin + use<>, StoreError> {
        Ok(self.collection.find(doc! {}).batch_size(10_000).await?.map(read))
    }
}

/// Of the index that has only the devices whose clock is not believed.
fn suspect_keys() -> Document {
    doc! { "deviceId": 1, "clockSuspectSince": 1 }
}

/// Sets one counter if its document is still at `revision`; makes the document where there is
/// none. A document that has come meanwhile makes the insert a duplicate: the race is lost.
fn statement(counter: &FailureCounter, revision: Revision) -> Document {
    let (at, next) = match revision {
        Revision::Unset => (doc! { "$exists": false }.into(), 1),
        Revision::At(revision) => (Bson::Int64(revision), revision + 1),
    };
    let run = counter.run.as_ref();
    let mut set = doc! { "failureCount": counter.failure_count(), "revision": next };
    let mut unset = Document::new();
    for (field, value) in [
        ("watermark", counter.watermark.map(date)),
        ("lastSuccessAt", counter.last_success_at.map(date)),
        ("clockSuspectSince", counter.clock_suspect_since.map(date)),
        ("clockRepeats", counter.clock_repeats.map(repeats)),
        ("failingSince", run.map(|run| date(run.since))),
        ("lastFailureAt", run.map(|run| date(run.last_at))),
        ("lastFailureSpeed", run.map(|run| Bson::Double(run.last_speed))),
        ("settledBefore", counter.settled.map(|settled| date(settled.before))),
        ("settledCount", counter.settled.map(|settled| Bson::Int32(settled.run.count))),
        ("settledLastAt", counter.settled.map(|settled| date(settled.run.last_at))),
        ("settledLastSpeed", counter.settled.map(|settled| Bson::Double(settled.run.last_speed))),
    ] {
        match value {
            Some(value) => set.insert(field, value),
            None => unset.insert(field, ""),
        };
    }
    let mut change = doc! { "$set": set };
    if !unset.is_empty() {
        change.insert("$unset", unset);
    }
    let is_new = revision == Revision::Unset;
    doc! { "q": { "deviceId": counter.device_id.as_str(), "revision": at }, "u": change, "upsert": is_new }
}

fn is_malformed(kept: &Result<Kept, StoreError>) -> bool {
    let malformed = kept.as_ref().err().filter(|error| matches!(error, StoreError::Malformed { .. }));
    malformed.inspect(|error| log::warn!(error:% = error; "a counter is left out")).is_some()
}

fn repeats(repeats: ClockRepeats) -> Bson {
    doc! { "count": repeats.count, "lastAt": date(repeats.last_at) }.into()
}

fn date(timestamp: Timestamp) -> Bson {
    DateTime::from(timestamp).into()
}

fn stored(found: Result<bson::RawDocumentBuf, mongodb::error::Error>) -> Result<Stored, StoreError> {
    bson::deserialize_from_slice(found?.as_bytes()).map_err(malformed("FailureCounter"))
}

fn read(found: Result<bson::RawDocumentBuf, mongodb::error::Error>) -> Result<Kept, StoreError> {
    let stored = stored(found)?;
    let device_id = DeviceId::parse(&stored.device_id)
        .map_err(|error| StoreError::Malformed { collection: "FailureCounter", detail: error.to_string() })?;
    let run = (stored.failure_count() > 0).then(|| {
        let since = stored.failing_since.or(stored.watermark).map_or(Timestamp::UNIX_EPOCH, Timestamp::from);
        FailureRun {
            count: stored.failure_count(),
            since,
            last_at: stored.last_failure_at.map_or(since, Timestamp::from),
            last_speed: stored.last_failure_speed.unwrap_or_default(),
        }
    });
    let settled = run.and_then(|run| stored.settled(run.since));
    let counter = FailureCounter {
        device_id,
        run,
        settled,
        last_success_at: stored.last_success_at.map(Timestamp::from),
        watermark: stored.watermark.map(Timestamp::from),
        clock_suspect_since: stored.clock_suspect_since.map(Timestamp::from),
        clock_repeats: stored.clock_repeats.as_ref().and_then(clock_repeats),
    };
    Ok(Kept { counter, revision: stored.revision.map_or(Revision::Unset, Revision::At) })
}

/// What is said of repeats; something else in the field is nothing said.
fn clock_repeats(stored: &Bson) -> Option<ClockRepeats> {
    let stored = stored.as_document()?;
    let count = stored.get("count")?;
    let count = count.as_i64().or_else(|| count.as_i32().map(i64::from))?;
    Some(ClockRepeats { count, last_at: stored.get_datetime("lastAt").ok().copied()?.into() })
}

/// The document. Mongoose's has the first three fields alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: ObjectId,
    device_id: String,
    #[serde(default, deserialize_with = "number")]
    failure_count: f64,
    revision: Option<i64>,
    watermark: Option<DateTime>,
    clock_suspect_since: Option<DateTime>,
    clock_repeats: Option<Bson>,
    last_success_at: Option<DateTime>,
    failing_since: Option<DateTime>,
    last_failure_at: Option<DateTime>,
    last_failure_speed: Option<f64>,
    settled_before: Option<DateTime>,
    settled_count: Option<i32>,
    settled_last_at: Option<DateTime>,
    settled_last_speed: Option<f64>,
}

impl Stored {
    /// The settled part of a run began when the run did.
    fn settled(&self, since: Timestamp) -> Option<Settled> {
        let (count, last_at) = (self.settled_count?, self.settled_last_at?.into());
        let run = FailureRun { count, since, last_at, last_speed: self.settled_last_speed? };
        Some(Settled { run, before: self.settled_before?.into() })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
    fn failure_count(&self) -> i32 {
        self.failure_count as i32
    }
}
