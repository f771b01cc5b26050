//! What devices say of themselves, by the newest row of each: looked up only where it matters.

use std::collections::HashMap;

use pisync_core::{
    models::{AlertName, DeviceId, Labels, Silence},
    store::{Store, StoreError},
};

use crate::rules::holding::Episode;

/// The labels of these devices where an alert of a part of the fleet may hold back those of this
/// name, or a silence asks for them; none where that cannot be.
pub(crate) async fn where_held(
    store: &Store,
    episodes: &[Episode],
    silences: &[Silence],
    name: AlertName,
    devices: &[&DeviceId],
) -> Result<HashMap<DeviceId, Labels>, StoreError> {
    let may_hold = |episode: &Episode| episode.holds == name && episode.scope.is_some();
    if episodes.iter().any(may_hold) || silences.iter().any(Silence::asks_for_labels) {
        return store.sync_events().newest_labels(devices).await;
    }
    Ok(HashMap::new())
}
