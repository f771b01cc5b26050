//! Cursors: positions in a list, sealed so that a client can neither forge one nor use it on another list.
//!
//! A cursor is base64url over the [`Position`] and the first 128 bits of HMAC-SHA256 (RFC 2104) over the
//! [`CursorBinding`] and the position. The cursor does not contain the binding: the request states it again.

use std::fmt::Display;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::signing::{SEAL, SigningKey};

/// Version of a [`Position`]'s layout; cursors of another version are refused.
const VERSION: u8 = 1;

/// Maximum length of a cursor: a device id of 128 characters fits.
const LONGEST: usize = 1_024;

/// The list of a cursor: the route and its filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorBinding(Vec<u8>);

/// The position of a page's last item in the order of its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// A document of `MongoDB` by time and id.
    Document {
        /// The time.
        at: Timestamp,
        /// The id, which orders documents of the same time.
        id: [u8; 12],
    },
    /// A device by its id.
    Device(String),
    /// A device by its failed syncs in a row.
    Count {
        /// Failed syncs in a row.
        count: i32,
        /// The id, which orders devices of the same count.
        device_id: String,
    },
    /// A device by its last-seen time.
    Seen {
        /// The last-seen time.
        at: Timestamp,
        /// The id, which orders devices of the same time.
        device_id: String,
    },
}

/// The text is not a cursor of this binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list: use the nextCursor of an answer to the same query, unchanged")]
pub struct BadCursor;

impl CursorBinding {
    /// Returns the binding of a route's list.
    pub fn of(route: &str) -> Self {
        Self(Vec::new()).with(Some(route))
    }

    /// Returns the binding of the same list with a filter, or with none.
    #[must_use]
    pub fn with(mut self, filter: Option<impl Display>) -> Self {
        match filter.map(|filter| filter.to_string()) {
            Some(filter) => {
                self.0.push(1);
                self.0.extend_from_slice(&(filter.len() as u64).to_be_bytes());
                self.0.extend_from_slice(filter.as_bytes());
            }
            None => self.0.push(0),
        }
        self
    }
}

impl Position {
    /// Returns the cursor that continues after this position in the list of `binding`.
    pub fn seal(&self, key: &SigningKey, binding: &CursorBinding) -> String {
        let mut bytes = self.encode();
        let seal = key.seal(&binding.0, &bytes);
        bytes.extend_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the position in a cursor that was sealed with this key for this binding.
    pub fn open(key: &SigningKey, binding: &CursorBinding, cursor: &str) -> Result<Self, BadCursor> {
        if cursor.len() > LONGEST {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
        let (position, seal) = bytes.split_last_chunk::<SEAL>().ok_or(BadCursor)?;
        if !key.is_sealed(&binding.0, position, seal) {
            return Err(BadCursor);
        }
        Self::decode(position).ok_or(BadCursor)
    }

    /// Encodes version, kind, then the members: numbers as 8 bytes big-endian, a text at the end.
    fn encode(&self) -> Vec<u8> {
        let (kind, number, rest) = match self {
            Self::Document { at, id } => (0, Some(at.as_millisecond()), &id[..]),
            Self::Device(device_id) => (1, None, device_id.as_bytes()),
            Self::Count { count, device_id } => (2, Some(i64::from(*count)), device_id.as_bytes()),
            Self::Seen { at, device_id } => (3, Some(at.as_millisecond()), device_id.as_bytes()),
        };
        let number = number.map(i64::to_be_bytes);
        [&[VERSION, kind][..], number.as_ref().map_or(&[][..], |number| &number[..]), rest].concat()
    }

    /// Decodes a position; `None` if the bytes are invalid.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        match head {
            [VERSION, 0] => Some(Self::Document { at: time(rest)?.0, id: time(rest)?.1.try_into().ok()? }),
            [VERSION, 1] => Some(Self::Device(text(rest)?)),
            [VERSION, 2] => {
                let (count, device_id) = number(rest)?;
                Some(Self::Count { count: i32::try_from(count).ok()?, device_id: text(device_id)? })
            }
            [VERSION, 3] => Some(Self::Seen { at: time(rest)?.0, device_id: text(time(rest)?.1)? }),
            _ => None,
        }
    }
}

fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*number), rest))
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (millis, rest) = number(bytes)?;
    Some((Timestamp::from_millisecond(millis).ok()?, rest))
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::new(&[7; 32])
    }

    fn positions() -> [Position; 4] {
        let (at, device_id) = (Timestamp::from_millisecond(1_763_888_263_469).unwrap(), "école/1".to_owned());
        [
            Position::Document { at, id: *b"twelve bytes" },
            Position::Device(device_id.clone()),
            Position::Count { count: 7, device_id: device_id.clone() },
            Position::Seen { at, device_id },
        ]
    }

    #[test]
    fn a_cursor_opens_where_it_was_sealed_and_nowhere_else() {
        let binding = CursorBinding::of("events").with(Some("a")).with(None::<i64>);
        for position in positions() {
            let cursor = position.seal(&key(), &binding);
            assert_eq!(Position::open(&key(), &binding, &cursor), Ok(position));
            for other in [
                CursorBinding::of("events").with(Some("b")).with(None::<i64>),
                CursorBinding::of("events").with(Some("a")).with(Some(0)),
                CursorBinding::of("events").with(Some("a")),
                CursorBinding::of("alerts").with(Some("a")).with(None::<i64>),
            ] {
                assert_eq!(Position::open(&key(), &other, &cursor), Err(BadCursor));
            }
            assert_eq!(Position::open(&SigningKey::new(&[8; 32]), &binding, &cursor), Err(BadCursor));
        }
    }

    #[test]
    fn members_of_a_scope_do_not_run_into_each_other() {
        assert_ne!(CursorBinding::of("a").with(Some("bc")), CursorBinding::of("ab").with(Some("c")));
        assert_ne!(CursorBinding::of("a").with(Some("")), CursorBinding::of("a").with(None::<&str>));
    }

    #[test]
    fn a_cursor_with_any_character_changed_is_refused() {
        let binding = CursorBinding::of("events");
        for position in positions() {
            let cursor = position.seal(&key(), &binding);
            for at in 0..cursor.len() {
                let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
                let changed = [&cursor[..at], other, &cursor[at + 1..]].concat();
                assert_eq!(Position::open(&key(), &binding, &changed), Err(BadCursor), "{changed}");
            }
            assert_eq!(Position::open(&key(), &binding, &cursor[..cursor.len() - 1]), Err(BadCursor));
            assert_eq!(Position::open(&key(), &binding, &format!("{cursor}A")), Err(BadCursor));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_and_any_bytes_are_read_to_the_same_or_nothing(
            text in "\\PC{0,80}",
            mut bytes in prop::collection::vec(any::<u8>(), 0..40),
            kind in 0_u8..5,
        ) {
            prop_assert_eq!(Position::open(&key(), &CursorBinding::of("events"), &text), Err(BadCursor));
            let _ = Position::decode(&bytes);
            bytes.splice(..bytes.len().min(2), [VERSION, kind]);
            if let Some(position) = Position::decode(&bytes) {
                prop_assert_eq!(position.encode(), bytes);
            }
        }
    }
}
