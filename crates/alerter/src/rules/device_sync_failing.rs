//! `DeviceSyncFailing`: a device failed as many times in a row as the threshold says.

use jiff::Timestamp;
use pisync_core::models::{Alert, AlertId, FailureCounter};

/// What to do about one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// All is as it is known.
    Nothing,
    /// A new incident.
    Open(Alert),
    /// The incident is over.
    Resolve {
        /// Which.
        id: AlertId,
        /// Since when.
        ends_at: Timestamp,
    },
}

/// Opens at the threshold, and resolves below it: a count only ever falls because a good sync
/// came in, be it a late one.
pub fn decide(counter: Option<&FailureCounter>, open: Option<&Alert>, threshold: i32, now: Timestamp) -> Decision {
    let failing = counter.and_then(|counter| counter.run).filter(|run| run.count >= threshold);
    match (failing, counter, open) {
        (Some(run), Some(counter), None) => Decision::Open(Alert::device_sync_failing(counter.device_id.clone(), &run)),
        (None, _, Some(alert)) => Decision::Resolve {
            id: alert.id,
            ends_at: counter.and_then(|counter| counter.last_success_at).unwrap_or(now),
        },
        _ => Decision::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{DeviceId, FailureRun};

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

    fn opened(count: i32) -> Alert {
        match decide(Some(&counter(count, 10)), None, 3, at(500)) {
            Decision::Open(alert) => alert,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn opens_at_the_threshold_with_what_is_known() {
        assert_eq!(decide(Some(&counter(2, 10)), None, 3, at(500)), Decision::Nothing);
        let alert = opened(3);
        assert_eq!((alert.failure_count, alert.starts_at, alert.cause.as_str()), (3, at(10), "connectivity"));
    }

    #[test]
    fn an_open_incident_is_not_opened_again() {
        assert_eq!(decide(Some(&counter(4, 10)), Some(&opened(3)), 3, at(500)), Decision::Nothing);
    }

    #[test]
    fn the_same_failures_are_the_same_incident_and_later_ones_another() {
        assert_eq!(opened(3).id, opened(5).id);
        let Decision::Open(later) = decide(Some(&counter(3, 90)), None, 3, at(500)) else { panic!() };
        assert_ne!(later.id, opened(3).id);
    }

    #[test]
    fn resolves_below_the_threshold_at_the_good_sync() {
        let alert = opened(3);
        let resolved = Decision::Resolve { id: alert.id, ends_at: at(199) };
        assert_eq!(decide(Some(&counter(0, 200)), Some(&alert), 3, at(500)), resolved);
        assert_eq!(decide(Some(&counter(1, 200)), Some(&alert), 3, at(500)), resolved);
        assert_eq!(decide(None, Some(&alert), 3, at(500)), Decision::Resolve { id: alert.id, ends_at: at(500) });
    }

    #[test]
    fn nothing_known_is_nothing_to_do() {
        assert_eq!(decide(None, None, 3, at(0)), Decision::Nothing);
        assert_eq!(decide(Some(&counter(0, 10)), None, 3, at(0)), Decision::Nothing);
    }
}
