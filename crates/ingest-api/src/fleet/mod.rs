//! What API and pages compute in common: how many devices are how, the hours, and what changed.

mod changes;
pub(crate) mod device_counts;
pub(crate) mod device_filter;
pub(crate) mod device_item;
pub(crate) mod device_walk;
pub(crate) mod hourly;
mod hours;
mod liveness;
pub(crate) mod refresh;

pub(crate) use self::changes::Found;
pub use self::{changes::Changes, device_counts::Census, hours::Hours, liveness::Liveness};
