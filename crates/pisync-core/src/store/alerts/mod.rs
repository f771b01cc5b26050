//! The collection `Alert`: one document per incident, with its unsent messages.
//!
//! The same write that changes an incident's state adds its message to the document, so neither exists without the
//! other. This is the transactional outbox of C. Richardson, "Microservices Patterns", 2018. A change of an incident is
//! a read, a decision, and a save by compare-and-set.

mod document;
mod fleet;
mod groups;
mod list;
mod outbox;
mod pages;
mod set_aside;
mod week;

use bson::{Document, doc};
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use mongodb::{
    Collection, Database,
    options::{Hint, IndexOptions},
};

pub use self::{
    groups::HeldGroup,
    list::{AlertFilter, InhibitedCount, InhibitionFilter},
};
use super::{Raw, Revision, Saved, StoreError, documents, index, object_id, update};
use crate::models::{AlertId, Incident};

/// The name of the collection in metrics and the log.
const NAME: &str = "Alert";

/// The alerts.
#[derive(Debug, Clone)]
pub struct Alerts {
    database: Database,
    collection: Raw,
    groups: Collection<Document>,
}

/// An incident, and the revision to compare when it is saved.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedIncident {
    /// The incident.
    pub incident: Incident,
    /// Its version.
    pub revision: Revision,
}

impl Alerts {
    /// The most incidents in one write.
    pub const BATCH_SIZE: usize = 500;

    pub(super) fn new(database: &Database) -> Self {
        let (collection, groups) = (database.collection("Alert"), database.collection("AlertGroup"));
        Self { database: database.clone(), collection, groups }
    }

    pub(super) async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let open = IndexOptions::builder().unique(true).partial_filter_expression(doc! { "open": true }).build();
        let ended = IndexOptions::builder().partial_filter_expression(doc! { "stateSince": { "$exists": true } });
        let indexes = [index(doc! { "fingerprint": 1 }, open), index(last_keys(), ended.build())];
        let indexes = indexes.into_iter().chain(outbox::indexes()).chain(list::indexes());
        let indexes = indexes.chain([week::ended_index()]);
        super::indexes::ensure(&self.collection, indexes).await
    }

    /// Returns the number of open incidents.
    pub async fn count_open(&self) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(doc! { "open": true }).hint(open_keys()).await?)
    }

    /// Returns the open incidents, `most` at a time.
    pub async fn open(
        &self,
        most: usize,
    ) -> Result<impl Stream<Item = Result<Vec<VersionedIncident>, StoreError>> + Send + Unpin + use<>, StoreError> {
        let found = self.collection.find(doc! { "open": true }).hint(open_keys()).batch_size(1_000).await?;
        Ok(documents::readable(NAME, found, document::read).try_chunks(most).map_err(|error| error.1).boxed())
    }

    /// Returns the incidents of these fingerprints that changed their state after a time, and the incidents of these
    /// ids, open or not.
    pub async fn find_ended(
        &self,
        fingerprints: &[String],
        after: Timestamp,
        ids: &[AlertId],
    ) -> Result<Vec<VersionedIncident>, StoreError> {
        let after = doc! { "$gt": bson::DateTime::from(after) };
        let filter = doc! { "fingerprint": { "$in": fingerprints }, "stateSince": after };
        let mut ended = self.found(filter, Hint::Keys(last_keys())).await?;
        let ids: Vec<_> = ids.iter().map(|id| object_id(id.bytes())).collect();
        ended.extend(self.found(doc! { "_id": { "$in": ids } }, Hint::Keys(doc! { "_id": 1 })).await?);
        Ok(ended)
    }

    /// Returns one incident, if it exists and can be read.
    pub async fn find(&self, id: AlertId) -> Result<Option<VersionedIncident>, StoreError> {
        let found = self.collection.find_one(doc! { "_id": object_id(id.bytes()) }).await?;
        Ok(found.and_then(|found| documents::read(NAME, &found, document::read)))
    }

    /// Saves incidents if their documents are still at the given revision; with [`Revision::Unset`] also if there is
    /// none. All or some are saved; after [`Saved::Conflict`] or an error, read and decide again.
    ///
    /// At most one incident of a fingerprint is open, across all alerters (unique partial index).
    pub async fn save(&self, incidents: &[VersionedIncident]) -> Result<Saved, StoreError> {
        let statements = incidents.iter().filter_map(document::statement).collect();
        update::save(&self.database, NAME, self.collection.name(), statements).await
    }

    async fn found(&self, filter: Document, hint: Hint) -> Result<Vec<VersionedIncident>, StoreError> {
        let found = self.collection.find(filter).hint(hint).batch_size(1_000).await?;
        documents::readable(NAME, found, document::read).try_collect().await
    }
}

fn open_keys() -> Hint {
    Hint::Keys(doc! { "fingerprint": 1 })
}

fn last_keys() -> Document {
    doc! { "fingerprint": 1, "stateSince": 1 }
}
