//! `FleetSilent`: of the devices that were heard of in the last days, too many are absent. Of the
//! fleet as a whole, and of its parts by the labels of `fleet_by`.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertName, Finding, Listening, Scope, Subject};
use serde::{Deserialize, Serialize};

use super::{About, Rule, Rules};
use crate::{
    evaluation::{Evaluation, Health, Limits},
    snapshot::{Presence, Reach, ReadError, Snapshot},
    tables::values,
};

pub(super) const RULE: Rule = Rule {
    name: AlertName::FLEET_SILENT,
    // The alert of the whole inhibits those of the parts.
    inhibited_by: &[AlertName::PIPELINE_STALLED, AlertName::FLEET_SILENT],
    digest_of: Some(AlertName::DEVICE_SILENT),
    about: About::Fleet,
    evaluate: |snapshot, rules| evaluate(snapshot, rules).boxed(),
};

/// When too many are absent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(flatten)]
    pub limits: Limits,
    /// For how long a device has to be silent to be absent.
    #[serde(deserialize_with = "values::length")]
    pub absent_after: SignedDuration,
    /// For how long a silent device is still expected to come back.
    #[serde(deserialize_with = "values::length")]
    pub expected_for: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        let (absent_after, expected_for) = (SignedDuration::from_hours(3), SignedDuration::from_hours(7 * 24));
        Self { limits: Limits::default(), absent_after, expected_for }
    }
}

/// Evaluates the whole, and then the parts, which the alert of the whole inhibits.
async fn evaluate(snapshot: &Snapshot, rules: &Rules) -> Result<Vec<Evaluation>, ReadError> {
    let listening = &snapshot.liveness().await?.listening;
    let is_heard = snapshot.listening(rules.pipeline_stalled.longest_absence).await?.is_some();
    let reach = reach(&rules.fleet_silent, listening, snapshot.now);
    let whole = snapshot.presence(reach).await?;
    let parts = parts(snapshot, rules, is_heard, reach, whole.absent).await?;
    let subjects: BTreeSet<_> = parts.keys().cloned().chain(snapshot.open_scopes()).collect();
    let mut found = vec![evaluation(snapshot, rules, Subject::Fleet, is_heard, Some(whole), reach)];
    found.extend(subjects.into_iter().map(|scope| {
        let presence = parts.get(&scope).copied();
        evaluation(snapshot, rules, Subject::Scope(scope), is_heard, presence, reach)
    }));
    Ok(found)
}

/// Returns the presence of the parts that matter: none while too few are absent of the whole.
async fn parts(
    snapshot: &Snapshot,
    rules: &Rules,
    is_heard: bool,
    reach: Reach,
    absent: u64,
) -> Result<BTreeMap<Scope, Presence>, ReadError> {
    let (at_least, open) = (rules.fleet_silent.limits.at_least, snapshot.open_scopes());
    if !is_heard || rules.common.fleet_by.is_empty() || (open.is_empty() && absent < at_least) {
        return Ok(BTreeMap::new());
    }
    snapshot.presence_of_parts(reach, &open, at_least).await
}

fn evaluation(
    snapshot: &Snapshot,
    rules: &Rules,
    subject: Subject,
    is_heard: bool,
    presence: Option<Presence>,
    reach: Reach,
) -> Evaluation {
    // When they fell silent, which was some time ago.
    let mut alert = Alert::new(RULE.name, subject, reach.absent_since);
    let is_open = snapshot.open(&alert).is_some();
    let health = match (&alert.subject, presence) {
        // The file names it no more.
        (Subject::Scope(scope), _) if !rules.common.fleet_by.contains(&scope.label) => Health::Healthy,
        _ if !is_heard => Health::Unknown,
        // Nobody is expected there any more.
        (Subject::Scope(_), Some(Presence { expected: 0, .. })) => Health::Healthy,
        (_, None) => Health::Unknown,
        (_, Some(Presence { expected, absent })) => rules.fleet_silent.limits.health(is_open, absent, expected),
    };
    alert.finding = presence.map(|presence| finding(presence, reach));
    Evaluation::new(alert, health, snapshot.now)
}

fn finding(presence: Presence, reach: Reach) -> Finding {
    let since = format!("{:.0}", reach.absent_since);
    Finding::new(presence.absent, presence.expected).with([("silentSince", since)])
}

/// Returns the times that matter now.
fn reach(rule: &Settings, listening: &Listening, now: Timestamp) -> Reach {
    Reach {
        expected_since: listening.back(now, rule.expected_for.max(rule.absent_after)),
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
        let reach = reach(&Settings::default(), &Listening { gaps: vec![gap] }, at("2026-11-24T10:30:00Z"));
        assert_eq!(reach.absent_since, at("2026-11-24T01:30:00Z"));
        assert_eq!(reach.expected_since, at("2026-11-17T04:30:00Z"));
    }
}
