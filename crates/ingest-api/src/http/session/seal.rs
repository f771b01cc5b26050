//! `<id of a key>.<end>.<random>.<signature>`: a signed credential until its end. Every process verifies it, and
//! none stores it.

use jiff::{SignedDuration, Timestamp};

use crate::http::signing::SigningKey;

/// Purpose of a signature; it is invalid for any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The cookie of a session.
    Session,
    /// A shared link.
    Share,
}

/// Maximum difference between the clocks of two processes.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The content of a valid credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    /// The id of the key in whose name it was signed.
    pub(crate) key_id: &'a str,
    /// Time of its end.
    pub(crate) end: Timestamp,
    /// Random digits, different for each.
    pub(crate) id: &'a str,
}

impl Purpose {
    /// Returns the maximum lifetime. A longer one was not issued here, whatever its signature: a leaked key must
    /// not allow credentials for years.
    pub(crate) fn longest(self) -> SignedDuration {
        match self {
            Self::Session => SignedDuration::from_hours(12),
            Self::Share => SignedDuration::from_hours(31 * 24),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session cookie",
            Self::Share => "share link",
        }
    }
}

/// Returns a credential that is valid until `end`, in the name of a key.
pub(crate) fn seal(key: &SigningKey, purpose: Purpose, key_id: &str, end: Timestamp) -> String {
    let said = format!("{key_id}.{}.{:016x}", end.as_second(), fastrand::u64(..));
    format!("{said}.{}", key.sign(purpose.as_str(), &said))
}

/// Opens a credential. Returns `None` if the signature or the purpose is wrong, or if it has expired or its
/// lifetime is too long.
pub(crate) fn open<'a>(key: &SigningKey, purpose: Purpose, text: &'a str, now: Timestamp) -> Option<Opened<'a>> {
    let (said, signature) = text.rsplit_once('.')?;
    let mut parts = said.split('.');
    let (key_id, end, id) = (parts.next()?, parts.next()?.parse::<i64>().ok()?, parts.next()?);
    let end = Timestamp::from_second(end).ok()?;
    let is_good = now < end && end.duration_since(now) <= purpose.longest() + SKEW;
    (is_good && key.is_signed(purpose.as_str(), said, signature)).then_some(Opened { key_id, end, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_until_its_end_for_its_purpose_and_unchanged_alone() {
        let (key, now) = (SigningKey::new(&[7; 32]), Timestamp::from_second(1_000).unwrap());
        let end = now + SignedDuration::from_hours(1);
        for (purpose, other) in [(Purpose::Session, Purpose::Share), (Purpose::Share, Purpose::Session)] {
            let text = seal(&key, purpose, "0123", end);
            let opened = open(&key, purpose, &text, now).unwrap();
            assert_eq!((opened.key_id, opened.end, opened.id.len()), ("0123", end, 16));
            let years = seal(&key, purpose, "0123", now + SignedDuration::from_hours(24 * 366));
            assert_eq!(open(&key, purpose, &years, now), None, "nothing is good for years");
            assert_eq!(open(&key, other, &text, now), None);
            assert_eq!(open(&key, purpose, &text, end), None);
            assert_eq!(open(&SigningKey::new(&[8; 32]), purpose, &text, now), None);
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
