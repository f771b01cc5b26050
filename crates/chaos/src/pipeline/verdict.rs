//! What came of a row, and whether it is what must.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::{Columns, KillColumns};

/// What must come of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing lost, nothing twice, every counter right, no dead letters.
    NoDamage,
    /// It goes on by itself, and what is there is right; what was lost is told by the number.
    Recovery,
    /// A control: events are lost.
    Losses,
    /// A control: counters are wrong.
    WrongCounters,
}

/// What `fleet-sim verify` says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    /// Events answered by 202.
    pub(crate) acknowledged: u64,
    /// Those of them without a row.
    pub(crate) lost: u64,
    /// Rows beyond the first of their event.
    pub(crate) duplicated: u64,
    /// Devices whose counter is not the fold of their rows.
    pub(crate) wrong_counters: u64,
    /// The first faults of any kind.
    pub(crate) faults: Vec<Value>,
}

/// What was found at the end of a row.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The ledger against the database.
    pub(crate) findings: Findings,
    /// How often a batch was handed out again.
    pub(crate) redelivered: u64,
    /// Messages that were buried.
    pub(crate) dead: u64,
    /// How often what the row does really happened.
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

/// Why this is not what must come of the row. A row in which nothing happened proves nothing, and
/// neither does a control without damage.
pub(super) fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
    let Outcome { findings, dead, kills, .. } = outcome;
    if *kills == 0 {
        return Some("nothing was done to the system".into());
    }
    match expect {
        Expect::NoDamage if !findings.faults.is_empty() || *dead > 0 => {
            let faults: Vec<_> = findings.faults.iter().map(ToString::to_string).collect();
            Some(format!("{dead} dead letters; faults: {}", faults.join(" ")))
        }
        Expect::Recovery if findings.duplicated + findings.wrong_counters + *dead > 0 => {
            Some(format!("{dead} dead letters, and what is there is not right: {:?}", findings.faults))
        }
        Expect::Losses if findings.lost == 0 => Some("the control lost nothing".into()),
        Expect::WrongCounters if findings.wrong_counters == 0 => Some("the control miscounted nothing".into()),
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
