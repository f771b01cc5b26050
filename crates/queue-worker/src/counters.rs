//! Updates the failure counters of a batch's devices to match their rows.
//!
//! Every step is idempotent, also across workers: if an event was counted before, its counter is made from the
//! rows.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use pisync_core::{
    models::{DeviceId, FailureCounter, Fold, Observation, recount},
    store::{Revision, Saved, Store, StoreError, VersionedCounter},
};

use crate::{
    batch::{ByDevice, WrittenEvent},
    batch_summary::{judge_clocks, note_changes, receipts},
    labels,
    repeats::{Repeats, count_repeats},
};

/// The number of devices that are recounted at the same time.
const RECOUNTS: usize = 16;

/// The maximum number of attempts after conflicts. Workers conflict a few times at most; beyond, an unwritable
/// document is in the way.
const ROUNDS: u32 = 200;

/// The result of counting a batch.
#[derive(Debug, Default)]
pub struct Counted {
    /// The devices whose count crossed the threshold, up or down.
    pub crossed: HashSet<DeviceId>,
    /// The number of counters made from their rows, because an event was late or a duplicate.
    pub recounts: usize,
    /// The number of new events older than another of their device.
    pub late: usize,
}

/// Updates the counters of all devices in the batch to match their rows.
///
/// Reads, folds, then compares and sets. After a conflict with another worker it starts over: events counted
/// meanwhile are late in the next round, and that counter is made from the rows.
pub async fn keep_counters(
    store: &Store,
    rested: &[WrittenEvent],
    repeats: &Repeats,
    threshold: i32,
) -> Result<Counted, StoreError> {
    let (by_device, receipts) = (in_order(rested), receipts(rested));
    let devices: Vec<_> = by_device.keys().cloned().collect();
    let mut counted = Counted::default();
    for round in 0..ROUNDS {
        let kept = store.failure_counters().find(&devices).await?;
        if round == 0 {
            counted.late = late(rested, &kept);
        }
        let (mut changes, recounts) = changes(store, &by_device, &kept).await?;
        counted.recounts += recounts;
        judge_clocks(&mut changes, &receipts, &kept);
        count_repeats(&mut changes, repeats, &kept);
        note_changes(&mut changes, &by_device, &receipts, &kept);
        labels::set(&mut changes, labels::changed(store, rested, &kept).await?, &kept);
        for (counter, _) in &changes {
            let before = kept.get(&counter.device_id).map_or(0, |kept| kept.counter.failure_count());
            if (before >= threshold) != (counter.failure_count() >= threshold) {
                counted.crossed.insert(counter.device_id.clone());
            }
        }
        match store.failure_counters().save(&changes, &kept).await? {
            // Refused counters are in the log; the others are saved.
            Saved::All | Saved::Refused => return Ok(counted),
            Saved::Conflict => after_a_moment().await,
        }
    }
    // The rows are stored, and the rest of the partition must not wait for these counters.
    log::error!(
        devices = devices.len(), first = devices.first().map_or("", DeviceId::as_str);
        "the counters of a batch cannot be saved, though no other worker changes them: run `queue-worker counters rebuild`"
    );
    Ok(counted)
}

/// Returns the number of new events that are older than the last counted event of their device, or than one
/// before them in the batch.
///
/// The counter of a healthy device does not follow its good syncs. So an event that is late only against those
/// is not counted.
fn late(rested: &[WrittenEvent], kept: &HashMap<DeviceId, VersionedCounter>) -> usize {
    let (mut newest, mut late) = (HashMap::new(), 0);
    for event in rested {
        let counted = || kept.get(&event.device_id).and_then(|kept| kept.counter.watermark);
        let newest = newest.entry(&event.device_id).or_insert_with(counted);
        let at = Some(event.observation.timestamp);
        late += usize::from(event.is_new && at < *newest);
        *newest = at.max(*newest);
    }
    late
}

/// Returns each device's events by time, ties by id.
fn in_order(rested: &[WrittenEvent]) -> ByDevice {
    let mut by_device = ByDevice::new();
    for event in rested {
        by_device.entry(event.device_id.clone()).or_default().push((event.observation, event.is_new));
    }
    for events in by_device.values_mut() {
        events.sort_by_key(|(event, _)| (event.timestamp, event.id));
    }
    by_device
}

/// Returns the counters that have to change, each with the revision it is based on, and the number of devices
/// with a late or duplicate event.
async fn changes(
    store: &Store,
    by_device: &ByDevice,
    kept: &HashMap<DeviceId, VersionedCounter>,
) -> Result<(Vec<(FailureCounter, Revision)>, usize), StoreError> {
    let (mut changes, mut beginnings) = (Vec::new(), Vec::new());
    let (mut recounts, mut newcomers) = (Vec::new(), Vec::new());
    for (device_id, events) in by_device {
        let kept = kept.get(device_id).cloned().unwrap_or_else(|| VersionedCounter::none(device_id.clone()));
        if !kept.is_readable() {
            // It stays as it is until an operator rebuilds it from the rows, which are stored.
            continue;
        }
        match kept.counter.fold(events) {
            Fold::Unchanged => {}
            Fold::Counted(counter) => changes.push((counter, kept.revision)),
            Fold::CountedUnlessGood { counter, since } => beginnings.push((kept, counter, since)),
            Fold::NeedsRows if kept.counter.watermark.is_none() => newcomers.push((kept, events)),
            Fold::NeedsRows => recounts.push(kept),
        }
    }
    let late = recounts.len();
    let asked: Vec<_> = beginnings.iter().map(|(kept, _, since)| (&kept.counter.device_id, *since)).collect();
    let good = store.sync_events().good_since(&asked).await?;
    for (kept, counter, _) in beginnings {
        if good.contains(counter.device_id.as_str()) {
            recounts.push(kept);
        } else {
            changes.push((counter, kept.revision));
        }
    }
    if have_no_other_rows(store, &newcomers).await? {
        changes.extend(newcomers.into_iter().map(|(kept, events)| {
            let rows = events.iter().map(|(event, _)| *event).collect();
            (recount(kept.counter.device_id, rows), kept.revision)
        }));
    } else {
        recounts.extend(newcomers.into_iter().map(|(kept, _)| kept));
    }
    changes.extend(recounted(store, recounts).await?);
    Ok((changes, late))
}

/// Returns whether this batch holds all rows of these devices, so that it is enough to count.
///
/// One query for all devices saves a query for each device of a fleet that is new.
async fn have_no_other_rows(
    store: &Store,
    newcomers: &[(VersionedCounter, &Vec<(Observation, bool)>)],
) -> Result<bool, StoreError> {
    let events = || newcomers.iter().flat_map(|(_, events)| events.iter());
    if newcomers.is_empty() || events().any(|(_, is_new)| !is_new) {
        return Ok(false);
    }
    let devices: Vec<_> = newcomers.iter().map(|(kept, _)| kept.counter.device_id.as_str()).collect();
    Ok(store.sync_events().count_of(&devices).await? == events().count() as u64)
}

/// Makes the counters of these devices from their rows again. Returns the number of counters that changed.
///
/// Call [`FailureCounters::remove_unreadable`] first: unreadable counters are skipped.
///
/// Safe while workers run: after a conflict it reads and counts again. A worker does not save a good sync of a
/// device whose counter is healthy. So each saved counter is checked again until it is stable.
///
/// [`FailureCounters::remove_unreadable`]: pisync_core::store::FailureCounters::remove_unreadable
pub async fn recount_devices(store: &Store, devices: &[DeviceId]) -> Result<usize, StoreError> {
    let mut mended = HashSet::new();
    loop {
        let mut kept = store.failure_counters().find(devices).await?;
        for device in devices {
            kept.entry(device.clone()).or_insert_with(|| VersionedCounter::none(device.clone()));
        }
        let stands = |device: &DeviceId| {
            let kept = kept.get(device).filter(|kept| kept.counter.watermark.is_some())?;
            Some(kept.counter.run)
        };
        let mut changes = recounted(store, kept.values().cloned().collect()).await?;
        changes.retain(|(counter, _)| stands(&counter.device_id) != Some(counter.run));
        labels::set(&mut changes, labels::current(store, &devices.iter().collect::<Vec<_>>()).await?, &kept);
        if changes.is_empty() {
            return Ok(mended.len());
        }
        mended.extend(changes.iter().map(|(counter, _)| counter.device_id.clone()));
        match store.failure_counters().save(&changes, &kept).await? {
            Saved::All => {}
            Saved::Conflict => after_a_moment().await,
            // Another round would find the same difference for ever; it is in the log.
            Saved::Refused => return Ok(mended.len()),
        }
    }
}

/// Returns the time of receipt of each device's newest report, from its rows. A device without rows is left
/// out.
pub async fn last_receipts(store: &Store, devices: &[DeviceId]) -> Result<Vec<(DeviceId, Timestamp)>, StoreError> {
    let receipts = stream::iter(devices.to_vec())
        .map(async |device: DeviceId| {
            let received_at = store.sync_events().last_receipt(&device).await?;
            Ok::<_, StoreError>(received_at.map(|received_at| (device, received_at)))
        })
        .buffer_unordered(RECOUNTS);
    Ok(receipts.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

/// Returns the counters, made from the rows, that differ from the stored ones.
async fn recounted(store: &Store, kept: Vec<VersionedCounter>) -> Result<Vec<(FailureCounter, Revision)>, StoreError> {
    let recounted: Vec<_> = stream::iter(kept)
        .map(async |kept| {
            let rows = store.sync_events().since_last_success(&kept.counter.device_id).await?;
            let counter = kept.counter.recount(rows);
            Ok::<_, StoreError>((counter != kept.counter).then_some((counter, kept.revision)))
        })
        .buffer_unordered(RECOUNTS)
        .try_collect()
        .await?;
    Ok(recounted.into_iter().flatten().collect())
}

/// Waits up to 20 ms at random, so that two workers do not conflict for ever.
async fn after_a_moment() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..20))).await;
}
