//! What can be set of the rules.

use pisync_core::models::Cause;

use super::{field, section::Section};

/// When something is wrong, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Below this speed at the failed sync, in Mbps, the connection is taken for the cause.
    pub connectivity_floor_mbps: f64,
}

impl Rules {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let floor = section.take("connectivity_floor_mbps", field::number);
        Self { connectivity_floor_mbps: floor.unwrap_or(Cause::CONNECTIVITY_FLOOR) }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { connectivity_floor_mbps: Cause::CONNECTIVITY_FLOOR }
    }
}
