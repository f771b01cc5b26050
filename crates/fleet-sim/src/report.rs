//! The closing table of each command, or the same as JSON.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

/// The rows of a table, each with a name and a figure, and notes below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    figures: Vec<[String; 2]>,
    notes: Vec<String>,
}

impl Rows {
    /// Adds a row.
    pub fn add(&mut self, name: impl Into<String>, value: impl Display) -> &mut Self {
        self.figures.push([name.into(), value.to_string()]);
        self
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a row for a count, unless it is zero.
    pub fn add_some(&mut self, name: &str, count: u64) -> &mut Self {
        if count == 0 { self } else { self.add(name, count) }
    }
}

/// Writes a report to standard output: `figures` as one line of JSON, or `rows` as a table.
pub fn print(json: bool, figures: &impl Serialize, rows: Rows) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string(figures)? } else { table(rows) };
    writeln!(io::stdout().lock(), "{text}").context("writing the report")
}

fn table(Rows { figures, notes }: Rows) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).add_rows(figures);
    if let Some(values) = table.column_mut(1) {
        values.set_cell_alignment(CellAlignment::Right);
    }
    let lines = [table.to_string()].into_iter().chain(notes);
    lines.collect::<Vec<_>>().join("\n")
}
