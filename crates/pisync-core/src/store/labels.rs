//! Labels in counters and alerts: an array of `name=value`, which one index finds by any label.

use bson::{Bson, RawBson, raw::RawBsonRef};

use crate::models::Labels;

/// Returns the array; none if there are no labels.
pub(super) fn to_bson(labels: &Labels) -> Option<Bson> {
    let entries = labels.iter().map(|(name, value)| format!("{name}={value}"));
    (!labels.is_empty()).then(|| entries.collect::<Vec<_>>().into())
}

/// Returns the labels of the array. If a person wrote something else, it is left out.
pub(super) fn from_bson(stored: Option<&RawBson>) -> Labels {
    let Some(entries) = stored.and_then(RawBson::as_array) else { return Labels::default() };
    let pair = |entry: RawBsonRef<'_>| {
        let (name, value) = entry.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Labels::of_row(entries.into_iter().flatten().filter_map(pair))
}
