//! The sizes of the collections in bytes, from the server.

use std::collections::BTreeMap;

use bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError,
    documents::{self, Amount},
};

/// The size of one collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionSize {
    /// Its name.
    pub name: String,
    /// The number of its documents.
    pub documents: f64,
    /// Bytes of the documents, uncompressed.
    pub bytes: f64,
    /// Bytes of the documents on disk, compressed.
    pub stored_bytes: f64,
    /// Bytes of each index on disk.
    pub index_bytes: BTreeMap<String, f64>,
}

impl Store {
    /// Returns the sizes of events and counters. They are those of the server's last checkpoint, a minute old at the
    /// most.
    pub async fn sizes(&self) -> Result<Vec<CollectionSize>, StoreError> {
        let mut sizes = Vec::new();
        for name in [&self.sync_events, &self.failure_counters] {
            let stats: Document = self.database.run_command(doc! { "collStats": name }).await?;
            let stats: Stats = documents::reply("a reply to collStats", stats)?;
            sizes.push(CollectionSize {
                name: name.clone(),
                documents: stats.count.0,
                bytes: stats.size.0,
                stored_bytes: stats.storage_size.0,
                index_bytes: stats.index_sizes.into_iter().map(|(index, bytes)| (index, bytes.0)).collect(),
            });
        }
        Ok(sizes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    count: Amount,
    size: Amount,
    storage_size: Amount,
    index_sizes: BTreeMap<String, Amount>,
}
