//! Queries of the events for people: by device and time, each by the index `deviceId_1_timestamp_1` alone, in either
//! direction.
//!
//! The index is named to the server, so a query that it cannot serve is an error and never a scan.

use std::{cmp::Reverse, collections::HashMap, ops::Range, pin::Pin};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, Peekable},
};
use jiff::Timestamp;
use mongodb::options::ReadConcern;

use super::{NAME, StoreError, SyncEvents, by_time, by_time_keys, newest::newest_row};
use crate::{
    codec::{StoredEvent, row},
    models::{DeviceId, EventId, Labels},
    store::documents::{self, Along},
};

/// The number of rows of a whole history in one batch of the server.
const BATCH_SIZE: u32 = 500;

/// The most rows of one time that are sorted by id; more come in portions of this size.
const TIED: usize = 10_000;

/// The number of devices in one query for labels.
const LABELLED: usize = 1_000;

/// One step through a list: the items, and whether more follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<T> {
    /// The items.
    pub found: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

impl SyncEvents {
    /// Returns up to `limit` rows of a device with a time in `range`, newest first, ties by id, highest first; after
    /// `after` if it is given.
    ///
    /// The index has no ids. So rows of one time are read separately if a step begins or ends among them, and the
    /// server sorts only these.
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

    /// Replaces the last rows by the right ones, if they end among others of the same time.
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

    /// Returns the newest rows with a time in `range`; only the last time among them may be incomplete.
    async fn newest(
        &self,
        device_id: &DeviceId,
        range: Range<Timestamp>,
        most: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (filter, sort) = (in_range(device_id, &range), Some(doc! { "timestamp": -1 }));
        let along = Along { filter, sort, index: by_time_keys() };
        let mut rows = documents::up_to(NAME, &self.0, along, most, row::decode).await?;
        rows.sort_by_key(|row| Reverse((row.timestamp, row.id)));
        Ok(rows)
    }

    /// Returns rows of one time, highest id first.
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
        documents::up_to(NAME, &self.0, along, most, row::decode).await
    }

    /// Returns all rows of a device with a time in `range`, newest first, ties by id.
    pub async fn whole_history(
        &self,
        device_id: &DeviceId,
        range: Range<Timestamp>,
    ) -> Result<impl Stream<Item = Result<StoredEvent, StoreError>> + Send + Unpin + use<>, StoreError> {
        let find = self.0.find(in_range(device_id, &range)).sort(doc! { "timestamp": -1 });
        let rows = documents::readable(NAME, find.hint(by_time()).batch_size(BATCH_SIZE).await?, row::decode);
        let ties = rows.boxed().peekable();
        Ok(Box::pin(stream::try_unfold(ties, next_tie).map_ok(|tie| stream::iter(tie).map(Ok)).try_flatten()))
    }

    /// Returns up to `most` rows of each of these devices, newest first, ties by id, before a time each. One query for
    /// all, and one step through the index for each. The server accepts some hundreds of devices.
    pub async fn newest_rows(
        &self,
        devices: &[(&DeviceId, Timestamp)],
        most: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        // One more of each, which shows whether its last time is complete.
        let asked = most.saturating_add(1);
        let mut each = devices.iter().map(|(device_id, before)| newest_before(device_id, *before, asked).to_vec());
        let Some(mut stages) = each.next() else { return Ok(Vec::new()) };
        stages.extend(each.map(|pipeline| doc! { "$unionWith": { "coll": self.0.name(), "pipeline": pipeline } }));
        let all = u32::try_from(devices.len()).unwrap_or(u32::MAX).saturating_mul(asked);
        // One more than there are, so that the first batch is known to be the last.
        let rows = self.0.aggregate(stages).hint(by_time()).batch_size(all.saturating_add(1));
        let rows = documents::readable(NAME, rows.with_type::<RawDocumentBuf>().await?, row::decode);
        let rows: Vec<_> = rows.try_collect().await?;
        let mut newest = Vec::with_capacity(rows.len());
        for of_device in rows.chunk_by(|one, next| one.device_id == next.device_id) {
            newest.extend(self.cut(of_device.to_vec(), most as usize).await?);
        }
        Ok(newest)
    }

    /// Returns the first `most` of a device's rows in their order. `rows` has one more if there are more. If that one
    /// has the time of the last, the right rows of that time are read.
    async fn cut(&self, mut rows: Vec<StoredEvent>, most: usize) -> Result<Vec<StoredEvent>, StoreError> {
        rows.sort_by_key(|row| Reverse((row.timestamp, row.id)));
        let behind = if rows.len() > most { rows.pop() } else { None };
        let tie = behind.filter(|behind| rows.last().is_some_and(|last| last.timestamp == behind.timestamp));
        if let Some((tie, device_id)) = tie.and_then(|tie| DeviceId::parse(&tie.device_id).ok().map(|id| (tie, id))) {
            let before = rows.partition_point(|row| row.timestamp > tie.timestamp);
            let tied = self.tied(&device_id, tie.timestamp, None, most - before).await?;
            rows.truncate(before);
            rows.extend(tied);
        }
        Ok(rows)
    }

    /// Returns the labels of the newest row of each of these devices, of those with labels. One step through the index
    /// for each, and one query for every thousand.
    pub async fn newest_labels(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let mut all = HashMap::new();
        for some in devices.chunks(LABELLED) {
            all.extend(self.labels_of_some(some).await?);
        }
        Ok(all)
    }

    async fn labels_of_some(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let fields = doc! { "deviceId": 1, "labels": 1 };
        let newest = self.newest_of(&ids, &fields, ReadConcern::local()).await?;
        let labelled = |row: RawDocumentBuf| {
            let labels = Bson::try_from(row.get("labels").ok()??).ok();
            let labels = row::labels(labels);
            let device = DeviceId::parse(row.get_str("deviceId").ok()?).ok()?;
            (!labels.is_empty()).then_some((device, labels))
        };
        Ok(newest.into_iter().filter_map(labelled).collect())
    }

    /// Returns the time of the newest row of each of these devices, if it is a good sync: for a device that is ok, its
    /// last good one. One step through the index for each.
    pub async fn newest_if_good(&self, devices: &[&DeviceId]) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let fields = doc! { "deviceId": 1, "timestamp": 1, "totalErrors": 1 };
        let newest = self.newest_of(&ids, &fields, ReadConcern::local()).await?;
        let newest = newest.into_iter().filter_map(|row| documents::read(NAME, &row, newest_row));
        Ok(newest.filter(|row| !row.failed).map(|row| (row.device_id, row.timestamp)).collect())
    }
}

/// Returns the rows of the next time in a stream of rows in order of time, highest id first.
async fn next_tie<S>(mut rows: Peekable<S>) -> Result<Option<(Vec<StoredEvent>, Peekable<S>)>, StoreError>
where
    S: Stream<Item = Result<StoredEvent, StoreError>> + Unpin,
{
    let mut tie: Vec<StoredEvent> = Vec::new();
    loop {
        let at = tie.first().map(|first| first.timestamp);
        let is_next = |row: &Result<StoredEvent, StoreError>| {
            tie.len() < TIED && row.as_ref().map_or(true, |row| at.is_none_or(|at| row.timestamp == at))
        };
        match Pin::new(&mut rows).next_if(is_next).await {
            Some(row) => tie.push(row?),
            None if tie.is_empty() => return Ok(None),
            None => break,
        }
    }
    tie.sort_by_key(|row| Reverse(row.id));
    Ok(Some((tie, rows)))
}

fn in_range(device_id: &DeviceId, range: &Range<Timestamp>) -> Document {
    let time = doc! { "$gte": DateTime::from(range.start), "$lt": DateTime::from(range.end) };
    doc! { "deviceId": device_id.as_str(), "timestamp": time }
}

/// Returns the stages for the newest rows of one device before a time.
fn newest_before(device_id: &DeviceId, before: Timestamp, most: u32) -> [Document; 3] {
    [
        doc! { "$match": in_range(device_id, &(Timestamp::MIN..before)) },
        doc! { "$sort": { "timestamp": -1 } },
        doc! { "$limit": i64::from(most) },
    ]
}
