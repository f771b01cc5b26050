//! `DeviceFlapping`: a device fails and recovers too often to notify of each time.
//!
//! Changes are weighted as in Nagios: 21 reports have 20 transitions. The newest counts 1.25, the oldest 0.75,
//! in even steps. Source: `flapping.c` of Nagios Core, and its manual, "Detection and Handling of State
//! Flapping".
//!
//! A flapping device changes again and again. So it is enough to evaluate a device when it has begun to fail or
//! recovered. A tick then costs as much as has changed. The device's health at the tick does not matter, and
//! only its newest change has to be live.

use futures_util::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, DeviceId, FleetStats, Subject},
    store::StoredEvent,
};
use serde::{Deserialize, Serialize};

use super::{About, Rule, Rules};
use crate::{
    evaluation::{Evaluation, Health},
    snapshot::{Candidates, PAGE, ReadError, Snapshot},
    tables::values,
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::DEVICE_FLAPPING,
    inhibited_by: &[AlertName::FLEET_SYNC_FAILING],
    about: About::Devices(|snapshot, _| candidates(snapshot).boxed()),
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
    message: include_str!("device_flapping.txt"),
};

/// Shares of changes among all transitions.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The share above which a device is flapping.
    #[serde(deserialize_with = "values::share")]
    pub opens_above: f64,
    /// The share below which it is no longer flapping.
    #[serde(deserialize_with = "values::share")]
    pub closes_below: f64,
}

/// The time since a device's last change, by receipt, in which it is evaluated.
const RECENT: SignedDuration = SignedDuration::from_mins(15);

/// The maximum number of changed devices in a tick; the next tick evaluates the rest.
const MOST: usize = 2 * PAGE;

/// The number of reports that are read.
const REPORTS: usize = 21;

/// The weights of the oldest and the newest change.
const WEIGHTS: [f64; 2] = [0.75, 1.25];

impl Default for Settings {
    fn default() -> Self {
        Self { opens_above: 0.30, closes_below: 0.15 }
    }
}

impl Settings {
    /// Returns the health of a device; `failed` has the outcome of its last reports, oldest first. It is
    /// unknown with fewer than [`REPORTS`].
    fn health(&self, is_open: bool, failed: &[bool]) -> Health {
        let Some(share) = changes(failed) else { return Health::Unknown };
        Health::unhealthy_if(if is_open { share >= self.closes_below } else { share > self.opens_above })
    }
}

/// Returns the weighted share of changes among the newest reports.
#[expect(clippy::cast_precision_loss, reason = "twenty changes")]
fn changes(failed: &[bool]) -> Option<f64> {
    let newest = &failed[failed.len().checked_sub(REPORTS)?..];
    let [oldest_weight, newest_weight] = WEIGHTS;
    let step = (newest_weight - oldest_weight) / (REPORTS - 2) as f64;
    let weight = |at: usize| (at as f64).mul_add(step, oldest_weight);
    let changed = newest.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
    Some(changed.map(|(at, _)| weight(at)).sum::<f64>() / (REPORTS - 1) as f64)
}

/// Returns the devices that have changed since the last tick. It is empty while the whole fleet fails, since
/// that is the reason.
async fn candidates(snapshot: &Snapshot) -> Result<Candidates, ReadError> {
    if snapshot.inhibition.open_of_whole(AlertName::FLEET_SYNC_FAILING).is_some() {
        return Ok(stream::empty().boxed());
    }
    let since = snapshot.now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
    let changed = snapshot.newly_changed(since, MOST).await?;
    let pages: Vec<_> = changed.chunks(PAGE).map(|page| Ok(page.to_vec())).collect();
    Ok(stream::iter(pages).boxed())
}

/// Evaluates the devices of the page by their last reports.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    let reports = snapshot.newest_rows(&snapshot.devices, u32::try_from(REPORTS).unwrap_or(u32::MAX)).await?;
    let of = |device: &DeviceId| {
        let reports = reports.get(device).map(Vec::as_slice).unwrap_or_default();
        evaluation(snapshot, rules, device.clone(), reports)
    };
    Ok(snapshot.devices.iter().filter_map(of).collect())
}

/// Evaluates a device by its last reports, newest first.
fn evaluation(snapshot: &Snapshot, rules: &Rules, device: DeviceId, reports: &[StoredEvent]) -> Option<Evaluation> {
    let open = snapshot.open_of(RULE.name, &device);
    let failed: Vec<_> = reports.iter().rev().map(|report| report.total_errors > 0).collect();
    let lag = StoredEvent::clock_lag(reports);
    // A silent device is no longer flapping.
    let received_at = reports.first().map(|report| report.created_at);
    let is_heard = received_at.is_some_and(|at| snapshot.now.duration_since(at) <= rules.common.device_silent_after);
    let health = if is_heard { rules.device_flapping.health(open.is_some(), &failed) } else { Health::Healthy };
    let changed_at = || changes_at(reports).map(|at| lag.corrected(at));
    let since = open.map(|incident| incident.alert.starts_at).or_else(|| changed_at().next_back())?;
    let is_recent = changes_at(reports).next().is_some_and(|newest| lag.is_live(newest, snapshot.now));
    let mut alert = Alert::new(RULE.name, Subject::Device(device), since);
    alert.failure_count = i32::try_from(failed.iter().filter(|failed| **failed).count()).unwrap_or(i32::MAX);
    alert.finding = Some(FleetStats::new(changes_at(reports).count() as u64, (REPORTS - 1) as u64));
    let newest = reports.first().map_or(snapshot.now, |report| lag.corrected(report.timestamp));
    Some(Evaluation { is_recent, ..Evaluation::new(alert, health, newest) })
}

/// Returns the times of the reports whose outcome differs from the previous report, newest first.
fn changes_at(reports: &[StoredEvent]) -> impl DoubleEndedIterator<Item = Timestamp> {
    let changed = |pair: &&[StoredEvent]| (pair[0].total_errors > 0) != (pair[1].total_errors > 0);
    reports.windows(2).filter(changed).map(|pair| pair[0].timestamp)
}

#[cfg(test)]
mod tests {
    use super::{Health::*, *};

    /// Returns the outcomes: `F` failed, any other letter was good.
    fn reports(text: &str) -> Vec<bool> {
        text.chars().map(|report| report == 'F').collect()
    }

    #[test]
    fn opens_above_one_share_of_changes_and_closes_below_a_lower_one() {
        let settings = Settings::default();
        for (text, closed, open) in [
            ("F.F.F.F.F.F.F.F.F.F.F", Unhealthy, Unhealthy),
            (".....................", Healthy, Healthy),
            ("FFFFFFFFFFFFFFFFFFFFF", Healthy, Healthy),
            // One failing run: two changes, a tenth.
            (".........FFFF........", Healthy, Healthy),
            // Six changes: the same number weighs more when they are new.
            ("F.F.F.F..............", Healthy, Unhealthy),
            ("..............F.F.F.F", Unhealthy, Unhealthy),
            // Three old changes.
            ("F..F.................", Healthy, Healthy),
            ("F.F.F.F", Unknown, Unknown),
        ] {
            let reports = reports(text);
            assert_eq!((settings.health(false, &reports), settings.health(true, &reports)), (closed, open), "{text}");
        }
    }

    #[test]
    fn all_changes_are_a_whole_and_only_the_newest_reports_count() {
        let share = changes(&reports("F.F.F.F.F.F.F.F.F.F.F")).unwrap();
        assert!((share - 1.0).abs() < 1e-9, "{share}");
        assert_eq!(changes(&reports("F.F.F.F.F.F.....................")), Some(0.0));
    }
}
