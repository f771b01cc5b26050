//! Makes the indexes of a collection. A failed one never blocks the others.

use bson::{Document, RawDocumentBuf, doc};
use mongodb::{
    Collection, Database, IndexModel,
    error::{Error, ErrorKind},
    options::IndexOptions,
};

use super::StoreError;

/// The server's code for two documents with the same unique key.
const DUPLICATE_KEY: i32 = 11000;

/// The server's codes for an existing index with other options.
const OTHER_OPTIONS: [i32; 2] = [85, 86];

/// Makes the missing ones of these indexes, each independently.
///
/// Fails with the first error after all others were made. If duplicates prevent a unique index, a plain one is made, so
/// that reads are served. That is still an error, with the remedy.
pub(super) async fn ensure(
    collection: &Collection<RawDocumentBuf>,
    indexes: impl IntoIterator<Item = IndexModel>,
) -> Result<(), StoreError> {
    let indexes: Vec<_> = indexes.into_iter().collect();
    // All at once: it is the usual case, and one round trip.
    if collection.create_indexes(indexes.clone()).await.is_ok() {
        return Ok(());
    }
    let mut first = Ok(());
    for index in indexes {
        let made = ensure_one(collection, index).await;
        first = first.and(made);
    }
    first
}

async fn ensure_one(collection: &Collection<RawDocumentBuf>, index: IndexModel) -> Result<(), StoreError> {
    let keys = index.keys.clone();
    let Err(error) = collection.create_index(index).await else { return Ok(()) };
    let why = match code(&error) {
        Some(DUPLICATE_KEY) => {
            let plain = IndexModel::builder().keys(keys.clone()).options(IndexOptions::default()).build();
            // An index of these keys may exist already; reads are served in both cases.
            let _ = collection.create_index(plain).await;
            "two documents have the same"
        }
        Some(code) if OTHER_OPTIONS.contains(&code) => "there is one of the same keys with other options",
        _ => return Err(error.into()),
    };
    Err(StoreError::Index { collection: collection.name().to_owned(), keys: keys.to_string(), why })
}

/// Makes a plain index unique if possible. Changes nothing if there is none, or it is unique already.
pub(super) async fn make_unique(
    database: &Database,
    collection: &Collection<RawDocumentBuf>,
    keys: Document,
) -> Result<(), StoreError> {
    for change in [doc! { "prepareUnique": true }, doc! { "unique": true }] {
        let mut index = doc! { "keyPattern": keys.clone() };
        index.extend(change);
        let done = database.run_command(doc! { "collMod": collection.name(), "index": index }).await;
        match done.as_ref().err().map(code) {
            None => {}
            // No such collection or index, or one that is unique already; the next step finds the error.
            Some(Some(_)) => return Ok(()),
            Some(None) => return done.map(drop).map_err(StoreError::from),
        }
    }
    Ok(())
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
