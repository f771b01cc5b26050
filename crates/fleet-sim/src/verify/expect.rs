//! The expected rows of the database, by the ledger.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use pisync_core::models::{Details, DeviceId, EventId, SyncEvent};

use crate::ledger::{Entry, State};

/// All events of a ledger, each once, by the id of its row.
#[derive(Debug, Default)]
pub struct Expectations {
    events: HashMap<EventId, Expectation>,
    devices: HashSet<DeviceId>,
    acknowledged: u64,
}

/// One event of the ledger.
#[derive(Debug)]
pub struct Expectation {
    /// The device.
    pub device_id: DeviceId,
    /// The time by the device's clock.
    pub device_time: Timestamp,
    /// True if it was answered by 202, so that its row must exist.
    pub is_acknowledged: bool,
    /// The sent values; more than one if a device sent different values for the same report. The first to arrive is
    /// stored, and the ledger cannot know which one.
    pub values: Vec<Values>,
}

/// The values of an event, besides device and time.
#[derive(Debug, Clone)]
pub struct Values {
    /// Files synced.
    pub files: i64,
    /// Errors.
    pub errors: i64,
    /// Speed in Mbps.
    pub speed: f64,
    /// The optional members.
    pub details: Details,
}

impl Expectations {
    /// Adds a line of the ledger. Several lines of the same event are one event.
    pub fn add(&mut self, entry: &Entry) {
        let event = &entry.event;
        let device_id = self.known(&event.device_id);
        let expectation = self.events.entry(event.id()).or_insert_with(|| Expectation {
            device_id,
            device_time: event.device_time(),
            is_acknowledged: false,
            values: Vec::with_capacity(1),
        });
        if entry.state == State::Acked && !expectation.is_acknowledged {
            expectation.is_acknowledged = true;
            self.acknowledged += 1;
        }
        let values = Values::from(event);
        if !expectation.values.iter().any(|known| known.differ(&values).is_empty()) {
            expectation.values.push(values);
        }
    }

    /// Returns the shared copy of a device id.
    fn known(&mut self, device_id: &DeviceId) -> DeviceId {
        if let Some(known) = self.devices.get(device_id) {
            return known.clone();
        }
        self.devices.insert(device_id.clone());
        device_id.clone()
    }

    /// Returns true if the ledger was empty.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the number of acknowledged events.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns all events.
    pub fn events(&self) -> &HashMap<EventId, Expectation> {
        &self.events
    }

    /// Returns all devices.
    pub fn devices(&self) -> &HashSet<DeviceId> {
        &self.devices
    }
}

impl Values {
    /// Returns the names of the fields that differ; speeds are compared bit by bit.
    pub fn differ(&self, other: &Self) -> Vec<&'static str> {
        let differ = [
            ("totalFilesSynced", self.files != other.files),
            ("totalErrors", self.errors != other.errors),
            ("internetSpeed", self.speed.to_bits() != other.speed.to_bits()),
        ];
        let differ = differ.into_iter().filter_map(|(field, differs)| differs.then_some(field));
        differ.chain(self.details.differ(&other.details)).collect()
    }
}

impl From<&SyncEvent> for Values {
    fn from(event: &SyncEvent) -> Self {
        Self {
            files: event.total_files_synced.into(),
            errors: event.total_errors.into(),
            speed: event.internet_speed,
            details: event.details.clone(),
        }
    }
}
