//! What speed is usual for a device: read when its incident begins, to tell a line that broke down
//! from one that is as it always is.

use std::collections::HashMap;

use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, Evidence},
    store::{KeptIncident, Revision, Store, StoreError},
};

use crate::facts::median;

/// How many devices are asked for at a time.
const AT_ONCE: usize = 100;

/// How many of a device's newest rows are read.
const ROWS: u32 = 20;

/// Gives those incidents of devices that begin, and are told, their cause by what is usual for the
/// device, too; a cause is the connection below `floor`, in Mbps, in any case.
pub(crate) async fn weigh(store: &Store, floor: f64, mut changes: Vec<KeptIncident>) -> Vec<KeptIncident> {
    let begins = |kept: &&mut KeptIncident| kept.revision == Revision::Unset && !kept.incident.is_held_back();
    let begun = changes.iter_mut().filter(begins).map(|kept| &mut kept.incident.alert);
    let mut begun: Vec<_> = begun.filter_map(|alert| Some((alert.device_id()?.clone(), alert))).collect();
    for some in begun.chunks_mut(AT_ONCE) {
        let usual = known(store, &some.iter().map(|(device, _)| device).collect::<Vec<_>>()).await;
        for (device, alert) in some {
            let usual = usual.get(device.as_str()).copied();
            alert.evidence = alert.evidence.map(|evidence| Evidence { usual, ..evidence });
            alert.cause = alert.evidence.map_or(alert.cause, |evidence| evidence.cause(floor));
        }
    }
    changes
}

/// What cannot be read is not known: nobody is told late because of it.
async fn known(store: &Store, devices: &[&DeviceId]) -> HashMap<String, f64> {
    read(store, devices).await.unwrap_or_else(|error| {
        log::warn!(error:% = error; "the usual speed of some devices is not known");
        HashMap::new()
    })
}

/// The median speed of the good syncs among the last of each device, in Mbps.
async fn read(store: &Store, devices: &[&DeviceId]) -> Result<HashMap<String, f64>, StoreError> {
    let newest: Vec<_> = devices.iter().map(|device| (*device, Timestamp::MAX)).collect();
    let mut speeds = HashMap::<_, Vec<_>>::new();
    for row in store.sync_events().newest_rows(&newest, ROWS).await? {
        if row.total_errors <= 0 && row.internet_speed > 0.0 {
            speeds.entry(row.device_id).or_default().push(row.internet_speed);
        }
    }
    Ok(speeds.into_iter().filter_map(|(device, speeds)| Some((device, median(speeds)?))).collect())
}
