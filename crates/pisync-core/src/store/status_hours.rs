//! The collection `StatusHour`: the number of devices in each status, one document per hour.

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use jiff::Timestamp;
use mongodb::Collection;
use serde::Deserialize;

use super::{
    Raw, StoreError,
    documents::{self, Moment, Whole},
};
use crate::models::StatusHour;

/// The counts.
#[derive(Debug, Clone)]
pub struct StatusHours(Collection<Document>);

impl StatusHours {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    /// Returns the counts of the hour that begins at `hour`, if they were taken and can be read.
    pub async fn find(&self, hour: Timestamp) -> Result<Option<StatusHour>, StoreError> {
        let hours = self.0.clone_with_type::<RawDocumentBuf>();
        let found = hours.find_one(doc! { "_id": DateTime::from(hour) }).await?;
        let found = found.and_then(|found| documents::read("StatusHour", &found, documents::parse::<Stored>));
        Ok(found.map(StatusHour::from))
    }

    /// Stores the counts of an hour, unless others were stored first; returns whether it did.
    pub async fn keep(&self, counts: &StatusHour) -> Result<bool, StoreError> {
        let [failing, silent, clock_suspect, ok] =
            counts.counts.map(|count| Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX)));
        let taken_at = DateTime::from(counts.taken_at);
        let first = doc! {
            "takenAt": taken_at, "failing": failing, "silent": silent, "clockSuspect": clock_suspect, "ok": ok,
        };
        let hour = doc! { "_id": DateTime::from(counts.hour) };
        match self.0.update_one(hour, doc! { "$setOnInsert": first }).upsert(true).await.map_err(StoreError::from) {
            // Two processes made the document at the same time: the other one was first.
            Err(StoreError::Refused { code: 11000, .. }) => Ok(false),
            kept => kept.map(|kept| kept.upserted_id.is_some()),
        }
    }

    /// Removes the counts of all hours before a time.
    pub async fn forget_before(&self, hour: Timestamp) -> Result<(), StoreError> {
        self.0.delete_many(doc! { "_id": { "$lt": DateTime::from(hour) } }).await?;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: Moment,
    taken_at: Moment,
    failing: Whole<u64>,
    silent: Whole<u64>,
    clock_suspect: Whole<u64>,
    ok: Whole<u64>,
}

impl From<Stored> for StatusHour {
    fn from(stored: Stored) -> Self {
        let counts = [stored.failing, stored.silent, stored.clock_suspect, stored.ok];
        Self { hour: stored.id.0, taken_at: stored.taken_at.0, counts: counts.map(|count| count.0) }
    }
}
