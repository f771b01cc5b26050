//! The weekly summary of the fleet for people.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::models::MessageId;

/// A week in words and numbers, the same to every receiver and at every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The ISO week in which it ends, such as `2026-W47`; there is one of each.
    pub week: String,
    /// The id of its messages.
    pub id: MessageId,
    /// Start of the week.
    pub from: Timestamp,
    /// End of the week.
    pub to: Timestamp,
    /// The summary in one line.
    pub subject: String,
    /// The summary line by line.
    pub lines: Vec<String>,
    /// The numbers in it by name, for programs and for the next week's comparison.
    pub figures: BTreeMap<String, i64>,
}
