//! The failure count of a device by its rows: the failed syncs after the last good one. It shares no code with the
//! counters that it verifies.

use jiff::Timestamp;
use pisync_core::{models::EventId, store::StoredEvent};

/// A fold of rows in any order.
#[derive(Debug, Default)]
pub struct Fold {
    last_success: Option<Place>,
    failures_after: Vec<Place>,
}

/// The position of a row in the order of its device: by time, then by id.
type Place = (Timestamp, EventId);

impl Fold {
    /// Adds a row.
    pub fn add(&mut self, row: &StoredEvent) {
        let place = (row.timestamp, row.id);
        if self.last_success.is_some_and(|success| place < success) {
            return;
        }
        if row.total_errors > 0 {
            self.failures_after.push(place);
        } else {
            self.last_success = Some(place);
            self.failures_after.retain(|failure| *failure > place);
        }
    }

    /// Returns the number of failed syncs after the last good one.
    pub fn failure_count(&self) -> usize {
        self.failures_after.len()
    }
}
