//! The collection `Retention`: one document with the worker that removes old rows, the end of its lease, and its
//! progress. All times are the server's.

use std::time::Duration;

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use mongodb::{Collection, options::ReturnDocument};
use serde::Deserialize;

use super::{
    Raw, StoreError, documents,
    lease::{self, millis},
    object_id,
};
use crate::models::EventId;

/// Further ahead than any clock of the server was.
const AHEAD: Duration = Duration::from_hours(1);

/// The document of the events.
const OF_EVENTS: &str = "SyncEvent";

/// The lease and the progress of the removal.
#[derive(Debug, Clone)]
pub struct Retention(Collection<Document>);

/// A removal under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last id that was examined; none at the beginning.
    pub after: Option<EventId>,
}

impl Retention {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    /// Claims the removal for `lease`, if no other worker has it and the last one ended `every` ago. An unfinished one
    /// continues from its progress.
    pub async fn claim(&self, owner: &str, lease: Duration, every: Duration) -> Result<Option<Progress>, StoreError> {
        let never = DateTime::from_millis(0);
        let first = doc! { "$setOnInsert": { "owner": "", "until": never, "finishedAt": never } };
        self.0.update_one(doc! { "_id": OF_EVENTS }, first).upsert(true).await?;
        let free = doc! { "$or": [{ "$eq": ["$owner", owner] }, lease::is_over("$until", lease)] };
        // A time that no worker writes, or no time, was edited by a person and blocks nobody.
        let due = doc! { "$or": [
            { "$lte": ["$finishedAt", { "$subtract": ["$$NOW", millis(every)] }] },
            { "$gt": ["$finishedAt", lease::ahead(AHEAD)] },
            { "$not": lease::is_date("$finishedAt") },
        ] };
        let take = doc! { "$set": { "owner": owner, "until": lease::ahead(lease) } };
        let claimable = doc! { "_id": OF_EVENTS, "$expr": { "$and": [free, due] } };
        let retention = self.0.clone_with_type::<RawDocumentBuf>();
        let claimed = retention.find_one_and_update(claimable, vec![take]).return_document(ReturnDocument::After);
        let Some(claimed) = claimed.await? else { return Ok(None) };
        // If the progress cannot be read, it starts again from the beginning.
        let after = documents::read("Retention", &claimed, documents::parse::<Stored>).and_then(|stored| stored.after);
        Ok(Some(Progress { after: after.map(|id| EventId::from_bytes(id.bytes())) }))
    }

    /// Records the progress of the removal and extends the lease by `lease`. `false` if another worker has it now.
    pub async fn note(&self, owner: &str, after: EventId, lease: Duration) -> Result<bool, StoreError> {
        let until = lease::ahead(lease);
        let change = doc! { "$set": { "after": object_id(after.bytes()), "until": until } };
        self.of_owner(owner, change).await
    }

    /// Ends the removal: the next one starts from the beginning.
    pub async fn finish(&self, owner: &str) -> Result<bool, StoreError> {
        let change = doc! { "$set": { "after": Bson::Null, "owner": "", "until": "$$NOW", "finishedAt": "$$NOW" } };
        self.of_owner(owner, change).await
    }

    async fn of_owner(&self, owner: &str, change: Document) -> Result<bool, StoreError> {
        let ours = doc! { "_id": OF_EVENTS, "owner": owner };
        Ok(self.0.update_one(ours, vec![change]).await?.matched_count > 0)
    }
}

#[derive(Deserialize)]
struct Stored {
    after: Option<ObjectId>,
}
