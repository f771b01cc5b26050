//! An alert: one problem, from its start to its end.

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
pub use outbox::{Dead, MessageId, NotificationKind, OutboxEntry, SentNotification};
pub use silence::{InvalidMatcher, Matcher, MatcherKind, Silence, SilenceEnd, SilenceId};

use crate::{
    models::{DeviceId, FailureRun, FleetPart, Labels},
    time::id_seconds,
};

/// The label with the name of the rule.
pub const ALERTNAME: &str = "alertname";

/// The label with the id of the device.
pub const DEVICE_ID: &str = "deviceId";

/// An alert: people are notified once when it fires and once when it resolves.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The incident's id, the same in its firing and its resolved message.
    pub id: AlertId,
    /// The rule that raised it.
    pub name: AlertName,
    /// The subject.
    pub subject: Subject,
    /// The labels that its device had when it opened.
    pub labels: Labels,
    /// The state.
    pub state: AlertState,
    /// Failed syncs in a row at the last change of state.
    pub failure_count: i32,
    /// The likely cause of the newest failed sync.
    pub cause: Cause,
    /// The speeds behind the cause, for an alert about failed syncs of one device.
    pub evidence: Option<CauseInputs>,
    /// Time of the first failed sync.
    pub starts_at: Timestamp,
    /// Time of recovery.
    pub ends_at: Option<Timestamp>,
    /// The statistics of the rule, if it is about more than consecutive syncs.
    pub finding: Option<FleetStats>,
}

/// The result of a rule about many devices, or about many syncs of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetStats {
    /// The number of affected devices; for a flapping device, the number of changes.
    pub part: u64,
    /// The number of all devices; for a flapping device, the number of possible changes.
    pub whole: u64,
    /// Further facts by name, which templates and pages put into words.
    pub facts: BTreeMap<String, Value>,
    /// Properties that the affected devices share, in words, the surest first.
    pub changed: Vec<String>,
    /// Some of the affected devices.
    pub examples: Vec<DeviceId>,
}

impl FleetStats {
    /// Returns the statistics of `part` of `whole`.
    pub fn new(part: u64, whole: u64) -> Self {
        Self { part, whole, facts: BTreeMap::new(), changed: Vec::new(), examples: Vec::new() }
    }

    /// Returns the same with further facts.
    #[must_use]
    pub fn with<F: Into<Value>>(mut self, facts: impl IntoIterator<Item = (&'static str, F)>) -> Self {
        self.facts.extend(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact.into())));
        self
    }
}

impl Alert {
    /// Returns a new incident of a rule.
    pub fn new(name: AlertName, subject: Subject, starts_at: Timestamp) -> Self {
        Self {
            id: AlertId::derive(&subject.fingerprint(name), starts_at),
            name,
            subject,
            labels: Labels::default(),
            state: AlertState::Firing,
            failure_count: 0,
            cause: Cause::Unknown,
            evidence: None,
            starts_at,
            ends_at: None,
            finding: None,
        }
    }

    /// Returns a new incident of [`AlertName::DEVICE_SYNC_FAILING`].
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

    /// Returns the device, if the subject is a device.
    pub fn device_id(&self) -> Option<&DeviceId> {
        match &self.subject {
            Subject::Device(device_id) => Some(device_id),
            Subject::Fleet | Subject::Part(_) | Subject::After(_) => None,
        }
    }

    /// Returns the part of the fleet, if the subject is one.
    pub fn scope(&self) -> Option<&FleetPart> {
        match &self.subject {
            Subject::Part(scope) => Some(scope),
            Subject::Device(_) | Subject::Fleet | Subject::After(_) => None,
        }
    }

    /// Returns the labels that routes and silences match: `alertname`, and `deviceId` and its labels for a device, or
    /// the label of the part of the fleet.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([(ALERTNAME.to_owned(), self.name.to_string())]);
        if let Some(device_id) = self.device_id() {
            labels.insert(DEVICE_ID.to_owned(), device_id.to_string());
            labels.extend(self.labels.to_map());
        }
        labels.extend(self.scope().map(|scope| (scope.label.clone(), scope.value.clone())));
        labels
    }

    /// Returns the fingerprint: the same problem of the same device has the same one, and an open incident is unique by
    /// it. The cause is not in it, since an incident may change its cause.
    pub fn fingerprint(name: AlertName, device_id: &DeviceId) -> String {
        format!("{name}/{device_id}")
    }

    /// Returns the same with the id that belongs to its start.
    #[must_use]
    pub fn with_own_id(mut self) -> Self {
        self.id = AlertId::derive(&self.own_fingerprint(), self.starts_at);
        self
    }

    /// Returns the fingerprint of this one.
    pub fn own_fingerprint(&self) -> String {
        self.subject.fingerprint(self.name)
    }
}

/// The subject of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One device.
    Device(DeviceId),
    /// All devices.
    Fleet,
    /// The devices with a value of a label.
    Part(FleetPart),
    /// The devices left over from a resolved alert of the fleet.
    After(AlertId),
}

impl Subject {
    fn fingerprint(&self, name: AlertName) -> String {
        match self {
            Self::Device(device_id) => Alert::fingerprint(name, device_id),
            Self::Fleet => format!("{name}/fleet"),
            Self::Part(scope) => format!("{name}/{scope}"),
            Self::After(id) => format!("{name}/{id}"),
        }
    }
}

/// The id of an incident, derived from its fingerprint and start. Two alerters that evaluate the same failures derive
/// the same id, also if one of them is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertId([u8; 12]);

impl AlertId {
    /// Returns the id of the incident of this fingerprint that began at `starts_at`: four bytes of seconds since 1970,
    /// big-endian, and eight of SHA-256 over fingerprint, a zero byte and the milliseconds in decimal.
    pub fn derive(fingerprint: &str, starts_at: Timestamp) -> Self {
        let millis = starts_at.as_millisecond();
        let hash = Sha256::digest(format!("{fingerprint}\0{millis}"));
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&id_seconds(starts_at));
        bytes[4..].copy_from_slice(&hash[..8]);
        Self(bytes)
    }

    /// Returns a stored id.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Returns the twelve bytes.
    pub fn bytes(self) -> [u8; 12] {
        self.0
    }

    /// Parses the displayed form of an id: 24 hexadecimal digits.
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

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The condition holds, but not yet for long enough to notify.
    Pending,
    /// The condition holds.
    Firing,
    /// The condition is over.
    Resolved,
}

impl AlertState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    /// Returns the word in messages and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// The speeds that decide a cause, in Mbps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CauseInputs {
    /// Speed of the newest failed sync; 0 if it was not measured.
    pub speed: f64,
    /// Typical speed of the device's good syncs, if known.
    pub usual: Option<f64>,
}

impl CauseInputs {
    /// Below this share of the device's typical speed, its connection counts as slow.
    pub const SLOW_SHARE: f64 = 0.25;

    /// Returns the cause: the connection, if it was slower than `floor` or far slower than typical.
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

/// The likely cause of a failed sync: the connection or the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The connection was slow: under [`Cause::CONNECTIVITY_FLOOR`].
    Connectivity,
    /// The connection was fast enough.
    Content,
    /// No speed was measured.
    Unknown,
}

impl Cause {
    /// Below this speed, in Mbps, the connection is the cause, unless the configuration sets another floor.
    pub const CONNECTIVITY_FLOOR: f64 = 0.5;

    /// Returns the cause for the speed of a failed sync, in Mbps.
    pub fn of_failed_sync(internet_speed: f64) -> Self {
        Self::with_floor(internet_speed, Self::CONNECTIVITY_FLOOR)
    }

    /// Returns the same with another floor, in Mbps.
    pub fn with_floor(internet_speed: f64, floor: f64) -> Self {
        if internet_speed <= 0.0 {
            Self::Unknown
        } else if internet_speed < floor {
            Self::Connectivity
        } else {
            Self::Content
        }
    }

    /// Returns the word in messages and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connectivity => "connectivity",
            Self::Content => "content",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the cause of that word; any other word is unknown.
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
            // A line that is always slow.
            (0.6, Some(0.7), Cause::Content),
            (0.4, Some(0.4), Cause::Connectivity),
        ] {
            assert_eq!(CauseInputs { speed, usual }.cause(0.5), cause, "{speed} {usual:?}");
        }
    }
}
