//! An alert with all that is known of it: what people did about it, what they were told, and what
//! they are still to be told.

use jiff::Timestamp;

use crate::models::{Alert, AlertId, AlertState, Entry, SentNotification, SilenceId};

/// An incident as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// What is wrong, or was.
    pub alert: Alert,
    /// Since when it is in its state, by the database's clock.
    pub state_since: Timestamp,
    /// Since when it has seemed to be over, where it has to for some time.
    pub well_since: Option<Timestamp>,
    /// Who has taken it on, if someone has.
    pub acked: Option<Ack>,
    /// The silences that held it back at the last look.
    pub silenced_by: Vec<SilenceId>,
    /// The alert that held it back at the last look.
    pub inhibited_by: Option<AlertId>,
    /// Whether its device goes up and down too often to be told of each time.
    pub flapping: bool,
    /// What each receiver was told last.
    pub told: Vec<SentNotification>,
    /// What is to leave, in its order.
    pub outbox: Vec<Entry>,
    /// What could not be delivered.
    pub dead: Vec<Entry>,
    /// How many entries its outbox has ever had.
    pub last_seq: i32,
}

/// Someone has taken an incident on: it is not repeated any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Who.
    pub by: String,
    /// What they say.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

impl Incident {
    /// An incident of which nobody was told.
    pub fn new(alert: Alert, now: Timestamp) -> Self {
        Self {
            alert,
            state_since: now,
            well_since: None,
            acked: None,
            silenced_by: Vec::new(),
            inhibited_by: None,
            flapping: false,
            told: Vec::new(),
            outbox: Vec::new(),
            dead: Vec::new(),
            last_seq: 0,
        }
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        self.alert.state != AlertState::Resolved
    }

    /// Whether people are not to hear of it now.
    pub fn is_held_back(&self) -> bool {
        !self.silenced_by.is_empty() || self.inhibited_by.is_some() || self.flapping
    }

    /// When the next of its messages is due.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.outbox.iter().map(|entry| entry.next_at).min()
    }

    /// What this receiver was told last.
    pub fn told(&self, receiver: &str) -> Option<&SentNotification> {
        self.told.iter().find(|told| told.receiver == receiver)
    }
}
