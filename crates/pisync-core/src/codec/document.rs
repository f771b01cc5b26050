//! Parsing a BSON document into a value, with the field at fault on failure.

use bson::raw::RawDocument;
use serde::de::DeserializeOwned;

/// The reason that a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The field at fault, with dots between its parts.
    pub(crate) field: String,
    /// The problem with the field, and the expected form.
    pub(crate) problem: String,
}

impl Unreadable {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Returns the document as a value. Fails with the field at fault.
pub(crate) fn parse<T: DeserializeOwned>(document: &RawDocument) -> Result<T, Unreadable> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let parsed = bson::deserialize_from_slice(document.as_bytes());
    // A second pass with the path, only for the few that fail: tracking the field costs time.
    parsed.or_else(|error: bson::error::Error| {
        let problem = |error: &bson::error::Error| match &error.message {
            Some(message) => message.clone(),
            None => error.to_string(),
        };
        let Ok(deserializer) = bson::RawDeserializer::new(document.as_bytes()) else {
            return Err(Unreadable::new("", problem(&error)));
        };
        serde_path_to_error::deserialize(deserializer).map_err(|error: serde_path_to_error::Error<_>| {
            Unreadable::new(error.path().to_string(), problem(error.inner()))
        })
    })
}
