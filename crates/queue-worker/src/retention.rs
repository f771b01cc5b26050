//! Removes rows for their age, slowly, in order of ids. One worker of many does it at a time.
//!
//! The rows that a counter is made from stay: the newest good sync of a device and all after it. If a device
//! has failed for longer than rows are kept, its counter first takes over the old part of the run. An hour is
//! summed a last time before its first row is removed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{BEHIND, DeviceId, EventId},
    presence::LastSeen,
    queue::Queue,
    store::{AgedRow, NewestRow, Progress, Saved, Store, StoreError, VersionedCounter, detached},
    time::hour_of,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// The number of rows in one step.
const BATCH_SIZE: u32 = 1_000;

/// The lease time of the removal; another worker may take it over after that.
const LEASE: Duration = Duration::from_mins(2);

/// The timeout of one step.
const STEP_TIMEOUT: Duration = Duration::from_mins(1);

/// The interval between two removals.
const INTERVAL: Duration = Duration::from_mins(10);

/// The interval at which a worker tries to begin, varied by a quarter so that workers do not try together.
const ASK: Duration = Duration::from_mins(1);

/// The shortest and the longest pause after a step. It is as long as the step took, so that the store is idle
/// at least half of the time.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(5));

/// A generous limit of how far ahead a believed clock may be. Ids beyond it are of wrong clocks.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// The removal of old rows.
#[derive(Debug, Clone)]
pub struct RowRemoval {
    store: Store,
    seen: LastSeen,
    owner: String,
    kept: SignedDuration,
    /// The interval between two removals.
    pub every: Duration,
    metrics: Arc<Metrics>,
}

/// The result of a walk through the old rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalWalk {
    /// Nothing is due, or another worker is removing rows.
    NotNow,
    /// The walk reached the end. Holds the number of removed rows.
    Through(u64),
    /// The walk was stopped, or another worker took it over.
    Interrupted,
}

impl RowRemoval {
    /// Returns a removal of rows older than `days` days, under the lease name `owner`.
    pub fn new(queue: Queue, store: Store, owner: &str, days: u16, metrics: Arc<Metrics>) -> Self {
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        Self { store, seen: LastSeen::new(queue), owner: owner.to_owned(), kept, every: INTERVAL, metrics }
    }

    /// Removes old rows, again and again, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.walk(BATCH_SIZE, &stop).await {
                Ok(RemovalWalk::Through(rows)) => log::info!(rows = rows; "old rows removed"),
                Ok(RemovalWalk::NotNow | RemovalWalk::Interrupted) => {}
                Err(error) => log::warn!(error:% = error; "old rows were not removed, retrying later"),
            }
            tokio::select! {
                () = sleep(ASK.mul_f64(fastrand::f64().mul_add(0.5, 0.75))) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Walks once through the rows with old ids, then those with ids far ahead, `at_once` rows in a step. A
    /// walk that was interrupted resumes at the last step.
    pub async fn walk(&self, at_once: u32, stop: &CancellationToken) -> anyhow::Result<RemovalWalk> {
        let Some(progress) = self.in_time(Self::claim).await? else { return Ok(RemovalWalk::NotNow) };
        let now = self.seen.now().await?;
        let old = (EventId::lowest(Timestamp::UNIX_EPOCH), Some(EventId::lowest(now - self.kept)));
        let (mut after, mut removed, mut closed) = (progress.after, 0, HashSet::new());
        for (from, to) in [old, (EventId::lowest(now + AHEAD), None)] {
            loop {
                let began = Instant::now();
                let behind = after.filter(|after| *after >= from);
                let known = std::mem::take(&mut closed);
                let looked_at = self.in_time(|retention| async move {
                    let events = retention.store.sync_events();
                    let rows = events.by_id(behind.unwrap_or(from), behind.is_some(), to, at_once).await?;
                    let Some(last) = rows.last().map(|row| row.id) else { return Ok((known, None)) };
                    let mut closed = known;
                    let removed = retention.step(&rows, now, &mut closed).await?;
                    let is_ours = retention.store.retention().note(&retention.owner, last, LEASE).await?;
                    Ok((closed, Some((removed, last, is_ours))))
                });
                let stepped;
                (closed, stepped) = looked_at.await?;
                let Some((gone, last, is_ours)) = stepped else { break };
                removed += gone;
                if !is_ours || stop.is_cancelled() {
                    return Ok(RemovalWalk::Interrupted);
                }
                after = Some(last);
                sleep(began.elapsed().clamp(REST.0, REST.1)).await;
            }
        }
        self.in_time(|retention| async move { Ok(retention.store.retention().finish(&retention.owner).await?) })
            .await?;
        Ok(RemovalWalk::Through(removed))
    }

    async fn claim(self) -> anyhow::Result<Option<Progress>> {
        Ok(self.store.retention().claim(&self.owner, LEASE, self.every).await?)
    }

    /// Runs work on the store to its end, but waits no longer than the step timeout.
    async fn in_time<T: Send + 'static, F>(&self, work: impl FnOnce(Self) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>> + Send + 'static,
    {
        detached(STEP_TIMEOUT, work(self.clone())).await?
    }

    async fn step(&self, rows: &[AgedRow], now: Timestamp, closed: &mut HashSet<Timestamp>) -> anyhow::Result<u64> {
        let before = now - self.kept;
        let aged: Vec<_> = rows.iter().filter(|row| row.timestamp.is_none_or(|at| at < before)).collect();
        let devices: BTreeSet<_> = aged.iter().filter_map(|row| row.device_id.as_ref()).collect();
        let limits = self.limits(&devices.into_iter().collect::<Vec<_>>(), before).await?;
        let may_go = |row: &&&AgedRow| {
            // A row without a device is in no counter.
            let Some(device_id) = &row.device_id else { return true };
            limits.get(device_id).is_some_and(|limit| row.timestamp.is_none_or(|at| at < *limit))
        };
        let going: Vec<_> = aged.iter().filter(may_go).map(|row| row.id).collect();
        for id in &going {
            self.close(hour_of(id.time()), now, closed).await?;
        }
        let removed = self.store.sync_events().remove(&going).await?;
        self.metrics.removed(removed);
        Ok(removed)
    }

    /// Sums an hour for the last time. Skips hours that no believed clock can show.
    async fn close(&self, hour: Timestamp, now: Timestamp, closed: &mut HashSet<Timestamp>) -> anyhow::Result<()> {
        if hour < now - self.kept - BEHIND || hour > now || closed.contains(&hour) {
            return Ok(());
        }
        self.store.sync_hours().close(hour, self.seen.now().await?).await?;
        closed.insert(hour);
        Ok(())
    }

    /// Returns for each device the time before which its rows may be removed. A device that is left out keeps
    /// all.
    async fn limits(
        &self,
        devices: &[&DeviceId],
        before: Timestamp,
    ) -> Result<HashMap<DeviceId, Timestamp>, StoreError> {
        let newest = self.store.sync_events().newest_of_each(devices).await?;
        let (failing, well): (Vec<_>, Vec<_>) = newest.into_iter().partition(|(_, row)| row.failed);
        let limit = |(device, row): (DeviceId, NewestRow)| (device, row.timestamp.min(before));
        let mut limits: HashMap<_, _> = well.into_iter().map(limit).collect();
        let failing: Vec<_> = failing.into_iter().map(|(device, _)| device).collect();
        let mut settled = Vec::new();
        for kept in self.store.failure_counters().find(&failing).await?.into_values() {
            // Its rows are ahead of its counter: next time.
            let Some(run) = kept.counter.run else { continue };
            let device = &kept.counter.device_id;
            if run.since >= before {
                // A good sync may have the same time as the first failed one, with a lower id.
                let last = self.store.sync_events().last_good(device, run.since).await?;
                limits.extend(last.map(|last| (device.clone(), last.min(before))));
                continue;
            }
            let rows = self.store.sync_events().since_last_success(device).await?;
            settled.extend(kept.counter.settle(rows, before).map(|counter| (counter, kept.revision)));
        }
        // Counters first: a device whose counter is not saved keeps its rows. A refusal affects only its own
        // counter, so if not all were saved, the stored counters show which were.
        let counters = self.store.failure_counters();
        let stored = match counters.save(&settled, &HashMap::new()).await? {
            Saved::All => None,
            Saved::Conflict | Saved::Refused => {
                let devices: Vec<_> = settled.iter().map(|(counter, _)| counter.device_id.clone()).collect();
                Some(counters.find(&devices).await?)
            }
        };
        for (counter, _) in settled {
            let is_stored = |stored: &HashMap<_, VersionedCounter>| {
                stored.get(&counter.device_id).is_some_and(|kept| kept.counter == counter)
            };
            if stored.as_ref().is_none_or(is_stored) {
                limits.insert(counter.device_id, before);
            }
        }
        Ok(limits)
    }
}
