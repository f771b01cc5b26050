//! `[rules]`: what the rules share. What one alone has is in its file.

use jiff::SignedDuration;
use pisync_core::models::{Cause, FleetWindows, check_name};
use serde::{Deserialize, Deserializer, de::Error};

use crate::tables::{Texts, values};

/// What several rules share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// Below this speed at the failed sync, in Mbps, the connection is taken for the cause.
    #[serde(deserialize_with = "values::number")]
    pub connectivity_floor_mbps: f64,
    /// How often a device reports.
    #[serde(deserialize_with = "values::length")]
    pub report_interval: SignedDuration,
    /// The labels by whose values parts of the fleet are evaluated, too.
    #[serde(deserialize_with = "labels")]
    pub fleet_by: Vec<String>,
    /// For how long nothing may be received from a device.
    #[serde(deserialize_with = "values::length")]
    pub device_silent_after: SignedDuration,
}

impl Common {
    /// Returns how long after the recovery of the fleet the digest is due: two reports.
    pub fn digest_after(&self) -> SignedDuration {
        self.report_interval.saturating_mul(2)
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            connectivity_floor_mbps: Cause::CONNECTIVITY_FLOOR,
            report_interval: SignedDuration::from_hours(1),
            fleet_by: Vec::new(),
            device_silent_after: SignedDuration::from_hours(24),
        }
    }
}

/// Reads the names of labels that devices may have.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels = Texts::deserialize(deserializer)?.into_vec();
    let is_new = |at: usize| !labels[..at].contains(&labels[at]);
    let are_fit = labels.iter().all(|label| check_name(label).is_ok()) && (0..labels.len()).all(is_new);
    let most = FleetWindows::MOST_LABELS;
    let what = || D::Error::custom(format!("must be up to {most} names of labels of devices, each once"));
    (are_fit && labels.len() <= most).then_some(labels).ok_or_else(what)
}
