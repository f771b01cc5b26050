//! The values that API and pages both compute: device counts, hours, and changes.
//!
//! In reading order: [`Fleet`] (all of it), `known` (one device), `device_filter` and `device_walk` (finding
//! some), `device_counts` (counting all), [`Hours`], `changes`, `liveness_cache` (liveness of other processes),
//! `hourly` (the hourly job), `refresh` (computes once for all callers).

mod changes;
mod device_counts;
mod device_filter;
mod device_walk;
pub(crate) mod hourly;
mod hours;
mod known;
mod liveness_cache;
mod refresh;

use jiff::SignedDuration;
use pisync_core::{presence::LastSeen, queue::Queue, store::Store};

use self::{changes::Changes, liveness_cache::LivenessCache, refresh::Latest};

pub use self::hours::Hours;
pub(crate) use self::{
    changes::Found,
    device_counts::DeviceCounts,
    device_filter::{DeviceFilter, Order, Sort},
    known::Known,
};

/// The fleet as this process sees it. Clones share the computed values.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Rows, counters and counts.
    store: Store,
    /// Last-seen times of the devices.
    pub(crate) last_seen: LastSeen,
    /// Liveness of the other processes.
    pub(crate) liveness: LivenessCache,
    /// The hours, added up.
    pub(crate) hours: Hours,
    /// Common properties of the failing devices.
    pub(crate) changes: Changes,
    /// A device without a report for this long is silent.
    pub(crate) silent_after: SignedDuration,
    counts: Latest<DeviceCounts>,
    failing_total: Latest<u64>,
}

impl Fleet {
    /// Returns the fleet of a queue and a store, with no value computed yet.
    pub(crate) fn new(queue: &Queue, store: Store, silent_after: SignedDuration) -> Self {
        Self {
            last_seen: LastSeen::new(queue.clone()),
            liveness: LivenessCache::new(queue.clone()),
            hours: Hours::new(queue.clone(), store.clone()),
            changes: Changes::new(store.clone()),
            silent_after,
            counts: Latest::default(),
            failing_total: Latest::default(),
            store,
        }
    }
}
