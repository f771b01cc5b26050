//! `[rules]`: when alerts open and close. A struct for each rule that has settings.

use jiff::SignedDuration;
use pisync_core::models::{Cause, FleetWindows, check_name};
use serde::{Deserialize, Deserializer, de::Error};

use crate::tables::{
    Table,
    values::{self, Texts},
};

/// What can be set of the rules.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
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
    /// When too many of the fleet fail, or of a part of it.
    #[serde(skip)]
    pub fleet_sync_failing: FleetSyncFailing,
    /// When too many of the fleet are absent.
    #[serde(skip)]
    pub fleet_silent: FleetSilent,
    /// When a device fails and recovers too often.
    #[serde(skip)]
    pub device_flapping: DeviceFlapping,
    /// When the ingestion pipeline is stalled.
    #[serde(skip)]
    pub pipeline_stalled: PipelineStalled,
}

/// When a part of a whole is too large, and when it is small enough again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The share of the whole from which on it is too large.
    pub opens_at: f64,
    /// How many they have to be at least to be too many.
    pub at_least: u64,
    /// The share below which it is small enough again.
    pub closes_below: f64,
}

/// `[rules.fleet_sync_failing]`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetSyncFailing {
    #[serde(deserialize_with = "values::share")]
    opens_at: f64,
    #[serde(deserialize_with = "values::count")]
    at_least: u64,
    #[serde(deserialize_with = "values::share")]
    closes_below: f64,
    /// How far back it reads, in the devices' own time.
    #[serde(deserialize_with = "values::length")]
    pub window: SignedDuration,
    /// The share of the fleet that has to have reported meanwhile; fewer are no sample.
    #[serde(deserialize_with = "values::share")]
    pub heard_at_least: f64,
}

/// `[rules.fleet_silent]`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetSilent {
    #[serde(deserialize_with = "values::share")]
    opens_at: f64,
    #[serde(deserialize_with = "values::count")]
    at_least: u64,
    #[serde(deserialize_with = "values::share")]
    closes_below: f64,
    /// For how long a device has to be silent to be absent.
    #[serde(deserialize_with = "values::length")]
    pub absent_after: SignedDuration,
    /// For how long a silent device is still expected to come back.
    #[serde(deserialize_with = "values::length")]
    pub expected_for: SignedDuration,
}

/// `[rules.device_flapping]`: shares of all changes that could be.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceFlapping {
    /// Above this share it is flapping.
    #[serde(deserialize_with = "values::share")]
    pub opens_above: f64,
    /// Below this share it is not any more.
    #[serde(deserialize_with = "values::share")]
    pub closes_below: f64,
}

/// `[rules.pipeline_stalled]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineStalled {
    /// How long an event may wait.
    #[serde(deserialize_with = "values::length")]
    pub longest_wait: SignedDuration,
    /// How long nothing may be heard of any worker, or of any API.
    #[serde(deserialize_with = "values::length")]
    pub longest_absence: SignedDuration,
    /// For how long all has to be healthy until it is over.
    #[serde(deserialize_with = "values::length")]
    pub clears_after: SignedDuration,
}

impl Rules {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let fleet_sync_failing = part(table, "fleet_sync_failing");
        let fleet_silent = part(table, "fleet_silent");
        let device_flapping = part(table, "device_flapping");
        let pipeline_stalled = part(table, "pipeline_stalled");
        let rules = table.read().unwrap_or_default();
        Self { fleet_sync_failing, fleet_silent, device_flapping, pipeline_stalled, ..rules }
    }

    /// Returns how long after the recovery of the fleet the digest is due: two reports.
    pub fn digest_after(&self) -> SignedDuration {
        self.report_interval.saturating_mul(2)
    }
}

fn part<T: Default + serde::de::DeserializeOwned>(table: &mut Table<'_>, key: &str) -> T {
    let Some(mut part) = table.table(key) else { return T::default() };
    let read = part.read();
    table.add(part);
    read.unwrap_or_default()
}

/// Reads the names of labels that devices may have.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels = Texts::deserialize(deserializer)?.each();
    let is_new = |at: usize| !labels[..at].contains(&labels[at]);
    let are_fit = labels.iter().all(|label| check_name(label).is_ok()) && (0..labels.len()).all(is_new);
    let most = FleetWindows::MOST_LABELS;
    let what = || D::Error::custom(format!("must be up to {most} names of labels of devices, each once"));
    (are_fit && labels.len() <= most).then_some(labels).ok_or_else(what)
}

impl FleetSyncFailing {
    /// Returns when the failing ones are too many.
    pub fn limits(&self) -> Limits {
        Limits { opens_at: self.opens_at, at_least: self.at_least, closes_below: self.closes_below }
    }
}

impl FleetSilent {
    /// Returns when the absent ones are too many.
    pub fn limits(&self) -> Limits {
        Limits { opens_at: self.opens_at, at_least: self.at_least, closes_below: self.closes_below }
    }
}

impl Limits {
    /// Of a fleet: a twentieth and 50 devices are too many, less than a fortieth is well again.
    pub const FLEET: Self = Self { opens_at: 0.05, at_least: 50, closes_below: 0.025 };
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connectivity_floor_mbps: Cause::CONNECTIVITY_FLOOR,
            report_interval: SignedDuration::from_hours(1),
            fleet_by: Vec::new(),
            device_silent_after: SignedDuration::from_hours(24),
            fleet_sync_failing: FleetSyncFailing::default(),
            fleet_silent: FleetSilent::default(),
            device_flapping: DeviceFlapping::default(),
            pipeline_stalled: PipelineStalled::default(),
        }
    }
}

impl Default for FleetSyncFailing {
    fn default() -> Self {
        let Limits { opens_at, at_least, closes_below } = Limits::FLEET;
        Self { opens_at, at_least, closes_below, window: SignedDuration::from_mins(15), heard_at_least: 0.01 }
    }
}

impl Default for FleetSilent {
    fn default() -> Self {
        let Limits { opens_at, at_least, closes_below } = Limits::FLEET;
        let (absent_after, expected_for) = (SignedDuration::from_hours(3), SignedDuration::from_hours(7 * 24));
        Self { opens_at, at_least, closes_below, absent_after, expected_for }
    }
}

impl Default for DeviceFlapping {
    fn default() -> Self {
        Self { opens_above: 0.30, closes_below: 0.15 }
    }
}

impl Default for PipelineStalled {
    fn default() -> Self {
        let minutes = SignedDuration::from_mins;
        Self { longest_wait: minutes(5), longest_absence: minutes(2), clears_after: minutes(5) }
    }
}
