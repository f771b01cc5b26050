//! Counts reports with a suspect clock that repeat an earlier one and so share its row. The count shows people
//! that the device's clock says the same time again and again.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, EventId, FailureCounter},
    store::{Revision, Store, StoreError, VersionedCounter},
};

use crate::batch::WrittenEvent;

/// The minimum time between the receipt of a row and of its repeat. A report that comes sooner is the same
/// report, resent.
const AFTER: SignedDuration = SignedDuration::from_mins(30);

/// A report that has the row of an earlier one and may repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The id of the row.
    pub id: EventId,
    /// The device that sent it.
    pub device_id: DeviceId,
    /// Time of receipt, UTC.
    pub received_at: Timestamp,
}

/// The times of receipt of each device's repeats.
pub type Repeats = HashMap<DeviceId, Vec<Timestamp>>;

/// Returns the reports of a batch that may be repeats: `within` the batch, or of rows stored before.
pub(crate) fn asked(rested: &[WrittenEvent], within: Vec<Again>) -> Vec<Again> {
    let resent = rested.iter().filter(|event| !event.is_new && event.may_repeat).map(|event| Again {
        id: event.observation.id,
        device_id: event.device_id.clone(),
        received_at: event.received_at,
    });
    resent.chain(within).collect()
}

/// Returns the reports that are repeats, judged by the time of receipt of their row.
pub(crate) async fn confirmed(store: &Store, asked: &[Again]) -> Result<Repeats, StoreError> {
    let ids: Vec<_> = asked.iter().map(|again| again.id).collect();
    let received_at = store.sync_events().received_at(&ids).await?;
    let is_repeat =
        |again: &&Again| received_at.get(&again.id).is_some_and(|row| again.received_at.duration_since(*row) > AFTER);
    let mut repeats = Repeats::new();
    for again in asked.iter().filter(is_repeat) {
        repeats.entry(again.device_id.clone()).or_default().push(again.received_at);
    }
    Ok(repeats)
}

/// Adds the repeats to the changed counters, and adds a change for each other counter whose count differs.
pub(crate) fn count_repeats(
    changes: &mut Vec<(FailureCounter, Revision)>,
    repeats: &Repeats,
    kept: &HashMap<DeviceId, VersionedCounter>,
) {
    for (device_id, received_at) in repeats {
        let kept = kept.get(device_id).cloned().unwrap_or_else(|| VersionedCounter::none(device_id.clone()));
        let counted = kept.counter.with_repeats(received_at).clock_repeats;
        if let Some((counter, _)) = changes.iter_mut().find(|(counter, _)| counter.device_id == *device_id) {
            counter.clock_repeats = counted;
        } else if counted != kept.counter.clock_repeats {
            changes.push((FailureCounter { clock_repeats: counted, ..kept.counter }, kept.revision));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::parse(name).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn repeats_go_into_the_change_there_is_or_one_of_their_own_and_only_once() {
        let repeats = Repeats::from([(device("a"), vec![at(5)]), (device("b"), vec![at(5), at(6)])]);
        let mut changes = vec![(FailureCounter::new(device("a")), Revision::At(3))];
        count_repeats(&mut changes, &repeats, &HashMap::new());
        assert_eq!(changes.len(), 2);
        let counts: Vec<_> = changes.iter().map(|(counter, _)| counter.clock_repeats.unwrap().count).collect();
        assert_eq!((counts, changes[0].1, changes[1].1), (vec![1, 2], Revision::At(3), Revision::Unset));
        let kept = changes
            .into_iter()
            .map(|(counter, revision)| (counter.device_id.clone(), VersionedCounter { counter, revision }));
        let (kept, mut again) = (kept.collect(), Vec::new());
        count_repeats(&mut again, &repeats, &kept);
        assert_eq!(again, []);
    }
}
