//! What speed is usual for a device: read when its incident opens, to tell a line that broke down from
//! one that is as it always is.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::{models::DeviceId, store::StoreError};

use super::Snapshot;
use crate::device_context::median;

/// How many devices are asked for at a time.
const BATCH_SIZE: usize = 100;

/// How many of a device's newest rows are read.
const ROWS: u32 = 20;

impl Snapshot {
    /// Returns the median speed of the good syncs among the last of each device, in Mbps. What cannot
    /// be read is not known: nobody is notified late because of it.
    pub(crate) async fn usual_speeds(&self, devices: &[DeviceId]) -> HashMap<String, f64> {
        let mut speeds = HashMap::new();
        for some in devices.chunks(BATCH_SIZE) {
            match self.speeds(some).await {
                Ok(found) => speeds.extend(found),
                Err(error) => log::warn!(error:% = error; "the usual speed of some devices is unknown"),
            }
        }
        speeds
    }

    async fn speeds(&self, devices: &[DeviceId]) -> Result<HashMap<String, f64>, StoreError> {
        let newest: Vec<_> = devices.iter().map(|device| (device, Timestamp::MAX)).collect();
        let mut speeds = HashMap::<_, Vec<_>>::new();
        for row in self.source.store.sync_events().newest_rows(&newest, ROWS).await? {
            if row.total_errors <= 0 && row.internet_speed > 0.0 {
                speeds.entry(row.device_id).or_default().push(row.internet_speed);
            }
        }
        Ok(speeds.into_iter().filter_map(|(device, speeds)| Some((device, median(speeds)?))).collect())
    }
}
