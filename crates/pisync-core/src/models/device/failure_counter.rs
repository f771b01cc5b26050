//! The failure counter: how many syncs of a device failed in a row, without reading its history again.

use jiff::Timestamp;

use crate::models::{DeviceId, EventId, Labels, SyncEvent};

/// The state of one device: the fold of its stored events in order of time.
///
/// While the device is ok, a good sync changes nothing of use and is not written: this saves nine writes in ten.
/// `last_success_at` and `watermark` then stand still, and mean "at least". While it is failing, they are exact.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureCounter {
    /// The device.
    pub device_id: DeviceId,
    /// The failed syncs after the last good one; none while the device is ok.
    pub run: Option<FailureRun>,
    /// Time of a good sync, if there was one: the last one before the run.
    pub last_success_at: Option<Timestamp>,
    /// Time of the newest event counted. No later failed sync has been counted.
    pub watermark: Option<Timestamp>,
    /// Time of receipt since which the device's clock is not trusted; not part of the fold.
    pub clock_suspect_since: Option<Timestamp>,
    /// Reports that repeated the time and content of an earlier one; not part of the fold.
    pub clock_repeats: Option<ClockRepeats>,
    /// Time of receipt of the report that last changed it between failing and ok; not part of the fold.
    pub last_change_at: Option<Timestamp>,
    /// The labels of the device's newest row; not part of the fold.
    pub labels: Labels,
    /// The part of the run whose rows were removed for their age, while the run lasts.
    pub settled: Option<Settled>,
}

/// Repeats by a clock that is not trusted. They have the time and content of an earlier report and no report id, but
/// were received much later. They share its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRepeats {
    /// The number of repeats.
    pub count: i64,
    /// Time of receipt of the newest one.
    pub last_at: Timestamp,
}

/// The sum of the rows of a run before some time. The rows may be gone, and no late report changes the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled {
    /// The failed syncs before that time.
    pub run: FailureRun,
    /// The time.
    pub before: Timestamp,
}

/// Consecutive failed syncs, with no good one between or after them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureRun {
    /// The number of failed syncs, at least 1.
    pub count: i32,
    /// Time of the first.
    pub since: Timestamp,
    /// Time of the newest.
    pub last_at: Timestamp,
    /// Speed of the connection at the newest, in Mbps.
    pub last_speed: f64,
}

/// The fields of a stored event that a counter needs. In order of time, ties by id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Time of the sync.
    pub timestamp: Timestamp,
    /// Id of the row.
    pub id: EventId,
    /// Whether the sync failed.
    pub failed: bool,
    /// Speed of the connection in Mbps.
    pub internet_speed: f64,
}

/// The effect of a batch on a counter.
#[derive(Debug, Clone, PartialEq)]
pub enum Fold {
    /// No change that matters.
    Unchanged,
    /// The whole batch was new: the next counter.
    Counted(FailureCounter),
    /// A device that was ok fails: the next counter, if no good sync is stored at `since` or later. If one is, the
    /// counter has to be recounted from the rows.
    CountedUnlessGood {
        /// The counter in the first case.
        counter: FailureCounter,
        /// Time of the first failed sync.
        since: Timestamp,
    },
    /// Part of the batch is late or was seen before: recount from the rows (see [`recount`]).
    NeedsRows,
}

impl FailureCounter {
    /// Returns the counter of a device without events.
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            run: None,
            last_success_at: None,
            watermark: None,
            clock_suspect_since: None,
            clock_repeats: None,
            last_change_at: None,
            labels: Labels::default(),
            settled: None,
        }
    }

    /// Returns the number of failed syncs after the last good one.
    pub fn failure_count(&self) -> i32 {
        self.run.map_or(0, |run| run.count)
    }

    /// Folds stored events of this device into the counter.
    ///
    /// `events` are in order of time, ties by id, each with whether its row is new. A new row after the watermark is
    /// counted. One before the last good sync changes nothing. Everything else needs the rows and is never guessed:
    /// late or resent events, events at the time of the watermark, or a batch whose worker died between rows and
    /// counters. After a crash the whole batch looks resent. The first event of a device without a watermark also needs
    /// them, since it may have rows from before its counter.
    pub fn fold(&self, events: &[(Observation, bool)]) -> Fold {
        match (self.watermark, self.run) {
            (None, _) => Fold::NeedsRows,
            (Some(watermark), None) => self.fold_well(watermark, events),
            (Some(watermark), Some(_)) => self.fold_failing(watermark, events),
        }
    }

    /// Folds events into the counter of a device that is ok. Only the failed syncs after the last new good one of the
    /// batch can change it; and they do not if a later good sync came before and was left out.
    ///
    /// A resent good sync does not count here. With a clock that is not trusted it has the time of this receipt, but
    /// its row has the time of the first.
    fn fold_well(&self, watermark: Timestamp, events: &[(Observation, bool)]) -> Fold {
        let good = events.iter().rposition(|(event, is_new)| !event.failed && *is_new);
        let failed = events[good.map_or(0, |good| good + 1)..].iter().filter(|(event, _)| event.failed);
        let failed: Vec<_> = failed.skip_while(|(event, _)| self.precedes_success(event)).collect();
        let Some((first, _)) = failed.first() else { return Fold::Unchanged };
        if first.timestamp <= watermark || failed.iter().any(|(_, is_new)| !is_new) {
            return Fold::NeedsRows;
        }
        let mut counter = self.clone();
        if let Some((good, _)) = good.map(|good| &events[good]) {
            counter.last_success_at = counter.last_success_at.max(Some(good.timestamp));
        }
        for (event, _) in failed {
            counter.count(event);
        }
        Fold::CountedUnlessGood { counter, since: first.timestamp }
    }

    /// Folds events into the counter of a failing device. Every stored event after the watermark is in this batch, so
    /// events of one time are counted by their ids. An event at the watermark itself may precede events that were
    /// counted.
    fn fold_failing(&self, watermark: Timestamp, events: &[(Observation, bool)]) -> Fold {
        let mut counter = self.clone();
        for (event, is_new) in events {
            if self.is_settled(event) {
                continue;
            }
            if *is_new && event.timestamp > watermark {
                counter.count(event);
            } else if !self.precedes_success(event) {
                return Fold::NeedsRows;
            }
        }
        if counter == *self { Fold::Unchanged } else { Fold::Counted(counter) }
    }

    /// Returns whether an event precedes a known good sync, so that it changes nothing.
    pub fn precedes_success(&self, event: &Observation) -> bool {
        self.last_success_at.is_some_and(|success| event.timestamp < success)
    }

    fn is_settled(&self, event: &Observation) -> bool {
        self.settled.is_some_and(|settled| event.timestamp < settled.before)
    }

    /// Returns the counter from the device's rows, with the rows before a time settled: those may be removed
    /// afterwards. `rows` are as for [`FailureCounter::recount`].
    ///
    /// `None` if no run began before that time, so that there is nothing to settle.
    #[must_use]
    pub fn settle(&self, rows: Vec<Observation>, before: Timestamp) -> Option<Self> {
        let (early, late) = rows.into_iter().partition(|row| row.timestamp < before);
        let early = self.recount(early);
        let settled = Settled { run: early.run?, before };
        Some(Self { settled: Some(settled), ..early }.recount(late))
    }

    /// Returns the counter from the device's rows. The last good sync and the rows after it are enough, in any order.
    /// The settled part needs none, and rows from its time are left out.
    #[must_use]
    pub fn recount(&self, mut rows: Vec<Observation>) -> Self {
        rows.retain(|row| !self.is_settled(row));
        rows.sort_by_key(|row| (row.timestamp, row.id));
        let mut counter = Self::new(self.device_id.clone());
        if let Some(settled) = self.settled {
            counter.run = Some(settled.run);
            counter.last_success_at = self.last_success_at;
            counter.watermark = Some(settled.run.last_at);
            counter.settled = Some(settled);
        }
        for row in &rows {
            counter.count(row);
        }
        counter.clock_suspect_since = self.clock_suspect_since;
        counter.clock_repeats = self.clock_repeats;
        counter.last_change_at = self.last_change_at;
        counter.labels = self.labels.clone();
        counter
    }

    /// Returns the counter with repeats that were received at these times. Those not newer than the newest counted were
    /// counted before, so a batch may be processed twice.
    #[must_use]
    pub fn with_repeats(&self, received_at: &[Timestamp]) -> Self {
        let before = self.clock_repeats;
        let newer = received_at.iter().filter(|at| before.is_none_or(|before| **at > before.last_at));
        let count = i64::try_from(newer.clone().count()).unwrap_or(i64::MAX);
        let Some(last_at) = newer.max().copied() else { return self.clone() };
        let count = before.map_or(0, |before| before.count).saturating_add(count);
        Self { clock_repeats: Some(ClockRepeats { count, last_at }), ..self.clone() }
    }

    /// Counts the event after all that were counted before.
    fn count(&mut self, event: &Observation) {
        if event.failed {
            let (count, since) = self.run.map_or((0, event.timestamp), |run| (run.count, run.since));
            self.run = Some(FailureRun {
                count: count.saturating_add(1),
                since,
                last_at: event.timestamp,
                last_speed: event.internet_speed,
            });
        } else {
            self.run = None;
            self.settled = None;
            self.last_success_at = Some(event.timestamp);
        }
        self.watermark = Some(event.timestamp);
    }
}

/// Returns the counter of a device from its rows alone; see [`FailureCounter::recount`].
pub fn recount(device_id: DeviceId, rows: Vec<Observation>) -> FailureCounter {
    FailureCounter::new(device_id).recount(rows)
}

impl From<&SyncEvent> for Observation {
    fn from(event: &SyncEvent) -> Self {
        Self {
            timestamp: event.time.timestamp,
            id: event.id(),
            failed: event.failed(),
            internet_speed: event.internet_speed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A device's rows by their identity, each with the second of its row and whether it failed.
    /// Several have the same second, as those of cloned cards do.
    type Rows = BTreeMap<u8, (i64, bool)>;

    /// A report: its identity, its second, and whether it failed. A resend by a clock that is not trusted has another
    /// second than its row.
    type Arrival = (u8, i64, bool);

    fn id_of(identity: u8) -> EventId {
        EventId::from_bytes([identity; 12])
    }

    fn observed((identity, second, failed): Arrival) -> Observation {
        Observation { id: id_of(identity), ..observation(second, failed) }
    }

    fn observation(second: i64, failed: bool) -> Observation {
        let timestamp = Timestamp::from_second(second).unwrap();
        Observation { timestamp, id: EventId::lowest(timestamp), failed, internet_speed: 1.0 }
    }

    fn device() -> DeviceId {
        DeviceId::parse("pibook-1").unwrap()
    }

    /// Returns the rows in order of time, ties by id.
    fn sorted(rows: &Rows) -> Vec<Arrival> {
        let mut sorted: Vec<_> =
            rows.iter().map(|(identity, (second, failed))| (*identity, *second, *failed)).collect();
        sorted.sort_by_key(|(identity, second, _)| (*second, *identity));
        sorted
    }

    /// Returns the expected counter of these rows, computed without the code under test.
    fn expected(rows: &Rows) -> i32 {
        let failed = sorted(rows).iter().rev().take_while(|(.., failed)| *failed).count();
        i32::try_from(failed).unwrap()
    }

    /// Returns the part of a device's rows that a recount reads, in any order of ties.
    fn tail(rows: &Rows) -> Vec<Observation> {
        let success = sorted(rows).iter().rev().find(|(.., failed)| !failed).map(|(_, second, _)| *second);
        let from = success.unwrap_or(i64::MIN);
        rows.iter().filter(|(_, row)| row.0 >= from).map(|(id, row)| observed((*id, row.0, row.1))).collect()
    }

    /// Processes one batch through rows and counter, as the worker does.
    fn work(rows: &mut Rows, counter: &mut FailureCounter, batch: &[Arrival], dies_before_counter: bool) {
        let mut events = Vec::new();
        for (place, arrival) in batch.iter().enumerate() {
            let (identity, second, failed) = *arrival;
            if batch[..place].iter().any(|(other, ..)| *other == identity) {
                continue;
            }
            let is_new = !rows.contains_key(&identity);
            rows.entry(identity).or_insert((second, failed));
            events.push((observed(*arrival), is_new));
        }
        events.sort_by_key(|(event, _)| (event.timestamp, event.id));
        if dies_before_counter {
            return;
        }
        match counter.fold(&events) {
            Fold::Unchanged => {}
            Fold::Counted(next) => *counter = next,
            Fold::CountedUnlessGood { counter: next, since } if !is_good_since(rows, since) => *counter = next,
            Fold::CountedUnlessGood { .. } | Fold::NeedsRows => *counter = counter.recount(tail(rows)),
        }
    }

    /// Removes the rows before a second, as the worker does.
    fn age(rows: &mut Rows, counter: &mut FailureCounter, before: i64) {
        let sorted = sorted(rows);
        let Some((_, newest, failed)) = sorted.last() else { return };
        let limit = match counter.run {
            _ if !failed => (*newest).min(before),
            None => return,
            Some(run) if run.since.as_second() >= before => {
                let until = sorted.iter().rev().filter(|(_, second, _)| *second <= run.since.as_second());
                match until.clone().find(|(.., failed)| !failed) {
                    Some((_, last, _)) => (*last).min(before),
                    None => return,
                }
            }
            Some(_) => {
                let Some(settled) = counter.settle(tail(rows), Timestamp::from_second(before).unwrap()) else { return };
                *counter = settled;
                before
            }
        };
        rows.retain(|_, (second, _)| *second >= limit);
    }

    /// Returns the store's answer about a run that seems to begin.
    fn is_good_since(rows: &Rows, since: Timestamp) -> bool {
        rows.values().any(|(second, failed)| *second >= since.as_second() && !failed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// The promise: permutation, duplication, split into batches and death between rows and counter all give the
        /// same counter. After a death the batch comes again, before any later one. Outcomes at one time are mixed, and
        /// some resends have another time than their row.
        #[test]
        fn any_arrival_gives_the_same_counter(
            history in prop::collection::btree_map(any::<u8>(), (0_i64..20, prop::bool::weighted(0.6)), 1..40),
            arrivals in prop::collection::vec(
                (any::<prop::sample::Index>(), 1_usize..6, any::<bool>(), prop::option::weighted(0.2, 0_i64..25)),
                0..60,
            ),
            order in any::<prop::sample::Index>(),
        ) {
            let events: Vec<Arrival> = history.iter().map(|(id, (second, failed))| (*id, *second, *failed)).collect();
            let start = order.index(events.len());
            let again = events[start..].iter().chain(&events[..start]).map(|event| (*event, 3, false, None));
            let stream: Vec<_> =
                arrivals.iter().map(|(at, size, dies, later)| (*at.get(&events), *size, *dies, *later)).chain(again).collect();

            let (mut rows, mut counter) = (Rows::new(), FailureCounter::new(device()));
            let mut rest = &stream[..];
            while let [(_, size, dies, _), ..] = rest {
                let (batch, after) = rest.split_at((*size).min(rest.len()));
                // Only an event with a row comes with another time: the first arrival makes the row.
                let known = |id: &u8| rows.contains_key(id);
                let batch: Vec<_> = batch.iter().map(|((id, second, failed), _, _, later)| {
                    (*id, later.filter(|_| known(id)).unwrap_or(*second), *failed)
                }).collect();
                if *dies {
                    work(&mut rows, &mut counter, &batch, true);
                }
                work(&mut rows, &mut counter, &batch, false);
                let exact = recount(device(), tail(&rows));
                prop_assert_eq!(counter.failure_count(), expected(&rows));
                prop_assert_eq!(&counter.run, &exact.run);
                prop_assert!(counter.watermark <= exact.watermark && counter.last_success_at <= exact.last_success_at);
                if counter.run.is_some() {
                    prop_assert_eq!(counter.watermark, exact.watermark);
                }
                rest = after;
            }
            prop_assert_eq!(rows, history);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Removing rows for their age does not change the counter: it is that of all rows ever stored. Reports younger
        /// than the removed rows come in any order and repeatedly.
        #[test]
        fn removing_old_rows_changes_no_counter(
            history in prop::collection::btree_map(any::<u8>(), (0_i64..40, prop::bool::weighted(0.8)), 1..40),
            shuffle in prop::collection::vec(0_i64..6, 40),
            ages in prop::collection::vec((0_usize..40, 6_i64..20), 0..12),
        ) {
            // No report comes more than 6 s late, and the youngest row that is removed is that old.
            let mut stream: Vec<_> = history.iter().map(|(id, row)| (*id, row.0, row.1)).zip(&shuffle).collect();
            stream.sort_by_key(|((_, second, _), late)| second + *late);
            let (mut rows, mut all, mut counter) = (Rows::new(), Rows::new(), FailureCounter::new(device()));
            let mut newest = 0;
            for (place, (event, late)) in stream.into_iter().enumerate() {
                // If a worker dies between rows and counter, its batch is processed again.
                let dies = late % 2 == 0;
                work(&mut rows, &mut counter, &[event], dies);
                all.insert(event.0, (event.1, event.2));
                newest = newest.max(event.1 + *late);
                if let Some((_, kept)) = ages.iter().find(|(at, _)| *at == place) {
                    age(&mut rows, &mut counter, newest - kept);
                }
                if dies {
                    work(&mut rows, &mut counter, &[event], false);
                }
                prop_assert_eq!(counter.failure_count(), expected(&all));
                let exact = recount(device(), tail(&all));
                prop_assert_eq!(&counter.run, &exact.run);
                prop_assert_eq!(&counter.recount(tail(&rows)).run, &exact.run, "made from the rows that are left");
            }
        }
    }

    #[test]
    fn three_failed_syncs_of_one_instant_are_three() {
        let at_once: Vec<_> = [3, 1, 2].map(|id| observed((id, 60, true))).to_vec();
        assert_eq!(recount(device(), at_once.clone()).failure_count(), 3);
        let failing = recount(device(), vec![observation(10, true)]);
        let mut batch: Vec<_> = at_once.iter().map(|event| (*event, true)).collect();
        batch.sort_by_key(|(event, _)| event.id);
        let Fold::Counted(counted) = failing.fold(&batch) else { panic!() };
        assert_eq!(counted.failure_count(), 4);
        assert_eq!(counted.fold(&[(observed((9, 60, true)), true)]), Fold::NeedsRows, "one more of that instant");
    }

    #[test]
    fn a_good_sync_that_is_resent_later_ends_no_run_that_follows_it() {
        let well = recount(device(), vec![observed((1, 5, false))]);
        // Its clock is not trusted: the resend has the time of its receipt, its row the first one.
        let batch = [(observed((2, 10, true)), true), (observed((1, 20, false)), false)];
        let Fold::CountedUnlessGood { counter, .. } = well.fold(&batch) else { panic!() };
        assert_eq!(counter.failure_count(), 1);
    }

    #[test]
    fn repeats_are_counted_once_however_often_their_batch_is_worked_on() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let counter = FailureCounter::new(device());
        assert_eq!(counter.with_repeats(&[]), counter);
        let once = counter.with_repeats(&[at(10), at(12), at(12)]);
        assert_eq!(once.clock_repeats, Some(ClockRepeats { count: 3, last_at: at(12) }));
        assert_eq!(once.with_repeats(&[at(10), at(12), at(12)]), once);
        assert_eq!(
            once.with_repeats(&[at(12), at(13)]).clock_repeats,
            Some(ClockRepeats { count: 4, last_at: at(13) })
        );
        assert_eq!(once.recount(vec![observation(1, true)]).clock_repeats, once.clock_repeats);
    }

    #[test]
    fn what_is_settled_is_not_counted_again_and_ends_with_the_run() {
        let rows: Vec<_> = (0..10).map(|second| observation(second, second > 0)).collect();
        let before = Timestamp::from_second(6).unwrap();
        let settled = recount(device(), rows.clone()).settle(rows.clone(), before).unwrap();
        assert_eq!((settled.failure_count(), settled.settled.unwrap().run.count), (9, 5));
        let left: Vec<_> = rows[6..].to_vec();
        assert_eq!(settled.recount(left.clone()), settled);
        // A resend without its row, and one that comes years late, good or not.
        for (late, is_new) in [(observation(3, true), true), (observation(2, false), true)] {
            assert_eq!(settled.fold(&[(late, is_new)]), Fold::Unchanged);
            assert_eq!(settled.recount([left.clone(), vec![late]].concat()), settled);
        }
        let again = settled.settle(left, Timestamp::from_second(8).unwrap()).unwrap();
        assert_eq!((again.failure_count(), again.settled.unwrap().run.count), (9, 7));
        let Fold::Counted(well) = again.fold(&[(observation(20, false), true)]) else { panic!() };
        assert_eq!((well.failure_count(), well.settled), (0, None));
    }

    #[test]
    fn in_order_only_the_first_event_asks_the_rows() {
        let mut counter = FailureCounter::new(device());
        assert_eq!(counter.fold(&[(observation(1, true), true)]), Fold::NeedsRows);
        counter.count(&observation(1, true));
        for second in 2..5 {
            let Fold::Counted(next) = counter.fold(&[(observation(second, true), true)]) else { panic!() };
            counter = next;
        }
        let run = counter.run.unwrap();
        assert_eq!((run.count, run.since.as_second(), run.last_at.as_second()), (4, 1, 4));
    }

    #[test]
    fn what_lies_before_the_last_good_sync_asks_nobody() {
        let counter = recount(device(), vec![observation(10, false), observation(11, true)]);
        let back_filled: Vec<_> = (1..10).map(|second| (observation(second, true), true)).collect();
        assert_eq!(counter.fold(&back_filled), Fold::Unchanged);
        assert_eq!(counter.fold(&[(observation(10, false), false)]), Fold::NeedsRows);
    }

    #[test]
    fn a_good_sync_of_a_device_that_is_well_is_not_written_down() {
        let counter = recount(device(), vec![observation(10, false)]);
        for second in [5, 10, 20] {
            for is_new in [true, false] {
                assert_eq!(counter.fold(&[(observation(second, false), is_new)]), Fold::Unchanged);
            }
        }
        let batch = [(observation(19, true), true), (observation(20, false), true)];
        assert_eq!(counter.fold(&batch), Fold::Unchanged);
    }

    #[test]
    fn a_first_failure_counts_unless_a_good_sync_that_was_left_out_is_newer() {
        let counter = recount(device(), vec![observation(10, false)]);
        let batch = [(observation(20, false), true), (observation(21, true), true), (observation(22, true), true)];
        let Fold::CountedUnlessGood { counter, since } = counter.fold(&batch) else { panic!() };
        assert_eq!((counter.failure_count(), since.as_second()), (2, 21));
        assert_eq!(counter.last_success_at.unwrap().as_second(), 20);
    }

    #[test]
    fn counting_only_new_rows_would_lose_a_batch_whose_worker_died() {
        let counter = recount(device(), vec![observation(1, false)]);
        assert_eq!(counter.fold(&[(observation(2, true), false)]), Fold::NeedsRows);
        let counter = recount(device(), vec![observation(1, true)]);
        assert_eq!(counter.fold(&[(observation(2, true), false)]), Fold::NeedsRows);
    }
}
