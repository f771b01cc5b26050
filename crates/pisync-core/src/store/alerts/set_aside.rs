//! Open incidents that cannot be read are set aside, so that their subjects can have new ones.
//!
//! At most one incident of a fingerprint is open. One that a person has edited, or a later version has written, would
//! block every further alert of its device.

use bson::{DateTime, Document, RawDocumentBuf, doc, oid::ObjectId, rawdoc};
use futures_util::TryStreamExt;

use super::{Alerts, NAME, VersionedIncident, document, open_keys};
use crate::store::{StoreError, documents};

impl Alerts {
    /// Returns those of these open incidents that can be read; the others are set aside.
    pub(super) async fn open_readable(&self, found: Vec<RawDocumentBuf>) -> Vec<VersionedIncident> {
        let mut kept = Vec::with_capacity(found.len());
        for found in found {
            match documents::read(NAME, &found, document::read) {
                Some(incident) => kept.push(incident),
                None => self.set_aside(found).await,
            }
        }
        kept
    }

    /// Returns the open incidents that match a filter, along the index of the open ones.
    pub(super) async fn found_open(&self, filter: Document) -> Result<Vec<VersionedIncident>, StoreError> {
        let found = self.collection.find(filter).hint(open_keys()).batch_size(1_000).await?;
        Ok(self.open_readable(found.try_collect().await?).await)
    }

    /// Copies a document to one of its own under `unreadable`, and frees its id for the next incident.
    async fn set_aside(&self, found: RawDocumentBuf) {
        let Ok(Some(id)) = found.get("_id").map(|id| id.and_then(|id| bson::Bson::try_from(id).ok())) else { return };
        let copy = rawdoc! { "_id": ObjectId::new(), "setAsideAt": DateTime::now(), "unreadable": found };
        let is_aside = async {
            self.collection.insert_one(copy).await?;
            let empty = vec![doc! { "$replaceWith": { "_id": "$_id" } }];
            self.collection.update_one(doc! { "_id": &id, "open": true }, empty).await?;
            Ok::<_, StoreError>(())
        };
        match is_aside.await {
            Ok(()) => log::warn!(
                collection = NAME, document:% = id;
                "an open incident that cannot be read is kept under `unreadable`, so that another may open"
            ),
            Err(error) => log::warn!(
                collection = NAME, document:% = id, error:% = error;
                "an open incident that cannot be read blocks a new one: repair or remove it"
            ),
        }
    }
}
