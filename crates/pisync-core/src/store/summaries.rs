//! The collection `Summary`: one document per week with its text, and one per week and receiver with its delivery.

use std::{collections::BTreeMap, time::Duration};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use jiff::{SignedDuration, Timestamp};
use mongodb::{Collection, options::ReturnDocument};
use serde::Deserialize;

use super::{
    Raw, StoreError,
    documents::{self, Moment, Whole},
};
use crate::models::{MessageId, Summary};

/// How long summaries are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 366);

/// The longest delay of a retry.
const FARTHEST: Duration = Duration::from_hours(24);

/// The summaries. All times are arguments: those of the database, or of a clock of tests.
#[derive(Debug, Clone)]
pub struct Summaries(Collection<Document>);

impl Summaries {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    /// Returns the summary of a week, if it exists and can be read.
    pub async fn find(&self, week: &str) -> Result<Option<Summary>, StoreError> {
        let found = self.0.clone_with_type::<RawDocumentBuf>().find_one(doc! { "_id": week }).await?;
        let found = found.and_then(|found| documents::read("Summary", &found, documents::parse::<Stored>));
        Ok(found.map(Summary::from))
    }

    /// Stores the summary of a week, and removes those a year old. If another alerter was first, its summary stays.
    pub async fn keep(&self, summary: &Summary) -> Result<(), StoreError> {
        let figures: Document =
            summary.figures.iter().map(|(name, value)| (name.clone(), Bson::Int64(*value))).collect();
        let first = doc! {
            "messageId": summary.id.as_str(),
            "from": DateTime::from(summary.from),
            "to": DateTime::from(summary.to),
            "subject": &summary.subject,
            "lines": &summary.lines,
            "figures": figures,
        };
        self.make(&summary.week, first).await?;
        let old = summary.to.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.0.delete_many(doc! { "to": { "$lt": DateTime::from(old) } }).await?;
        Ok(())
    }

    /// Claims the delivery of a summary to a receiver for `lease`; returns the number of attempts, this one included.
    /// Returns nothing if it was sent, was given up, or is not due.
    pub async fn claim(
        &self,
        summary: &Summary,
        receiver: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<i32>, StoreError> {
        let id = id_of(summary, receiver);
        let (now, to) = (DateTime::from(now), DateTime::from(summary.to));
        self.make(&id, doc! { "to": to, "nextAt": now, "attempts": 0 }).await?;
        let until = DateTime::from_millis(now.timestamp_millis().saturating_add_unsigned(millis(lease)));
        // A time beyond any lease or delay was written by a wrong clock or a person.
        let farthest =
            DateTime::from_millis(now.timestamp_millis().saturating_add_unsigned(millis(FARTHEST.max(lease))));
        let due = doc! {
            "_id": id, "sentAt": Bson::Null, "deadAt": Bson::Null,
            "$or": [
                { "nextAt": { "$lte": now } },
                { "nextAt": { "$gt": farthest } },
                { "nextAt": { "$not": { "$type": "date" } } },
            ],
        };
        let take = doc! { "$set": { "nextAt": until }, "$inc": { "attempts": 1 } };
        let claims = self.0.clone_with_type::<RawDocumentBuf>();
        let taken = claims.find_one_and_update(due, take).return_document(ReturnDocument::After).await?;
        // It is claimed: an unreadable count is a first attempt.
        let attempts = |taken: &RawDocumentBuf| {
            documents::read("Summary", taken, documents::parse::<Claimed>).map_or(1, |claimed| claimed.attempts.0)
        };
        Ok(taken.as_ref().map(attempts))
    }

    /// Records that the receiver has it.
    pub async fn sent(&self, summary: &Summary, receiver: &str, now: Timestamp) -> Result<(), StoreError> {
        self.set(summary, receiver, doc! { "sentAt": DateTime::from(now) }).await
    }

    /// Records that it is to be retried.
    pub async fn put_off(
        &self,
        summary: &Summary,
        receiver: &str,
        next_at: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.set(summary, receiver, doc! { "nextAt": DateTime::from(next_at), "why": why }).await
    }

    /// Records that the receiver will never accept it.
    pub async fn give_up(
        &self,
        summary: &Summary,
        receiver: &str,
        now: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.set(summary, receiver, doc! { "deadAt": DateTime::from(now), "why": why }).await
    }

    async fn set(&self, summary: &Summary, receiver: &str, fields: Document) -> Result<(), StoreError> {
        self.0.update_one(doc! { "_id": id_of(summary, receiver) }, doc! { "$set": fields }).await?;
        Ok(())
    }

    /// Makes a document, unless it exists.
    async fn make(&self, id: &str, first: Document) -> Result<(), StoreError> {
        let made = self.0.update_one(doc! { "_id": id }, doc! { "$setOnInsert": first }).upsert(true).await;
        match made.map_err(StoreError::from) {
            // Another process made it at the same time.
            Err(StoreError::Refused { code: 11000, .. }) => Ok(()),
            made => made.map(|_| ()),
        }
    }
}

fn id_of(summary: &Summary, receiver: &str) -> String {
    format!("{}/{receiver}", summary.week)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Deserialize)]
struct Claimed {
    attempts: Whole<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    message_id: String,
    from: Moment,
    to: Moment,
    subject: String,
    lines: Vec<String>,
    figures: BTreeMap<String, Whole>,
}

impl From<Stored> for Summary {
    fn from(stored: Stored) -> Self {
        Self {
            week: stored.id,
            id: MessageId::from_stored(stored.message_id),
            from: stored.from.0,
            to: stored.to.0,
            subject: stored.subject,
            lines: stored.lines,
            figures: stored.figures.into_iter().map(|(name, value)| (name, value.0)).collect(),
        }
    }
}
