//! What people are told once a week of the whole fleet.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::models::MessageId;

/// A week in words and numbers, the same to every receiver and at every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The ISO week in which it ends, such as `2026-W47`; there is one of each.
    pub week: String,
    /// The name of its messages.
    pub id: MessageId,
    /// When the week began.
    pub from: Timestamp,
    /// When it was over.
    pub to: Timestamp,
    /// All of it in one line.
    pub subject: String,
    /// What there is to say, line by line.
    pub lines: Vec<String>,
    /// The numbers in it by name, for programs and for the week after.
    pub figures: BTreeMap<String, i64>,
}
