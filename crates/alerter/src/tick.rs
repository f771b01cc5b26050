//! Looking: reads counters and open incidents, lets the rule decide, and writes the difference.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    models::{Alert, DeviceId, FailureCounter},
    store::{Opened, Store, StoreError},
};

use crate::{
    metrics::Metrics,
    rules::device_sync_failing::{Decision, decide},
};

/// The most devices in one question to the store.
const AT_ONCE: usize = 1_000;

/// Compares the state of the fleet with the open incidents.
///
/// Level-triggered: what a look finds depends on how things are, not on what it was told before,
/// so a look that was missed is made good by the next.
#[derive(Debug, Clone)]
pub struct Alerter {
    store: Store,
    threshold: i32,
    metrics: Metrics,
}

/// What a look has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Incidents opened.
    pub opened: usize,
    /// Incidents resolved.
    pub resolved: usize,
}

impl Alerter {
    /// An alerter that calls a device failing from `threshold` failed syncs in a row.
    pub fn new(store: Store, threshold: i32) -> Self {
        Self { store, threshold, metrics: Metrics::new() }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Looks at every device that is failing or has an open incident: what a tick costs is what
    /// is wrong, not what exists.
    pub async fn tick(&self) -> Result<Changed, StoreError> {
        let start = Instant::now();
        let open = self.store.alerts().find_open(None).await?;
        let failing: Vec<_> = self.store.failure_counters().failing(self.threshold).await?.try_collect().await?;
        let failing: HashMap<_, _> =
            failing.into_iter().map(|kept| (kept.counter.device_id.clone(), kept.counter)).collect();
        let recovered: Vec<_> = open
            .iter()
            .map(|alert| &alert.device_id)
            .filter(|device| !failing.contains_key(*device))
            .cloned()
            .collect();
        let mut counters = failing;
        counters.extend(self.counters(&recovered).await?);
        let changed = self.close_the_difference(&counters, open).await?;
        self.metrics.look_at(&self.store, self.threshold).await?;
        self.metrics.ticked(start.elapsed());
        Ok(changed)
    }

    /// Looks at these devices only.
    pub async fn look_at(&self, devices: &[DeviceId]) -> Result<Changed, StoreError> {
        if devices.is_empty() {
            return Ok(Changed::default());
        }
        let mut open = Vec::new();
        for some in devices.chunks(AT_ONCE) {
            open.extend(self.store.alerts().find_open(Some(some)).await?);
        }
        let counters = self.counters(devices).await?;
        self.close_the_difference(&counters, open).await
    }

    async fn counters(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, FailureCounter>, StoreError> {
        let mut counters = HashMap::new();
        for some in devices.chunks(AT_ONCE) {
            let found = self.store.failure_counters().find(some).await?;
            counters.extend(found.into_iter().map(|(device, kept)| (device, kept.counter)));
        }
        Ok(counters)
    }

    async fn close_the_difference(
        &self,
        counters: &HashMap<DeviceId, FailureCounter>,
        open: Vec<Alert>,
    ) -> Result<Changed, StoreError> {
        let open: HashMap<_, _> = open.into_iter().map(|alert| (alert.device_id.clone(), alert)).collect();
        let devices: HashSet<_> = counters.keys().chain(open.keys()).collect();
        let (now, mut changed) = (Timestamp::now(), Changed::default());
        for device in devices {
            match decide(counters.get(device), open.get(device), self.threshold, now) {
                Decision::Nothing => {}
                Decision::Open(alert) => {
                    let opened = self.store.alerts().open(&alert).await?;
                    changed.opened += usize::from(opened == Opened::Now);
                }
                Decision::Resolve { id, ends_at } => {
                    self.store.alerts().resolve(id, ends_at).await?;
                    changed.resolved += 1;
                }
            }
        }
        Ok(changed)
    }
}
