//! `DeviceSyncFailing`: a device has failed as many times in a row as the threshold.

use std::collections::HashMap;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use pisync_core::models::{Alert, AlertName, CauseInputs, ClockLag, DeviceId, FailureCounter, Subject};

pub(super) use super::NoSettings as Settings;
use super::{About, Rule, Rules};
use crate::{
    device_context::{self, DeviceContext},
    evaluation::{Evaluation, Health},
    snapshot::{Candidates, PAGE, ReadError, Snapshot},
};

pub(crate) const RULE: Rule = Rule {
    name: AlertName::DEVICE_SYNC_FAILING,
    inhibited_by: &[AlertName::FLEET_SYNC_FAILING],
    about: About::Devices(|snapshot, _| candidates(snapshot).boxed()),
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
    message: include_str!("device_sync_failing.txt"),
};

/// Returns the failing devices.
async fn candidates(snapshot: &Snapshot) -> Result<Candidates, ReadError> {
    let failing = snapshot.source.store.failure_counters().failing(snapshot.source.threshold, PAGE).await?;
    Ok(failing.map_err(ReadError::from).boxed())
}

/// Evaluates the devices of the page by their counters. An unreadable counter means unknown, not healthy.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    let counters = snapshot.source.store.failure_counters().find_readable(&snapshot.devices).await?;
    let is_late = |counter: &&FailureCounter| looks_late(snapshot, counter);
    let late: Vec<_> = counters.values().flatten().filter(is_late).map(|counter| counter.device_id.clone()).collect();
    let lags = snapshot.clock_lags(&late).await?;
    let of = |device: &DeviceId| {
        let counter = match counters.get(device) {
            Some(None) => return None,
            Some(Some(counter)) => Some(counter),
            None => None,
        };
        let open = snapshot.open_of(RULE.name, device);
        let usual = open.and_then(|incident| incident.alert.evidence?.usual);
        let (floor, lag) = (rules.common.connectivity_floor_mbps, lags.get(device).copied().unwrap_or_default());
        Some(evaluation(device, counter, snapshot.source.threshold, floor, usual, lag, snapshot.now))
    };
    Ok(snapshot.devices.iter().filter_map(of).collect())
}

/// Returns whether the deciding sync is old by the device's clock, so that the lag of the clock matters. It is
/// the newest failed sync before an incident opens, and the last good one before it resolves.
fn looks_late(snapshot: &Snapshot, counter: &FailureCounter) -> bool {
    let is_open = snapshot.open_of(RULE.name, &counter.device_id).is_some();
    let decides = match counter.run.filter(|run| run.count >= snapshot.source.threshold) {
        Some(run) => Some(run.last_at).filter(|_| !is_open),
        None => counter.last_success_at.filter(|_| is_open),
    };
    decides.is_some_and(|at| !ClockLag::default().is_live(at, snapshot.now))
}

/// Evaluates a device: unhealthy from the threshold on, else healthy, since a count only falls when a good sync
/// comes in, even a late one.
///
/// The cause is the connection if failed syncs were slower than `floor`, in Mbps, or far slower than the
/// `usual` speed. Late data never pages. Data of a clock with a constant `lag` is not late.
fn evaluation(
    device: &DeviceId,
    counter: Option<&FailureCounter>,
    threshold: i32,
    floor: f64,
    usual: Option<f64>,
    lag: ClockLag,
    now: Timestamp,
) -> Evaluation {
    let healthy_since = counter.and_then(|counter| counter.last_success_at).map_or(now, |at| lag.corrected(at));
    let Some(run) = counter.and_then(|counter| counter.run).filter(|run| run.count >= threshold) else {
        let alert = Alert::new(RULE.name, Subject::Device(device.clone()), now);
        return Evaluation::new(alert, Health::Healthy, healthy_since);
    };
    let evidence = CauseInputs { speed: run.last_speed, usual };
    let alert = Alert::device_sync_failing(device.clone(), &run);
    // Its id stays that of the device's own time, which does not depend on the measured lag.
    let starts_at = lag.corrected(run.since);
    let alert = Alert { cause: evidence.cause(floor), evidence: Some(evidence), starts_at, ..alert };
    Evaluation { is_recent: lag.is_live(run.last_at, now), ..Evaluation::new(alert, Health::Unhealthy, healthy_since) }
}

/// Sets the cause of opening alerts again, now also compared to the device's usual speed.
pub(crate) async fn compare_with_usual(snapshot: &Snapshot, alerts: &mut [&mut Alert]) {
    let devices: Vec<_> = alerts.iter().filter_map(|alert| alert.device_id().cloned()).collect();
    let usual = usual_speeds(snapshot, &devices).await;
    for alert in alerts {
        let usual = alert.device_id().and_then(|device| usual.get(device)).copied();
        alert.evidence = alert.evidence.map(|evidence| CauseInputs { usual, ..evidence });
        let cause = |evidence: CauseInputs| evidence.cause(snapshot.common.connectivity_floor_mbps);
        alert.cause = alert.evidence.map_or(alert.cause, cause);
    }
}

/// Returns the median speed of the good syncs among the last of each device, in Mbps. It tells a broken line
/// from one that is always slow. A device is left out if it cannot be read, so that people are notified in
/// time.
async fn usual_speeds(snapshot: &Snapshot, devices: &[DeviceId]) -> HashMap<DeviceId, f64> {
    let rows = snapshot.newest_rows(devices, device_context::ROWS).await.unwrap_or_else(|error| {
        log::warn!(error:% = error; "the usual speed of some devices is unknown");
        HashMap::new()
    });
    let usual = |(device, rows): (_, Vec<_>)| Some((device, DeviceContext::of(&rows).usual_speed?));
    rows.into_iter().filter_map(usual).collect()
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Cause, DeviceTime, FailureRun};

    use super::*;
    use crate::fixtures::second as at;

    fn counter(count: i32, since: i64) -> FailureCounter {
        let run = FailureRun { count, since: at(since), last_at: at(since + 100), last_speed: 0.1 };
        let mut counter = FailureCounter::new(DeviceId::parse("a").unwrap());
        counter.run = (count > 0).then_some(run);
        counter.last_success_at = Some(at(since - 1));
        counter
    }

    fn of(counter: Option<&FailureCounter>, floor: f64, now: i64) -> Evaluation {
        evaluation(&DeviceId::parse("a").unwrap(), counter, 3, floor, None, ClockLag::default(), at(now))
    }

    #[test]
    fn is_unhealthy_from_the_threshold_on_with_what_is_known() {
        assert_eq!(of(Some(&counter(2, 10)), 0.5, 500).health, Health::Healthy);
        let found = of(Some(&counter(3, 10)), 0.5, 500);
        assert_eq!((found.health, found.alert.failure_count), (Health::Unhealthy, 3));
        assert_eq!((found.alert.starts_at, found.alert.cause.as_str()), (at(10), "connectivity"));
    }

    #[test]
    fn its_cause_is_the_connection_below_the_floor() {
        let cause = |floor| of(Some(&counter(3, 10)), floor, 500).alert.cause;
        assert_eq!((cause(0.11), cause(0.1)), (Cause::Connectivity, Cause::Content));
    }

    #[test]
    fn the_same_failures_are_the_same_incident_and_later_ones_another() {
        let id = |count, since| of(Some(&counter(count, since)), 0.5, 500).alert.id;
        assert_eq!(id(3, 10), id(5, 10));
        assert_ne!(id(3, 10), id(3, 90));
    }

    #[test]
    fn is_healthy_below_the_threshold_since_the_good_sync() {
        assert_eq!(of(Some(&counter(0, 200)), 0.5, 500).healthy_since, at(199));
        assert_eq!(of(Some(&counter(1, 200)), 0.5, 500).healthy_since, at(199));
        assert_eq!(of(None, 0.5, 500).healthy_since, at(500));
    }

    #[test]
    fn is_recent_for_two_hours_after_the_newest_failed_sync() {
        let newest = 10 + 100;
        for (now, is_recent) in [(newest, true), (newest + 7_200, true), (newest + 7_201, false), (0, true)] {
            assert_eq!(of(Some(&counter(3, 10)), 0.5, now).is_recent, is_recent, "{now}");
        }
    }

    #[test]
    fn the_times_of_a_clock_that_is_behind_are_set_right_and_the_incident_stays_the_same() {
        let (device, hour) = (DeviceId::parse("a").unwrap(), 3_600);
        let report = |number: i64| {
            (DeviceTime::judge(at(number * hour), at((number + 5) * hour), None), at((number + 5) * hour))
        };
        let lag = ClockLag::of((0..3).rev().map(report));
        let evaluate =
            |counter: &FailureCounter, lag| evaluation(&device, Some(counter), 3, 0.5, None, lag, at(6 * hour));
        let (late, live) = (evaluate(&counter(3, 10), ClockLag::default()), evaluate(&counter(3, 10), lag));
        assert_eq!((late.is_recent, live.is_recent, late.alert.id), (false, true, live.alert.id));
        assert_eq!(live.alert.starts_at, at(10 + 5 * hour));
        assert_eq!(evaluate(&counter(0, 10), lag).healthy_since, at(9 + 5 * hour));
    }
}
