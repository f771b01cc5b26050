//! The rows of one batch.
//!
//! Writes are idempotent, also across workers: row ids are derived from the events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, EventId, Labels, Observation, SyncEvent},
    store::{Inserted, Store, StoreError},
};

/// An event whose row is stored.
#[derive(Debug, Clone)]
pub struct WrittenEvent {
    /// The device that sent it.
    pub device_id: DeviceId,
    /// The fields that a failure counter needs.
    pub observation: Observation,
    /// True if this batch inserted the row.
    pub is_new: bool,
    /// Time of receipt, UTC.
    pub received_at: Timestamp,
    /// True if the device's clock was not believed.
    pub clock_suspect: bool,
    /// The labels in the report.
    pub labels: Labels,
    /// True if it can repeat an earlier report, provided its row is not new.
    pub may_repeat: bool,
}

/// The events of each device. The flag is true if the row is new.
pub(crate) type ByDevice = BTreeMap<DeviceId, Vec<(Observation, bool)>>;

/// Writes the rows of `events`.
///
/// Returns the stored events, and for each document that `MongoDB` refuses its index in `events` and the error
/// code.
pub async fn write_rows(
    store: &Store,
    events: &[(EventId, SyncEvent)],
) -> Result<(Vec<WrittenEvent>, Vec<(usize, i32)>), StoreError> {
    let outcome = store.sync_events().insert(events).await?;
    let (mut rested, mut refused) = (Vec::with_capacity(events.len()), Vec::new());
    for (index, ((id, event), inserted)) in events.iter().zip(outcome).enumerate() {
        let is_new = match inserted {
            Inserted::Refused { code } => {
                refused.push((index, code));
                continue;
            }
            inserted => inserted == Inserted::New,
        };
        rested.push(WrittenEvent {
            device_id: event.device_id.clone(),
            observation: observe(*id, event),
            is_new,
            received_at: event.received_at,
            clock_suspect: event.time.device_timestamp.is_some(),
            labels: event.details.labels.clone(),
            may_repeat: event.may_repeat(),
        });
    }
    Ok((rested, refused))
}

fn observe(id: EventId, event: &SyncEvent) -> Observation {
    Observation { timestamp: event.time.timestamp, id, failed: event.failed(), internet_speed: event.internet_speed }
}
