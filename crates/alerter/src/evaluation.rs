//! What a rule finds out: facts, of which `reconcile` makes incidents.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, Scope};
use serde::{Deserialize, Serialize};

use crate::tables::values;

/// What a rule finds out about one device, one part of the fleet, or all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The alert, as it would open now.
    pub alert: Alert,
    /// Whether it should be open.
    pub health: Health,
    /// Since when all is healthy, if it is.
    pub healthy_since: Timestamp,
    /// Whether it is recent enough to open: late data never pages.
    pub is_recent: bool,
    /// For how long all has to be healthy until the incident is resolved.
    pub clears_after: SignedDuration,
    /// The part of the fleet that it follows from, if the alert does not say so itself.
    pub follows: Option<Scope>,
}

/// When a part of a whole is too large, and when it is small enough again: settings of several rules.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Limits {
    /// The share of the whole from which on it is too large.
    #[serde(deserialize_with = "values::share")]
    pub opens_at: f64,
    /// How many they have to be at least to be too many.
    #[serde(deserialize_with = "values::count")]
    pub at_least: u64,
    /// The share below which it is small enough again.
    #[serde(deserialize_with = "values::share")]
    pub closes_below: f64,
}

/// What a rule says of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It fails, or has not recovered far enough.
    Unhealthy,
    /// It is well, or does not fail enough yet.
    Healthy,
    /// The data does not tell: all stays as it is.
    Unknown,
}

impl Evaluation {
    /// Returns an evaluation that opens and resolves at once.
    pub fn new(alert: Alert, health: Health, healthy_since: Timestamp) -> Self {
        Self { alert, health, healthy_since, is_recent: true, clears_after: SignedDuration::ZERO, follows: None }
    }

    /// Returns whether an incident may open by it.
    pub fn may_open(&self) -> bool {
        self.health == Health::Unhealthy && self.is_recent
    }
}

impl Health {
    /// Returns `Unhealthy` if that is so, else `Healthy`.
    pub fn unhealthy_if(is_unhealthy: bool) -> Self {
        if is_unhealthy { Self::Unhealthy } else { Self::Healthy }
    }
}

impl Default for Limits {
    /// Returns those of a fleet: a twentieth and 50 devices are too many, less than a fortieth is well again.
    fn default() -> Self {
        Self { opens_at: 0.05, at_least: 50, closes_below: 0.025 }
    }
}

impl Limits {
    /// Returns the health of a part of a whole. Between the two shares all stays as it is.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub fn health(&self, is_open: bool, part: u64, whole: u64) -> Health {
        if whole == 0 {
            return Health::Unknown;
        }
        let share = part as f64 / whole as f64;
        let is_too_large =
            if is_open { share >= self.closes_below } else { share >= self.opens_at && part >= self.at_least };
        Health::unhealthy_if(is_too_large)
    }
}

#[cfg(test)]
mod tests {
    use super::{Health::*, *};

    #[test]
    fn opens_at_one_share_and_closes_below_a_lower_one() {
        for (is_open, part, whole, health) in [
            (false, 4_999, 100_000, Healthy),
            (false, 5_000, 100_000, Unhealthy),
            (false, 49, 100, Healthy),
            (false, 50, 100, Unhealthy),
            (false, 50, 1_001, Healthy),
            (true, 5_000, 100_000, Unhealthy),
            (true, 2_500, 100_000, Unhealthy),
            (true, 2_499, 100_000, Healthy),
            (true, 10, 100, Unhealthy),
            (true, 2, 100, Healthy),
            (true, 0, 0, Unknown),
            (false, 0, 0, Unknown),
        ] {
            assert_eq!(Limits::default().health(is_open, part, whole), health, "{is_open} {part} of {whole}");
        }
    }
}
