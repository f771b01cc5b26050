//! What API and pages compute in common: how many devices are how, the hours, and what changed.

mod changes;
pub(crate) mod device_counts;
mod device_filter;
pub(crate) mod device_walk;
pub(crate) mod hourly;
mod hours;
mod known;
mod liveness;
pub(crate) mod refresh;

pub use self::{changes::Changes, device_counts::Census, hours::Hours, liveness::Liveness};
pub(crate) use self::{
    changes::Found,
    device_filter::{DeviceFilter, Order, Sort},
    known::Known,
};
