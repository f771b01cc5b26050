//! The findings of a comparison.

use std::fmt;

use serde::Serialize;

use crate::report::Rows;

/// The maximum number of listed faults.
const LISTED: usize = 10;

/// The findings of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Events of the ledger that were acknowledged.
    pub acknowledged: u64,
    /// Events of the ledger that may be stored or not.
    pub unknown: u64,
    /// Such events that are stored.
    pub unknown_stored: u64,
    /// Devices of the ledger.
    pub devices: u64,
    /// Rows of these devices.
    pub rows: u64,
    /// Rows of other devices, which are not compared.
    pub other_rows: u64,
    /// Acknowledged events without a row.
    pub lost: u64,
    /// Rows beyond the first of their event.
    pub duplicated: u64,
    /// Rows of the ledger's devices without an event in the ledger.
    pub phantom: u64,
    /// Rows that differ from their event.
    pub wrong_values: u64,
    /// Devices whose counter is not the fold of their rows.
    pub wrong_counters: u64,
    /// The first faults.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The kind.
    pub kind: Kind,
    /// The device of the event or counter.
    pub device_id: String,
    /// A description.
    pub detail: String,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// An acknowledged event without a row.
    Lost,
    /// A second row of one event.
    Duplicated,
    /// A row without an event.
    Phantom,
    /// A row that differs from its event.
    WrongValue,
    /// A counter that differs from the rows, or is missing.
    WrongCounter,
}

impl Findings {
    /// Counts a fault, and keeps it if it is among the first.
    pub fn add(&mut self, kind: Kind, device_id: &str, detail: impl FnOnce() -> String) {
        *match kind {
            Kind::Lost => &mut self.lost,
            Kind::Duplicated => &mut self.duplicated,
            Kind::Phantom => &mut self.phantom,
            Kind::WrongValue => &mut self.wrong_values,
            Kind::WrongCounter => &mut self.wrong_counters,
        } += 1;
        if self.faults.len() < LISTED {
            self.faults.push(Fault { kind, device_id: device_id.to_owned(), detail: detail() });
        }
    }

    /// Returns true if there is no fault.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the closing table.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        rows.add("events acknowledged", self.acknowledged)
            .add_some("events perhaps stored, never acknowledged", self.unknown)
            .add_some("of these stored", self.unknown_stored)
            .add("devices", self.devices)
            .add("rows of these devices", self.rows)
            .add("rows of other devices", self.other_rows)
            .add("lost", self.lost)
            .add("duplicated", self.duplicated)
            .add("phantom rows", self.phantom)
            .add("wrong values", self.wrong_values)
            .add("wrong counters", self.wrong_counters);
        for Fault { kind, device_id, detail } in &self.faults {
            rows.note(format!("{kind}: {device_id}: {detail}"));
        }
        rows.note(if self.is_clean() {
            "clean: the database holds what was acknowledged"
        } else {
            "FAULTS were found"
        });
        rows
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Phantom => "phantom row",
            Self::WrongValue => "wrong value",
            Self::WrongCounter => "wrong counter",
        })
    }
}
