//! The collection `FailureCounter`: one document per device, changed by compare-and-set.

mod mend;
mod reads;

use std::collections::{HashMap, hash_map::Entry};

use bson::{Bson, DateTime, Document, RawBson, doc, raw::RawDocument};
use futures_util::{Stream, TryStreamExt};
use jiff::Timestamp;
use mongodb::{
    Database,
    options::{Hint, IndexOptions},
};
pub use reads::CounterPage;
use serde::Deserialize;

use super::{
    Raw, Saved, StoreError,
    documents::{self, Amount, Moment, Unreadable, Whole},
    index, labels, update,
};
use crate::models::{ClockRepeats, DeviceId, FailureCounter, FailureRun, Settled};

/// The name of the collection in metrics and the log.
const NAME: &str = "FailureCounter";

/// The counters.
#[derive(Debug, Clone)]
pub struct FailureCounters {
    database: Database,
    collection: Raw,
}

/// A counter, and the revision to compare when it is saved.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedCounter {
    /// The counter.
    pub counter: FailureCounter,
    /// Its version.
    pub revision: Revision,
}

/// The version of a stored counter; each save makes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// There is no document, or one that another program made without a revision.
    Unset,
    /// The revision in the document.
    At(i64),
    /// There is a document that cannot be read: it stays as it is until it is removed or repaired.
    Unreadable,
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
    /// Returns the version that a save of this one makes.
    #[must_use]
    pub fn saved(self) -> Self {
        match self {
            Self::Unset => Self::At(1),
            Self::At(revision) => Self::At(revision.saturating_add(1)),
            Self::Unreadable => Self::Unreadable,
        }
    }
}

impl VersionedCounter {
    /// Returns the state of a device without a document.
    pub fn none(device_id: DeviceId) -> Self {
        Self { counter: FailureCounter::new(device_id), revision: Revision::Unset }
    }

    /// Returns the state of a device with an unreadable document.
    pub fn unreadable(device_id: DeviceId) -> Self {
        Self { counter: FailureCounter::new(device_id), revision: Revision::Unreadable }
    }

    /// Returns whether the document can be read, if there is one.
    pub fn is_readable(&self) -> bool {
        self.revision != Revision::Unreadable
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
            // The order of the list of repeated failures, which would otherwise be sorted in memory.
            index(doc! { "failureCount": -1, "deviceId": 1 }, plain()),
            index(suspect_keys(), suspect),
            index(label_keys(), plain()),
            // Only devices that ever failed.
            index(doc! { "lastChangeAt": 1 }, IndexOptions::builder().sparse(true).build()),
        ];
        super::indexes::ensure(&self.collection, indexes).await
    }

    /// Returns the counters of these devices, those that have one; for an unreadable one
    /// [`VersionedCounter::unreadable`]. Of two documents of one device, the one with more saves counts.
    pub async fn find(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, VersionedCounter>, StoreError> {
        let ids: Vec<_> = devices.iter().map(DeviceId::as_str).collect();
        let mut found = self.collection.find(doc! { "deviceId": { "$in": ids } }).await?;
        let mut kept = HashMap::with_capacity(devices.len());
        while let Some(document) = found.try_next().await? {
            match documents::read(NAME, &document, read) {
                Some(counter) => keep(&mut kept, counter, &document),
                None => named(&document).into_iter().for_each(|device_id| {
                    kept.entry(device_id.clone()).or_insert_with(|| VersionedCounter::unreadable(device_id));
                }),
            }
        }
        Ok(kept)
    }

    /// Saves counters if their documents are still at the given revision. All or some are saved; after
    /// [`Saved::Conflict`] or an error, read and fold again. Counters with an unreadable document are skipped.
    ///
    /// `read` has the counters as they were read. A field that was not there is not removed, which costs the server time.
    pub async fn save(
        &self,
        counters: &[(FailureCounter, Revision)],
        read: &HashMap<DeviceId, VersionedCounter>,
    ) -> Result<Saved, StoreError> {
        let statement = |(counter, revision): &(FailureCounter, Revision)| {
            let read = read.get(&counter.device_id).filter(|read| read.revision == *revision);
            statement(counter, *revision, read.map(|read| &read.counter))
        };
        let statements = counters.iter().filter_map(statement).collect();
        update::save(&self.database, NAME, self.collection.name(), statements).await
    }

    /// Returns the number of counters at or over `threshold`.
    pub async fn count_failing(&self, threshold: i32) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(doc! { "failureCount": { "$gte": threshold } }).await?)
    }

    /// Returns a page of the counters at or over `threshold`, highest first, ties by device.
    pub async fn failing_page(&self, threshold: i32, skip: u64, limit: u32) -> Result<Vec<ListedCounter>, StoreError> {
        let failing = doc! { "failureCount": { "$gte": threshold } };
        let by = doc! { "failureCount": -1, "deviceId": 1 };
        let found = self.collection.find(failing).sort(by).skip(skip).limit(i64::from(limit)).await?;
        let listed = |document: &RawDocument| {
            let stored = stored(document)?;
            let failure_count = stored.failure_count()?;
            Ok(ListedCounter { id: stored.id(), failure_count, device_id: stored.device_id })
        };
        documents::readable(NAME, found, listed).try_collect().await
    }

    /// Returns up to `limit` counters of devices whose clock is not trusted, by device, after `after`.
    pub async fn clock_suspect_page(
        &self,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<VersionedCounter>, StoreError> {
        let mut suspect = doc! { "clockSuspectSince": { "$exists": true } };
        if let Some(after) = after {
            suspect.insert("deviceId", doc! { "$gt": after.as_str() });
        }
        let found = self.collection.find(suspect).sort(doc! { "deviceId": 1 }).limit(i64::from(limit));
        let found = found.hint(Hint::Keys(suspect_keys())).await?;
        documents::readable(NAME, found, read).try_collect().await
    }

    /// Returns the number of devices whose clock is not trusted; for tests.
    #[cfg(feature = "testing")]
    pub async fn clock_suspect_count(&self) -> Result<u64, StoreError> {
        let suspect = self.collection.count_documents(doc! { "clockSuspectSince": { "$exists": true } });
        Ok(suspect.hint(Hint::Keys(suspect_keys())).await?)
    }

    /// Returns all readable counters, in no order.
    pub async fn all(
        &self,
    ) -> Result<impl Stream<Item = Result<VersionedCounter, StoreError>> + Unpin + use<>, StoreError> {
        Ok(documents::readable(NAME, self.collection.find(doc! {}).batch_size(10_000).await?, read))
    }
}

/// Returns the keys of the index of devices whose clock is not trusted.
fn suspect_keys() -> Document {
    doc! { "deviceId": 1, "clockSuspectSince": 1 }
}

/// Returns the keys of the index of devices by label.
fn label_keys() -> Document {
    doc! { "labels": 1, "deviceId": 1 }
}

/// Returns the statement that sets one counter if its document is still at `revision`, or makes the document if there
/// is none. If another process made it meanwhile, the insert is a duplicate: the race is lost.
fn statement(counter: &FailureCounter, revision: Revision, read: Option<&FailureCounter>) -> Option<Document> {
    let (at, next) = update::revisions(revision)?;
    let mut set = doc! { "failureCount": counter.failure_count(), "revision": next };
    let mut unset = Document::new();
    let (is_new, before) = (revision == Revision::Unset, read.map(fields));
    for (place, (field, value)) in fields(counter).into_iter().enumerate() {
        match value {
            Some(value) => _ = set.insert(field, value),
            // A document without a revision has none of these fields.
            None if is_new || before.as_ref().is_some_and(|before| before[place].1.is_none()) => {}
            None => _ = unset.insert(field, ""),
        }
    }
    let mut change = doc! { "$set": set };
    if !unset.is_empty() {
        change.insert("$unset", unset);
    }
    Some(doc! { "q": { "deviceId": counter.device_id.as_str(), "revision": at }, "u": change, "upsert": is_new })
}

/// Returns the optional fields of a document, by name.
fn fields(counter: &FailureCounter) -> [(&'static str, Option<Bson>); 13] {
    let run = counter.run.as_ref();
    [
        ("watermark", counter.watermark.map(date)),
        ("lastSuccessAt", counter.last_success_at.map(date)),
        ("clockSuspectSince", counter.clock_suspect_since.map(date)),
        ("clockRepeats", counter.clock_repeats.map(repeats)),
        ("lastChangeAt", counter.last_change_at.map(date)),
        ("failingSince", run.map(|run| date(run.since))),
        ("lastFailureAt", run.map(|run| date(run.last_at))),
        ("lastFailureSpeed", run.map(|run| Bson::Double(run.last_speed))),
        ("labels", labels::to_bson(&counter.labels)),
        ("settledBefore", counter.settled.map(|settled| date(settled.before))),
        ("settledCount", counter.settled.map(|settled| Bson::Int32(settled.run.count))),
        ("settledLastAt", counter.settled.map(|settled| date(settled.run.last_at))),
        ("settledLastSpeed", counter.settled.map(|settled| Bson::Double(settled.run.last_speed))),
    ]
}

/// Keeps one of two documents of one device: the one with more saves.
fn keep(kept: &mut HashMap<DeviceId, VersionedCounter>, counter: VersionedCounter, document: &RawDocument) {
    let saved = |kept: &VersionedCounter| match kept.revision {
        Revision::At(revision) => revision,
        Revision::Unset => 0,
        Revision::Unreadable => -1,
    };
    match kept.entry(counter.counter.device_id.clone()) {
        Entry::Vacant(entry) => _ = entry.insert(counter),
        Entry::Occupied(mut entry) => {
            documents::leave_out(NAME, document, &second());
            if saved(&counter) > saved(entry.get()) {
                entry.insert(counter);
            }
        }
    }
}

fn second() -> Unreadable {
    Unreadable::new("deviceId", "another document has the same device: expected one for each")
}

/// Returns the devices by which the server finds an unreadable document: an array has many.
fn named(document: &RawDocument) -> Vec<DeviceId> {
    let text = |text: &str| DeviceId::parse(text).ok();
    match document.get("deviceId") {
        Ok(Some(bson::raw::RawBsonRef::String(id))) => text(id).into_iter().collect(),
        Ok(Some(bson::raw::RawBsonRef::Array(ids))) => {
            ids.into_iter().flatten().filter_map(|id| text(id.as_str()?)).collect()
        }
        _ => Vec::new(),
    }
}

fn repeats(repeats: ClockRepeats) -> Bson {
    doc! { "count": repeats.count, "lastAt": date(repeats.last_at) }.into()
}

fn date(timestamp: Timestamp) -> Bson {
    DateTime::from(timestamp).into()
}

fn stored(document: &RawDocument) -> Result<Stored, Unreadable> {
    documents::parse(document)
}

fn read(document: &RawDocument) -> Result<VersionedCounter, Unreadable> {
    let stored = stored(document)?;
    let device_id =
        DeviceId::parse(&stored.device_id).map_err(|error| Unreadable::new("deviceId", error.to_string()))?;
    let (count, revision) = (stored.failure_count()?, stored.revision()?);
    let date = |date: Option<Moment>| date.map(|date| date.0);
    let run = (count > 0).then(|| {
        let since = date(stored.failing_since).or(date(stored.watermark)).unwrap_or(Timestamp::UNIX_EPOCH);
        FailureRun {
            count,
            since,
            last_at: date(stored.last_failure_at).unwrap_or(since),
            last_speed: stored.last_failure_speed.map_or(0.0, |speed| speed.0),
        }
    });
    let counter = FailureCounter {
        device_id,
        run,
        settled: run.and_then(|run| stored.settled(run.since)),
        last_success_at: date(stored.last_success_at),
        watermark: date(stored.watermark),
        clock_suspect_since: date(stored.clock_suspect_since),
        clock_repeats: stored.clock_repeats.map(ClockRepeats::from),
        last_change_at: date(stored.last_change_at),
        labels: labels::from_bson(stored.labels.as_ref()),
    };
    Ok(VersionedCounter { counter, revision })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredRepeats {
    count: Whole,
    last_at: Moment,
}

impl From<StoredRepeats> for ClockRepeats {
    fn from(stored: StoredRepeats) -> Self {
        Self { count: stored.count.0, last_at: stored.last_at.0 }
    }
}

/// The document. Mongoose's has the first three fields alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    /// Raw, since serde would turn an `ObjectId` into a text first.
    #[serde(rename = "_id")]
    id: RawBson,
    device_id: String,
    failure_count: Option<Whole<i32>>,
    revision: Option<Whole>,
    watermark: Option<Moment>,
    clock_suspect_since: Option<Moment>,
    clock_repeats: Option<StoredRepeats>,
    last_change_at: Option<Moment>,
    last_success_at: Option<Moment>,
    failing_since: Option<Moment>,
    last_failure_at: Option<Moment>,
    last_failure_speed: Option<Amount>,
    settled_before: Option<Moment>,
    settled_count: Option<Whole<i32>>,
    settled_last_at: Option<Moment>,
    settled_last_speed: Option<Amount>,
    /// Anything, since a person's edit of it must not hide the counter.
    labels: Option<RawBson>,
}

impl Stored {
    fn id(&self) -> String {
        match &self.id {
            RawBson::ObjectId(id) => id.to_hex(),
            RawBson::String(id) => id.clone(),
            other => Bson::try_from(other.clone()).map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// Returns the settled part of a run, which began with the run.
    fn settled(&self, since: Timestamp) -> Option<Settled> {
        let (count, last_at) = (self.settled_count?.0, self.settled_last_at?.0);
        let run = FailureRun { count, since, last_at, last_speed: self.settled_last_speed?.0 };
        Some(Settled { run, before: self.settled_before?.0 })
    }

    /// Returns the count. A document of another program without a count is adopted, and counted from its rows; one
    /// saved by this code has lost it.
    fn failure_count(&self) -> Result<i32, Unreadable> {
        match self.failure_count {
            Some(Whole(count)) if count >= 0 => Ok(count),
            None if self.revision.is_none() && self.watermark.is_none() => Ok(0),
            Some(Whole(count)) => Err(Unreadable::new("failureCount", format!("{count}: expected 0 or more"))),
            None => Err(Unreadable::new("failureCount", "missing: expected a whole number")),
        }
    }

    fn revision(&self) -> Result<Revision, Unreadable> {
        match self.revision {
            Some(Whole(revision)) if revision >= 0 => Ok(Revision::At(revision)),
            Some(Whole(revision)) => Err(Unreadable::new("revision", format!("{revision}: expected 0 or more"))),
            None => Ok(Revision::Unset),
        }
    }
}
