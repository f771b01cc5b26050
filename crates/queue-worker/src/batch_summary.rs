//! The facts about the devices of a batch beside their rows: last seen, clock trust, changes between failing
//! and healthy, and the hours that got rows.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, FailureCounter, Observation},
    store::{Revision, VersionedCounter},
    time::hour_of,
};

use crate::batch::{ByDevice, WrittenEvent};

/// The receipts of one device in a batch, in the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Time of receipt of the newest event, UTC.
    pub(crate) last_at: Timestamp,
    /// Start of the trailing events with a suspect clock, by receipt, UTC. `None` if the last event's clock is
    /// believed.
    suspect_since: Option<Timestamp>,
    /// True if the clock is suspect in all events of the batch, or in none.
    throughout: bool,
}

/// The receipts of a batch, by device.
pub(crate) type Receipts = HashMap<DeviceId, Receipt>;

/// Returns the receipts of a batch.
pub(crate) fn receipts(rested: &[WrittenEvent]) -> Receipts {
    let mut receipts = Receipts::new();
    for event in rested {
        let (at, suspect) = (event.received_at, event.clock_suspect);
        let first = Receipt { last_at: at, suspect_since: None, throughout: true };
        let is_first = !receipts.contains_key(&event.device_id);
        let receipt = receipts.entry(event.device_id.clone()).or_insert(first);
        receipt.last_at = receipt.last_at.max(at);
        receipt.throughout &= is_first || receipt.suspect_since.is_some() == suspect;
        receipt.suspect_since = suspect.then(|| receipt.suspect_since.unwrap_or(at));
    }
    receipts
}

/// Returns the hours of the rows in a batch, UTC, sorted.
pub(crate) fn hours(rested: &[WrittenEvent]) -> Vec<Timestamp> {
    let hours: BTreeSet<_> = rested.iter().map(|event| hour_of(event.observation.id.time())).collect();
    hours.into_iter().collect()
}

impl Receipt {
    /// Returns the start of the clock's suspect time after this batch; `before` is the stored start.
    ///
    /// Idempotent for a repeated batch. A batch older than `before` changes nothing. A late batch (a dead
    /// letter, or a worker that slept) may set a flag that was cleared meanwhile. The flag stands until the
    /// device's next report.
    fn clock_after(&self, before: Option<Timestamp>) -> Option<Timestamp> {
        if before.is_some_and(|before| self.last_at < before) || (self.throughout && self.suspect_since.is_some()) {
            return before.or(self.suspect_since);
        }
        self.suspect_since
    }
}

/// Sets the clock flag in the changed counters, and adds a change for each counter whose flag differs.
pub(crate) fn judge_clocks(
    changes: &mut Vec<(FailureCounter, Revision)>,
    receipts: &Receipts,
    kept: &HashMap<DeviceId, VersionedCounter>,
) {
    let before = |device| kept.get(device).and_then(|kept| kept.counter.clock_suspect_since);
    for (counter, _) in changes.iter_mut() {
        if let Some(receipt) = receipts.get(&counter.device_id) {
            counter.clock_suspect_since = receipt.clock_after(before(&counter.device_id));
        }
    }
    let for_the_clock = |(device, receipt): (&DeviceId, &Receipt)| {
        let kept = kept.get(device)?;
        let after = receipt.clock_after(kept.counter.clock_suspect_since);
        (after != kept.counter.clock_suspect_since).then(|| {
            let counter = FailureCounter { clock_suspect_since: after, ..kept.counter.clone() };
            (counter, kept.revision)
        })
    };
    let more: Vec<_> = receipts.iter().filter_map(for_the_clock).collect();
    if more.is_empty() {
        return;
    }
    let saved: BTreeSet<_> = changes.iter().map(|(counter, _)| counter.device_id.clone()).collect();
    changes.extend(more.into_iter().filter(|(counter, _)| !saved.contains(&counter.device_id)));
}

/// Sets `last_change_at` to the time of receipt for devices that began to fail or recovered. Adds a change for
/// a device that failed and recovered within the batch, since its counter is the same as before.
pub(crate) fn note_changes(
    changes: &mut Vec<(FailureCounter, Revision)>,
    by_device: &ByDevice,
    receipts: &Receipts,
    kept: &HashMap<DeviceId, VersionedCounter>,
) {
    let last_at = |device: &DeviceId| receipts.get(device).map(|receipt| receipt.last_at);
    let matters = |device: &DeviceId, event: &Observation| {
        kept.get(device).is_none_or(|kept| kept.is_readable() && !kept.counter.precedes_success(event))
    };
    let fails = |(device, events): &(&DeviceId, &Vec<(Observation, bool)>)| {
        events.iter().any(|(event, is_new)| event.failed && *is_new && matters(device, event))
    };
    let mut passed: BTreeSet<_> = by_device.iter().filter(fails).map(|(device, _)| device).collect();
    for (counter, _) in changes.iter_mut() {
        let since = |counter: &FailureCounter| counter.run.map(|run| run.since);
        let before = kept.get(&counter.device_id).and_then(|kept| since(&kept.counter));
        let has_passed = passed.take(&counter.device_id).is_some() && counter.run.is_none();
        if before != since(counter) || has_passed {
            counter.last_change_at = counter.last_change_at.max(last_at(&counter.device_id));
        }
    }
    for kept in passed.into_iter().filter_map(|device| kept.get(device)) {
        let last_change_at = kept.counter.last_change_at.max(last_at(&kept.counter.device_id));
        if kept.counter.run.is_none() && last_change_at != kept.counter.last_change_at {
            changes.push((FailureCounter { last_change_at, ..kept.counter.clone() }, kept.revision));
        }
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{EventId, FailureRun, Labels};

    use super::*;

    /// Returns the receipt of a batch of one device, from times of receipt in seconds and the suspect flags.
    fn batch(events: &[(i64, bool)]) -> Receipt {
        let device_id = DeviceId::parse("a").unwrap();
        let rested = |(second, clock_suspect): &(i64, bool)| {
            let received_at = at(*second);
            let id = EventId::lowest(received_at);
            let observation = Observation { timestamp: received_at, id, failed: false, internet_speed: 1.0 };
            WrittenEvent {
                device_id: device_id.clone(),
                observation,
                is_new: true,
                received_at,
                clock_suspect: *clock_suspect,
                labels: Labels::default(),
                may_repeat: *clock_suspect,
            }
        };
        let rested: Vec<_> = events.iter().map(rested).collect();
        receipts(&rested)[&device_id]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_newest_report_tells_of_the_clock_and_says_the_same_again() {
        for (events, before, after) in [
            (&[(5, false)][..], None, None),
            (&[(5, true)], None, Some(5)),
            (&[(5, true), (6, true)], None, Some(5)),
            (&[(5, true), (6, true)], Some(3), Some(3)),
            (&[(5, true), (6, false)], Some(3), None),
            (&[(5, true), (6, false)], None, None),
            (&[(5, false), (6, true), (7, true)], Some(3), Some(6)),
            (&[(5, true), (6, false), (7, true)], Some(3), Some(7)),
        ] {
            let receipt = batch(events);
            let once = receipt.clock_after(before.map(at));
            assert_eq!(once, after.map(at), "{events:?} after {before:?}");
            assert_eq!(receipt.clock_after(once), once, "{events:?} twice");
        }
    }

    #[test]
    fn what_came_before_the_word_on_the_clock_does_not_change_it() {
        for suspect in [true, false] {
            assert_eq!(batch(&[(5, suspect)]).clock_after(Some(at(9))), Some(at(9)));
        }
    }

    #[test]
    fn a_device_was_heard_of_at_the_latest_receipt_whatever_the_order() {
        assert_eq!(batch(&[(5, false), (9, false), (7, false)]).last_at, at(9));
    }

    /// Returns the second of the noted change. The batch holds the given seconds and outcomes, received at
    /// second 90.
    fn noted(kept: FailureCounter, after: Option<FailureCounter>, events: &[(i64, bool)]) -> Option<i64> {
        let device = kept.device_id.clone();
        let observed = |(second, failed): &(i64, bool)| {
            let id = EventId::lowest(at(*second));
            (Observation { timestamp: at(*second), id, failed: *failed, internet_speed: 1.0 }, true)
        };
        let by_device = ByDevice::from([(device.clone(), events.iter().map(observed).collect())]);
        let receipts = Receipts::from([(device.clone(), batch(&[(90, false)]))]);
        let kept = HashMap::from([(device, VersionedCounter { counter: kept, revision: Revision::At(1) })]);
        let mut changes: Vec<_> = after.into_iter().map(|counter| (counter, Revision::At(1))).collect();
        note_changes(&mut changes, &by_device, &receipts, &kept);
        let kept = changes.iter().map(|(counter, revision)| {
            (counter.device_id.clone(), VersionedCounter { counter: counter.clone(), revision: *revision })
        });
        let mut again = Vec::new();
        note_changes(&mut again, &by_device, &receipts, &kept.collect());
        assert_eq!(again, [], "the same batch says the same");
        changes.first().and_then(|(counter, _)| counter.last_change_at).map(Timestamp::as_second)
    }

    #[test]
    fn what_began_or_ended_or_both_within_a_batch_is_noted_by_its_receipt() {
        let well =
            FailureCounter { last_success_at: Some(at(10)), ..FailureCounter::new(DeviceId::parse("a").unwrap()) };
        let run = |since, count| Some(FailureRun { count, since: at(since), last_at: at(60), last_speed: 1.0 });
        let failing = |since, count| FailureCounter { run: run(since, count), ..well.clone() };
        for (kept, after, events, expected) in [
            (&well, Some(failing(50, 1)), &[(50, true)][..], Some(90)),
            (&failing(50, 1), Some(well.clone()), &[(70, false)], Some(90)),
            (&well, None, &[(50, true), (52, false)], Some(90)),
            (&failing(50, 1), Some(failing(70, 1)), &[(60, false), (70, true)], Some(90)),
            // No change: the run continues, a sync is good, or a failure is older than the last good sync.
            (&failing(50, 1), Some(failing(50, 2)), &[(60, true)], None),
            (&well, None, &[(50, false)], None),
            (&well, None, &[(5, true)], None),
        ] {
            assert_eq!(noted(kept.clone(), after, events), expected, "{events:?}");
        }
    }
}
