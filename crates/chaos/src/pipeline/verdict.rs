//! The result of a row of the pipeline, and its check.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::{Columns, KillColumns};

/// The expected result of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No event is lost or duplicated, every counter is right, and there are no dead letters.
    NoDamage,
    /// The system recovers by itself, and the stored data is right. The number of lost events is in the table.
    Recovery,
    /// A control: events are lost.
    Losses,
    /// A control: counters are wrong.
    WrongCounters,
}

/// The output of `fleet-sim verify`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    /// Events answered by 202.
    pub(crate) acknowledged: u64,
    /// Acknowledged events without a row.
    pub(crate) lost: u64,
    /// Rows beyond the first of their event.
    pub(crate) duplicated: u64,
    /// Devices whose counter is not the fold of their rows.
    pub(crate) wrong_counters: u64,
    /// The first faults of any kind.
    pub(crate) faults: Vec<Value>,
}

/// The result of a row.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The comparison of the ledger with the database.
    pub(crate) findings: Findings,
    /// The number of batches that were delivered again.
    pub(crate) redelivered: u64,
    /// The number of dead letters.
    pub(crate) dead: u64,
    /// How often the fault happened.
    pub(crate) kills: usize,
    /// The times to recovery, shortest first.
    pub(crate) recovery: Vec<Duration>,
}

/// The columns of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PipelineColumns {
    acknowledged: u64,
    lost: u64,
    duplicate_rows: u64,
    wrong_counters: u64,
    dead_letters: u64,
    redelivered: u64,
    #[serde(flatten)]
    kills: KillColumns,
}

impl PipelineColumns {
    pub(super) fn new(outcome: Outcome, took: Duration) -> Self {
        let Outcome { findings, redelivered, dead, kills, recovery } = outcome;
        Self {
            acknowledged: findings.acknowledged,
            lost: findings.lost,
            duplicate_rows: findings.duplicated,
            wrong_counters: findings.wrong_counters,
            dead_letters: dead,
            redelivered,
            kills: KillColumns::new(kills, &recovery, took),
        }
    }
}

impl Columns for PipelineColumns {
    const HEADS: &'static [&'static str] = &[
        "row",
        "acknowledged",
        "lost",
        "duplicate rows",
        "wrong counters",
        "dead letters",
        "redelivered",
        "kills",
        "recovery p50",
        "p99",
        "time",
    ];

    fn cells(&self) -> Vec<String> {
        let found = [
            self.acknowledged,
            self.lost,
            self.duplicate_rows,
            self.wrong_counters,
            self.dead_letters,
            self.redelivered,
        ];
        found.iter().map(u64::to_string).chain(self.kills.cells()).collect()
    }
}

/// Returns the reason for which a row fails, if it does. A row without a fault proves nothing, nor does a control
/// without damage.
pub(super) fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
    let Outcome { findings, dead, kills, .. } = outcome;
    if *kills == 0 {
        return Some("the fault never happened".into());
    }
    match expect {
        Expect::NoDamage if !findings.faults.is_empty() || *dead > 0 => {
            let faults: Vec<_> = findings.faults.iter().map(ToString::to_string).collect();
            Some(format!("{dead} dead letters; faults: {}", faults.join(" ")))
        }
        Expect::Recovery if findings.duplicated + findings.wrong_counters + *dead > 0 => {
            Some(format!("{dead} dead letters, and the stored data is wrong: {:?}", findings.faults))
        }
        Expect::Losses if findings.lost == 0 => Some("the control lost nothing".into()),
        Expect::WrongCounters if findings.wrong_counters == 0 => Some("the control has no wrong counter".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(lost: u64, wrong_counters: u64, kills: usize) -> Outcome {
        let faults = if lost + wrong_counters > 0 { vec![json!({})] } else { Vec::new() };
        Outcome {
            findings: Findings { lost, wrong_counters, faults, ..Findings::default() },
            kills,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_row_passes_without_damage_and_a_control_with_its_own() {
        for (expect, outcome, is_right) in [
            (Expect::NoDamage, outcome(0, 0, 1), true),
            (Expect::NoDamage, outcome(0, 0, 0), false),
            (Expect::NoDamage, outcome(1, 0, 1), false),
            (Expect::NoDamage, Outcome { dead: 1, ..outcome(0, 0, 1) }, false),
            (Expect::Recovery, outcome(9, 0, 1), true),
            (Expect::Recovery, outcome(9, 1, 1), false),
            (Expect::Losses, outcome(1, 0, 1), true),
            (Expect::Losses, outcome(0, 1, 1), false),
            (Expect::WrongCounters, outcome(0, 1, 1), true),
            (Expect::WrongCounters, outcome(1, 0, 1), false),
            (Expect::WrongCounters, outcome(0, 1, 0), false),
        ] {
            assert_eq!(verdict(expect, &outcome).is_none(), is_right, "{expect:?} {outcome:?}");
        }
    }
}
