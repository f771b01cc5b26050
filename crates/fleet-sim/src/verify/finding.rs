//! What a comparison found.

use std::fmt;

use serde::Serialize;

use crate::report::Rows;

/// How many faults are told one by one.
const TOLD: usize = 10;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Events of the ledger that were acknowledged.
    pub acknowledged: u64,
    /// Events of the ledger that may be stored or not.
    pub unknown: u64,
    /// Those of them that are stored.
    pub unknown_stored: u64,
    /// Devices of the ledger.
    pub devices: u64,
    /// Rows of these devices.
    pub rows: u64,
    /// Rows of other devices, which are not looked at.
    pub other_rows: u64,
    /// Acknowledged events without a row.
    pub lost: u64,
    /// Rows beyond the first of their event.
    pub duplicated: u64,
    /// Rows of the ledger's devices that no line of the ledger explains.
    pub phantom: u64,
    /// Rows that say something else than their event.
    pub wrong_values: u64,
    /// Devices whose counter is not the fold of their rows.
    pub wrong_counters: u64,
    /// The first faults.
    pub faults: Vec<Fault>,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What kind of fault.
    pub kind: Kind,
    /// Whose event or counter it is.
    pub device_id: String,
    /// What is wrong.
    pub detail: String,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Acknowledged, and no row.
    Lost,
    /// More than one row for one event.
    Duplicated,
    /// A row that no event explains.
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
        if self.faults.len() < TOLD {
            self.faults.push(Fault { kind, device_id: device_id.to_owned(), detail: detail() });
        }
    }

    /// Whether there is no fault.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// The closing table.
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
