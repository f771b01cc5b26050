//! The list of rules, in the order in which they inhibit each other: what concerns many comes first.

use pisync_core::models::AlertName;

use crate::{
    evaluation::Evaluation,
    rules::{
        device_flapping, device_silent, device_sync_failing, fleet_digest, fleet_silent, fleet_sync_failing,
        pipeline_stalled,
    },
    snapshot::{Candidates, ReadError, Snapshot},
};

/// The rules about the fleet.
pub(crate) const FLEET_RULES: [AlertName; 4] =
    [AlertName::FleetSyncFailing, AlertName::PipelineStalled, AlertName::FleetSilent, AlertName::FleetDigest];

/// The rules about single devices.
pub(crate) const DEVICE_RULES: [AlertName; 3] =
    [AlertName::DeviceSilent, AlertName::DeviceFlapping, AlertName::DeviceSyncFailing];

/// Evaluates a rule: of devices those of the snapshot's page.
pub(crate) async fn evaluate(rule: AlertName, snapshot: &Snapshot) -> Result<Vec<Evaluation>, ReadError> {
    match rule {
        AlertName::FleetSyncFailing => Box::pin(fleet_sync_failing::evaluate(snapshot)).await,
        AlertName::PipelineStalled => pipeline_stalled::evaluate(snapshot).await,
        AlertName::FleetSilent => Box::pin(fleet_silent::evaluate(snapshot)).await,
        AlertName::FleetDigest => Box::pin(fleet_digest::evaluate(snapshot)).await,
        AlertName::DeviceSilent => device_silent::evaluate(snapshot).await,
        AlertName::DeviceFlapping => device_flapping::evaluate(snapshot).await,
        AlertName::DeviceSyncFailing => device_sync_failing::evaluate(snapshot).await,
    }
}

/// Returns the devices for which a rule may open an incident; none for a rule about the fleet.
pub(crate) async fn candidates(rule: AlertName, snapshot: &Snapshot) -> Result<Option<Candidates>, ReadError> {
    match rule {
        AlertName::DeviceSilent => device_silent::candidates(snapshot).await.map(Some),
        AlertName::DeviceFlapping => device_flapping::candidates(snapshot).await.map(Some),
        AlertName::DeviceSyncFailing => device_sync_failing::candidates(snapshot).await.map(Some),
        AlertName::FleetSyncFailing | AlertName::PipelineStalled | AlertName::FleetSilent | AlertName::FleetDigest => {
            Ok(None)
        }
    }
}
