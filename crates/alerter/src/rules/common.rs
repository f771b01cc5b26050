//! The settings of `[rules]` that several rules share. Those of one rule are in its file.

use std::sync::Arc;

use jiff::SignedDuration;
use pisync_core::models::{Cause, FleetWindows, Schedule, check_name};
use serde::{Deserialize, Deserializer, de::Error};

use crate::tables::{Texts, values};

/// The settings that several rules share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// The speed of a failed sync, in Mbps, below which the cause is the connection.
    #[serde(deserialize_with = "values::number")]
    pub connectivity_floor_mbps: f64,
    /// The interval at which a device reports.
    #[serde(deserialize_with = "values::length")]
    pub report_interval: SignedDuration,
    /// The labels whose values are parts of the fleet. Fleet rules evaluate each part, too.
    #[serde(deserialize_with = "labels")]
    pub fleet_by: Vec<String>,
    /// The time without a report after which a device is silent.
    #[serde(deserialize_with = "values::length")]
    pub device_silent_after: SignedDuration,
    /// The name of the schedule in whose hours devices are expected. Silence counts only in them.
    pub expected: Option<String>,
    /// That schedule; `None` for all hours.
    #[serde(skip)]
    pub schedule: Option<Arc<Schedule>>,
}

impl Common {
    /// Returns the time from the recovery of the fleet until its digest is due: two reports.
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
            expected: None,
            schedule: None,
        }
    }
}

/// Parses the names of labels that devices may have.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels = Texts::deserialize(deserializer)?.into_vec();
    let is_new = |at: usize| !labels[..at].contains(&labels[at]);
    let are_fit = labels.iter().all(|label| check_name(label).is_ok()) && (0..labels.len()).all(is_new);
    let most = FleetWindows::MOST_LABELS;
    let what = || D::Error::custom(format!("must be up to {most} names of labels of devices, each once"));
    (are_fit && labels.len() <= most).then_some(labels).ok_or_else(what)
}
