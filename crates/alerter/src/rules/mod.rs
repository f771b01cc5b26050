//! What the state of the fleet means: pure functions from what is seen to what to do.

pub mod device_flapping;
pub mod device_silent;
pub mod device_sync_failing;
pub mod fleet_silent;
pub mod fleet_sync_failing;
pub mod holding;
pub mod pipeline_stalled;
pub mod verdict;

use jiff::SignedDuration;
use pisync_core::models::Cause;

/// What can be set of the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Below this speed at the failed sync, in Mbps, the connection is taken for the cause.
    pub connectivity_floor_mbps: f64,
    /// How often a device reports.
    pub report_interval: SignedDuration,
    /// The labels by whose values the fleet is looked at in parts, too.
    pub fleet_by: Vec<String>,
    /// When too many of the fleet fail, or of a part of it.
    pub fleet_sync_failing: fleet_sync_failing::Settings,
    /// When too many of the fleet are absent.
    pub fleet_silent: fleet_silent::Settings,
    /// For how long nothing may be received from a device.
    pub device_silent_after: SignedDuration,
    /// When a device fails and recovers too often.
    pub device_flapping: device_flapping::Settings,
    /// When the pipeline stalls.
    pub pipeline_stalled: pipeline_stalled::Settings,
}

impl Rules {
    /// How long after the fleet was well again those are named who are not: two reports.
    pub fn digest_after(&self) -> SignedDuration {
        self.report_interval.saturating_mul(2)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connectivity_floor_mbps: Cause::CONNECTIVITY_FLOOR,
            report_interval: SignedDuration::from_hours(1),
            fleet_by: Vec::new(),
            fleet_sync_failing: fleet_sync_failing::Settings::default(),
            fleet_silent: fleet_silent::Settings::default(),
            device_silent_after: SignedDuration::from_hours(24),
            device_flapping: device_flapping::Settings::default(),
            pipeline_stalled: pipeline_stalled::Settings::default(),
        }
    }
}
