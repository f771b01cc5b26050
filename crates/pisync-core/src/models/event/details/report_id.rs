//! The id that a device gives a report.

use std::{borrow::Cow, fmt};

use utoipa::openapi::{ObjectBuilder, Schema, SchemaFormat, schema::Type};

use super::{InvalidDetail, LeftOut};
use crate::models::{
    Unseen,
    event::{
        json::{Raw, string},
        schema::kept_if,
    },
};

/// The id that a device gives a report: 1 to 64 visible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportId(Box<str>);

impl ReportId {
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 64;

    /// Returns `text` as the id of a report.
    ///
    /// Fails if it is empty, too long, or holds an invisible character.
    pub fn parse(text: &str) -> Result<Self, InvalidDetail> {
        if text.is_empty() || text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(InvalidDetail::ReportIdLength);
        }
        Unseen::first_in(text).map_or_else(|| Ok(Self(text.into())), |unseen| Err(InvalidDetail::Unseen(unseen)))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads `reportId`.
pub(in crate::models::event) fn read(raw: Raw<'_>, left_out: &mut LeftOut) -> Option<ReportId> {
    let parse = |text: &str| ReportId::parse(text).map_err(|error| error.to_string().into());
    let read = raw.exact().and_then(|json| match string(&json) {
        Some(text) => parse(&text),
        // A counter is written as a number: its digits are the text.
        None if json.bytes().all(|byte| byte.is_ascii_digit()) => parse(&json),
        None => Err(Cow::Borrowed("must be a string or a whole number")),
    });
    read.map_err(|detail| left_out.name("/reportId", detail)).ok()
}

/// Returns the schema of `reportId` in the `OpenAPI` document.
pub(in crate::models::event) fn schema() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    kept_if(text.max_length(Some(ReportId::MAX_CHARS)).format(Some(SchemaFormat::Custom("label".into()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_id_is_1_to_64_visible_characters() {
        for text in ["1", "b55b5e5a-aadc-4321-a12d-51b872166d48", "é 7", &"学".repeat(64)] {
            assert_eq!(ReportId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", &"x".repeat(65), "a\nb", "\u{200b}", "\u{feff}7"] {
            assert!(ReportId::parse(text).is_err(), "{text:?}");
        }
    }
}
