//! The faults of a report, member by member.

use std::{borrow::Cow, fmt};

/// The code of a body that is not JSON.
pub(super) const MALFORMED: &str = "malformed";

/// The faults of a body that is not a sync event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidEvent {
    /// Each fault; never empty.
    pub errors: Vec<FieldError>,
}

/// One fault of one member of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the member; empty for the whole body.
    pub pointer: Cow<'static, str>,
    /// A short stable word: `malformed`, `missing`, `invalid`.
    pub code: &'static str,
    /// The expected form, for people.
    pub detail: String,
}

impl InvalidEvent {
    pub(super) fn malformed(detail: String) -> Self {
        Self { errors: vec![FieldError { pointer: "".into(), code: MALFORMED, detail }] }
    }
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, FieldError { pointer, detail, .. }) in self.errors.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let space = if pointer.is_empty() { "" } else { " " };
            write!(f, "{separator}{}{space}{detail}", pointer.trim_start_matches('/'))?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidEvent {}
