//! Dead letters: messages that cannot be processed, kept with the reason.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The reason for a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its bytes are no envelope.
    Malformed,
    /// `MongoDB` refuses the document.
    Refused,
    /// Its worker died on it, twice.
    Deadly,
}

impl Reason {
    /// Returns the word in lists and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Deadly => "deadly",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its id: the batch, and its place in the batch.
    pub id: String,
    /// The reason.
    pub reason: Reason,
    /// The error, for people.
    pub error: String,
    /// The attempt of its batch.
    pub attempt: u32,
    /// Time at which it became a dead letter.
    pub died_at: Timestamp,
    /// The original bytes.
    #[serde(with = "original")]
    pub message: Vec<u8>,
}

impl DeadLetter {
    /// Returns a dead letter of now.
    pub fn new(id: String, reason: Reason, error: String, attempt: u32, message: Vec<u8>) -> Self {
        Self { id, reason, error, attempt, died_at: Timestamp::now(), message }
    }
}

/// Writes bytes as text if they are UTF-8, so that people can read them, else as `{"hex": …}`.
mod original {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Original<'a> {
        Text(Cow<'a, str>),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Original::Text(text.into()),
            Err(_) => Original::Bytes { hex: hex::encode(bytes) },
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Original::deserialize(deserializer)? {
            Original::Text(text) => Ok(text.into_owned().into_bytes()),
            Original::Bytes { hex } => hex::decode(hex).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_bytes_survive_whatever_they_are() {
        for message in [&b"hello"[..], b"", b"\xff\x00\x0f", "\u{0}\"é".as_bytes()] {
            let letter = DeadLetter::new("batch-3".into(), Reason::Malformed, "why".into(), 1, message.to_vec());
            assert_eq!(serde_json::from_slice::<DeadLetter>(&serde_json::to_vec(&letter).unwrap()).unwrap(), letter);
        }
    }
}
