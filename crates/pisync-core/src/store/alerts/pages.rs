//! Reading the open incidents of a rule a page at a time.

use std::collections::HashSet;

use bson::{Document, doc};
use futures_util::{TryStreamExt, future};

use super::{Alerts, KeptIncident, document, fleet::of_rule, open_keys};
use crate::{models::AlertName, store::StoreError};

impl Alerts {
    /// Returns up to `limit` open incidents of a rule in the order of their fingerprints, from the one
    /// behind `after` on, and behind which the next page begins, if there may be one. A document that
    /// cannot be read is left out and named in the log.
    pub async fn open_page(
        &self,
        name: AlertName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<KeptIncident>, Option<String>), StoreError> {
        let mut range = of_rule(name);
        if let Some(after) = after {
            range.remove("$gte");
            range.insert("$gt", after);
        }
        let find = self.collection.find(doc! { "fingerprint": range, "open": true }).sort(doc! { "fingerprint": 1 });
        let found = find.hint(open_keys()).limit(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        let found: Vec<Document> = found.try_collect().await?;
        let last = found.last().filter(|_| found.len() == limit).and_then(fingerprint);
        Ok((found.into_iter().filter_map(readable).collect(), last))
    }

    /// Returns those of these fingerprints that have an open incident.
    pub async fn open_among(&self, fingerprints: &[String]) -> Result<HashSet<String>, StoreError> {
        let find = self.collection.find(doc! { "fingerprint": { "$in": fingerprints }, "open": true });
        let found = find.projection(doc! { "_id": 0, "fingerprint": 1 }).hint(open_keys()).await?;
        found.map_err(StoreError::from).try_filter_map(|found| future::ok(fingerprint(&found))).try_collect().await
    }
}

fn fingerprint(found: &Document) -> Option<String> {
    found.get_str("fingerprint").ok().map(str::to_owned)
}

fn readable(found: Document) -> Option<KeptIncident> {
    let id = found.get_object_id("_id").ok();
    let read = document::read(found);
    read.inspect_err(|error| log::warn!(alert:? = id, error:% = error; "an alert cannot be read, it is left out")).ok()
}
