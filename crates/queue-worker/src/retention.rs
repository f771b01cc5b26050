//! Removing rows for their age: slowly, a few at a time, by one worker of many, in order of ids.
//!
//! What a counter needs to be made from its rows stays: the newest good sync of a device and all
//! after it. Where a device has failed for longer than rows are kept, its counter takes the old
//! part of the run along first. An hour is added up for the last time before its first row goes.

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

/// How many rows are looked at in one step.
const BATCH_SIZE: u32 = 1_000;

/// How long a worker that has died keeps the removal from the others.
const LEASE: Duration = Duration::from_mins(2);

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_mins(1);

/// How long after a removal the next one begins.
const INTERVAL: Duration = Duration::from_mins(10);

/// How often a worker asks whether it may begin; varied, so that workers do not ask together.
const ASK: Duration = Duration::from_mins(1);

/// The shortest and the longest rest after a step: as long as it took, so that the store is idle
/// half of the time at the least.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(5));

/// How far ahead a believed clock may be, generously: ids beyond are of clocks that are wrong.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Removes old rows.
#[derive(Debug, Clone)]
pub struct Retention {
    store: Store,
    seen: LastSeen,
    owner: String,
    kept: SignedDuration,
    /// How long after a removal the next one begins.
    pub every: Duration,
    metrics: Arc<Metrics>,
}

/// How a walk through the old rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// Nothing is due, or another worker is at it.
    NotNow,
    /// Its end was reached; so many rows were removed.
    Through(u64),
    /// It was to stop, or another worker has taken it over.
    Interrupted,
}

impl Retention {
    /// Removes, under the name `owner`, rows of syncs that are older than `days` days.
    pub fn new(queue: Queue, store: Store, owner: &str, days: u16, metrics: Arc<Metrics>) -> Self {
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        Self { store, seen: LastSeen::new(queue), owner: owner.to_owned(), kept, every: INTERVAL, metrics }
    }

    /// Removes what is due, again and again, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.walk(BATCH_SIZE, &stop).await {
                Ok(Walked::Through(rows)) => log::info!(rows = rows; "old rows removed"),
                Ok(Walked::NotNow | Walked::Interrupted) => {}
                Err(error) => log::warn!(error:% = error; "old rows were not removed, trying again later"),
            }
            tokio::select! {
                () = sleep(ASK.mul_f64(fastrand::f64().mul_add(0.5, 0.75))) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One walk through the rows that are old by their id, and those whose id is of a clock far
    /// ahead, `at_once` in a step; a walk that was interrupted goes on where it was.
    pub async fn walk(&self, at_once: u32, stop: &CancellationToken) -> anyhow::Result<Walked> {
        let Some(progress) = self.in_time(Self::claim).await? else { return Ok(Walked::NotNow) };
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
                    return Ok(Walked::Interrupted);
                }
                after = Some(last);
                sleep(began.elapsed().clamp(REST.0, REST.1)).await;
            }
        }
        self.in_time(|retention| async move { Ok(retention.store.retention().finish(&retention.owner).await?) })
            .await?;
        Ok(Walked::Through(removed))
    }

    async fn claim(self) -> anyhow::Result<Option<Progress>> {
        Ok(self.store.retention().claim(&self.owner, LEASE, self.every).await?)
    }

    /// Does something with the store to its end, and waits no longer than a step may take.
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
            // A row of no device is in no counter.
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

    /// Adds up an hour for the last time; one that no believed clock shows is nobody's.
    async fn close(&self, hour: Timestamp, now: Timestamp, closed: &mut HashSet<Timestamp>) -> anyhow::Result<()> {
        if hour < now - self.kept - BEHIND || hour > now || closed.contains(&hour) {
            return Ok(());
        }
        self.store.sync_hours().close(hour, self.seen.now().await?).await?;
        closed.insert(hour);
        Ok(())
    }

    /// Before which time the rows of each device may go; a device that is left out keeps all.
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
                // A good sync may have the very time of the first failed one, with a lower id.
                let last = self.store.sync_events().last_good(device, run.since).await?;
                limits.extend(last.map(|last| (device.clone(), last.min(before))));
                continue;
            }
            let rows = self.store.sync_events().since_last_success(device).await?;
            settled.extend(kept.counter.settle(rows, before).map(|counter| (counter, kept.revision)));
        }
        // The counters first: whose counter is not saved keeps its rows. One that the server refuses keeps
        // only its own, so where not all were saved, what is stored tells which were.
        let counters = self.store.failure_counters();
        let stored = match counters.save(&settled).await? {
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
