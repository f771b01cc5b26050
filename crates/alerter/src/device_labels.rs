//! What devices say of themselves, by the newest row of each: looked up only where it matters.

use std::collections::HashMap;

use pisync_core::{
    models::{AlertName, DeviceId, Labels},
    store::{Store, StoreError},
};

use crate::rules::holding::Episode;

/// The labels of these devices where an alert of a part of the fleet may hold back those of this
/// name; none where that cannot be.
pub(crate) async fn where_held(
    store: &Store,
    episodes: &[Episode],
    name: AlertName,
    devices: &[&DeviceId],
) -> Result<HashMap<DeviceId, Labels>, StoreError> {
    if episodes.iter().any(|episode| episode.holds == name && episode.scope.is_some()) {
        return store.sync_events().newest_labels(devices).await;
    }
    Ok(HashMap::new())
}
