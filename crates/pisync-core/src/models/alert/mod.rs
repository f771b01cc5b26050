//! One incident: something that is wrong, from when it began to when it was over.

mod alert_name;
mod incident;
mod outbox;
mod silence;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use alert_name::AlertName;
pub use incident::{Ack, Incident};
pub use outbox::{Dead, Entry, MessageId, NotificationKind, SentNotification};
pub use silence::{InvalidMatcher, Matcher, MatcherKind, Silence, SilenceEnd, SilenceId};

use crate::{
    models::{DeviceId, FailureRun, Labels, Scope},
    time::id_seconds,
};

/// The label that names the rule.
pub const ALERTNAME: &str = "alertname";

/// The label that names the device.
pub const DEVICE_ID: &str = "deviceId";

/// What an operator is told about, once when it begins and once when it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The incident's id, the same in its firing and its resolved message.
    pub id: AlertId,
    /// Which rule raised it.
    pub name: AlertName,
    /// What it is about.
    pub subject: Subject,
    /// Whether it is still so.
    pub state: AlertState,
    /// Failed syncs in a row when the state was last changed.
    pub failure_count: i32,
    /// What the newest failed sync points to.
    pub cause: Cause,
    /// The speeds that say so, where it is about failed syncs of one device.
    pub evidence: Option<CauseInputs>,
    /// Time of the first failed sync.
    pub starts_at: Timestamp,
    /// When the device was found well again.
    pub ends_at: Option<Timestamp>,
    /// What was found, where it is about more than one sync after the other.
    pub finding: Option<FleetStats>,
}

/// What a rule found out about many devices, or about many syncs of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetStats {
    /// How many of them it is about; of a device that flaps, how often it changed.
    pub part: u64,
    /// How many there are; of a device that flaps, how often it could have changed.
    pub whole: u64,
    /// What else is known, by name: facts, which templates and pages put into words.
    pub facts: BTreeMap<String, Value>,
    /// What those it is about have in common, in words, the surest first.
    pub changed: Vec<String>,
    /// Some of them by name.
    pub named: Vec<DeviceId>,
}

impl FleetStats {
    /// Returns that it is about `part` of `whole`.
    pub fn new(part: u64, whole: u64) -> Self {
        Self { part, whole, facts: BTreeMap::new(), changed: Vec::new(), named: Vec::new() }
    }

    /// Returns the same with further facts.
    #[must_use]
    pub fn with<F: Into<Value>>(mut self, facts: impl IntoIterator<Item = (&'static str, F)>) -> Self {
        self.facts.extend(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact.into())));
        self
    }
}

impl Alert {
    /// A new incident of a rule.
    pub fn new(name: AlertName, subject: Subject, starts_at: Timestamp) -> Self {
        Self {
            id: AlertId::derive(&subject.fingerprint(name), starts_at),
            name,
            subject,
            state: AlertState::Firing,
            failure_count: 0,
            cause: Cause::Unknown,
            evidence: None,
            starts_at,
            ends_at: None,
            finding: None,
        }
    }

    /// A new incident of [`AlertName::DEVICE_SYNC_FAILING`].
    pub fn device_sync_failing(device_id: DeviceId, run: &FailureRun) -> Self {
        let alert = Self::new(AlertName::DEVICE_SYNC_FAILING, Subject::Device(device_id), run.since);
        let evidence = CauseInputs { speed: run.last_speed, usual: None };
        Self {
            failure_count: run.count,
            cause: evidence.cause(Cause::CONNECTIVITY_FLOOR),
            evidence: Some(evidence),
            ..alert
        }
    }

    /// The device it is about, if it is about one.
    pub fn device_id(&self) -> Option<&DeviceId> {
        match &self.subject {
            Subject::Device(device_id) => Some(device_id),
            Subject::Fleet | Subject::Scope(_) | Subject::After(_) => None,
        }
    }

    /// The part of the fleet it is about, if it is about one.
    pub fn scope(&self) -> Option<&Scope> {
        match &self.subject {
            Subject::Scope(scope) => Some(scope),
            Subject::Device(_) | Subject::Fleet | Subject::After(_) => None,
        }
    }

    /// What routes and silences match on: `alertname`, and `deviceId` where it is about a device, or
    /// the label of the part of the fleet that it is about.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([(ALERTNAME.to_owned(), self.name.to_string())]);
        if let Some(device_id) = self.device_id() {
            labels.insert(DEVICE_ID.to_owned(), device_id.to_string());
        }
        labels.extend(self.scope().map(|scope| (scope.label.clone(), scope.value.clone())));
        labels
    }

    /// The same with what the device says of itself, where it is about one.
    pub fn labels_with(&self, device: Option<&Labels>) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.extend(device.map(Labels::to_map).unwrap_or_default());
        labels
    }

    /// The same thing wrong with the same device has the same fingerprint; an open incident
    /// is unique by it. The cause is not in it: an incident may change its cause.
    pub fn fingerprint(name: AlertName, device_id: &DeviceId) -> String {
        format!("{name}/{device_id}")
    }

    /// The same with the id that goes with when it began.
    #[must_use]
    pub fn with_own_id(mut self) -> Self {
        self.id = AlertId::derive(&self.own_fingerprint(), self.starts_at);
        self
    }

    /// The fingerprint of this one.
    pub fn own_fingerprint(&self) -> String {
        self.subject.fingerprint(self.name)
    }
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One device.
    Device(DeviceId),
    /// All of them.
    Fleet,
    /// Those with a value of a label.
    Scope(Scope),
    /// What is left of an alert of the fleet that is over.
    After(AlertId),
}

impl Subject {
    fn fingerprint(&self, name: AlertName) -> String {
        match self {
            Self::Device(device_id) => Alert::fingerprint(name, device_id),
            Self::Fleet => format!("{name}/fleet"),
            Self::Scope(scope) => format!("{name}/{scope}"),
            Self::After(id) => format!("{name}/{id}"),
        }
    }
}

/// The id of an incident, derived from what is wrong and since when: two alerters that look at
/// the same failures mean the same incident, also when one of them looks late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertId([u8; 12]);

impl AlertId {
    /// The id of the incident of this fingerprint that began at `starts_at`: four bytes of seconds
    /// since 1970, big-endian, and eight of SHA-256 over fingerprint, a zero byte and the
    /// milliseconds in decimal.
    pub fn derive(fingerprint: &str, starts_at: Timestamp) -> Self {
        let millis = starts_at.as_millisecond();
        let hash = Sha256::digest(format!("{fingerprint}\0{millis}"));
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&id_seconds(starts_at));
        bytes[4..].copy_from_slice(&hash[..8]);
        Self(bytes)
    }

    /// An id read back from where it was stored.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The twelve bytes.
    pub fn bytes(self) -> [u8; 12] {
        self.0
    }

    /// An id as it is shown: 24 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 12];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// It is so, but not for long enough to be told.
    Pending,
    /// It is so now.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    /// The word in messages and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What speaks for a cause: speeds in Mbps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CauseInputs {
    /// That of the newest failed sync; 0 where none was measured.
    pub speed: f64,
    /// What its good syncs usually have, where that is known.
    pub usual: Option<f64>,
}

impl CauseInputs {
    /// Below this share of what is usual for the device, its connection is taken for slow.
    pub const SLOW_SHARE: f64 = 0.25;

    /// The cause that it points to: the connection, where that was slower than `floor` or far
    /// slower than usual.
    pub fn cause(self, floor: f64) -> Cause {
        match Cause::with_floor(self.speed, floor) {
            Cause::Content if self.is_far_below_usual() => Cause::Connectivity,
            cause => cause,
        }
    }

    fn is_far_below_usual(self) -> bool {
        self.usual.is_some_and(|usual| self.speed < Self::SLOW_SHARE * usual)
    }
}

/// What a failed sync points to: the line or what was to be synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The connection was slow: under [`Cause::CONNECTIVITY_FLOOR`].
    Connectivity,
    /// The connection was fine.
    Content,
    /// No speed was measured.
    Unknown,
}

impl Cause {
    /// Below this speed, in Mbps, the connection itself is taken for the cause, unless a config
    /// says otherwise.
    pub const CONNECTIVITY_FLOOR: f64 = 0.5;

    /// The cause that the speed at a failed sync points to, in Mbps.
    pub fn of_failed_sync(internet_speed: f64) -> Self {
        Self::with_floor(internet_speed, Self::CONNECTIVITY_FLOOR)
    }

    /// The same with another floor, in Mbps.
    pub fn with_floor(internet_speed: f64, floor: f64) -> Self {
        if internet_speed <= 0.0 {
            Self::Unknown
        } else if internet_speed < floor {
            Self::Connectivity
        } else {
            Self::Content
        }
    }

    /// The word in messages and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connectivity => "connectivity",
            Self::Content => "content",
            Self::Unknown => "unknown",
        }
    }

    /// The cause of that word; any other word is unknown.
    pub fn parse(word: &str) -> Self {
        [Self::Connectivity, Self::Content].into_iter().find(|known| known.as_str() == word).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_connection_below_the_floor_or_far_below_what_is_usual() {
        for (speed, usual, cause) in [
            (0.0, None, Cause::Unknown),
            (0.0, Some(20.0), Cause::Unknown),
            (0.49, None, Cause::Connectivity),
            (0.5, None, Cause::Content),
            (4.9, None, Cause::Content),
            (4.9, Some(20.0), Cause::Connectivity),
            (5.0, Some(20.0), Cause::Content),
            // A line that is slow by nature.
            (0.6, Some(0.7), Cause::Content),
            (0.4, Some(0.4), Cause::Connectivity),
        ] {
            assert_eq!(CauseInputs { speed, usual }.cause(0.5), cause, "{speed} {usual:?}");
        }
    }
}
