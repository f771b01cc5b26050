//! The status counts of an hour.

use jiff::Timestamp;

use crate::models::DeviceStatus;

/// The counts of devices by status, taken once in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusHour {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Time of the count.
    pub taken_at: Timestamp,
    /// The number of devices in each status, in the order of [`DeviceStatus::ALL`].
    pub counts: [u64; 4],
}

impl StatusHour {
    /// Returns the number of devices in this status.
    pub fn count(&self, status: DeviceStatus) -> u64 {
        let counts = DeviceStatus::ALL.into_iter().zip(self.counts);
        counts.into_iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| count)
    }
}
