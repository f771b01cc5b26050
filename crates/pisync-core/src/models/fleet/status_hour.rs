//! How many devices had which status in an hour.

use jiff::Timestamp;

use crate::models::DeviceStatus;

/// The counts that were taken once in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusHour {
    /// When the hour began.
    pub hour: Timestamp,
    /// When the devices were counted.
    pub taken_at: Timestamp,
    /// How many had each status, in the order of [`DeviceStatus::ALL`].
    pub counts: [u64; 4],
}

impl StatusHour {
    /// How many had this status.
    pub fn count(&self, status: DeviceStatus) -> u64 {
        let counts = DeviceStatus::ALL.into_iter().zip(self.counts);
        counts.into_iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| count)
    }
}
