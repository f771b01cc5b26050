//! Statistics of incidents in a range of time: their number, and the longest. Inhibited ones are left out.

use std::ops::Range;

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    IndexModel,
    options::{Hint, IndexOptions},
};

use super::{Alerts, NAME, document, list};
use crate::{
    models::{AlertState, Incident},
    store::{StoreError, documents, index},
};

/// Returns the index keys of resolved incidents, by their end.
fn ended_keys() -> Document {
    doc! { "endsAt": 1 }
}

pub(super) fn ended_index() -> IndexModel {
    let over = IndexOptions::builder().partial_filter_expression(doc! { "endsAt": { "$exists": true } });
    index(ended_keys(), over.build())
}

impl Alerts {
    /// Returns the number that began in a range.
    pub async fn count_begun(&self, range: Range<Timestamp>) -> Result<u64, StoreError> {
        let states = AlertState::ALL.map(AlertState::as_str).to_vec();
        let begun = doc! { "inhibitedBy": Bson::Null, "state": { "$in": states }, "startsAt": within(range) };
        Ok(self.collection.count_documents(begun).hint(Hint::Keys(list::keys("inhibitedBy"))).await?)
    }

    /// Returns the number that ended in a range.
    pub async fn count_ended(&self, range: Range<Timestamp>) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(ended(range)).hint(Hint::Keys(ended_keys())).await?)
    }

    /// Returns the number of open ones.
    pub async fn count_firing(&self) -> Result<u64, StoreError> {
        Ok(self.collection.count_documents(firing()).hint(Hint::Keys(list::keys("inhibitedBy"))).await?)
    }

    /// Returns the longest incident until `now`, of those that ended in a range or are open.
    pub async fn longest(&self, range: Range<Timestamp>, now: Timestamp) -> Result<Option<Incident>, StoreError> {
        let lasted = doc! { "$set": { "lasted": { "$subtract": ["$endsAt", "$startsAt"] } } };
        let stages =
            [doc! { "$match": ended(range) }, lasted, doc! { "$sort": { "lasted": -1 } }, doc! { "$limit": 1 }];
        let over = self.collection.aggregate(stages).hint(Hint::Keys(ended_keys()));
        let over: Vec<_> = over.with_type::<RawDocumentBuf>().await?.try_collect().await?;
        // Along the index from its other end.
        let open = self.collection.find_one(firing()).sort(doc! { "startsAt": 1, "_id": 1 });
        let open = open.hint(Hint::Keys(list::keys("inhibitedBy"))).await?;
        let found = over.into_iter().chain(open);
        let found = found.filter_map(|found| documents::read(NAME, &found, document::read)).map(|kept| kept.incident);
        let length =
            |incident: &Incident| incident.alert.ends_at.unwrap_or(now).duration_since(incident.alert.starts_at);
        Ok(found.max_by_key(length))
    }
}

fn firing() -> Document {
    doc! { "inhibitedBy": Bson::Null, "state": AlertState::Firing.as_str() }
}

fn ended(range: Range<Timestamp>) -> Document {
    doc! { "endsAt": within(range), "inhibitedBy": Bson::Null }
}

fn within(range: Range<Timestamp>) -> Document {
    doc! { "$gte": DateTime::from(range.start), "$lt": DateTime::from(range.end) }
}
