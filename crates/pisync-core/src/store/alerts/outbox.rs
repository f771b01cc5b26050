//! The unsent messages of all incidents: found by group, and by message once it was claimed.

use bson::{DateTime, Document, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    IndexModel,
    options::{Hint, IndexOptions},
};

use super::{Alerts, NAME, VersionedIncident, document};
use crate::{
    models::MessageId,
    store::{
        StoreError,
        documents::{self, Along},
        index,
    },
};

/// The most documents that one query of due messages reads.
const LOOK: i64 = 20_000;

pub(super) fn indexes() -> [IndexModel; 2] {
    [doc! { "outboxDueAt": 1 }, group_keys()].map(|keys| {
        let waiting = doc! { "outboxDueAt": { "$exists": true } };
        index(keys, IndexOptions::builder().partial_filter_expression(waiting).build())
    })
}

fn group_keys() -> Document {
    doc! { "outbox.groupKey": 1, "outbox.messageId": 1 }
}

impl Alerts {
    /// Returns the groups with due entries, by the database's clock.
    pub async fn due_groups(&self) -> Result<Vec<String>, StoreError> {
        let is_due = |field| doc! { "$expr": { "$lte": [field, "$$NOW"] } };
        let mut due = is_due("$outboxDueAt");
        due.insert("outboxDueAt", doc! { "$exists": true });
        let stages = [
            doc! { "$match": due },
            doc! { "$sort": { "outboxDueAt": 1 } },
            doc! { "$limit": LOOK },
            doc! { "$unwind": "$outbox" },
            doc! { "$match": is_due("$outbox.nextAt") },
            doc! { "$group": { "_id": "$outbox.groupKey" } },
        ];
        let found: Vec<_> = self.collection.aggregate(stages).await?.try_collect().await?;
        Ok(found.iter().filter_map(|group| group.get_str("_id").ok().map(str::to_owned)).collect())
    }

    /// Returns up to `most` incidents with unclaimed entries of this group.
    pub async fn unclaimed(&self, group: &str, most: usize) -> Result<Vec<VersionedIncident>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.waiting(of_group(group, doc! { "messageId": null }), most).await
    }

    /// Returns the incidents with claimed entries of this group.
    pub async fn claimed(&self, group: &str) -> Result<Vec<VersionedIncident>, StoreError> {
        self.waiting(of_group(group, doc! { "messageId": { "$type": "string" } }), LOOK).await
    }

    /// Returns the incidents in this message.
    pub async fn of_message(&self, group: &str, message: &MessageId) -> Result<Vec<VersionedIncident>, StoreError> {
        self.waiting(of_group(group, doc! { "messageId": message.as_str() }), LOOK).await
    }

    /// Delays all entries of a group until a time.
    pub async fn put_off(&self, group: &str, until: Timestamp) -> Result<(), StoreError> {
        let until = DateTime::from(until);
        let is_early = doc! { "$and": [
            { "$eq": ["$$entry.groupKey", group] }, { "$lt": ["$$entry.nextAt", until] },
        ] };
        let moved = doc! { "$mergeObjects": ["$$entry", { "nextAt": until }] };
        let each = doc! { "$cond": [is_early, moved, "$$entry"] };
        let change = vec![
            doc! { "$set": { "outbox": { "$map": { "input": "$outbox", "as": "entry", "in": each } } } },
            doc! { "$set": {
                "outboxDueAt": { "$min": "$outbox.nextAt" },
                "revision": { "$add": [{ "$ifNull": ["$revision", 0_i64] }, 1_i64] },
            } },
        ];
        let early = of_group(group, doc! { "nextAt": { "$lt": until } });
        self.collection.update_many(early, change).hint(Hint::Keys(group_keys())).await?;
        Ok(())
    }

    async fn waiting(&self, filter: Document, most: i64) -> Result<Vec<VersionedIncident>, StoreError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let along = Along { filter, sort: None, index: group_keys() };
        documents::up_to(NAME, &self.collection, along, most, document::read).await
    }
}

fn of_group(group: &str, mut entry: Document) -> Document {
    entry.insert("groupKey", group);
    doc! { "outboxDueAt": { "$exists": true }, "outbox": { "$elemMatch": entry } }
}
