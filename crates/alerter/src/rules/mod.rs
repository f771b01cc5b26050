//! The rules, a file for each: what it reads, and when its alert opens and closes.

pub(crate) mod device_flapping;
pub(crate) mod device_silent;
pub(crate) mod device_sync_failing;
pub(crate) mod fleet_digest;
pub(crate) mod fleet_silent;
pub(crate) mod fleet_sync_failing;
pub(crate) mod pipeline_stalled;
