//! The outbox of an incident: notifications to send, and notifications sent.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

/// A notification of an incident to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its number within the incident, from 1.
    pub seq: i32,
    /// Its kind.
    pub kind: NotificationKind,
    /// The receiver.
    pub receiver: String,
    /// The labels by which it may share a message.
    pub group: BTreeMap<String, String>,
    /// Time at which it became due. It is retried for a day from then.
    pub due_since: Timestamp,
    /// Time before which it must not be sent.
    pub next_at: Timestamp,
    /// The number of delivery attempts begun.
    pub attempts: i32,
    /// The message that contains it, once it was claimed.
    pub message: Option<MessageId>,
    /// End of the lease of the alerter that sends it; that alerter may have died since.
    pub lease_until: Option<Timestamp>,
    /// The error of the last attempt, if another will follow.
    pub last_error: Option<String>,
    /// The reason that it will never be sent.
    pub dead: Option<Dead>,
}

/// The kind of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// The incident began.
    Firing,
    /// The incident is still firing.
    Repeat,
    /// The incident is over.
    Resolved,
}

/// The reason that an entry will not be sent any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Time at which it was given up.
    pub at: Timestamp,
    /// The receiver's last answer.
    pub why: String,
}

/// The last notification of an incident to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentNotification {
    /// The receiver.
    pub receiver: String,
    /// The labels by which that message was grouped.
    pub group: BTreeMap<String, String>,
    /// Time of the last firing notification.
    pub at: Timestamp,
    /// Whether a resolved notification was sent since.
    pub is_resolved: bool,
}

/// The id of one message to one receiver, the same in every delivery attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl OutboxEntry {
    /// The character between the receiver's name and the labels in the key of a group.
    pub const LABELS_BEGIN: char = '{';

    /// Returns an entry that is due at a time.
    pub fn new(
        seq: i32,
        kind: NotificationKind,
        receiver: String,
        group: BTreeMap<String, String>,
        due_at: Timestamp,
    ) -> Self {
        Self {
            seq,
            kind,
            receiver,
            group,
            due_since: due_at,
            next_at: due_at,
            attempts: 0,
            message: None,
            lease_until: None,
            last_error: None,
            dead: None,
        }
    }

    /// Returns the key of the entries that may share a message: the same receiver and the same labels. In the text form
    /// of Prometheus, as in `log{alertname="DeviceSyncFailing"}`.
    pub fn group_key(&self) -> String {
        let labels: Vec<_> = self.group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{}{}{}}}", self.receiver, Self::LABELS_BEGIN, labels.join(","))
    }

    /// Returns whether an alerter may be sending it now, or have sent it without recording that.
    pub fn is_in_flight(&self) -> bool {
        self.lease_until.is_some()
    }
}

impl NotificationKind {
    /// Returns the word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeat => "repeat",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the state of the alert, in the words of every outgoing format.
    pub fn status(self) -> &'static str {
        match self {
            Self::Firing | Self::Repeat => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Firing, Self::Repeat, Self::Resolved].into_iter().find(|known| known.as_str() == word)
    }
}

impl MessageId {
    /// Returns a unique id.
    ///
    /// Fails if the operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// Returns a stored id.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
