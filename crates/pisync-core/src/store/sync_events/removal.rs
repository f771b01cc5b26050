//! Removes rows for their age, in order of their ids, a few at a time.

use bson::{Bson, DateTime, doc, oid::ObjectId, raw::RawDocument};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::options::{Hint, ReadConcern};
use serde::Deserialize;

use super::{
    NAME, StoreError, SyncEvents, by_time,
    newest::{newest_row, timestamp},
};
use crate::{
    models::{DeviceId, EventId},
    store::{
        documents::{self, Unreadable, moment},
        object_id,
    },
};

/// The fields of a row that decide whether it may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgedRow {
    /// Its id.
    pub id: EventId,
    /// The device; none if another program wrote none.
    pub device_id: Option<DeviceId>,
    /// Time of the sync; none if another program wrote no date.
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
    /// Returns up to `most` rows with ids from `from` on, or after it, and below `to`, in order of ids.
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

    /// Returns the newest row of each of these devices, on a majority: one step through the index for each.
    pub async fn newest_of_each(&self, devices: &[&DeviceId]) -> Result<Vec<(DeviceId, NewestRow)>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let fields = doc! { "deviceId": 1, "timestamp": 1, "totalErrors": 1 };
        let newest = self.newest_of(&ids, &fields, ReadConcern::majority()).await?;
        let newest = newest.into_iter().filter_map(|row| documents::read(NAME, &row, newest_row));
        let newest = newest.filter_map(|row| {
            let device_id = DeviceId::parse(&row.device_id).ok()?;
            Some((device_id, NewestRow { timestamp: row.timestamp, failed: row.failed }))
        });
        Ok(newest.collect())
    }

    /// Returns the time of a device's last good sync up to a time, on a majority. Rows older than a remaining good sync
    /// can never change a counter.
    pub async fn last_good(&self, device_id: &DeviceId, until: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let until = doc! { "$lte": DateTime::from(until) };
        let mut good = super::is_good();
        good.extend(doc! { "deviceId": device_id.as_str(), "timestamp": until });
        let rows = self.0.find(good).sort(doc! { "timestamp": -1 }).limit(1).hint(by_time());
        let mut rows = rows.projection(doc! { "timestamp": 1 }).read_concern(ReadConcern::majority()).await?;
        Ok(rows.try_next().await?.as_ref().and_then(timestamp))
    }

    /// Removes these rows; returns how many existed.
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
