//! What speed is usual for a device: read when its incident begins, to tell a line that broke down
//! from one that is as it always is.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, Evidence},
    store::{KeptIncident, Revision, Store, StoreError},
};

use crate::facts::median;

/// How many devices are looked at at a time.
const AT_ONCE: usize = 8;

/// How many of a device's newest rows are read.
const ROWS: u32 = 20;

/// Gives those incidents of devices that begin, and are told, their cause by what is usual for the
/// device, too; a cause is the connection below `floor`, in Mbps, in any case.
pub(crate) async fn weigh(store: &Store, floor: f64, mut changes: Vec<KeptIncident>) -> Vec<KeptIncident> {
    let begins = |kept: &&mut KeptIncident| kept.revision == Revision::Unset && !kept.incident.is_held_back();
    let begun = changes.iter_mut().filter(begins).map(|kept| &mut kept.incident.alert);
    let begun: Vec<_> = begun.filter_map(|alert| Some((alert.device_id()?.clone(), alert))).collect();
    let devices: Vec<_> = begun.iter().map(|(device, _)| device.clone()).collect();
    let usual: Vec<_> = stream::iter(&devices).map(|device| known(store, device)).buffered(AT_ONCE).collect().await;
    for ((_, alert), usual) in begun.into_iter().zip(usual) {
        alert.evidence = alert.evidence.map(|evidence| Evidence { usual, ..evidence });
        alert.cause = alert.evidence.map_or(alert.cause, |evidence| evidence.cause(floor));
    }
    changes
}

/// What cannot be read is not known: nobody is told late because of it.
async fn known(store: &Store, device: &DeviceId) -> Option<f64> {
    read(store, device).await.unwrap_or_else(|error| {
        log::warn!(error:% = error; "the usual speed of a device is not known");
        None
    })
}

/// The median speed of the good syncs among the last, in Mbps.
async fn read(store: &Store, device: &DeviceId) -> Result<Option<f64>, StoreError> {
    let ever = Timestamp::MIN..Timestamp::MAX;
    let newest = store.sync_events().history_step(device, ever, None, ROWS).await?.found;
    let good = newest.iter().filter(|row| row.total_errors <= 0).map(|row| row.internet_speed);
    Ok(median(good.filter(|speed| *speed > 0.0).collect()))
}
