//! What of an incident is to leave, and what has left.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

/// What of an incident is to leave to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number within the incident, from 1.
    pub seq: i32,
    /// What it tells.
    pub telling: NotificationKind,
    /// To whom.
    pub receiver: String,
    /// The labels that it may share a message by.
    pub group: BTreeMap<String, String>,
    /// When it was put here.
    pub queued_at: Timestamp,
    /// Not before this time.
    pub next_at: Timestamp,
    /// How often its delivery was begun.
    pub attempts: i32,
    /// The message that it is part of, once it was claimed.
    pub message: Option<MessageId>,
    /// Someone may be sending it, or have died while sending it.
    pub lease_until: Option<Timestamp>,
    /// Why the last attempt failed, if one did and another will follow.
    pub last_error: Option<String>,
    /// Why nobody will send it.
    pub dead: Option<Dead>,
}

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// It began.
    Firing,
    /// It is still so.
    Repeat,
    /// It is over.
    Resolved,
}

/// Why an entry will not leave any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Since when.
    pub at: Timestamp,
    /// What the receiver said last.
    pub why: String,
}

/// What a receiver has been told of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentNotification {
    /// The receiver.
    pub receiver: String,
    /// The labels by which that message was grouped.
    pub group: BTreeMap<String, String>,
    /// When it was told last that it is so.
    pub at: Timestamp,
    /// Whether it was told since that it is over.
    pub is_resolved: bool,
}

/// The name of one message to one receiver, the same in every attempt to deliver it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl Entry {
    /// What in the key of a group stands between the receiver's name and the labels.
    pub const LABELS_BEGIN: char = '{';

    /// Returns an entry that may leave at once.
    pub fn new(
        seq: i32,
        telling: NotificationKind,
        receiver: String,
        group: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        Self {
            seq,
            telling,
            receiver,
            group,
            queued_at: now,
            next_at: now,
            attempts: 0,
            message: None,
            lease_until: None,
            last_error: None,
            dead: None,
        }
    }

    /// What may leave in one message: the same receiver and the same labels. In the text form of
    /// Prometheus, as in `log{alertname="DeviceSyncFailing"}`.
    pub fn group_key(&self) -> String {
        let labels: Vec<_> = self.group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{}{}{}}}", self.receiver, Self::LABELS_BEGIN, labels.join(","))
    }

    /// Whether someone may be sending it now, or have sent it without a word.
    pub fn is_in_flight(&self) -> bool {
        self.lease_until.is_some()
    }
}

impl NotificationKind {
    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeat => "repeat",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the state of the alert, in the words of every format that leaves.
    pub fn status(self) -> &'static str {
        match self {
            Self::Firing | Self::Repeat => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// What that word tells.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Firing, Self::Repeat, Self::Resolved].into_iter().find(|known| known.as_str() == word)
    }
}

impl MessageId {
    /// A name like no other.
    ///
    /// Fails where the operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// A name read back from where it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
