//! `FleetSilent`: of the devices that were heard of in the last days, too many are absent. Of the
//! fleet as a whole, and of its parts by the labels of `fleet_by`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pisync_core::models::{Alert, AlertName, Finding, Listening, Scope, Subject};

use crate::{
    evaluation::{Evaluation, Health},
    routing::rules::FleetSilent,
    snapshot::{Presence, Reach, ReadError, Snapshot},
};

/// Evaluates the whole, and then the parts, which the alert of the whole inhibits.
pub(crate) async fn evaluate(snapshot: &Snapshot) -> Result<Vec<Evaluation>, ReadError> {
    let listening = &snapshot.liveness().await?.listening;
    let is_heard = snapshot.listening().await?.is_some();
    let reach = reach(&snapshot.rules.fleet_silent, listening, snapshot.now);
    let whole = snapshot.presence(reach).await?;
    let parts = parts(snapshot, is_heard, reach, whole.absent).await?;
    let subjects: BTreeSet<_> = parts.keys().cloned().chain(snapshot.open_scopes()).collect();
    let mut found = vec![evaluation(snapshot, Subject::Fleet, is_heard, Some(whole), reach)];
    found.extend(subjects.into_iter().map(|scope| {
        let presence = parts.get(&scope).copied();
        evaluation(snapshot, Subject::Scope(scope), is_heard, presence, reach)
    }));
    Ok(found)
}

/// Returns the presence of the parts that matter: none while too few are absent of the whole.
async fn parts(
    snapshot: &Snapshot,
    is_heard: bool,
    reach: Reach,
    absent: u64,
) -> Result<BTreeMap<Scope, Presence>, ReadError> {
    let (rules, open) = (&snapshot.rules, snapshot.open_scopes());
    let may_open = absent >= rules.fleet_silent.limits().at_least;
    if !is_heard || rules.fleet_by.is_empty() || (open.is_empty() && !may_open) {
        return Ok(BTreeMap::new());
    }
    Box::pin(snapshot.presence_of_parts(reach, &open)).await
}

fn evaluation(
    snapshot: &Snapshot,
    subject: Subject,
    is_heard: bool,
    presence: Option<Presence>,
    reach: Reach,
) -> Evaluation {
    // When they fell silent, which was some time ago.
    let mut alert = Alert::new(AlertName::FleetSilent, subject, reach.absent_since);
    let (rules, is_open) = (&snapshot.rules, snapshot.open(&alert).is_some());
    let health = match (&alert.subject, presence) {
        // The file names it no more.
        (Subject::Scope(scope), _) if !rules.fleet_by.contains(&scope.label) => Health::Healthy,
        _ if !is_heard => Health::Unknown,
        // Nobody is expected there any more.
        (Subject::Scope(_), Some(Presence { expected: 0, .. })) => Health::Healthy,
        (_, None) => Health::Unknown,
        (_, Some(Presence { expected, absent })) => rules.fleet_silent.limits().health(is_open, absent, expected),
    };
    alert.finding = presence.map(|presence| finding(presence, reach));
    Evaluation::new(alert, health, snapshot.now)
}

fn finding(presence: Presence, reach: Reach) -> Finding {
    let since = reach.absent_since.strftime("%H:%M UTC");
    Finding::new(presence.absent, presence.expected, Some(format!("nothing was received from them since {since}")))
}

/// Returns the times that matter now.
fn reach(rule: &FleetSilent, listening: &Listening, now: Timestamp) -> Reach {
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
        let reach = reach(&FleetSilent::default(), &Listening { gaps: vec![gap] }, at("2026-11-24T10:30:00Z"));
        assert_eq!(reach.absent_since, at("2026-11-24T01:30:00Z"));
        assert_eq!(reach.expected_since, at("2026-11-17T04:30:00Z"));
    }
}
