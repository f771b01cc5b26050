//! What API and pages compute in common: how many devices are how, the hours, and what changed.
//!
//! In reading order: [`Fleet`] (all of it), `known` (one device), `device_filter` and `device_walk` (finding some),
//! `device_counts` (counting all), [`Hours`], `changes`, `liveness` (who is alive beside this process), `hourly` (what
//! is done once an hour), `refresh` (what is computed once for all who ask).

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

/// The fleet as this process sees it. Clones share what was computed.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Where rows, counters and counts are.
    store: Store,
    /// When devices were last heard of.
    pub(crate) last_seen: LastSeen,
    /// Who is alive beside this process.
    pub(crate) liveness: LivenessCache,
    /// The hours, added up.
    pub(crate) hours: Hours,
    /// What those that fail have in common.
    pub(crate) changes: Changes,
    /// How long nothing is heard of a device until it is silent.
    pub(crate) silent_after: SignedDuration,
    counts: Latest<DeviceCounts>,
    failing_total: Latest<u64>,
}

impl Fleet {
    /// Returns the fleet that a queue and a store know, with nothing computed yet.
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
