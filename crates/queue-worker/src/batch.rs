//! The rows of one batch.
//!
//! Writing may be done again, by this worker or another: rows have derived ids.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, EventId, Observation, SyncEvent},
    store::{Inserted, Store, StoreError},
};

/// An event that has its row.
#[derive(Debug, Clone)]
pub struct WrittenEvent {
    /// Whose it is.
    pub device_id: DeviceId,
    /// What a counter needs of it.
    pub observation: Observation,
    /// Whether the row was made just now.
    pub is_new: bool,
    /// When it was received.
    pub received_at: Timestamp,
    /// Whether the device's clock was not believed.
    pub clock_suspect: bool,
    /// Whether it can be a repeat of an earlier report, if its row is not new.
    pub may_repeat: bool,
}

/// The events of each device, each with whether its row is new.
pub(crate) type ByDevice = BTreeMap<DeviceId, Vec<(Observation, bool)>>;

/// Writes the rows. What `MongoDB` does not take as a document is left out of the answer and
/// named by its place in `events` instead.
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
            may_repeat: event.may_repeat(),
        });
    }
    Ok((rested, refused))
}

fn observe(id: EventId, event: &SyncEvent) -> Observation {
    Observation { timestamp: event.time.timestamp, id, failed: event.failed(), internet_speed: event.internet_speed }
}
