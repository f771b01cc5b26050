//! The parts of JSON as they stand in a body, borrowed from it.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// What some editors and exports begin a file with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the body without a byte order mark at its start.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Returns the text of a JSON string, borrowed where it has no escapes.
pub(super) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(raw).ok()?;
    Some(text.0)
}

/// Returns the members of a JSON object in their order, also those that stand there twice.
pub(super) fn members(raw: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let members: Members<'_> = serde_json::from_str(raw).ok()?;
    Some(members.0)
}

/// A string that is borrowed from the JSON where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(Members)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<Text<'_>, _>()? {
            members.push((name.0, value));
        }
        Ok(members)
    }
}
