//! The collection `Summary`: one document per week with what is told, and one per week and receiver
//! that says who sends it and whether it was sent.

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

/// How long they are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 366);

/// The farthest that a next try is put off.
const FARTHEST: Duration = Duration::from_hours(24);

/// The summaries. All times are given: those of the database, or of a clock of tests.
#[derive(Debug, Clone)]
pub struct Summaries(Collection<Document>);

impl Summaries {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    /// What is told of a week, if that is written down and can be read.
    pub async fn find(&self, week: &str) -> Result<Option<Summary>, StoreError> {
        let found = self.0.clone_with_type::<RawDocumentBuf>().find_one(doc! { "_id": week }).await?;
        let found = found.and_then(|found| documents::read("Summary", &found, documents::parse::<Stored>));
        Ok(found.map(Summary::from))
    }

    /// Writes down what is told of a week, and forgets what is a year old. Where another alerter was
    /// first, its words stand.
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

    /// Takes it on to send a summary to a receiver; how often that was begun, this time included.
    /// Nobody else may for `lease`. Nothing where it was sent, cannot be, or is not due.
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
        // Further ahead than any lease or wait is what a wrong clock, or a person, wrote.
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
        // Claimed it is: a count that cannot be read is a first try.
        let attempts = |taken: &RawDocumentBuf| {
            documents::read("Summary", taken, documents::parse::<Claimed>).map_or(1, |claimed| claimed.attempts.0)
        };
        Ok(taken.as_ref().map(attempts))
    }

    /// Writes down that the receiver has it.
    pub async fn sent(&self, summary: &Summary, receiver: &str, now: Timestamp) -> Result<(), StoreError> {
        self.set(summary, receiver, doc! { "sentAt": DateTime::from(now) }).await
    }

    /// Writes down that it is to be tried again.
    pub async fn put_off(
        &self,
        summary: &Summary,
        receiver: &str,
        next_at: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.set(summary, receiver, doc! { "nextAt": DateTime::from(next_at), "why": why }).await
    }

    /// Writes down that the receiver will never take it.
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

    /// Makes a document, unless it is there.
    async fn make(&self, id: &str, first: Document) -> Result<(), StoreError> {
        let made = self.0.update_one(doc! { "_id": id }, doc! { "$setOnInsert": first }).upsert(true).await;
        match made.map_err(StoreError::from) {
            // Another has made it at the same time.
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
