//! `DeviceSyncFailing`: a device failed as many times in a row as the threshold says.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, Evidence, FailureCounter, LATE_AFTER};

use crate::incident::Seen;

/// Wrong from the threshold on, and well below it: a count only ever falls because a good sync
/// came in, be it a late one. Failed syncs slower than `floor`, in Mbps, or far slower than the
/// device's `usual` speed, point to the connection. Late data never pages.
pub fn look(counter: Option<&FailureCounter>, threshold: i32, floor: f64, usual: Option<f64>, now: Timestamp) -> Seen {
    let failing = counter.and_then(|counter| Some((counter, counter.run.filter(|run| run.count >= threshold)?)));
    Seen {
        wrong: failing.map(|(counter, run)| {
            let evidence = Evidence { speed: run.last_speed, usual };
            let alert = Alert::device_sync_failing(counter.device_id.clone(), &run);
            Alert { cause: evidence.cause(floor), evidence: Some(evidence), ..alert }
        }),
        well_since: counter.and_then(|counter| counter.last_success_at).unwrap_or(now),
        is_recent: failing.is_some_and(|(_, run)| now.duration_since(run.last_at) <= LATE_AFTER),
        lasts: SignedDuration::ZERO,
        clears_after: SignedDuration::ZERO,
        silenced_by: Vec::new(),
        inhibited_by: None,
        flapping: false,
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Cause, DeviceId, FailureRun};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn counter(count: i32, since: i64) -> FailureCounter {
        let run = FailureRun { count, since: at(since), last_at: at(since + 100), last_speed: 0.1 };
        let mut counter = FailureCounter::new(DeviceId::parse("a").unwrap());
        counter.run = (count > 0).then_some(run);
        counter.last_success_at = Some(at(since - 1));
        counter
    }

    #[test]
    fn is_wrong_from_the_threshold_on_with_what_is_known() {
        assert_eq!(look(Some(&counter(2, 10)), 3, 0.5, None, at(500)).wrong, None);
        let alert = look(Some(&counter(3, 10)), 3, 0.5, None, at(500)).wrong.unwrap();
        assert_eq!((alert.failure_count, alert.starts_at, alert.cause.as_str()), (3, at(10), "connectivity"));
    }

    #[test]
    fn its_cause_is_the_connection_below_the_floor() {
        let cause = |floor| look(Some(&counter(3, 10)), 3, floor, None, at(500)).wrong.unwrap().cause;
        assert_eq!((cause(0.11), cause(0.1)), (Cause::Connectivity, Cause::Content));
    }

    #[test]
    fn the_same_failures_are_the_same_incident_and_later_ones_another() {
        let id = |count, since| look(Some(&counter(count, since)), 3, 0.5, None, at(500)).wrong.unwrap().id;
        assert_eq!(id(3, 10), id(5, 10));
        assert_ne!(id(3, 10), id(3, 90));
    }

    #[test]
    fn is_well_below_the_threshold_since_the_good_sync() {
        assert_eq!(look(Some(&counter(0, 200)), 3, 0.5, None, at(500)).well_since, at(199));
        assert_eq!(look(Some(&counter(1, 200)), 3, 0.5, None, at(500)).well_since, at(199));
        assert_eq!(look(None, 3, 0.5, None, at(500)).well_since, at(500));
    }

    #[test]
    fn is_recent_for_two_hours_after_the_newest_failed_sync() {
        let newest = 10 + 100;
        for (now, is_recent) in [(newest, true), (newest + 7_200, true), (newest + 7_201, false), (0, true)] {
            assert_eq!(look(Some(&counter(3, 10)), 3, 0.5, None, at(now)).is_recent, is_recent, "{now}");
        }
    }
}
