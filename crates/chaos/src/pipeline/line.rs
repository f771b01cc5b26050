//! What comes of a row: a line of the table.

use std::{io::Write, time::Duration};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use super::{
    recovery::percentile,
    rows::{Expect, Row},
    stage::Findings,
};

/// The heads of the columns.
const HEADS: [&str; 11] = [
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

/// One line of the table; times in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    row: &'static str,
    acknowledged: u64,
    lost: u64,
    duplicate_rows: u64,
    wrong_counters: u64,
    dead_letters: u64,
    redelivered: u64,
    kills: usize,
    recovery_p50: Option<f64>,
    recovery_p99: Option<f64>,
    seconds: f64,
    /// Why the row is not as it must be.
    pub(crate) failure: Option<String>,
}

impl Line {
    /// The line of a row, with its verdict.
    pub(crate) fn new(row: &Row, outcome: anyhow::Result<Outcome>, took: Duration) -> Self {
        let failure = match &outcome {
            Ok(outcome) => verdict(row.expect, outcome),
            Err(error) => Some(format!("{error:#}")),
        };
        let Outcome { findings, redelivered, dead, kills, recovery } = outcome.unwrap_or_default();
        Self {
            row: row.name,
            acknowledged: findings.acknowledged,
            lost: findings.lost,
            duplicate_rows: findings.duplicated,
            wrong_counters: findings.wrong_counters,
            dead_letters: dead,
            redelivered,
            kills,
            recovery_p50: percentile(&recovery, 50),
            recovery_p99: percentile(&recovery, 99),
            seconds: took.as_secs_f64(),
            failure,
        }
    }

    /// Says how the row went.
    pub(crate) fn log(&self) {
        match &self.failure {
            None => log::info!(row = self.row, kills = self.kills, seconds = self.seconds.round(); "as it must be"),
            Some(failure) => log::error!(row = self.row, kills = self.kills; "FAILED: {failure}"),
        }
    }

    fn cells(&self) -> [String; 11] {
        let seconds =
            |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        [
            self.row.to_owned(),
            self.acknowledged.to_string(),
            self.lost.to_string(),
            self.duplicate_rows.to_string(),
            self.wrong_counters.to_string(),
            self.dead_letters.to_string(),
            self.redelivered.to_string(),
            self.kills.to_string(),
            seconds(self.recovery_p50),
            seconds(self.recovery_p99),
            format!("{:.0} s", self.seconds),
        ]
    }
}

/// Why this is not what must come of the row. A row in which nothing happened proves nothing, and
/// neither does a control without damage.
fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
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

/// Prints the lines: a table in Markdown, or JSON.
pub(crate) fn print(lines: &[Line], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        for line in lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        return Ok(());
    }
    if !lines.is_empty() {
        writeln!(out, "{}", table(HEADS, lines.iter().map(Line::cells)))?;
    }
    for line in lines {
        if let Some(failure) = &line.failure {
            writeln!(out, "FAILED: {}: {failure}", line.row)?;
        }
    }
    Ok(())
}

/// A table in Markdown.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
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
