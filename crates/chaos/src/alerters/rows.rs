//! The rows with alerters.

use super::{fault::Fault, verdict::Expect};
use crate::row::Row;

/// A row with alerters.
pub(crate) type AlerterRow = Row<Fault, Expect>;

const fn row(name: &'static str, fault: Fault, expect: Expect) -> AlerterRow {
    Row { name, fault, expect, quick: true }
}

const fn killed_at(name: &'static str, point: &'static str) -> AlerterRow {
    row(name, Fault::KilledAt(point), Expect::Delivered)
}

/// The rows, after those of the pipeline.
pub(crate) const ALL: &[AlerterRow] = &[
    row("two alerters, no kills", Fault::Nothing, Expect::DeliveredOnce),
    killed_at("alerters killed after_open", "after_open"),
    killed_at("alerters killed during_message_claim", "during_message_claim"),
    killed_at("alerters killed after_message_claim", "after_message_claim"),
    killed_at("alerters killed after_send", "after_send"),
    killed_at("alerters killed during_mark", "during_mark"),
    killed_at("alerters killed after_mark", "after_mark"),
    row("alerters killed at random", Fault::KilledAtRandom, Expect::Delivered),
    row("control: alerter marks before it sends", Fault::NaiveMark, Expect::Losses),
    row("control: alerters send before they claim", Fault::NaiveSend, Expect::Duplicates),
];
