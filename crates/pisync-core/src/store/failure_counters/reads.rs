//! Queries of the counters for people, step by step along an index. The index is named to the server, so a query that
//! it cannot serve is an error and never a scan.

use std::{collections::HashMap, time::Duration};

use bson::{
    Bson, DateTime, Document, RawBson, RawDocumentBuf, doc,
    raw::{RawBsonRef, RawDocument},
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use mongodb::options::Hint;
use serde::Deserialize;

use super::{FailureCounters, NAME, VersionedCounter, read};
use crate::{
    models::{DeviceId, FailureCounter, Labels, Matcher, MatcherKind},
    store::{
        StoreError,
        documents::{self, Amount, Moment, Unreadable},
        labels,
    },
};

/// The maximum time of the server to count devices for a person.
const COUNT_TIMEOUT: Duration = Duration::from_secs(20);

/// The devices whose labels are read with one query.
const LABELLED: usize = 1_000;

/// A step along an index.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterPage<P> {
    /// The counters in the order of the index. Unreadable ones are left out.
    pub counters: Vec<FailureCounter>,
    /// The place after which the next step begins, readable or not; none at the end.
    pub last: Option<P>,
}

impl FailureCounters {
    /// Returns up to `most` counters of devices whose id begins with `prefix`, in order of the ids, after `after`.
    pub async fn by_device(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<CounterPage<String>, StoreError> {
        // Above every id that begins with the prefix: no id holds this character.
        let end = format!("{prefix}\u{10FFFF}");
        let (behind, start) = after.filter(|after| *after >= prefix).map_or(("$gte", prefix), |after| ("$gt", after));
        let start = doc! { behind: start, "$lt": end };
        let found = self.step(doc! { "deviceId": start }, doc! { "deviceId": 1 }, most).await?;
        let last = if found.len() == most { found.last().map(place) } else { None };
        Ok(CounterPage { counters: readable(found), last })
    }

    /// Returns the ids of all devices that begin with `prefix`, from the index alone.
    pub async fn ids_with(
        &self,
        prefix: &str,
    ) -> Result<impl Stream<Item = Result<String, StoreError>> + Send + Unpin + use<>, StoreError> {
        let range = doc! { "$gte": prefix, "$lt": format!("{prefix}\u{10FFFF}") };
        let find = self.collection.find(doc! { "deviceId": range }).projection(doc! { "_id": 0, "deviceId": 1 });
        let found = find.batch_size(10_000).hint(Hint::Keys(doc! { "deviceId": 1 })).await?;
        Ok(documents::readable(NAME, found, |document| Ok(documents::parse::<Named>(document)?.device_id)).boxed())
    }

    /// Returns the readable counters of these devices.
    pub async fn readable(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, FailureCounter>, StoreError> {
        let ids: Vec<_> = devices.iter().map(|device| device.as_str()).collect();
        let find = self.collection.find(doc! { "deviceId": { "$in": ids } }).hint(Hint::Keys(doc! { "deviceId": 1 }));
        let counters = readable(find.await?.try_collect().await?).into_iter();
        Ok(counters.map(|counter| (counter.device_id.clone(), counter)).collect())
    }

    /// Returns the current labels of these devices, of those with labels.
    pub async fn labels(&self, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
        let mut all = HashMap::new();
        for some in devices.chunks(LABELLED) {
            let ids: Vec<_> = some.iter().map(|device| device.as_str()).collect();
            let with_labels = doc! { "deviceId": { "$in": ids }, "labels": { "$exists": true } };
            let find = self.collection.find(with_labels).projection(doc! { "_id": 0, "deviceId": 1, "labels": 1 });
            let mut found = find.hint(Hint::Keys(doc! { "deviceId": 1 })).await?;
            while let Some(document) = found.try_next().await? {
                all.extend(documents::read(NAME, &document, labelled));
            }
        }
        Ok(all)
    }

    /// Returns how many devices match: their ids, and their current labels, of which at least one is asked for. Fails
    /// after 20 s of the server's time.
    pub async fn count_matching(&self, matchers: &[&Matcher]) -> Result<u64, StoreError> {
        let found =
            self.collection.find(Document::from_iter(matchers.iter().find_map(|matcher| among_labels(matcher))));
        let found = found.projection(doc! { "_id": 0, "deviceId": 1, "labels": 1 }).batch_size(10_000);
        let mut found = found.hint(Hint::Keys(super::label_keys())).max_time(COUNT_TIMEOUT).await?;
        let mut count = 0;
        while let Some(document) = found.try_next().await? {
            let Some((device_id, labels)) = documents::read(NAME, &document, labelled) else { continue };
            let fits = |matcher: &&Matcher| {
                let of_device = matcher.is_of_devices().then(|| labels.get(matcher.label()));
                of_device.unwrap_or(Some(device_id.as_str())).is_some_and(|value| matcher.fits(value))
            };
            count += u64::from(matchers.iter().all(fits));
        }
        Ok(count)
    }

    /// Returns up to `most` counters at or over `at_least`, highest first, ties by device, after `after`.
    pub async fn worst(
        &self,
        at_least: i32,
        after: Option<(i32, &str)>,
        most: usize,
    ) -> Result<CounterPage<(i32, String)>, StoreError> {
        let by = || doc! { "failureCount": -1, "deviceId": 1 };
        let mut found = match after {
            Some((count, device_id)) => {
                let tied = doc! { "failureCount": count, "deviceId": { "$gt": device_id } };
                self.step(tied, by(), most).await?
            }
            None => Vec::new(),
        };
        if found.len() < most {
            let mut lower = doc! { "$gte": at_least };
            if let Some((count, _)) = after {
                lower.insert("$lt", count);
            }
            found.extend(self.step(doc! { "failureCount": lower }, by(), most - found.len()).await?);
        }
        let place = |document: &RawDocumentBuf| Some((count(document)?, place(document)));
        let last = if found.len() == most { found.iter().rev().find_map(place) } else { None };
        Ok(CounterPage { counters: readable(found), last })
    }

    /// Returns all counters at or over `at_least`, highest first.
    pub async fn all_worst(
        &self,
        at_least: i32,
    ) -> Result<impl Stream<Item = Result<FailureCounter, StoreError>> + Send + Unpin + use<>, StoreError> {
        let by = doc! { "failureCount": -1, "deviceId": 1 };
        let find = self.collection.find(doc! { "failureCount": { "$gte": at_least } }).sort(by.clone());
        let found = find.hint(Hint::Keys(by)).batch_size(500).await?;
        Ok(documents::readable(NAME, found, read).map_ok(|kept| kept.counter).boxed())
    }

    /// Returns the ids of all devices at or over `at_least`, from the index alone.
    pub async fn ids_of_worst(
        &self,
        at_least: i32,
    ) -> Result<impl Stream<Item = Result<String, StoreError>> + Send + Unpin + use<>, StoreError> {
        let find = self.collection.find(doc! { "failureCount": { "$gte": at_least } });
        let find = find.projection(doc! { "_id": 0, "deviceId": 1 }).batch_size(10_000);
        let found = find.hint(Hint::Keys(doc! { "failureCount": -1, "deviceId": 1 })).await?;
        Ok(documents::readable(NAME, found, |document| Ok(documents::parse::<Named>(document)?.device_id)).boxed())
    }

    /// Returns the devices that began to fail or recovered by a report received at `since` or later, each with that
    /// time, `most` at a time, the earliest first.
    pub async fn changed(
        &self,
        since: Timestamp,
        most: usize,
    ) -> Result<impl Stream<Item = Result<Vec<(DeviceId, Timestamp)>, StoreError>> + Send + Unpin + use<>, StoreError>
    {
        let by = doc! { "lastChangeAt": 1 };
        let changed = doc! { "lastChangeAt": { "$gte": DateTime::from(since) } };
        let find = self.collection.find(changed).projection(doc! { "_id": 0, "deviceId": 1, "lastChangeAt": 1 });
        let found = find.sort(by.clone()).hint(Hint::Keys(by)).batch_size(10_000).await?;
        let changed = |document: &RawDocument| {
            let changed: Changed = documents::parse(document)?;
            Ok((Named { device_id: changed.device_id }.device()?, changed.last_change_at.0))
        };
        Ok(documents::readable(NAME, found, changed).try_chunks(most).map_err(|error| error.1).boxed())
    }

    /// Returns the devices whose counter is at or over `threshold`, `most` at a time and in no order, from the index
    /// alone.
    pub async fn failing(
        &self,
        threshold: i32,
        most: usize,
    ) -> Result<impl Stream<Item = Result<Vec<DeviceId>, StoreError>> + Send + Unpin + use<>, StoreError> {
        let failing = doc! { "failureCount": { "$gte": threshold } };
        let find = self.collection.find(failing).projection(doc! { "_id": 0, "deviceId": 1 });
        let by = Hint::Keys(doc! { "failureCount": -1, "deviceId": 1 });
        let found = find.hint(by).batch_size(10_000).await?;
        let named = |document: &RawDocument| documents::parse::<Named>(document)?.device();
        Ok(documents::readable(NAME, found, named).try_chunks(most).map_err(|error| error.1).boxed())
    }

    /// Returns the counters of these devices, those that have one; `None` for an unreadable one.
    pub async fn find_readable(
        &self,
        devices: &[DeviceId],
    ) -> Result<HashMap<DeviceId, Option<FailureCounter>>, StoreError> {
        let found = self.find(devices).await?.into_iter();
        Ok(found.map(|(device_id, kept)| (device_id, kept.is_readable().then_some(kept.counter))).collect())
    }

    /// Returns the number of counters, from the server's metadata of the collection.
    pub async fn estimated_count(&self) -> Result<u64, StoreError> {
        Ok(self.collection.estimated_document_count().await?)
    }

    /// Returns documents in the order of the index of these keys.
    async fn step(&self, filter: Document, by: Document, most: usize) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let find = self.collection.find(filter).sort(by.clone()).hint(Hint::Keys(by));
        Ok(find.limit(i64::try_from(most).unwrap_or(i64::MAX)).await?.try_collect().await?)
    }
}

/// The fields of a counter in an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    device_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Labelled {
    device_id: String,
    labels: Option<RawBson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    device_id: String,
    last_change_at: Moment,
}

impl Named {
    fn device(&self) -> Result<DeviceId, Unreadable> {
        DeviceId::parse(&self.device_id).map_err(|error| Unreadable::new("deviceId", error.to_string()))
    }
}

fn labelled(document: &RawDocument) -> Result<(DeviceId, Labels), Unreadable> {
    let Labelled { device_id, labels } = documents::parse(document)?;
    Ok((Named { device_id }.device()?, labels::from_bson(labels.as_ref())))
}

/// Returns the condition on the field `labels` that every match of a matcher meets; none for one of another field.
fn among_labels(matcher: &Matcher) -> Option<(String, Bson)> {
    let name = matcher.label();
    let entry = match matcher.kind() {
        MatcherKind::Exact => Bson::from(format!("{name}={}", matcher.value())),
        MatcherKind::Prefix => within(format!("{name}={}", matcher.value())),
        MatcherKind::Pattern => within(format!("{name}=")),
    };
    matcher.is_of_devices().then(|| ("labels".to_owned(), entry))
}

/// Returns the condition for texts that begin with `beginning`.
fn within(beginning: String) -> Bson {
    let end = format!("{beginning}\u{10FFFF}");
    doc! { "$elemMatch": { "$gte": beginning, "$lt": end } }.into()
}

fn readable(found: Vec<RawDocumentBuf>) -> Vec<FailureCounter> {
    let kept = found.into_iter().filter_map(|document| documents::read(NAME, &document, read));
    kept.map(|VersionedCounter { counter, .. }| counter).collect()
}

/// Returns the place of a document in a list: its id. If a person wrote another type, the text after which all later
/// texts come.
fn place(document: &RawDocumentBuf) -> String {
    const LAST: &str = "\u{10FFFF}";
    match document.get("deviceId") {
        Ok(Some(RawBsonRef::String(id))) => id.to_owned(),
        // The server finds an array by each of its values.
        Ok(Some(RawBsonRef::Array(ids))) => {
            ids.into_iter().flatten().filter_map(RawBsonRef::as_str).max().unwrap_or(LAST).to_owned()
        }
        Ok(None | Some(RawBsonRef::Null | RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_))) => {
            String::new()
        }
        _ => LAST.to_owned(),
    }
}

/// Returns the count of a document, which another program may have written as a double. Arrays have none: the server
/// finds them by their elements, and they are in the index more than once.
#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn count(document: &RawDocumentBuf) -> Option<i32> {
    Amount::in_field(document, "failureCount").ok().map(|count| count as i32)
}
