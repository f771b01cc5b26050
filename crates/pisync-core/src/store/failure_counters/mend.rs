//! Removes unreadable counters, so that they are rebuilt from the rows.

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;

use super::{FailureCounters, read};
use crate::{
    models::DeviceId,
    store::{Revision, StoreError, indexes},
};

/// The number of documents removed together.
const TOGETHER: usize = 500;

impl FailureCounters {
    /// Removes the unreadable documents of these devices, or of all, and duplicates of a device; returns their number.
    /// The indexes are made again afterwards: the unique one cannot be made while a device has two.
    pub async fn remove_unreadable(&self, devices: Option<&[DeviceId]>) -> Result<u64, StoreError> {
        let filter = devices.map_or_else(Document::new, |devices| {
            doc! { "deviceId": { "$in": devices.iter().map(DeviceId::as_str).collect::<Vec<_>>() } }
        });
        let find = self.collection.find(filter).sort(doc! { "deviceId": 1 }).allow_disk_use(true);
        let mut found = find.batch_size(10_000).await?;
        let (mut before, mut ids, mut removed) = (None, Vec::new(), 0);
        while let Some(document) = found.try_next().await? {
            ids.extend(superfluous(&document, &mut before));
            if ids.len() >= TOGETHER {
                removed += self.remove_all(std::mem::take(&mut ids)).await?;
            }
        }
        removed += self.remove_all(ids).await?;
        if removed > 0 || devices.is_none() {
            self.make_unique().await?;
        }
        Ok(removed)
    }

    async fn remove_all(&self, ids: Vec<Bson>) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        Ok(self.collection.delete_many(doc! { "_id": { "$in": ids } }).await?.deleted_count)
    }

    /// Makes an index unique that was made plain because of duplicates.
    async fn make_unique(&self) -> Result<(), StoreError> {
        indexes::make_unique(&self.database, &self.collection, doc! { "deviceId": 1 }).await?;
        self.ensure_indexes().await
    }
}

/// The readable document of a device before this one, in order of devices.
struct Before {
    device_id: DeviceId,
    id: Bson,
    saved: i64,
}

/// Returns the id of the document to remove: this one, or the previous one of the same device.
fn superfluous(document: &RawDocumentBuf, before: &mut Option<Before>) -> Option<Bson> {
    let id: Bson = document.get("_id").ok()??.try_into().ok()?;
    let Ok(kept) = read(document) else {
        return Some(id);
    };
    let saved = match kept.revision {
        Revision::At(revision) => revision,
        Revision::Unset | Revision::Unreadable => 0,
    };
    let this = Before { device_id: kept.counter.device_id, id, saved };
    match before.take() {
        Some(other) if other.device_id == this.device_id => {
            let (stays, goes) = if this.saved > other.saved { (this, other) } else { (other, this) };
            *before = Some(stays);
            Some(goes.id)
        }
        _ => {
            *before = Some(this);
            None
        }
    }
}
