//! What the state of the fleet means: pure functions from what is seen to what to do.

pub mod device_sync_failing;
