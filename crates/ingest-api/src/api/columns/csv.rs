//! Formats a row as CSV.

use std::borrow::Cow;

use pisync_core::{models::Labels, store::StoredEvent, time::rfc3339};

use super::{COLUMNS, Column, Value};
use crate::api::csv::Line;

/// Returns the first line of a CSV.
pub(in crate::api) fn head() -> String {
    COLUMNS.iter().flat_map(Column::csv_names).collect::<Vec<_>>().join(",")
}

/// Returns the CSV line of a row.
pub(in crate::api) fn line(row: &StoredEvent) -> Line {
    COLUMNS.iter().fold(Line::default(), |line, column| column.value.add_to(line, row))
}

impl Column {
    fn csv_names(&self) -> Vec<Cow<'static, str>> {
        match self.value {
            Value::Error(_) => ["Code", "Message"].map(|part| format!("{}{part}", self.name).into()).into(),
            _ => vec![self.name.into()],
        }
    }
}

impl Value {
    fn add_to(&self, line: Line, row: &StoredEvent) -> Line {
        match self {
            Self::Id(value) => line.plain(value(row)),
            Self::Text(value) => line.text(value(row).unwrap_or_default()),
            Self::Time(value) => line.maybe(value(row).map(rfc3339)),
            Self::Count(value) => line.maybe(value(row)),
            Self::Speed(value) => line.plain(value(row)),
            Self::Flag(value) => line.plain(value(row)),
            Self::Error(value) => {
                let (code, message) =
                    value(row).map_or(("", ""), |error| (error.code(), error.message().unwrap_or_default()));
                line.text(code).text(message)
            }
            Self::Labels(value) => line.text(&labels(value(row))),
        }
    }
}

/// Returns the labels as one text, ordered by name: `region=west;school=12`. A `\` escapes a `;` or a `\` in a
/// value.
fn labels(labels: &Labels) -> String {
    let label = |(name, value): (&str, &str)| format!("{name}={}", value.replace('\\', r"\\").replace(';', r"\;"));
    labels.iter().map(label).collect::<Vec<_>>().join(";")
}
