//! Removing rows for their age, in order of their ids, a few at a time.

use bson::{Bson, DateTime, RawDocumentBuf, doc, oid::ObjectId, raw::RawDocument};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::options::{Hint, ReadConcern};
use serde::Deserialize;

use super::{NAME, StoreError, SyncEvents, reads::by_time};
use crate::{
    models::{DeviceId, EventId, Observation},
    store::{
        documents::{self, Moment, Unreadable, moment, number},
        object_id,
    },
};

/// What is to be known of a row to tell whether it may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgedRow {
    /// Its id.
    pub id: EventId,
    /// Whose it is; none where another program wrote no device.
    pub device_id: Option<DeviceId>,
    /// Time of the sync; none where another program wrote no date.
    pub timestamp: Option<Timestamp>,
}

/// The newest row of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestRow {
    /// Time of the sync.
    pub timestamp: Timestamp,
    /// Whether it failed.
    pub failed: bool,
}

impl SyncEvents {
    /// Up to `most` rows with ids from `from` on, or behind it, and below `to`, in order of ids.
    pub async fn by_id(
        &self,
        from: EventId,
        is_behind: bool,
        to: Option<EventId>,
        most: u32,
    ) -> Result<Vec<AgedRow>, StoreError> {
        let start = if is_behind { "$gt" } else { "$gte" };
        let mut range = doc! { start: object_id(from.bytes()) };
        if let Some(to) = to {
            range.insert("$lt", object_id(to.bytes()));
        }
        let rows = self.0.find(doc! { "_id": range }).sort(doc! { "_id": 1 }).limit(i64::from(most));
        let rows = rows.projection(doc! { "deviceId": 1, "timestamp": 1 }).hint(Hint::Keys(doc! { "_id": 1 }));
        let rows = rows.read_concern(ReadConcern::majority()).await?;
        documents::readable(NAME, rows, read).try_collect().await
    }

    /// The newest row of each of these devices, on a majority: one step through the index for each.
    pub async fn newest_of_each(&self, devices: &[&DeviceId]) -> Result<Vec<(DeviceId, NewestRow)>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let stages = super::reads::newest_of(&ids);
        let groups = self.0.aggregate(stages).hint(by_time()).read_concern(ReadConcern::majority()).await?;
        let groups = groups.with_type::<RawDocumentBuf>();
        let newest: Vec<Newest> = documents::readable(NAME, groups, documents::parse).try_collect().await?;
        let read = |newest: Newest| {
            let row = NewestRow { timestamp: newest.timestamp?.0, failed: newest.total_errors > 0.0 };
            Some((DeviceId::parse(&newest.device_id).ok()?, row))
        };
        Ok(newest.into_iter().filter_map(read).collect())
    }

    /// The newest row of a device before a time, on a majority.
    pub async fn newest_before(
        &self,
        device_id: &DeviceId,
        before: Timestamp,
    ) -> Result<Option<Observation>, StoreError> {
        let older = doc! { "$lt": DateTime::from(before) };
        let rows = self.0.find(doc! { "deviceId": device_id.as_str(), "timestamp": older });
        let rows = rows.sort(doc! { "timestamp": -1 }).batch_size(2).hint(by_time());
        let mut rows = rows.read_concern(ReadConcern::majority()).await?;
        while let Some(row) = rows.try_next().await? {
            if let Some(brief) = documents::read(NAME, &row, documents::parse::<super::Brief>) {
                return Ok(Some(brief.into()));
            }
        }
        Ok(None)
    }

    /// Removes these rows; answers how many were there.
    pub async fn remove(&self, ids: &[EventId]) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = ids.iter().map(|id| object_id(id.bytes())).collect();
        Ok(self.0.delete_many(doc! { "_id": { "$in": ids } }).await?.deleted_count)
    }
}

fn read(row: &RawDocument) -> Result<AgedRow, Unreadable> {
    let row: Aged = documents::parse(row)?;
    let device_id = row.device_id.as_ref().and_then(Bson::as_str).and_then(|device| DeviceId::parse(device).ok());
    let timestamp = row.timestamp.as_ref().and_then(Bson::as_datetime).and_then(|at| moment(*at));
    Ok(AgedRow { id: EventId::from_bytes(row.id.bytes()), device_id, timestamp })
}

/// Other programs' rows may have anything in these fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aged {
    #[serde(rename = "_id")]
    id: ObjectId,
    device_id: Option<Bson>,
    timestamp: Option<Bson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    #[serde(rename = "_id")]
    device_id: String,
    timestamp: Option<Moment>,
    #[serde(default, deserialize_with = "number")]
    total_errors: f64,
}
