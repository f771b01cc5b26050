//! What the state of the fleet means: pure functions from what is seen to what to do.

pub mod device_flapping;
pub mod device_silent;
pub mod device_sync_failing;
pub mod fleet_silent;
pub mod fleet_sync_failing;
pub mod holding;
pub mod pipeline_stalled;
pub mod verdict;
