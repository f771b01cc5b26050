//! The name a device gives itself.

use std::{fmt, sync::Arc};

/// A device's identifier: 1 to 128 printable characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

/// Why a text is not a [`DeviceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    /// The text is empty or longer than 128 characters.
    #[error("must have 1 to {} characters", DeviceId::MAX_CHARS)]
    Length,
    /// The text holds a control, format, separator or unassigned character.
    #[error("must have printable characters only")]
    NotPrintable,
}

impl DeviceId {
    /// The longest identifier, in characters.
    pub const MAX_CHARS: usize = 128;

    /// Takes `text` as an identifier, byte for byte.
    pub fn parse(text: &str) -> Result<Self, InvalidDeviceId> {
        if text.is_empty() || text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(InvalidDeviceId::Length);
        }
        if !text.chars().all(is_printable) {
            return Err(InvalidDeviceId::NotPrintable);
        }
        Ok(Self(text.into()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character can be seen on paper: the standard library escapes exactly those of the
/// Unicode categories control, format, surrogate, private use, unassigned and separator (but for
/// the plain space).
pub(super) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Behind a letter, so that a combining mark counts as the printable character it makes.
    let mut bytes = [b'a', 0, 0, 0, 0];
    c.encode_utf8(&mut bytes[1..]);
    let text = std::str::from_utf8(&bytes[..=c.len_utf8()]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_any_script_are_taken_as_they_are() {
        for name in ["pibook-1", "a", "$where", "a.b", "école 7", "e\u{301}cole", "क्षेत्र", "学校", "🍓"]
        {
            assert_eq!(DeviceId::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(DeviceId::parse(&"学".repeat(128)).is_ok());
        assert_eq!(DeviceId::parse(&"学".repeat(129)), Err(InvalidDeviceId::Length));
        assert_eq!(DeviceId::parse(""), Err(InvalidDeviceId::Length));
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for c in ['\0', '\n', '\x7f', '\u{85}', '\u{200f}', '\u{202e}', '\u{feff}', '\u{2028}', '\u{fffe}'] {
            assert_eq!(DeviceId::parse(&format!("a{c}b")), Err(InvalidDeviceId::NotPrintable), "{c:?}");
        }
    }
}
