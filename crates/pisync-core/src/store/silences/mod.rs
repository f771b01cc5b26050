//! The collection `Silence`: the matchers and the end of each silence.

mod reach;

use std::time::Duration;

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId, raw::RawDocument};
use jiff::Timestamp;
use mongodb::{Collection, options::IndexOptions};
use serde::Deserialize;

pub use self::reach::SilenceReach;
use super::{
    Alerts, FailureCounters, Store, StoreError,
    documents::{self, Along, Moment, Unreadable, moment},
    index, object_id,
};
use crate::models::{Matcher, MatcherKind, Silence, SilenceEnd, SilenceId};

/// How long an expired silence is kept for people.
const KEPT: Duration = Duration::from_hours(24 * 90);

/// The stored end of a silence without a known end: the last day of the year 9999.
const OPEN_END: DateTime = DateTime::from_millis(253_402_214_400_000);

/// The name of the collection in metrics and the log.
const NAME: &str = "Silence";

/// The silences.
#[derive(Debug, Clone)]
pub struct Silences {
    collection: Collection<Document>,
    store: Store,
}

impl Silences {
    pub(super) fn new(store: &Store) -> Self {
        Self { collection: store.database.collection("Silence"), store: store.clone() }
    }

    fn alerts(&self) -> Alerts {
        self.store.alerts()
    }

    fn counters(&self) -> FailureCounters {
        self.store.failure_counters()
    }

    /// Makes the index if it is missing.
    pub async fn ensure_index(&self) -> Result<(), StoreError> {
        let kept = IndexOptions::builder().expire_after(KEPT).build();
        super::indexes::ensure(&self.collection.clone_with_type(), [index(keys(), kept)]).await
    }

    /// Returns a new id.
    pub fn new_id(&self) -> SilenceId {
        SilenceId::from_bytes(ObjectId::new().bytes())
    }

    /// Adds a silence.
    pub async fn add(&self, silence: &Silence) -> Result<(), StoreError> {
        self.collection.insert_one(written(silence)).await?;
        Ok(())
    }

    /// Returns up to `most` silences that are not over at a time, the latest end first.
    pub async fn not_over(&self, now: Timestamp, most: u32) -> Result<Vec<Silence>, StoreError> {
        self.list(doc! { "endsAt": { "$gt": DateTime::from(now) } }, most).await
    }

    /// Returns up to `most` silences, the latest end first.
    pub async fn all(&self, most: u32) -> Result<Vec<Silence>, StoreError> {
        self.list(doc! {}, most).await
    }

    /// Ends a silence at a time; returns whether one of that id was not over.
    pub async fn expire(&self, id: SilenceId, now: Timestamp) -> Result<bool, StoreError> {
        let there = doc! { "_id": object_id(id.bytes()), "endsAt": { "$gt": DateTime::from(now) } };
        let done = self.collection.update_one(there, doc! { "$set": end(SilenceEnd::At(now)) }).await?;
        Ok(done.matched_count == 1)
    }

    /// Changes the end of a silence that lasts until its alerts are resolved.
    pub async fn set_end(&self, id: SilenceId, at: SilenceEnd) -> Result<(), StoreError> {
        let there = doc! { "_id": object_id(id.bytes()), "untilResolved": true };
        self.collection.update_one(there, doc! { "$set": end(at) }).await?;
        Ok(())
    }

    async fn list(&self, filter: Document, most: u32) -> Result<Vec<Silence>, StoreError> {
        let collection = self.collection.clone_with_type::<RawDocumentBuf>();
        let along = Along { filter, sort: Some(doc! { "endsAt": -1 }), index: keys() };
        documents::up_to(NAME, &collection, along, most as usize, read).await
    }
}

fn keys() -> Document {
    doc! { "endsAt": 1 }
}

fn written(silence: &Silence) -> Document {
    let matchers = silence.matchers.iter().map(|matcher| {
        doc! { "label": matcher.label(), "operator": matcher.kind().as_str(), "value": matcher.value() }
    });
    let mut document = doc! {
        "_id": object_id(silence.id.bytes()),
        "matchers": matchers.collect::<Vec<_>>(),
        "startsAt": DateTime::from(silence.starts_at),
        "by": &silence.by,
        "comment": &silence.comment,
        "createdAt": DateTime::from(silence.created_at),
    };
    document.extend(end(silence.end));
    document
}

fn end(end: SilenceEnd) -> Document {
    match end {
        SilenceEnd::At(at) => doc! { "endsAt": DateTime::from(at), "untilResolved": false },
        SilenceEnd::Resolved { has_matched } => {
            doc! { "endsAt": OPEN_END, "untilResolved": true, "hasMatched": Bson::Boolean(has_matched) }
        }
    }
}

fn read(document: &RawDocument) -> Result<Silence, Unreadable> {
    let detail = |detail: String| Unreadable::new("matchers", detail);
    let stored: Stored = documents::parse(document)?;
    let matcher = |matcher: StoredMatcher| {
        let unknown = || detail(format!("{:?} is no operator", matcher.operator));
        let kind = MatcherKind::parse(&matcher.operator).ok_or_else(unknown)?;
        Matcher::new(&matcher.label, kind, &matcher.value).map_err(|error| detail(error.to_string()))
    };
    if stored.matchers.is_empty() {
        return Err(detail("none: expected one or more, since none would match everything".into()));
    }
    // A silence may last as long as a person likes.
    let last = Timestamp::from(OPEN_END);
    let ends_at =
        moment(stored.ends_at).unwrap_or(if stored.ends_at > OPEN_END { last } else { Timestamp::UNIX_EPOCH });
    Ok(Silence {
        id: SilenceId::from_bytes(stored.id.bytes()),
        matchers: stored.matchers.into_iter().map(matcher).collect::<Result<_, Unreadable>>()?,
        starts_at: stored.starts_at.0,
        end: if stored.until_resolved {
            SilenceEnd::Resolved { has_matched: stored.has_matched }
        } else {
            SilenceEnd::At(ends_at)
        },
        by: stored.by,
        comment: stored.comment,
        created_at: stored.created_at.0,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "_id")]
    id: ObjectId,
    matchers: Vec<StoredMatcher>,
    starts_at: Moment,
    ends_at: DateTime,
    #[serde(default)]
    until_resolved: bool,
    #[serde(default)]
    has_matched: bool,
    by: String,
    comment: String,
    created_at: Moment,
}

#[derive(Deserialize)]
struct StoredMatcher {
    label: String,
    operator: String,
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_read_as_it_was_written() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for end in [
            SilenceEnd::At(at(20)),
            SilenceEnd::Resolved { has_matched: false },
            SilenceEnd::Resolved { has_matched: true },
        ] {
            let silence = Silence {
                id: SilenceId::from_bytes([1; 12]),
                matchers: ["deviceId^=a", "deviceId=~.*b", "alertname=x"].map(|text| text.parse().unwrap()).into(),
                starts_at: at(10),
                end,
                by: "me".into(),
                comment: "moving".into(),
                created_at: at(5),
            };
            assert_eq!(read(&RawDocumentBuf::try_from(&written(&silence)).unwrap()).unwrap(), silence);
        }
    }
}
