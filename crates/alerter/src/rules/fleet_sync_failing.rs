//! `FleetSyncFailing`: of the devices that reported in the last minutes, too many failed. It evaluates the
//! whole fleet, and its parts by the labels of `fleet_by`.

use std::{collections::BTreeSet, ops::Range};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{AHEAD, Alert, AlertName, FleetPart, FleetStats, FleetWindow, FleetWindows, Subject};
use serde::{Deserialize, Serialize};

use super::{About, Rule, Rules};
use crate::{
    evaluation::{Evaluation, Health, ShareLimits},
    snapshot::{ReadError, Snapshot},
    tables::values,
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::FLEET_SYNC_FAILING,
    // The alert of the whole inhibits those of the parts.
    inhibited_by: &[AlertName::FLEET_SYNC_FAILING],
    about: About::Fleet { digest_of: Some(AlertName::DEVICE_SYNC_FAILING) },
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
    message: include_str!("fleet_sync_failing.txt"),
};

/// The limits of failing devices in the fleet, or in a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(flatten)]
    pub limits: ShareLimits,
    /// The length of the window, in the devices' own time.
    #[serde(deserialize_with = "values::length")]
    pub window: SignedDuration,
    /// The share of the fleet that has to report in the window; fewer are no sample.
    #[serde(deserialize_with = "values::share")]
    pub heard_at_least: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: ShareLimits::default(), window: SignedDuration::from_mins(15), heard_at_least: 0.01 }
    }
}

/// The time since its last report in which a device counts as part of the fleet.
const PART_OF_FLEET: SignedDuration = SignedDuration::from_hours(24);

/// The maximum look-back for the start of the failures.
const LONGEST_LOOK_BACK: SignedDuration = SignedDuration::from_hours(6);

/// The maximum number of lines about the properties that failing devices have in common.
const CONTRASTS: usize = 3;

/// Evaluates the whole, and then the parts, which the alert of the whole inhibits.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    let window = rules.fleet_sync_failing.window_at(snapshot.now);
    let mut windows = snapshot.windows(window.clone()).await?;
    let lag = snapshot.add_clocks_off(&mut windows, &window, rules.fleet_sync_failing.limits.at_least).await?;
    let windows = windows.windows();
    // By the clocks of most reporting devices.
    let lag = if 2 * windows.all.clock_off > windows.all.reporting { lag } else { SignedDuration::ZERO };
    let fleet = snapshot.source.last_seen.count_since(snapshot.now - PART_OF_FLEET).await?;
    if windows.left_out > 0 {
        log::warn!(devices = windows.left_out; "the labels of fleet_by have too many values: these devices are in no part");
    }
    let scopes: BTreeSet<_> = windows.scopes.keys().cloned().chain(snapshot.open_scopes()).collect();
    let subjects = [Subject::Fleet].into_iter().chain(scopes.into_iter().map(Subject::Part));
    let mut found: Vec<_> =
        subjects.filter_map(|subject| evaluation(snapshot, rules, subject, &windows, fleet)).collect();
    let is_unhealthy = |found: &Evaluation| found.health == Health::Unhealthy;
    if found.iter().any(is_unhealthy) {
        let changed = what_changed(snapshot, before(window.start, lag)..before(window.end, lag)).await;
        for found in found.iter_mut().filter(|found| is_unhealthy(found)) {
            found.alert.finding =
                found.alert.finding.take().map(|stats| FleetStats { changed: changed.clone(), ..stats });
            if snapshot.open(&found.alert).is_none() {
                found.alert.starts_at = failing_since(snapshot, rules, found.alert.scope(), fleet, lag).await?;
                found.alert = found.alert.clone().with_own_id();
            }
        }
    }
    Ok(found)
}

/// Evaluates the whole or a part; `None` if nothing opens and nothing is open.
fn evaluation(
    snapshot: &Snapshot,
    rules: &Rules,
    subject: Subject,
    windows: &FleetWindows,
    fleet: u64,
) -> Option<Evaluation> {
    let Rules { common, fleet_sync_failing: rule, .. } = rules;
    let alert = Alert::new(RULE.name, subject, snapshot.now);
    let (window, is_open) = (part(windows, alert.scope()), snapshot.open(&alert).is_some());
    // A part whose label the file no longer names is over at once.
    let is_named = alert.scope().is_none_or(|scope| common.fleet_by.contains(&scope.label));
    let health = if is_named { rule.health(is_open, &window, &windows.all, fleet) } else { Health::Healthy };
    if !is_open && health != Health::Unhealthy {
        return None;
    }
    let clears_after = match health {
        _ if !is_named => SignedDuration::ZERO,
        Health::Healthy if window.reporting == 0 => rule.clears_unheard_after(common.report_interval),
        _ => rule.clears_after(),
    };
    Some(Evaluation { clears_after, ..Evaluation::new(with_stats(alert, &window), health, snapshot.now) })
}

/// Returns the properties that failing devices have in common. Empty on an error: a message without them is
/// better than a late one.
async fn what_changed(snapshot: &Snapshot, window: Range<Timestamp>) -> Vec<String> {
    match snapshot.source.store.sync_events().what_changed(window).await {
        Ok(changed) => changed.contrasts.iter().take(CONTRASTS).map(ToString::to_string).collect(),
        Err(error) => {
            log::warn!(error:% = error; "what changed is unknown");
            Vec::new()
        }
    }
}

/// Returns the start of the failures, for an alerter that comes late or was started late. It goes back window
/// by window to the last healthy one, by clocks that are `lag` behind. It skips windows of unknown health, as
/// between two herds.
async fn failing_since(
    snapshot: &Snapshot,
    rules: &Rules,
    scope: Option<&FleetPart>,
    fleet: u64,
    lag: SignedDuration,
) -> Result<Timestamp, ReadError> {
    let (now, rule) = (snapshot.now, &rules.fleet_sync_failing);
    let (mut since, mut end, oldest) = (now, before(now, rule.window), before(now, LONGEST_LOOK_BACK));
    while end > oldest && since.duration_since(end) <= rules.common.report_interval {
        let start = before(end, rule.window);
        let windows = snapshot.windows(before(start, lag)..before(end, lag)).await?.windows();
        match rule.health(false, &part(&windows, scope), &windows.all, fleet) {
            Health::Unhealthy => since = start,
            Health::Healthy => break,
            Health::Unknown => {}
        }
        end = start;
    }
    Ok(since)
}

fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// Returns the window of a part, or of the whole.
fn part(windows: &FleetWindows, scope: Option<&FleetPart>) -> FleetWindow {
    scope.map_or(windows.all, |scope| windows.scopes.get(scope).copied().unwrap_or_default())
}

fn with_stats(mut alert: Alert, window: &FleetWindow) -> Alert {
    alert.cause = window.main_cause();
    alert.failure_count = i32::try_from(window.failing()).unwrap_or(i32::MAX);
    let facts = [("content", window.content), ("connectivity", window.connectivity), ("unknown", window.unknown)];
    let clock_off = (window.clock_off > 0).then_some(("clock_off", window.clock_off));
    alert.finding = Some(FleetStats::new(window.failing(), window.reporting).with(facts).with(clock_off));
    alert
}

impl Settings {
    /// Returns the window at a time. A believed clock may be a little ahead of ours.
    fn window_at(&self, now: Timestamp) -> Range<Timestamp> {
        before(now, self.window)..now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX)
    }

    /// Returns the healthy time after which it is over: two windows without overlap.
    fn clears_after(&self) -> SignedDuration {
        self.window.saturating_mul(2)
    }

    /// Returns the same for a part of which no device reports while others do. Its devices may only be late, or
    /// have another value of the label now.
    fn clears_unheard_after(&self, report_interval: SignedDuration) -> SignedDuration {
        self.clears_after().max(report_interval.saturating_mul(2))
    }

    /// Returns the health of a part, or of the `whole`; `fleet` is the number of devices.
    ///
    /// Devices report by cron, all within a minute of the hour. The few reports at other times are no sample of
    /// the fleet, since they are often retries of failed syncs. So the health is unknown if a window has too
    /// few reports, and it stays as the last herd left it. A part of which no device reports while others do is
    /// healthy.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn health(&self, is_open: bool, part: &FleetWindow, whole: &FleetWindow, fleet: u64) -> Health {
        if (whole.reporting as f64) < self.heard_at_least * fleet as f64 {
            return Health::Unknown;
        }
        if is_open && part.reporting == 0 && whole.reporting > 0 {
            return Health::Healthy;
        }
        self.limits.health(is_open, part.failing(), part.reporting)
    }
}

#[cfg(test)]
mod tests {
    use super::{Health::*, *};

    #[test]
    fn too_many_fail_by_the_window_of_a_part_unless_the_whole_heard_too_few() {
        let window = |failing, reporting| FleetWindow { reporting, content: failing, ..FleetWindow::default() };
        for (is_open, failing, reporting, whole, expected) in [
            // The herd at the hour, then the few between.
            (false, 20_000, 100_000, 100_000, Unhealthy),
            (true, 60, 60, 60, Unknown),
            (false, 60, 60, 60, Unknown),
            (true, 0, 0, 0, Unknown),
            (true, 0, 999, 999, Unknown),
            (true, 0, 1_000, 1_000, Healthy),
            // Spread over the hour: a quarter of them in a window.
            (false, 1_249, 25_000, 25_000, Healthy),
            (false, 1_250, 25_000, 25_000, Unhealthy),
            (true, 625, 25_000, 25_000, Unhealthy),
            (true, 624, 25_000, 25_000, Healthy),
            // A part is judged by its own devices.
            (false, 60, 100, 25_000, Unhealthy),
            (false, 49, 100, 25_000, Healthy),
            (false, 0, 0, 25_000, Unknown),
            // A part without reports is over.
            (true, 0, 0, 25_000, Healthy),
            (true, 0, 0, 60, Unknown),
        ] {
            let found =
                Settings::default().health(is_open, &window(failing, reporting), &window(failing, whole), 100_000);
            assert_eq!(found, expected, "{is_open} {failing} of {reporting}, {whole}");
        }
        let nobody = window(0, 0);
        assert_eq!(Settings::default().health(true, &nobody, &nobody, 0), Unknown, "of a fleet that is not there");
        let hours = SignedDuration::from_hours;
        assert_eq!(Settings::default().clears_unheard_after(hours(1)), hours(2), "two reports");
    }

    #[test]
    fn a_window_reaches_as_far_ahead_as_a_clock_is_believed() {
        let now: Timestamp = "2026-11-24T10:20:00Z".parse().unwrap();
        let window = Settings::default().window_at(now);
        assert_eq!(window.start.to_string(), "2026-11-24T10:05:00Z");
        assert_eq!(window.end.to_string(), "2026-11-24T10:25:00Z");
    }
}
