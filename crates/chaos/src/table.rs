//! The results of rows, as a table or as JSON.

use std::{io::Write, time::Duration};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

/// The columns of a matrix, beside the names of its rows.
pub(crate) trait Columns: Serialize {
    /// The heads of all columns.
    const HEADS: &'static [&'static str];

    /// Returns the cells of the columns.
    fn cells(&self) -> Vec<String>;
}

/// One line of a table.
#[derive(Debug, Serialize)]
pub(crate) struct Line<C> {
    row: &'static str,
    #[serde(flatten)]
    columns: C,
    /// The reason for which the row fails, if it does.
    failure: Option<String>,
}

impl<C: Columns> Line<C> {
    /// Returns the line of a row, with its verdict.
    pub(crate) fn new<O: Default>(
        row: &'static str,
        outcome: anyhow::Result<O>,
        verdict: impl FnOnce(&O) -> Option<String>,
        columns: impl FnOnce(O) -> C,
    ) -> Self {
        let failure = match &outcome {
            Ok(outcome) => verdict(outcome),
            Err(error) => Some(format!("{error:#}")),
        };
        Self { row, columns: columns(outcome.unwrap_or_default()), failure }
    }

    /// Returns true if the row fails.
    pub(crate) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Logs the result of the row.
    pub(crate) fn log(&self) {
        match &self.failure {
            None => log::info!(row = self.row; "passed"),
            Some(failure) => log::error!(row = self.row; "FAILED: {failure}"),
        }
    }

    fn cells(&self) -> Vec<String> {
        std::iter::once(self.row.to_owned()).chain(self.columns.cells()).collect()
    }
}

/// Prints the lines: a table in Markdown, or JSON.
pub(crate) fn print<C: Columns>(lines: &[Line<C>], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        for line in lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        return Ok(());
    }
    if !lines.is_empty() {
        writeln!(out, "{}", table(lines))?;
    }
    for line in lines {
        if let Some(failure) = &line.failure {
            writeln!(out, "FAILED: {}: {failure}", line.row)?;
        }
    }
    Ok(())
}

fn table<C: Columns>(lines: &[Line<C>]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(C::HEADS).add_rows(lines.iter().map(Line::cells));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The last columns of rows with kills; times in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KillColumns {
    kills: usize,
    recovery_p50: Option<f64>,
    recovery_p99: Option<f64>,
    seconds: f64,
}

impl KillColumns {
    /// Returns the columns from the times to recovery, shortest first, and the duration of the row.
    pub(crate) fn new(kills: usize, recovery: &[Duration], took: Duration) -> Self {
        let [recovery_p50, recovery_p99] = [50, 99].map(|percent| percentile(recovery, percent));
        Self { kills, recovery_p50, recovery_p99, seconds: took.as_secs_f64() }
    }

    /// Returns the cells of the columns.
    pub(crate) fn cells(&self) -> [String; 4] {
        let [p50, p99] = [self.recovery_p50, self.recovery_p99].map(|seconds| match seconds {
            Some(seconds) => format!("{seconds:.2} s"),
            None => "-".to_owned(),
        });
        [self.kills.to_string(), p50, p99, format!("{:.0} s", self.seconds)]
    }
}

/// Returns the smallest time that this percentage of times does not exceed, in seconds.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map(Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_secs).collect();
        let whole = |percent| percentile(&times, percent).map(f64::round).map(|seconds| seconds.to_string());
        assert_eq!([50, 99, 100].map(whole), ["100", "198", "200"].map(|seconds| Some(seconds.to_owned())));
        assert_eq!(percentile(&[], 50), None);
    }
}
