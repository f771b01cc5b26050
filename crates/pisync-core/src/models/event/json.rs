//! JSON values borrowed from a body, and the repair of broken ones.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::loose;

/// The mark at the start of files of some editors and exports.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The most characters of a broken value that are shown.
const SHOWN: usize = 40;

/// A value as written in a body.
#[derive(Debug, Clone, Copy)]
pub(in crate::models) enum Raw<'a> {
    /// JSON.
    Json(&'a str),
    /// Anything else in the place of JSON.
    Broken(&'a [u8]),
}

/// A repair of a value. Of several, the worst is kept; the first is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::models) enum Damage {
    /// A byte of it is not UTF-8; it became U+FFFD.
    NoUtf8 {
        /// The place of the byte in the value, from 1.
        place: usize,
        /// The byte.
        byte: u8,
    },
    /// A backslash begins no escape; it was doubled.
    Backslash,
    /// A control character was not escaped; it is now.
    Control,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUtf8 { place, byte } => {
                write!(f, "must be UTF-8, and has the byte 0x{byte:02X} in place {place}: convert it before it is sent")
            }
            Self::Backslash => f.write_str("has a backslash that begins no escape of JSON: write it twice"),
            Self::Control => f.write_str("has a control character that is not escaped as JSON demands it"),
        }
    }
}

impl<'a> Raw<'a> {
    /// Returns the value of these bytes.
    pub(in crate::models) fn of(bytes: &'a [u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok();
        let json = text.filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        json.map_or(Self::Broken(bytes), Self::Json)
    }

    /// Returns the value as JSON, repaired if necessary, and the damage. None if it cannot be repaired.
    pub(in crate::models) fn mended(self) -> Option<(Cow<'a, str>, Option<Damage>)> {
        match self {
            Self::Json(json) => Some((json.into(), None)),
            Self::Broken(bytes) => mend(bytes).map(|(json, damage)| (json.into(), damage)),
        }
    }

    /// Returns the value as exact JSON, for members that matter: no repair.
    ///
    /// Fails with the expected form, for people.
    pub(in crate::models) fn exact(self) -> Result<Cow<'a, str>, Cow<'static, str>> {
        let bytes = match self {
            Self::Json(json) => return Ok(json.into()),
            Self::Broken(b"") => return Err("has no value".into()),
            Self::Broken(bytes) => bytes,
        };
        match mend(bytes) {
            Some((json, None | Some(Damage::Control))) => Ok(json.into()),
            Some((_, Some(damage))) => Err(damage.to_string().into()),
            None => {
                let said = String::from_utf8_lossy(bytes);
                let more = if said.chars().nth(SHOWN).is_some() { "…" } else { "" };
                let shown: String = said.chars().take(SHOWN).flat_map(char::escape_debug).collect();
                Err(format!("has a value that is no JSON: {shown}{more}").into())
            }
        }
    }

    /// Returns the members of an object in their order, with duplicates and with broken values.
    pub(in crate::models) fn members(self) -> Option<Vec<(Cow<'a, str>, Raw<'a>)>> {
        match self {
            Self::Json(json) => {
                let members: Members<'_> = serde_json::from_str(json).ok()?;
                Some(members.0)
            }
            Self::Broken(bytes) => broken_members(bytes),
        }
    }
}

/// Returns the members of an object with a broken value. Its structure must be sound.
pub(in crate::models) fn broken_members(bytes: &[u8]) -> Option<Vec<(Cow<'_, str>, Raw<'_>)>> {
    let members = loose::members(bytes)?.into_iter();
    let read = |(name, value)| {
        let known = Raw::of(name).mended().and_then(|(json, _)| string(&json).map(Cow::into_owned));
        let name = known.map_or_else(|| String::from_utf8_lossy(name), Cow::Owned);
        (name, Raw::of(value))
    };
    Some(members.map(read).collect())
}

/// Repairs common errors within texts of programs that write JSON by hand: bytes of another encoding, control
/// characters and single backslashes.
fn mend(bytes: &[u8]) -> Option<(String, Option<Damage>)> {
    let wrong = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
    let mut damage = wrong.map(|at| Damage::NoUtf8 { place: at + 1, byte: bytes[at] });
    let mut note = |found: Damage| damage = Some(damage.map_or(found, |damage| damage.min(found)));
    let text = String::from_utf8_lossy(bytes);
    let (mut json, mut is_text) = (String::with_capacity(text.len() + 16), false);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => is_text = !is_text,
            '\\' if is_text => {
                if let Some(escape) = escape(rest.as_str()) {
                    json.push('\\');
                    json.push_str(escape);
                    rest = rest.as_str()[escape.len()..].chars();
                    continue;
                }
                note(Damage::Backslash);
                json.push('\\');
            }
            control @ '\0'..' ' if is_text => {
                note(Damage::Control);
                let _ = write!(json, "\\u{:04x}", u32::from(control));
                continue;
            }
            _ => {}
        }
        json.push(character);
    }
    serde_json::from_str::<&RawValue>(&json).is_ok().then_some((json, damage))
}

/// Returns the part of an escape after its backslash.
fn escape(rest: &str) -> Option<&str> {
    match rest.as_bytes() {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(&rest[..1]),
        [b'u', digits @ ..] if digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit) => Some(&rest[..5]),
        _ => None,
    }
}

/// Returns the body without a byte order mark at its start.
pub(in crate::models) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Returns the text of a JSON string, borrowed if it has no escapes.
pub(in crate::models) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(raw).ok()?;
    Some(text.0)
}

/// A string that is borrowed from the JSON if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(in crate::models) struct Text<'a>(#[serde(borrow)] pub(in crate::models) Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(Members)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Cow<'de, str>, Raw<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<Text<'_>, &RawValue>()? {
            members.push((name.0, Raw::Json(value.get())));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(bytes: &[u8]) -> Option<(String, Option<Damage>)> {
        Raw::of(bytes).mended().map(|(json, damage)| (json.into_owned(), damage))
    }

    #[test]
    fn what_programs_get_wrong_within_a_text_is_mended() {
        for (bytes, json, damage) in [
            (&b"\"a\tb\""[..], r#""a\u0009b""#, Some(Damage::Control)),
            (b"\"a\r\nb\"", r#""a\u000d\u000ab""#, Some(Damage::Control)),
            (br#""C:\Users\x \u12""#, r#""C:\\Users\\x \\u12""#, Some(Damage::Backslash)),
            (br#""C:\temp\u0041""#, r#""C:\temp\u0041""#, None),
            (b"\"caf\xe9\"", "\"caf\u{fffd}\"", Some(Damage::NoUtf8 { place: 5, byte: 0xe9 })),
            (b"\"\xe9\t\"", "\"\u{fffd}\\u0009\"", Some(Damage::NoUtf8 { place: 2, byte: 0xe9 })),
            (b"{\"a\":\t[\"\t\"]}", "{\"a\":\t[\"\\u0009\"]}", Some(Damage::Control)),
        ] {
            assert_eq!(mended(bytes), Some((json.to_owned(), damage)), "{json}");
        }
        for bytes in [&b""[..], b"NaN", b"\xe9", b"\"a", b"{a:1}", b"'a'", b"1\xff", b"01"] {
            assert_eq!(mended(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_something_depends_on_is_not_guessed() {
        for (bytes, said) in [
            (&b"NaN"[..], "has a value that is no JSON: NaN"),
            (b"", "has no value"),
            (b"\"\xe9\"", "must be UTF-8, and has the byte 0xE9 in place 2: convert it before it is sent"),
            (br#""C:\x""#, "has a backslash that begins no escape of JSON: write it twice"),
        ] {
            assert_eq!(Raw::of(bytes).exact().unwrap_err(), said);
        }
        assert!(Raw::of(&b"x".repeat(10_000)).exact().unwrap_err().len() < 100);
        assert_eq!(Raw::of(b"\"a\n\"").exact().unwrap(), r#""a\u000a""#);
    }

    #[test]
    fn a_broken_member_leaves_the_others() {
        let members = Raw::of(b"{\"a\":NaN,\"caf\xe9\":1,\"b\":\"\t\"}").members().unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["a", "caf\u{fffd}", "b"]);
        assert!(matches!(members[1].1, Raw::Json("1")));
        for none in [&b"{\"a\":NaN"[..], b"{\"a\":NaN,}", b"{\"a\" NaN}", b"{NaN:1}", b"[NaN]", b"{\"a\":NaN} 1"] {
            assert!(Raw::of(none).members().is_none(), "{none:?}");
        }
    }

    proptest! {
        /// Repaired bytes are always JSON, and JSON stays as it is.
        #[test]
        fn what_is_mended_is_json(bytes in prop::collection::vec(prop::sample::select(b"\"\"\"\\u0a1\t\n{}:,\xc3\xa9\xff".to_vec()), 0..20)) {
            if let Some((json, damage)) = Raw::of(&bytes).mended() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok() || json.contains("\\u"));
                prop_assert_eq!(damage.is_none(), matches!(Raw::of(&bytes), Raw::Json(_)));
            }
        }
    }
}
