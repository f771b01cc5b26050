//! The collection `SyncEvent`: one row per event, found by device, in order of time by `_id`.

mod newest;
mod page;
mod reads;
mod removal;
mod window;

use std::collections::{HashMap, HashSet};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId, raw::RawDocument};
use futures_util::{Stream, TryStreamExt};
use jiff::Timestamp;
use mongodb::{
    error::ErrorKind,
    options::{Hint, ReadConcern},
};
pub use reads::Step;
pub use removal::{AgedRow, NewestRow};
use serde::Deserialize;

use super::{
    Raw, StoreError,
    documents::{self, Amount, Moment, Unreadable},
    error::is_about_the_document,
    index, object_id,
};
use crate::{
    codec::{StoredEvent, row},
    models::{DeviceId, EventId, Observation, SyncEvent},
};

/// The name of the collection in metrics and the log.
const NAME: &str = "SyncEvent";

/// The server's code for an existing row.
const DUPLICATE_KEY: i32 = 11000;

/// The number of devices in one `$or`.
const OR_BRANCHES: usize = 200;

/// The events.
#[derive(Debug, Clone)]
pub struct SyncEvents(Raw);

/// The result of an insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored now.
    New,
    /// It was stored before.
    Duplicate,
    /// `MongoDB` refuses this document.
    Refused {
        /// The server's error code.
        code: i32,
    },
}

impl SyncEvents {
    pub(super) fn new(collection: Raw) -> Self {
        Self(collection)
    }

    pub(super) async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let keys = [doc! { "deviceId": 1 }, doc! { "deviceId": 1, "timestamp": 1 }, doc! { "totalErrors": 1 }];
        let indexes = keys.map(|keys| index(keys, mongodb::options::IndexOptions::default()));
        super::indexes::ensure(&self.0, indexes).await
    }

    /// Stores events that differ in their ids; returns the result of each, in their order.
    ///
    /// When it returns, every row that is `New` or `Duplicate` is on a majority. After an error some may be there:
    /// store them again.
    pub async fn insert(&self, events: &[(EventId, SyncEvent)]) -> Result<Vec<Inserted>, StoreError> {
        let mut outcome = vec![Inserted::New; events.len()];
        if events.is_empty() {
            return Ok(outcome);
        }
        let Err(error) =
            self.0.insert_many(events.iter().map(|(id, event)| row::encode(*id, event))).ordered(false).await
        else {
            return Ok(outcome);
        };
        let ErrorKind::InsertMany(failure) = error.kind.as_ref() else {
            return Err(error.into());
        };
        if let Some(concern) = &failure.write_concern_error {
            return Err(StoreError::Unavailable(format!("write concern failed: code {}", concern.code)));
        }
        for write in failure.write_errors.iter().flatten() {
            outcome[write.index] = match write.code {
                DUPLICATE_KEY => Inserted::Duplicate,
                code if is_about_the_document(code) => Inserted::Refused { code },
                code => return Err(StoreError::refused(code, "write error in an insert")),
            };
        }
        Ok(outcome)
    }

    /// Returns a device's rows from its last good sync on, newest first: the input of a recount.
    pub async fn since_last_success(&self, device_id: &DeviceId) -> Result<Vec<Observation>, StoreError> {
        let mut rows = self
            .0
            .find(doc! { "deviceId": device_id.as_str(), "timestamp": { "$type": "date" } })
            .sort(doc! { "timestamp": -1 })
            .projection(doc! { "timestamp": 1, "totalErrors": 1, "internetSpeed": 1 })
            .read_concern(ReadConcern::majority())
            .batch_size(50)
            .await?;
        let (mut since, mut success) = (Vec::new(), None);
        while let Some(row) = rows.try_next().await? {
            let Some(row) = documents::read(NAME, &row, documents::parse::<Brief>) else { continue };
            let row = Observation::from(row);
            // Rows of the very same time as the good one may come before or after it by id.
            if success.is_some_and(|success| row.timestamp < success) {
                break;
            }
            if !row.failed {
                success.get_or_insert(row.timestamp);
            }
            since.push(row);
        }
        Ok(since)
    }

    /// Returns the receipt of a device's newest report: the latest among its newest rows by time.
    pub async fn last_receipt(&self, device_id: &DeviceId) -> Result<Option<Timestamp>, StoreError> {
        /// Enough for reports that came out of order.
        const NEWEST: i64 = 24;
        let rows = self.0.find(doc! { "deviceId": device_id.as_str(), "timestamp": { "$type": "date" } });
        let rows =
            rows.sort(doc! { "timestamp": -1 }).limit(NEWEST).projection(doc! { "timestamp": 1, "createdAt": 1 });
        let rows = rows.read_concern(ReadConcern::majority()).await?;
        let mut receipts = documents::readable(NAME, rows, documents::parse::<Receipt>);
        let mut newest = None;
        while let Some(row) = receipts.try_next().await? {
            newest = newest.max(Some(row.created_at.unwrap_or(row.timestamp).0));
        }
        Ok(newest)
    }

    /// Returns those of these devices that have a good sync at the given time or later.
    pub async fn good_since(&self, devices: &[(&DeviceId, Timestamp)]) -> Result<HashSet<String>, StoreError> {
        let good = |(device, since): &(&DeviceId, Timestamp)| {
            let mut good = is_good();
            good.extend(doc! { "deviceId": device.as_str(), "timestamp": { "$gte": DateTime::from(*since) } });
            good
        };
        let mut found = HashSet::new();
        for some in devices.chunks(OR_BRANCHES) {
            let any = doc! { "$or": some.iter().map(good).collect::<Vec<_>>() };
            let rows = self.0.find(any).projection(doc! { "deviceId": 1 }).read_concern(ReadConcern::majority());
            let mut rows = rows.hint(by_time()).await?;
            while let Some(row) = rows.try_next().await? {
                found.extend(row.get_str("deviceId").ok().map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// Returns the number of rows of these devices together.
    pub async fn count_of(&self, devices: &[&str]) -> Result<u64, StoreError> {
        let of_devices = self.0.count_documents(doc! { "deviceId": { "$in": devices } });
        Ok(of_devices.read_concern(ReadConcern::majority()).await?)
    }

    /// Returns those of these ids that have their row, on a majority, in no order.
    pub async fn present(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| object_id(id.bytes())).collect();
        let found = self.0.find(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1 });
        let found = found.read_concern(ReadConcern::majority()).await?;
        let id = |row: &RawDocument| Ok(EventId::from_bytes(documents::parse::<OnlyId>(row)?.id.bytes()));
        documents::readable(NAME, found, id).try_collect().await
    }

    /// Returns the times of receipt of the rows of these ids, of those that exist.
    pub async fn received_at(&self, ids: &[EventId]) -> Result<HashMap<EventId, Timestamp>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<_> = ids.iter().map(|id| object_id(id.bytes())).collect();
        let found = self.0.find(doc! { "_id": { "$in": ids } }).projection(doc! { "createdAt": 1 });
        let found = found.read_concern(ReadConcern::majority()).await?;
        let receipt = |row: &RawDocument| {
            let row: Received = documents::parse(row)?;
            Ok((EventId::from_bytes(row.id.bytes()), row.created_at.0))
        };
        documents::readable(NAME, found, receipt).try_collect().await
    }

    /// Returns all readable rows, in no order.
    pub async fn all(&self) -> Result<impl Stream<Item = Result<StoredEvent, StoreError>> + Unpin + use<>, StoreError> {
        Ok(documents::readable(NAME, self.0.find(doc! {}).batch_size(10_000).await?, row::decode))
    }

    /// Returns every device that has rows, in order. Rows without a device are left out. One step through the index for
    /// each.
    pub async fn devices(
        &self,
    ) -> Result<impl Stream<Item = Result<DeviceId, StoreError>> + Unpin + use<>, StoreError> {
        let stages = [doc! { "$sort": { "deviceId": 1 } }, doc! { "$group": { "_id": "$deviceId" } }];
        let groups = self.0.aggregate(stages).allow_disk_use(true).with_type::<RawDocumentBuf>().await?;
        let device = |group: &RawDocument| {
            let device = group.get_str("_id");
            let device = device.map_err(|_| Unreadable::new("deviceId", "rows of no device: expected a text"))?;
            DeviceId::parse(device).map_err(|error| Unreadable::new("deviceId", error.to_string()))
        };
        Ok(documents::readable(NAME, groups, device))
    }
}

/// Returns the index that has the rows of each device in order of time.
fn by_time() -> Hint {
    Hint::Keys(by_time_keys())
}

fn by_time_keys() -> Document {
    doc! { "deviceId": 1, "timestamp": 1 }
}

/// Returns the filter of good syncs: the same rows as are parsed as such. A text, null or nothing in the place of a
/// number is neither good nor failed.
fn is_good() -> Document {
    let no_array = || doc! { "$type": "array" };
    doc! {
        "totalErrors": { "$eq": 0, "$not": no_array() },
        "$or": [
            { "internetSpeed": Bson::Null },
            { "internetSpeed": { "$gte": 0, "$lte": f64::MAX, "$not": no_array() } },
        ],
    }
}

/// The receipt of a row; another program's row may lack it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    timestamp: Moment,
    created_at: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    #[serde(rename = "_id")]
    id: ObjectId,
    created_at: Moment,
}

#[derive(Deserialize)]
struct OnlyId {
    #[serde(rename = "_id")]
    id: ObjectId,
}

/// The fields of a row that a counter needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brief {
    #[serde(rename = "_id")]
    id: ObjectId,
    timestamp: Moment,
    total_errors: Amount,
    /// None if it was not measured.
    internet_speed: Option<Amount>,
}

impl From<Brief> for Observation {
    fn from(row: Brief) -> Self {
        Self {
            timestamp: row.timestamp.0,
            id: EventId::from_bytes(row.id.bytes()),
            failed: row.total_errors.0 > 0.0,
            internet_speed: row.internet_speed.map_or(0.0, |speed| speed.0),
        }
    }
}
