//! The one way from documents to values: an unreadable document is left out, counted and named.
//!
//! People edit documents by hand, and other programs write them. A bad one must never stop its neighbours, so a read of
//! many returns the readable ones. `clippy.toml` forbids to deserialize BSON anywhere else.
//!
//! A value of the wrong type makes its document unreadable if it decides something: no default replaces it. A reader
//! parses only the fields that it needs. Values that only decorate (labels, an error, the number of files) are left out
//! alone.

use bson::{
    Document,
    raw::{RawBsonRef, RawDocument, RawDocumentBuf},
};
use futures_util::{Stream, StreamExt, TryStreamExt, future};
use mongodb::{
    action::{Action, Find},
    options::Hint,
};
use serde::de::DeserializeOwned;

use super::{Raw, StoreError};
pub(super) use crate::codec::{Amount, Moment, Unreadable, Whole, moment, parse};
use crate::unreadable;

/// A parser of documents. A pointer, since the compiler cannot prove that a future with a closure is `Send`.
pub(super) type Read<T> = fn(&RawDocument) -> Result<T, Unreadable>;

/// A query: filter, order and index.
pub(super) struct Along {
    pub(super) filter: Document,
    pub(super) sort: Option<Document>,
    pub(super) index: Document,
}

/// Returns the parsed value of a document; `None`, counted and named, if it cannot be read.
pub(super) fn read<T>(
    collection: &'static str,
    document: &RawDocument,
    read: impl FnOnce(&RawDocument) -> Result<T, Unreadable>,
) -> Option<T> {
    read(document).map_err(|unreadable| leave_out(collection, document, &unreadable)).ok()
}

/// Returns the parsed values of the readable documents, in their order.
pub(super) fn readable<T>(
    collection: &'static str,
    found: impl Stream<Item = Result<RawDocumentBuf, mongodb::error::Error>>,
    read: Read<T>,
) -> impl Stream<Item = Result<T, StoreError>> {
    found.filter_map(move |document| {
        future::ready(match document {
            Ok(document) => self::read(collection, &document, read).map(Ok),
            Err(error) => Some(Err(StoreError::from(error))),
        })
    })
}

/// Returns up to `most` values of readable documents, in their order: as many as there are, even if some are
/// unreadable.
pub(super) async fn up_to<T>(
    name: &'static str,
    collection: &Raw,
    along: Along,
    most: usize,
    read: Read<T>,
) -> Result<Vec<T>, StoreError> {
    let (mut values, mut skip) = (Vec::new(), 0);
    while values.len() < most {
        let limit = most - values.len();
        let find = collection.find(along.filter.clone()).hint(Hint::Keys(along.index.clone()));
        let find = find.optional(along.sort.clone(), Find::sort).skip(skip);
        let found = find.limit(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        let documents: Vec<_> = found.try_collect().await?;
        skip += documents.len() as u64;
        values.extend(documents.iter().filter_map(|document| self::read(name, document, read)));
        if documents.len() < limit {
            break;
        }
    }
    Ok(values)
}

/// Returns the server's answer to a command as a value.
pub(super) fn reply<T: DeserializeOwned>(what: &'static str, reply: Document) -> Result<T, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let reply = bson::deserialize_from_document(reply);
    reply.map_err(|error| StoreError::Malformed { collection: what, detail: error.to_string() })
}

/// Counts a document that is left out, and names it in the log unless that was done lately.
pub(super) fn leave_out(collection: &'static str, document: &RawDocument, unreadable: &Unreadable) {
    let id = document.get("_id").ok().flatten().map_or_else(|| "none".into(), shown);
    leave_out_named(collection, &id, unreadable);
}

/// Does the same for a document that is known by its name alone.
pub(super) fn leave_out_named(collection: &'static str, id: &str, Unreadable { field, problem }: &Unreadable) {
    unreadable::leave_out(collection, id, field, problem);
}

/// Returns an id for the log, of any type that a person gave it.
fn shown(id: RawBsonRef<'_>) -> String {
    match id {
        RawBsonRef::ObjectId(id) => id.to_hex(),
        RawBsonRef::String(id) => id.to_owned(),
        RawBsonRef::DateTime(id) => id.to_jiff().to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, oid::ObjectId, rawdoc};
    use serde::Deserialize;

    use super::*;
    use crate::metrics;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Edited {
        count: Whole<i32>,
        at: Option<Moment>,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Part {
        name: String,
    }

    fn edited(document: &Document) -> Result<Edited, Unreadable> {
        parse(&RawDocumentBuf::try_from(document).unwrap())
    }

    #[test]
    fn whole_numbers_of_any_type_are_read() {
        let decimal: bson::Decimal128 = "3".parse().unwrap();
        for count in [bson::Bson::Int32(3), bson::Bson::Int64(3), bson::Bson::Double(3.0), decimal.into()] {
            assert_eq!(edited(&doc! { "count": count.clone() }).unwrap().count.0, 3, "{count:?}");
        }
    }

    #[test]
    fn an_amount_is_a_finite_number_from_0_or_unreadable_by_either_way() {
        #[derive(Debug, Deserialize)]
        struct Row {
            errors: Amount,
        }
        let decimal = |text: &str| bson::Bson::Decimal128(text.parse().unwrap());
        let both = |document: &Document| {
            let raw = RawDocumentBuf::try_from(document).unwrap();
            let parsed = parse::<Row>(&raw).map(|row| row.errors.0).map_err(|unreadable| unreadable.field);
            let field = Amount::in_field(&raw, "errors");
            assert!(field.as_ref().err().is_none_or(|error| error.problem.contains("expected")), "{field:?}");
            (parsed.ok(), field.ok())
        };
        for errors in [bson::Bson::Int32(2), bson::Bson::Int64(2), bson::Bson::Double(2.0), decimal("2")] {
            assert_eq!(both(&doc! { "errors": errors.clone() }), (Some(2.0), Some(2.0)), "{errors:?}");
        }
        for errors in [
            bson::Bson::Null,
            "0".into(),
            true.into(),
            bson::Bson::Array(vec![0.into()]),
            doc! { "a": 0 }.into(),
            bson::DateTime::from_millis(0).into(),
            (-1).into(),
            f64::NAN.into(),
            f64::INFINITY.into(),
            decimal("NaN"),
        ] {
            assert_eq!(both(&doc! { "errors": errors.clone() }), (None, None), "{errors:?}");
        }
        assert_eq!(both(&doc! {}), (None, None));
    }

    #[test]
    fn the_field_at_fault_is_named_and_what_was_expected() {
        let far: bson::Decimal128 = "1E+40".parse().unwrap();
        let date = bson::DateTime::from_millis;
        for (document, field) in [
            (doc! { "count": 3.5 }, "count"),
            (doc! { "count": f64::NAN }, "count"),
            (doc! { "count": 1_i64 << 40 }, "count"),
            (doc! { "count": far }, "count"),
            (doc! { "count": "3" }, "count"),
            (doc! { "count": bson::Bson::Null }, "count"),
            (doc! { "count": [3] }, "count"),
            (doc! { "count": 3, "at": "2026-11-23T00:00:00Z" }, "at"),
            (doc! { "count": 3, "at": date(i64::MAX) }, "at"),
            (doc! { "count": 3, "at": date(i64::MIN) }, "at"),
            (doc! { "count": 3, "parts": [{ "name": "a" }, { "name": 1 }] }, "parts[1].name"),
        ] {
            let unreadable = edited(&document).unwrap_err();
            assert_eq!(unreadable.field, field, "{document}: {unreadable:?}");
            assert!(unreadable.problem.contains("expected"), "{unreadable:?}");
        }
        let missing = edited(&doc! {}).unwrap_err();
        assert!(missing.problem.contains("missing field `count`"), "{missing:?}");
    }

    #[test]
    fn a_document_that_cannot_be_read_is_counted_each_time() {
        let id = ObjectId::new();
        let document = rawdoc! { "_id": id };
        let count = || metrics::UNREADABLE_DOCUMENTS.get_or_create(&[("collection", "Test")]).get();
        let before = count();
        for _ in 0..3 {
            assert_eq!(read("Test", &document, parse::<Edited>), None);
        }
        assert_eq!(count() - before, 3);
    }
}
