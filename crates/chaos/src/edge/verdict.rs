//! The result of a row of the edge, and its check.

use serde::Serialize;

use super::{reports::Sent, rows::EdgeRow, watch::Memory};
use crate::table::Columns;

/// The maximum memory, in kB.
const MEMORY: u64 = 200 * 1024;

/// The maximum 99th percentile in the small form, in seconds: it runs beside other tests, with a program that is not
/// optimised.
const QUICK_P99: f64 = 2.0;

/// The result of a row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) reports: Sent,
    pub(super) memory: Memory,
    pub(super) acts: usize,
    pub(super) damage: Option<String>,
}

/// The columns of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EdgeColumns {
    attacks: usize,
    accepted: usize,
    refused: usize,
    failed: usize,
    p99_seconds: f64,
    peak_memory_kb: u64,
    alive: bool,
    damage: Option<String>,
}

impl EdgeColumns {
    pub(super) fn new(outcome: Outcome) -> Self {
        let Outcome { reports, memory, acts, damage } = outcome;
        Self {
            attacks: acts,
            accepted: reports.accepted,
            refused: reports.refused,
            failed: reports.failed,
            p99_seconds: reports.p99(),
            peak_memory_kb: memory.peak,
            alive: memory.is_alive,
            damage,
        }
    }
}

impl Columns for EdgeColumns {
    const HEADS: &'static [&'static str] =
        &["row", "attacks", "accepted", "refused", "no answer", "p99", "memory", "alive", "damage"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.attacks.to_string(),
            self.accepted.to_string(),
            self.refused.to_string(),
            self.failed.to_string(),
            format!("{:.0} ms", self.p99_seconds * 1_000.0),
            format!("{} MB", self.peak_memory_kb / 1_024),
            if self.alive { "yes" } else { "no" }.to_owned(),
            self.damage.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

/// Returns the reason for which a row fails in the form that is played, if it does.
pub(super) fn verdict_on(row: &EdgeRow, quick: bool, outcome: &Outcome) -> Option<String> {
    verdict(row.fault.bounds, if quick { QUICK_P99 } else { row.expect.p99 }, outcome)
}

/// Returns the reason for which a row fails, if it does. A control fails without damage.
fn verdict(bounds: bool, p99: f64, outcome: &Outcome) -> Option<String> {
    if outcome.acts == 0 {
        return Some("no attack reached the server".into());
    }
    match (bounds, damage(p99, outcome)) {
        (true, damage) => damage,
        (false, Some(_)) => None,
        (false, None) => Some("the control without bounds took no damage".into()),
    }
}

/// Returns the damage for devices or operators, if there is any.
fn damage(p99: f64, outcome: &Outcome) -> Option<String> {
    let Outcome { reports, memory, damage, .. } = outcome;
    let all = reports.times.len();
    if !memory.is_alive {
        return Some(format!("the server died at {} MB", memory.peak / 1_024));
    }
    if memory.peak > MEMORY {
        return Some(format!("the server needed {} MB", memory.peak / 1_024));
    }
    if reports.accepted == 0 || reports.accepted * 100 < all * 99 {
        return Some(format!("{} of {all} reports were accepted", reports.accepted));
    }
    if reports.p99() > p99 {
        return Some(format!("99 of 100 reports took up to {:.0} ms", reports.p99() * 1_000.0));
    }
    damage.clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const P99: f64 = 0.25;

    fn outcome(accepted: usize, millis: u64, peak: u64, is_alive: bool) -> Outcome {
        let reports = Sent { accepted, times: vec![Duration::from_millis(millis); 100], ..Sent::default() };
        Outcome { reports, memory: Memory { peak, is_alive }, acts: 1, damage: None }
    }

    #[test]
    fn a_row_passes_without_damage_and_a_control_with_some() {
        let damaged = Outcome { damage: Some("made".into()), ..outcome(100, 10, 1_000, true) };
        for (outcome, is_damaged) in [
            (outcome(100, 10, 1_000, true), false),
            (outcome(98, 10, 1_000, true), true),
            (outcome(100, 300, 1_000, true), true),
            (outcome(100, 10, 250 * 1_024, true), true),
            (outcome(100, 10, 1_000, false), true),
            (damaged, true),
        ] {
            assert_eq!(verdict(true, P99, &outcome).is_some(), is_damaged, "{outcome:?}");
            assert_eq!(verdict(false, P99, &outcome).is_none(), is_damaged, "{outcome:?}");
        }
        assert!(verdict(false, P99, &Outcome::default()).is_some(), "no attack");
    }
}
