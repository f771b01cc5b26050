//! A part of the fleet, which rules can evaluate separately.

use std::fmt;

use crate::models::Labels;

/// The devices whose newest report has this value of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetPart {
    /// The name of the label.
    pub label: String,
    /// Its value.
    pub value: String,
}

impl FleetPart {
    /// Returns whether a device with these labels is part of it.
    pub fn holds(&self, labels: &Labels) -> bool {
        labels.get(&self.label) == Some(&self.value)
    }
}

impl fmt::Display for FleetPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, self.value)
    }
}
