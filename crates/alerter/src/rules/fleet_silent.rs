//! `FleetSilent`: of the devices that were heard of in the last days, too many are absent. It evaluates the
//! whole fleet, and its parts by the labels of `fleet_by`.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertName, FleetStats, Listening, Subject};
use serde::{Deserialize, Serialize};

use super::{About, Rule, Rules, common::Common};
use crate::{
    evaluation::{Evaluation, Health, ShareLimits},
    snapshot::{AbsenceLimits, Presence, ReadError, Snapshot},
    tables::values,
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::FLEET_SILENT,
    // The alert of the whole inhibits those of the parts.
    inhibited_by: &[AlertName::PIPELINE_STALLED, AlertName::FLEET_SILENT],
    about: About::Fleet { digest_of: Some(AlertName::DEVICE_SILENT) },
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
    message: include_str!("fleet_silent.txt"),
};

/// A week.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The limits of absent devices.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(flatten)]
    pub limits: ShareLimits,
    /// The time without a report after which a device is absent.
    #[serde(deserialize_with = "values::length")]
    pub absent_after: SignedDuration,
    /// The time for which a silent device is still expected to come back.
    #[serde(deserialize_with = "values::length")]
    pub expected_for: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        let (absent_after, expected_for) = (SignedDuration::from_hours(3), SignedDuration::from_hours(7 * 24));
        Self { limits: ShareLimits::default(), absent_after, expected_for }
    }
}

/// Evaluates the whole, and then the parts, which the alert of the whole inhibits. While no API is alive, all
/// stays as it is.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    let reach = reach(&rules.fleet_silent, &rules.common, snapshot.listening().await?, snapshot.now);
    let (mut whole, mut parts) = (None, BTreeMap::new());
    if snapshot.is_listening(rules.pipeline_stalled.longest_absence).await? {
        let presence = snapshot.presence(reach).await?;
        parts = snapshot.presence_of_parts(reach, presence, rules.fleet_silent.limits.at_least).await?;
        whole = Some(presence);
    }
    let scopes: BTreeSet<_> = parts.keys().cloned().chain(snapshot.open_scopes()).collect();
    // The time at which they fell silent, which was some time ago.
    let alert = |subject| Alert::new(RULE.name, subject, reach.absent_since);
    let mut found = vec![evaluation(snapshot, rules, alert(Subject::Fleet), whole)];
    found.extend(scopes.into_iter().map(|scope| {
        let presence = parts.get(&scope).copied();
        evaluation(snapshot, rules, alert(Subject::Part(scope)), presence)
    }));
    Ok(found)
}

fn evaluation(snapshot: &Snapshot, rules: &Rules, mut alert: Alert, presence: Option<Presence>) -> Evaluation {
    let is_open = snapshot.open(&alert).is_some();
    let health = match (&alert.subject, presence) {
        // The file no longer names its label.
        (Subject::Part(scope), _) if !rules.common.fleet_by.contains(&scope.label) => Health::Healthy,
        // No device is expected there any more.
        (Subject::Part(_), Some(Presence { expected: 0, .. })) => Health::Healthy,
        (_, None) => Health::Unknown,
        (_, Some(Presence { expected, absent })) => rules.fleet_silent.limits.health(is_open, absent, expected),
    };
    let since = format!("{:.0}", alert.starts_at);
    let finding = |of: Presence| FleetStats::new(of.absent, of.expected).with([("silentSince", since)]);
    alert.finding = presence.map(finding);
    Evaluation::new(alert, health, snapshot.now)
}

/// Returns the last-seen limits of expected and of absent devices.
fn reach(rule: &Settings, common: &Common, listening: &Listening, now: Timestamp) -> AbsenceLimits {
    // Seven days are a week of the schedule, also if it is on for few hours of it.
    let share = common.schedule.as_ref().map_or(1.0, |schedule| schedule.in_a_week().div_duration_f64(WEEK));
    let expected_for = SignedDuration::try_from_secs_f64(rule.expected_for.as_secs_f64() * share);
    AbsenceLimits {
        expected_since: listening.back(now, expected_for.unwrap_or(rule.expected_for).max(rule.absent_after)),
        absent_since: listening.back(now, rule.absent_after),
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::Gap;

    use super::*;

    #[test]
    fn while_we_were_away_nobody_was_absent() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let gap = Gap { from: at("2026-11-24T04:00:00Z"), to: at("2026-11-24T10:00:00Z") };
        let reach =
            reach(&Settings::default(), &Common::default(), &Listening { gaps: vec![gap] }, at("2026-11-24T10:30:00Z"));
        assert_eq!(reach.absent_since, at("2026-11-24T01:30:00Z"));
        assert_eq!(reach.expected_since, at("2026-11-17T04:30:00Z"));
    }
}
