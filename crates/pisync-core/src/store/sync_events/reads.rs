//! What is read of the events for people: by device and time, each by the index
//! `deviceId_1_timestamp_1` alone, in either direction.
//!
//! The index is named to the server: what it cannot serve is an error, and never a scan.

use std::{collections::HashMap, ops::Range};

use bson::{DateTime, Document, RawDocumentBuf, doc, raw::RawDocument};
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use mongodb::options::Hint;
use serde::Deserialize;

use super::{NAME, StoreError, StoredEvent, SyncEvents, read};
use crate::{
    models::{DeviceId, EventId, Labels},
    store::documents::{self, Along, Moment, Unreadable, number},
};

/// How many rows of a whole history the server sends at a time.
const AT_ONCE: u32 = 500;

/// The labels of how many devices are asked for at a time.
const LABELLED: usize = 1_000;

/// One step through a list: what was found, and whether more follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<T> {
    /// What was found.
    pub found: Vec<T>,
    /// Whether there is something behind it.
    pub more: bool,
}

impl SyncEvents {
    /// Up to `limit` rows of a device with a time in `range`, newest first, ties by id, highest
    /// first; those behind `after` where it is given.
    ///
    /// The index knows nothing of ids, so rows of one time (believed events have none, those of a
    /// clock that is not believed may have some) are fetched by themselves where a step begins or
    /// ends among them, and the server sorts no more than these.
    pub async fn history_step(
        &self,
        device_id: &DeviceId,
        range: Range<Timestamp>,
        after: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Step<StoredEvent>, StoreError> {
        let most = limit as usize + 1;
        let mut found = match after {
            Some((at, id)) if range.contains(&at) => self.tied(device_id, at, Some(id), most).await?,
            _ => Vec::new(),
        };
        if found.len() < most {
            let end = after.map_or(range.end, |(at, _)| at.min(range.end));
            let rest = most - found.len();
            let older = self.newest(device_id, range.start..end, rest).await?;
            let is_cut = older.len() == rest;
            found.extend(older);
            if is_cut {
                self.complete_last_tie(device_id, &mut found).await?;
            }
        }
        let more = found.len() == most;
        found.truncate(limit as usize);
        Ok(Step { found, more })
    }

    /// Of rows that end among others of the same time, puts the right ones of these to the end.
    async fn complete_last_tie(&self, device_id: &DeviceId, found: &mut Vec<StoredEvent>) -> Result<(), StoreError> {
        let most = found.len();
        let Some(at) = found.last().map(|row| row.timestamp) else { return Ok(()) };
        let before = found.partition_point(|row| row.timestamp > at);
        if most - before > 1 {
            found.truncate(before);
            found.extend(self.tied(device_id, at, None, most - before).await?);
        }
        Ok(())
    }

    /// The newest rows with a time in `range`; only the last of them may lack some of its time.
    async fn newest(
        &self,
        device_id: &DeviceId,
        range: Range<Timestamp>,
        most: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (filter, sort) = (in_range(device_id, &range), Some(doc! { "timestamp": -1 }));
        let along = Along { filter, sort, index: by_time_keys() };
        let mut rows = documents::up_to(NAME, &self.0, along, most, read).await?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.timestamp, row.id)));
        Ok(rows)
    }

    /// Rows of one time, highest id first.
    async fn tied(
        &self,
        device_id: &DeviceId,
        at: Timestamp,
        after: Option<EventId>,
        most: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut tied = doc! { "deviceId": device_id.as_str(), "timestamp": DateTime::from(at) };
        if let Some(id) = after {
            tied.insert("_id", doc! { "$lt": super::object_id(id.bytes()) });
        }
        let along = Along { filter: tied, sort: Some(doc! { "_id": -1 }), index: by_time_keys() };
        documents::up_to(NAME, &self.0, along, most, read).await
    }

    /// All rows of a device with a time in `range`, newest first.
    pub async fn whole_history(
        &self,
        device_id: &DeviceId,
        range: Range<Timestamp>,
    ) -> Result<impl Stream<Item = Result<StoredEvent, StoreError>> + Send + Unpin + use<>, StoreError> {
        let find = self.0.find(in_range(device_id, &range)).sort(doc! { "timestamp": -1 });
        Ok(documents::readable(NAME, find.hint(by_time()).batch_size(AT_ONCE).await?, read).boxed())
    }

    /// Up to `most` rows of each of these devices, newest first, those before a time each: one
    /// question for all, and one step through the index for each. The server takes some hundreds.
    pub async fn newest_rows(
        &self,
        devices: &[(&DeviceId, Timestamp)],
        most: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut each = devices.iter().map(|(device_id, before)| newest_before(device_id, *before, most).to_vec());
        let Some(mut stages) = each.next() else { return Ok(Vec::new()) };
        stages.extend(each.map(|pipeline| doc! { "$unionWith": { "coll": self.0.name(), "pipeline": pipeline } }));
        let all = u32::try_from(devices.len()).unwrap_or(u32::MAX).saturating_mul(most);
        // One more than there are, so that the first batch is known to be the last.
        let rows = self.0.aggregate(stages).hint(by_time()).batch_size(all.saturating_add(1));
        documents::readable(NAME, rows.with_type::<RawDocumentBuf>().await?, read).try_collect().await
    }

    /// The labels of the newest row of each of these devices, of those that have some. One step
    /// through the index for each, and one question for every thousand.
    pub async fn newest_labels(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let mut all = HashMap::new();
        for some in devices.chunks(LABELLED) {
            all.extend(self.labels_of_some(some).await?);
        }
        Ok(all)
    }

    async fn labels_of_some(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let first = doc! { "_id": "$deviceId", "labels": { "$first": "$labels" } };
        let stages = [
            doc! { "$match": { "deviceId": { "$in": ids } } },
            doc! { "$sort": { "deviceId": -1, "timestamp": -1 } },
            doc! { "$group": first },
        ];
        let groups = self.0.aggregate(stages).hint(by_time()).with_type::<RawDocumentBuf>().await?;
        let labelled = |group: &RawDocument| {
            let labelled: Labelled = documents::parse(group)?;
            let device =
                DeviceId::parse(&labelled.device_id).map_err(|error| Unreadable::new("deviceId", error.to_string()))?;
            Ok((device, super::labels_of(labelled.labels)))
        };
        let found = documents::readable(NAME, groups, labelled);
        found.try_filter(|(_, labels)| std::future::ready(!labels.is_empty())).try_collect().await
    }

    /// When the newest row of each of these devices has its time, of those where it is a good
    /// sync: for a device that is well, its last good one. One step through the index for each.
    pub async fn newest_if_good(&self, devices: &[&DeviceId]) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let groups = self.0.aggregate(newest_of(&ids)).hint(by_time()).with_type::<RawDocumentBuf>().await?;
        let newest: Vec<Newest> = documents::readable(NAME, groups, documents::parse).try_collect().await?;
        let good = newest.into_iter().filter(|newest| newest.total_errors <= 0.0);
        Ok(good.filter_map(|newest| Some((newest.device_id, newest.timestamp?.0))).collect())
    }
}

/// The newest row of a device; one that another program wrote may have no time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    #[serde(rename = "_id")]
    device_id: String,
    timestamp: Option<Moment>,
    #[serde(default, deserialize_with = "number")]
    total_errors: f64,
}

/// The labels of the newest row of a device.
#[derive(Deserialize)]
struct Labelled {
    #[serde(rename = "_id")]
    device_id: String,
    labels: Option<bson::Bson>,
}

fn in_range(device_id: &DeviceId, range: &Range<Timestamp>) -> Document {
    let time = doc! { "$gte": DateTime::from(range.start), "$lt": DateTime::from(range.end) };
    doc! { "deviceId": device_id.as_str(), "timestamp": time }
}

/// The newest rows of one device before a time.
fn newest_before(device_id: &DeviceId, before: Timestamp, most: u32) -> [Document; 3] {
    [
        doc! { "$match": in_range(device_id, &(Timestamp::MIN..before)) },
        doc! { "$sort": { "timestamp": -1 } },
        doc! { "$limit": i64::from(most) },
    ]
}

/// The newest row of each device: the server skips from one to the next in the index.
pub(super) fn newest_of(ids: &[&str]) -> [Document; 3] {
    let first = |field: &str| doc! { "$first": format!("${field}") };
    [
        doc! { "$match": { "deviceId": { "$in": ids } } },
        doc! { "$sort": { "deviceId": -1, "timestamp": -1 } },
        doc! { "$group": { "_id": "$deviceId", "timestamp": first("timestamp"), "totalErrors": first("totalErrors") } },
    ]
}

pub(super) fn by_time() -> Hint {
    Hint::Keys(by_time_keys())
}

fn by_time_keys() -> Document {
    doc! { "deviceId": 1, "timestamp": 1 }
}
