//! The newest row of each of many devices: by time, ties by id.

use bson::{DateTime, Document, RawDocumentBuf, doc, raw::RawDocument};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::options::ReadConcern;
use serde::Deserialize;

use super::{NAME, OR_BRANCHES, StoreError, SyncEvents, by_time};
use crate::store::documents::{self, Amount, Moment, Unreadable, moment};

/// The time of a device's newest row; another program's row may lack it.
#[derive(Deserialize)]
struct Time {
    #[serde(rename = "_id")]
    device_id: String,
    timestamp: Option<Moment>,
}

impl SyncEvents {
    /// Returns the newest row with a time of each of these devices, with its `fields`.
    ///
    /// The index has no ids. So the first query finds the newest time of each device, with one step through the index
    /// for each and no row read. The second query reads the rows of these times.
    pub(super) async fn newest_of(
        &self,
        ids: &[&str],
        fields: &Document,
        read_concern: ReadConcern,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let mut newest: Vec<RawDocumentBuf> = Vec::with_capacity(ids.len());
        for some in self.newest_times(ids, read_concern.clone()).await?.chunks(OR_BRANCHES) {
            let any: Vec<_> = some.iter().map(|(id, at)| doc! { "deviceId": id, "timestamp": *at }).collect();
            let find = self.0.find(doc! { "$or": any }).projection(fields.clone()).hint(by_time());
            let mut rows: Vec<_> = find.read_concern(read_concern.clone()).await?.try_collect().await?;
            // The highest id of each device first, of which it keeps that one.
            rows.sort_by_cached_key(|row| {
                let (id, device) = (row.get_object_id("_id").ok(), row.get_str("deviceId").ok().map(str::to_owned));
                (device, std::cmp::Reverse(id))
            });
            rows.dedup_by(|one, kept| one.get_str("deviceId").ok() == kept.get_str("deviceId").ok());
            newest.append(&mut rows);
        }
        Ok(newest)
    }

    /// Returns the newest time of each device: the server skips from one to the next in the index.
    async fn newest_times(&self, ids: &[&str], concern: ReadConcern) -> Result<Vec<(String, DateTime)>, StoreError> {
        let stages = [
            doc! { "$match": { "deviceId": { "$in": ids } } },
            doc! { "$sort": { "deviceId": -1, "timestamp": -1 } },
            doc! { "$group": { "_id": "$deviceId", "timestamp": { "$first": "$timestamp" } } },
        ];
        let groups = self.0.aggregate(stages).hint(by_time()).read_concern(concern);
        let groups = groups.with_type::<RawDocumentBuf>().await?;
        let times: Vec<Time> = documents::readable(NAME, groups, documents::parse).try_collect().await?;
        Ok(times.into_iter().filter_map(|time| Some((time.device_id, time.timestamp?.0.into()))).collect())
    }
}

/// Returns the time of a row.
pub(super) fn timestamp(row: &RawDocumentBuf) -> Option<Timestamp> {
    row.get_datetime("timestamp").ok().and_then(moment)
}

/// The fields of a row that show whether a device is ok.
pub(super) struct Newest {
    pub(super) device_id: String,
    pub(super) timestamp: Timestamp,
    pub(super) failed: bool,
}

pub(super) fn newest_row(row: &RawDocument) -> Result<Newest, Unreadable> {
    let Judged { device_id, timestamp, total_errors } = documents::parse(row)?;
    Ok(Newest { device_id, timestamp: timestamp.0, failed: total_errors.0 > 0.0 })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    device_id: String,
    timestamp: Moment,
    total_errors: Amount,
}
