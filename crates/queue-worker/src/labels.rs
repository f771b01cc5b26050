//! Keeps the labels in the counters: those of each device's newest row.
//!
//! A counter is written for its labels only if they change, which they seldom do.

use std::collections::HashMap;

use pisync_core::{
    models::{DeviceId, FailureCounter, Labels},
    store::{Revision, Store, StoreError, VersionedCounter},
};

use crate::batch::WrittenEvent;

/// Returns the current labels of the devices whose newest event in this batch has other labels than their counter.
///
/// The newest row has them: another batch may have written a newer one.
pub(crate) async fn changed(
    store: &Store,
    rested: &[WrittenEvent],
    kept: &HashMap<DeviceId, VersionedCounter>,
) -> Result<HashMap<DeviceId, Labels>, StoreError> {
    let mut newest = HashMap::<&DeviceId, &WrittenEvent>::new();
    for event in rested {
        let order = |event: &WrittenEvent| (event.observation.timestamp, event.observation.id);
        let newer = newest.entry(&event.device_id).or_insert(event);
        if order(event) > order(newer) {
            *newer = event;
        }
    }
    let before = |device: &DeviceId| kept.get(device).map(|kept| &kept.counter.labels);
    let differs = |event: &&WrittenEvent| {
        before(&event.device_id).map_or(!event.labels.is_empty(), |before| *before != event.labels)
    };
    let devices: Vec<_> = newest.into_values().filter(differs).map(|event| &event.device_id).collect();
    current(store, &devices).await
}

/// Returns the labels of each device's newest row.
pub(crate) async fn current(store: &Store, devices: &[&DeviceId]) -> Result<HashMap<DeviceId, Labels>, StoreError> {
    let mut labels = store.sync_events().newest_labels(devices).await?;
    Ok(devices.iter().map(|device| ((*device).clone(), labels.remove(*device).unwrap_or_default())).collect())
}

/// Sets labels in the changed counters, and adds a change for each other counter whose labels differ.
pub(crate) fn set(
    changes: &mut Vec<(FailureCounter, Revision)>,
    mut labels: HashMap<DeviceId, Labels>,
    kept: &HashMap<DeviceId, VersionedCounter>,
) {
    for (counter, _) in changes.iter_mut() {
        if let Some(labels) = labels.remove(&counter.device_id) {
            counter.labels = labels;
        }
    }
    for (device_id, labels) in labels {
        let differs = |kept: &&VersionedCounter| kept.is_readable() && kept.counter.labels != labels;
        if let Some(kept) = kept.get(&device_id).filter(differs) {
            changes.push((FailureCounter { labels, ..kept.counter.clone() }, kept.revision));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::parse(name).unwrap()
    }

    fn region(value: &str) -> Labels {
        Labels::new([("region".to_owned(), value.to_owned())]).unwrap()
    }

    #[test]
    fn labels_go_into_the_change_there_is_or_one_of_their_own_and_only_once() {
        let of =
            |name: &str, value: &str| FailureCounter { labels: region(value), ..FailureCounter::new(device(name)) };
        let kept = ["a", "b", "c"].map(|name| (of(name, "west"), Revision::At(1)));
        let kept = kept
            .into_iter()
            .map(|(counter, revision)| (counter.device_id.clone(), VersionedCounter { counter, revision }));
        let mut kept: HashMap<_, _> = kept.collect();
        kept.insert(device("d"), VersionedCounter::unreadable(device("d")));
        let labels: HashMap<_, _> = [("a", "east"), ("b", "east"), ("c", "west"), ("d", "east")]
            .map(|(name, value)| (device(name), region(value)))
            .into();
        let mut changes = vec![(FailureCounter::new(device("a")), Revision::At(1))];
        set(&mut changes, labels.clone(), &kept);
        let set_to: Vec<_> =
            changes.iter().map(|(counter, _)| (counter.device_id.as_str(), counter.labels.clone())).collect();
        assert_eq!(set_to, [("a", region("east")), ("b", region("east"))]);
        for (counter, revision) in changes {
            kept.insert(counter.device_id.clone(), VersionedCounter { counter, revision });
        }
        let mut again = Vec::new();
        set(&mut again, labels, &kept);
        assert_eq!(again, []);
    }
}
