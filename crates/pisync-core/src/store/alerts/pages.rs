//! Reading the open incidents of a rule a page at a time.

use std::collections::HashSet;

use bson::{doc, raw::RawDocument};
use futures_util::TryStreamExt;

use super::{Alerts, NAME, VersionedIncident, fleet::of_rule, open_keys};
use crate::{
    models::AlertName,
    store::{
        StoreError,
        documents::{self, Unreadable},
    },
};

impl Alerts {
    /// Returns up to `limit` open incidents of a rule in the order of their fingerprints, after `after`. Also returns
    /// the start of the next page, if there may be one.
    pub async fn open_page(
        &self,
        name: AlertName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<VersionedIncident>, Option<String>), StoreError> {
        let mut range = of_rule(name);
        if let Some(after) = after {
            range.remove("$gte");
            range.insert("$gt", after);
        }
        let find = self.collection.find(doc! { "fingerprint": range, "open": true }).sort(doc! { "fingerprint": 1 });
        let found = find.hint(open_keys()).limit(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        let found: Vec<_> = found.try_collect().await?;
        let last = found.last().filter(|_| found.len() == limit).and_then(|last| fingerprint(last).ok());
        Ok((self.open_readable(found).await, last))
    }

    /// Returns the names of the rules that have an open incident: a query for each, by the index.
    pub async fn open_rules(&self) -> Result<Vec<String>, StoreError> {
        let (mut names, mut from) = (Vec::new(), String::new());
        loop {
            let find = self.collection.find_one(doc! { "fingerprint": { "$gte": &from }, "open": true });
            let find = find.projection(doc! { "_id": 0, "fingerprint": 1 }).sort(doc! { "fingerprint": 1 });
            // No hint: before the first alerter there is no index.
            let Some(Ok(found)) = find.await?.map(|found| fingerprint(&found)) else { return Ok(names) };
            let name = found.split_once('/').map_or(found.as_str(), |(name, _)| name);
            // After all fingerprints of this name and a slash, since 0 follows the slash.
            from = format!("{name}0");
            names.push(name.to_owned());
        }
    }

    /// Returns those of these fingerprints that have an open incident.
    pub async fn open_among(&self, fingerprints: &[String]) -> Result<HashSet<String>, StoreError> {
        let find = self.collection.find(doc! { "fingerprint": { "$in": fingerprints }, "open": true });
        let found = find.projection(doc! { "_id": 0, "fingerprint": 1 }).hint(open_keys()).await?;
        documents::readable(NAME, found, fingerprint).try_collect().await
    }
}

fn fingerprint(found: &RawDocument) -> Result<String, Unreadable> {
    let fingerprint = found.get_str("fingerprint").map_err(|_| Unreadable::new("fingerprint", "expected a text"));
    fingerprint.map(str::to_owned)
}
