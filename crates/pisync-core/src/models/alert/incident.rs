//! An incident: an alert with its acknowledgement, silences, notifications and outbox.

use jiff::Timestamp;

use crate::models::{Alert, AlertId, AlertState, OutboxEntry, SentNotification, SilenceId};

/// A stored incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The alert.
    pub alert: Alert,
    /// Start of the current state, by the database's clock.
    pub state_since: Timestamp,
    /// Start of the recovery, if the rule requires it to last some time.
    pub well_since: Option<Timestamp>,
    /// The acknowledgement, if there is one.
    pub acked: Option<Ack>,
    /// The silences that applied at the last evaluation.
    pub silenced_by: Vec<SilenceId>,
    /// The alert that inhibited it at the last evaluation.
    pub inhibited_by: Option<AlertId>,
    /// Whether its device flaps, so that individual alerts are suppressed.
    pub flapping: bool,
    /// The last notification sent to each receiver.
    pub notified: Vec<SentNotification>,
    /// The entries that are still to be sent, in order.
    pub outbox: Vec<OutboxEntry>,
    /// The entries that could not be delivered.
    pub dead: Vec<OutboxEntry>,
    /// The number of entries its outbox has ever had.
    pub last_seq: i32,
}

/// An acknowledgement: the incident is not repeated any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The person.
    pub by: String,
    /// Their comment.
    pub comment: String,
    /// Time of the acknowledgement.
    pub at: Timestamp,
}

impl Incident {
    /// Returns an incident without notifications.
    pub fn new(alert: Alert, now: Timestamp) -> Self {
        Self {
            alert,
            state_since: now,
            well_since: None,
            acked: None,
            silenced_by: Vec::new(),
            inhibited_by: None,
            flapping: false,
            notified: Vec::new(),
            outbox: Vec::new(),
            dead: Vec::new(),
            last_seq: 0,
        }
    }

    /// Returns whether it is open.
    pub fn is_open(&self) -> bool {
        self.alert.state != AlertState::Resolved
    }

    /// Returns whether it is silenced, inhibited or suppressed now.
    pub fn is_held_back(&self) -> bool {
        !self.silenced_by.is_empty() || self.inhibited_by.is_some() || self.flapping
    }

    /// Returns the due time of its next message.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.outbox.iter().map(|entry| entry.next_at).min()
    }

    /// Returns the last notification sent to this receiver.
    pub fn sent_to(&self, receiver: &str) -> Option<&SentNotification> {
        self.notified.iter().find(|sent| sent.receiver == receiver)
    }
}
