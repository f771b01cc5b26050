//! What comes of a row of the alerters: a line of their table.

use std::{io::Write, time::Duration};

use serde::Serialize;

use super::{Expect, Row, sink::Posts, told::Faults};
use crate::pipeline::{line::table, recovery::percentile};

/// The heads of the columns.
const HEADS: [&str; 12] = [
    "row",
    "incidents",
    "lost",
    "duplicate lines",
    "unfounded",
    "unsettled",
    "messages",
    "repeated",
    "kills",
    "recovery p50",
    "p99",
    "time",
];

/// The most lines of one message to the log: what may be on its way at a kill.
const ON_ITS_WAY: u64 = alerter::outbox::LISTED as u64;

/// The alert log and the store against what had to be told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Findings {
    /// Devices that failed.
    pub(super) incidents: u64,
    /// What is wrong with what was told of them.
    pub(super) faults: Faults,
    /// Lines that cannot be read.
    pub(super) torn: u64,
    /// Incidents that the store does not know as they are.
    pub(super) unsettled: u64,
    /// What came to the webhook.
    pub(super) posts: Posts,
    /// Of how many alerts that must have told.
    pub(super) owed: u64,
}

/// What was found at the end of a row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What was told.
    pub(super) findings: Findings,
    /// How many alerters were killed.
    pub(super) kills: usize,
    /// The times to recovery, shortest first.
    pub(super) recovery: Vec<Duration>,
}

/// One line of the table; times in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    row: &'static str,
    incidents: u64,
    lost: u64,
    duplicate_lines: u64,
    unfounded: u64,
    unsettled: u64,
    messages: u64,
    repeated: u64,
    kills: usize,
    recovery_p50: Option<f64>,
    recovery_p99: Option<f64>,
    seconds: f64,
    /// Why the row is not as it must be.
    pub(crate) failure: Option<String>,
}

impl Line {
    /// The line of a row, with its verdict.
    pub(super) fn new(row: &Row, outcome: anyhow::Result<Outcome>, took: Duration) -> Self {
        let failure = match &outcome {
            Ok(outcome) => verdict(row.expect, outcome),
            Err(error) => Some(format!("{error:#}")),
        };
        let Outcome { findings, kills, recovery } = outcome.unwrap_or_default();
        Self {
            row: row.name,
            incidents: findings.incidents,
            lost: findings.faults.lost,
            duplicate_lines: findings.faults.duplicates,
            unfounded: findings.faults.unfounded,
            unsettled: findings.unsettled,
            messages: findings.posts.messages,
            repeated: findings.posts.repeated,
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

    fn cells(&self) -> [String; 12] {
        let seconds =
            |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        [
            self.row.to_owned(),
            self.incidents.to_string(),
            self.lost.to_string(),
            self.duplicate_lines.to_string(),
            self.unfounded.to_string(),
            self.unsettled.to_string(),
            self.messages.to_string(),
            self.repeated.to_string(),
            self.kills.to_string(),
            seconds(self.recovery_p50),
            seconds(self.recovery_p99),
            format!("{:.0} s", self.seconds),
        ]
    }
}

/// Why this is not what must come of the row. A kill may make one message come again and leave half
/// a line behind; nothing else may.
fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
    let Outcome { findings, kills, .. } = outcome;
    let Findings { faults, torn, unsettled, posts, owed, .. } = findings;
    let Faults { lost, duplicates, unfounded } = *faults;
    if *kills == 0 && matches!(expect, Expect::Told | Expect::Losses) {
        return Some("nothing was done to the alerters".into());
    }
    match expect {
        Expect::Told | Expect::ToldOnce if lost + unfounded + unsettled > 0 || *torn > *kills as u64 => {
            Some(format!("{lost} lost, {unfounded} unfounded, {torn} torn lines, {unsettled} unsettled"))
        }
        Expect::Told | Expect::ToldOnce if posts.changed > 0 || posts.told != *owed => {
            Some(format!("the webhook was told of {} alerts instead of {owed}: {posts:?}", posts.told))
        }
        Expect::Told | Expect::ToldOnce if duplicates.max(ON_ITS_WAY * posts.repeated) > ON_ITS_WAY * *kills as u64 => {
            Some(format!(
                "{duplicates} lines and {} messages more than once: {kills} kills cannot do that",
                posts.repeated
            ))
        }
        Expect::Losses if lost == 0 => Some("the control lost nothing".into()),
        Expect::Duplicates if duplicates == 0 => Some("the control told nothing twice".into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_passes_with_what_kills_can_make_and_a_control_with_its_own_damage() {
        for (expect, [lost, duplicates, unfounded], kills, is_right) in [
            (Expect::Told, [0, 0, 0], 1, true),
            (Expect::Told, [0, 50, 0], 1, true),
            (Expect::Told, [0, 51, 0], 1, false),
            (Expect::Told, [0, 0, 0], 0, false),
            (Expect::Told, [1, 0, 0], 1, false),
            (Expect::Told, [0, 0, 1], 1, false),
            (Expect::ToldOnce, [0, 0, 0], 0, true),
            (Expect::ToldOnce, [0, 1, 0], 0, false),
            (Expect::Losses, [1, 0, 0], 1, true),
            (Expect::Losses, [1, 0, 0], 0, false),
            (Expect::Losses, [0, 1, 0], 1, false),
            (Expect::Duplicates, [0, 1, 0], 0, true),
            (Expect::Duplicates, [1, 0, 0], 0, false),
        ] {
            let faults = Faults { lost, duplicates, unfounded };
            let outcome = Outcome { findings: Findings { faults, ..Findings::default() }, kills, ..Outcome::default() };
            assert_eq!(verdict(expect, &outcome).is_none(), is_right, "{expect:?} {outcome:?}");
        }
        let torn =
            |torn| Outcome { findings: Findings { torn, ..Findings::default() }, kills: 1, ..Outcome::default() };
        assert!(verdict(Expect::Told, &torn(1)).is_none() && verdict(Expect::Told, &torn(2)).is_some());
    }
}
