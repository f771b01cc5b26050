//! A part of the fleet that rules look at by itself.

use std::fmt;

use crate::models::Labels;

/// The devices whose newest report has a label with this value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The name of the label.
    pub label: String,
    /// Its value.
    pub value: String,
}

impl Scope {
    /// Whether a device with these labels is part of it.
    pub fn holds(&self, labels: &Labels) -> bool {
        labels.get(&self.label) == Some(&self.value)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, self.value)
    }
}
