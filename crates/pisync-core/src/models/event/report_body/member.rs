//! One member of a report, as written in the body.

use std::borrow::Cow;

use crate::models::{
    FieldError,
    event::{invalid_event::MALFORMED, json::Raw},
};

/// One member: its raw value, or nothing if it is missing.
#[derive(Debug, Default)]
pub(super) struct Member<'a> {
    pub(super) raw: Option<Raw<'a>>,
    /// The name of its second occurrence, if there is one.
    pub(super) again: Option<Box<str>>,
}

impl<'a> Member<'a> {
    /// Reads the member, or adds its fault under `pointer`.
    pub(super) fn read<T>(
        &self,
        pointer: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Cow<'static, str>>,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        let (code, detail) = match (&self.again, self.raw.map(Raw::exact)) {
            (Some(name), _) if pointer.get(1..) == Some(name) => (MALFORMED, "is given twice: send it once".into()),
            (Some(name), _) => (MALFORMED, format!("is given twice, also as {name}: send it once").into()),
            (None, Some(Ok(json))) => match parse(&json) {
                Ok(value) => return Some(value),
                Err(detail) if matches!(json, Cow::Borrowed(_)) => ("invalid", detail),
                Err(detail) => (MALFORMED, detail),
            },
            (None, Some(Err(detail))) => (MALFORMED, detail),
            (None, None) => ("missing", "is required".into()),
        };
        errors.push(FieldError { pointer: pointer.into(), code, detail: detail.into_owned() });
        None
    }

    /// Returns a member that may be missing or null.
    pub(super) fn if_any(&self) -> Option<Raw<'a>> {
        self.raw.filter(|raw| !matches!(raw, Raw::Json("null")))
    }
}
