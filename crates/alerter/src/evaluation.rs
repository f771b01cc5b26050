//! The results of rules. `reconcile` turns them into incidents.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, FleetPart};
use serde::{Deserialize, Serialize};

use crate::tables::values;

/// The result of a rule about one device, one part of the fleet, or the whole fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The alert, as it would open now.
    pub alert: Alert,
    /// The health: an incident should be open if it is unhealthy.
    pub health: Health,
    /// The start of the healthy time, if it is healthy now.
    pub healthy_since: Timestamp,
    /// True if the data is recent enough to open an incident: late data never pages.
    pub is_recent: bool,
    /// The healthy time after which the incident is resolved.
    pub clears_after: SignedDuration,
    /// The part of the fleet that it follows from, if the alert does not name it.
    pub follows: Option<FleetPart>,
}

/// The limits of a share of devices: too large, and small enough again. Settings of several rules.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ShareLimits {
    /// The share of the whole at which an alert opens.
    #[serde(deserialize_with = "values::share")]
    pub opens_at: f64,
    /// The minimum number of devices for an alert to open.
    #[serde(deserialize_with = "values::count")]
    pub at_least: u64,
    /// The share of the whole below which an alert closes.
    #[serde(deserialize_with = "values::share")]
    pub closes_below: f64,
}

/// The health of one subject under one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It fails, or has not recovered far enough.
    Unhealthy,
    /// It is healthy, or does not fail enough yet.
    Healthy,
    /// The data does not show it: the incident stays as it is.
    Unknown,
}

impl Evaluation {
    /// Returns an evaluation that opens and resolves at once.
    pub fn new(alert: Alert, health: Health, healthy_since: Timestamp) -> Self {
        Self { alert, health, healthy_since, is_recent: true, clears_after: SignedDuration::ZERO, follows: None }
    }

    /// Returns whether it may open an incident.
    pub fn may_open(&self) -> bool {
        self.health == Health::Unhealthy && self.is_recent
    }
}

impl Health {
    /// Returns `Unhealthy` if the condition holds, else `Healthy`.
    pub fn unhealthy_if(is_unhealthy: bool) -> Self {
        if is_unhealthy { Self::Unhealthy } else { Self::Healthy }
    }
}

impl Default for ShareLimits {
    /// Returns the limits of a fleet: opens at a twentieth and 50 devices, closes below a fortieth.
    fn default() -> Self {
        Self { opens_at: 0.05, at_least: 50, closes_below: 0.025 }
    }
}

impl ShareLimits {
    /// Returns the health of a part of a whole. Between the two shares it stays as it is.
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
            assert_eq!(ShareLimits::default().health(is_open, part, whole), health, "{is_open} {part} of {whole}");
        }
    }
}
