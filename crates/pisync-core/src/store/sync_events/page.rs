//! A page of a device's history by number: newest first, ties by id, highest first.

use bson::{DateTime, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;

use super::{NAME, StoreError, SyncEvents, newest::timestamp};
use crate::{
    codec::{StoredEvent, row},
    models::DeviceId,
    store::{Page, documents},
};

impl SyncEvents {
    /// Returns a page of a device's rows, newest first, ties by id; `skip` and `limit` in rows.
    ///
    /// The index has no ids. So if the page begins or ends among rows of one time, these rows are read separately. The
    /// rows before and after the page show whether it does.
    pub async fn history(&self, device_id: &DeviceId, skip: u64, limit: u32) -> Result<Page<StoredEvent>, StoreError> {
        // A row of another program without a time has no place in the order.
        let of_device = doc! { "deviceId": device_id.as_str(), "timestamp": { "$type": "date" } };
        let total = self.0.count_documents(of_device.clone()).await?;
        let has_before = skip > 0;
        let from = skip.saturating_sub(1);
        let most = i64::from(limit) + 1 + i64::from(has_before);
        let find = self.0.find(of_device).sort(doc! { "timestamp": -1 }).skip(from).limit(most);
        let mut rows: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
        let before = if has_before && !rows.is_empty() { timestamp(&rows.remove(0)) } else { None };
        let behind = if rows.len() > limit as usize { rows.pop().as_ref().and_then(timestamp) } else { None };
        let mut rows: Vec<_> = rows.iter().filter_map(|row| documents::read(NAME, row, row::decode)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.timestamp, row.id)));
        let (first, last) = (rows.first().map(|row| row.timestamp), rows.last().map(|row| row.timestamp));
        if let Some(at) = last.filter(|last| behind == Some(*last) && first != Some(*last)) {
            self.complete(device_id, &mut rows, at, 0).await?;
        }
        if let Some(at) =
            first.filter(|first| before == Some(*first) || (behind == Some(*first) && last == Some(*first)))
        {
            let skipped = if before == Some(at) { skip.saturating_sub(self.newer(device_id, at).await?) } else { 0 };
            self.complete(device_id, &mut rows, at, skipped).await?;
        }
        Ok(Page { results: rows, total })
    }

    /// Replaces rows of one time by the right ones, after a given number of them.
    async fn complete(
        &self,
        device_id: &DeviceId,
        rows: &mut Vec<StoredEvent>,
        at: Timestamp,
        skipped: u64,
    ) -> Result<(), StoreError> {
        let start = rows.partition_point(|row| row.timestamp > at);
        let end = rows.partition_point(|row| row.timestamp >= at);
        let tied = doc! { "deviceId": device_id.as_str(), "timestamp": DateTime::from(at) };
        let find = self.0.find(tied).sort(doc! { "_id": -1 }).skip(skipped);
        let find = find.limit(i64::try_from(end - start).unwrap_or(i64::MAX));
        let tied: Vec<_> = documents::readable(NAME, find.await?, row::decode).try_collect().await?;
        rows.splice(start..end, tied);
        Ok(())
    }

    async fn newer(&self, device_id: &DeviceId, at: Timestamp) -> Result<u64, StoreError> {
        let newer = doc! { "deviceId": device_id.as_str(), "timestamp": { "$gt": DateTime::from(at) } };
        Ok(self.0.count_documents(newer).await?)
    }
}
