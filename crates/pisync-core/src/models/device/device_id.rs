//! The id of a device, as the device sends it.

use std::{fmt, sync::Arc};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::models::Unseen;

/// A device's identifier. Cheap to clone.
///
/// It has two constructors. [`DeviceId::of_report`] is for input from devices, and the only way in. [`DeviceId::parse`]
/// is for stored ids, byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

/// The reason that a text is not a [`DeviceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    /// The text is empty, or white space alone.
    #[error("must have 1 to {} characters, and has none but white space", DeviceId::MAX_CHARS)]
    Empty,
    /// The text is too long.
    #[error("must have at most {} characters", DeviceId::MAX_CHARS)]
    Long,
    /// The text holds an invisible character.
    #[error("must have visible characters only, and has {0}: send the id without it")]
    Unseen(Unseen),
    /// The text cannot be a stored id.
    #[error("must have 1 to {} bytes, and no NUL", DeviceId::STORED_BYTES)]
    NotStored,
}

impl DeviceId {
    /// The longest identifier of a report, in characters.
    pub const MAX_CHARS: usize = 128;

    /// The longest stored identifier, in bytes.
    pub const STORED_BYTES: usize = 2_048;

    /// Returns the identifier of a report: trimmed and in NFC, so that equal-looking ids are equal.
    ///
    /// Fails if nothing is left, if it is too long, or if it holds an invisible character.
    pub fn of_report(text: &str) -> Result<Self, InvalidDeviceId> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidDeviceId::Empty);
        }
        if let Some(Unseen { character, place }) = Unseen::first_in(trimmed) {
            let before = text.chars().take_while(|c| c.is_whitespace()).count();
            return Err(InvalidDeviceId::Unseen(Unseen { character, place: before + place }));
        }
        let id: Arc<str> = if is_nfc(trimmed) { trimmed.into() } else { trimmed.nfc().collect::<String>().into() };
        if id.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(InvalidDeviceId::Long);
        }
        Ok(Self(id))
    }

    /// Returns `text` as an identifier, byte for byte: that of a stored row, a counter, a cursor, a token or a path.
    /// Rows of another program may have any; they stay reachable.
    ///
    /// Fails if it is empty, longer than [`DeviceId::STORED_BYTES`], or holds a NUL.
    pub fn parse(text: &str) -> Result<Self, InvalidDeviceId> {
        let fits = (1..=Self::STORED_BYTES).contains(&text.len()) && !text.contains('\0');
        if fits { Ok(Self(text.into())) } else { Err(InvalidDeviceId::NotStored) }
    }

    /// Returns the identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    use proptest::prelude::*;

    use super::*;

    fn of_report(text: &str) -> Result<String, InvalidDeviceId> {
        DeviceId::of_report(text).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn ordinary_names_of_any_script_are_taken_as_they_are() {
        for name in ["pibook-1", "a", "$where", "a.b", "école 7", "क्षेत्र", "学校", "🍓", "..", "-"]
        {
            assert_eq!(of_report(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn white_space_around_and_the_way_of_writing_an_accent_make_no_other_device() {
        for written in ["école 7", " école 7\r\n", "\u{3000}e\u{301}cole 7\t", "\u{a0}école 7\u{2028}"] {
            assert_eq!(of_report(written).as_deref(), Ok("école 7"), "{written:?}");
        }
        assert_eq!(of_report("\u{212b}").as_deref(), Ok("\u{c5}"), "the ångström sign");
    }

    #[test]
    fn what_is_nothing_too_long_or_unseen_is_refused_by_name() {
        for nothing in ["", " ", "\r\n\t", "\u{3000}"] {
            assert_eq!(of_report(nothing), Err(InvalidDeviceId::Empty), "{nothing:?}");
        }
        assert!(of_report(&"e\u{301}".repeat(128)).is_ok(), "counted as they are read");
        assert_eq!(of_report(&"学".repeat(129)), Err(InvalidDeviceId::Long));
        for c in ['\0', '\n', '\x7f', '\u{85}', '\u{200f}', '\u{202e}', '\u{feff}', '\u{2028}', '\u{fffe}', '\u{a0}'] {
            let unseen = InvalidDeviceId::Unseen(Unseen { character: c, place: 4 });
            assert_eq!(of_report(&format!(" \ta{c}b")), Err(unseen), "{c:?}");
        }
        let said = of_report("pibo\u{200b}ok").unwrap_err().to_string();
        assert!(said.contains("U+200B zero width space at character 5"), "{said}");
    }

    #[test]
    fn a_stored_name_is_read_byte_for_byte_whatever_it_is() {
        for name in [" ", "a\n", "e\u{301}", "\u{200b}", "\u{202e}", &"x".repeat(2_048)] {
            assert_eq!(DeviceId::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "a\0", &"x".repeat(2_049)] {
            assert_eq!(DeviceId::parse(name), Err(InvalidDeviceId::NotStored));
        }
    }

    proptest! {
        /// An id made from a report makes the same id again, and can be read back.
        #[test]
        fn a_name_that_was_taken_stays_as_it_is(text in ".{0,140}") {
            if let Ok(id) = DeviceId::of_report(&text) {
                prop_assert_eq!(DeviceId::of_report(id.as_str()), Ok(id.clone()));
                prop_assert_eq!(DeviceId::parse(id.as_str()), Ok(id));
            }
        }
    }
}
