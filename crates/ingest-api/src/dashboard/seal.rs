//! `<id of a key>.<end>.<random>.<signature>`: what its holder may show until its end. Every process
//! reads it, and none has to keep it.

use jiff::Timestamp;

use crate::cursor::CursorKey;

/// What a signature is for, so that it is good for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The cookie of a session.
    Session,
    /// A link that is given to others.
    Share,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session cookie",
            Self::Share => "share link",
        }
    }
}

/// What is good until `end`, in the name of a key.
pub(super) fn seal(key: &CursorKey, purpose: Purpose, key_id: &str, end: Timestamp) -> String {
    let said = format!("{key_id}.{}.{:016x}", end.as_second(), fastrand::u64(..));
    format!("{said}.{}", key.sign(purpose.as_str(), &said))
}

/// The id of the key in whose name this was sealed, and its end; nothing where it was not sealed
/// for this purpose or is over.
pub(super) fn open<'a>(
    key: &CursorKey,
    purpose: Purpose,
    text: &'a str,
    now: Timestamp,
) -> Option<(&'a str, Timestamp)> {
    let (said, signature) = text.rsplit_once('.')?;
    let mut parts = said.split('.');
    let (key_id, end) = (parts.next()?, parts.next()?.parse::<i64>().ok()?);
    let end = Timestamp::from_second(end).ok()?;
    (key.is_signed(purpose.as_str(), said, signature) && now < end).then_some((key_id, end))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_is_sealed_opens_until_its_end_for_its_purpose_and_unchanged_alone() {
        let (key, now) = (CursorKey::new(&[7; 32]), Timestamp::from_second(1_000).unwrap());
        let end = now + SignedDuration::from_hours(1);
        for (purpose, other) in [(Purpose::Session, Purpose::Share), (Purpose::Share, Purpose::Session)] {
            let text = seal(&key, purpose, "0123", end);
            assert_eq!(open(&key, purpose, &text, now), Some(("0123", end)));
            assert_eq!(open(&key, other, &text, now), None);
            assert_eq!(open(&key, purpose, &text, end), None);
            assert_eq!(open(&CursorKey::new(&[8; 32]), purpose, &text, now), None);
            for at in 0..text.len() {
                let digit = if &text[at..=at] == "1" { "2" } else { "1" };
                let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
                assert_eq!(open(&key, purpose, &changed, now), None, "{changed}");
            }
            for none in ["", ".", "...", "0123"] {
                assert_eq!(open(&key, purpose, none, now), None, "{none}");
            }
        }
    }
}
