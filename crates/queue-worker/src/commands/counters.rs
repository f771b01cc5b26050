//! `counters rebuild`.

use std::time::Duration;

use clap::Subcommand;
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, InvalidDeviceId},
    presence::LastSeen,
    queue::Queue,
    store::{Store, StoreError, detached},
    time::hour_of,
};
use serde_json::json;

use super::{Output, say, say_json};
use crate::counters;

/// The timeout of one step.
const TIMEOUT: Duration = Duration::from_mins(5);

/// The number of devices in one step.
const BATCH_SIZE: usize = 500;

/// The number of past hours for which Redis lists the hours with new rows.
const KEPT_HOURS: i64 = 24 * 8;

/// Commands for the failure counters.
#[derive(Debug, Clone, Subcommand)]
pub enum CountersCommand {
    /// Recount each device from its rows and repair counters that differ, while workers run
    Rebuild {
        /// Only this device
        #[arg(long, value_parser = device_id)]
        device: Option<DeviceId>,
        /// The output format.
        #[command(flatten)]
        output: Output,
    },
}

impl CountersCommand {
    pub(super) async fn run(self, queue: &Queue, store: &Store) -> anyhow::Result<()> {
        match self {
            Self::Rebuild { device, output } => rebuild(device, output, queue, store).await,
        }
    }
}

async fn rebuild(device: Option<DeviceId>, output: Output, queue: &Queue, store: &Store) -> anyhow::Result<()> {
    let (mut counted, mut mended) = (0, 0);
    let seen = LastSeen::new(queue.clone());
    let counters = store.failure_counters();
    let removed;
    if let Some(device) = device {
        removed = counters.remove_unreadable(Some(std::slice::from_ref(&device))).await?;
        counted = 1;
        mended = rebuild_some(&[device], &seen, store).await?;
    } else {
        removed = counters.remove_unreadable(None).await?;
        let devices = store.sync_events().devices().await?;
        let mut groups = devices.try_chunks(BATCH_SIZE);
        while let Some(some) = groups.try_next().await.map_err(|error| error.1)? {
            let some: Vec<DeviceId> = some;
            counted += some.len();
            mended += rebuild_some(&some, &seen, store).await?;
        }
        touch_hours(queue, &seen).await?;
    }
    if output.json {
        say_json(&json!({ "counted": counted, "mended": mended, "unreadableRemoved": removed }));
    } else {
        say(format_args!("{counted} devices counted, {mended} counters repaired"));
        if removed > 0 {
            say(format_args!("{removed} unreadable documents were removed and counted again"));
        }
    }
    Ok(())
}

/// Recounts some devices and restores last-seen times that Redis lost. Returns the number of repaired counters.
async fn rebuild_some(devices: &[DeviceId], seen: &LastSeen, store: &Store) -> anyhow::Result<usize> {
    let (devices, store) = (devices.to_vec(), store.clone());
    let counted = async move {
        let mended = counters::recount_devices(&store, &devices).await?;
        Ok::<_, StoreError>((mended, counters::last_receipts(&store, &devices).await?))
    };
    let (mended, receipts) = detached(TIMEOUT, counted).await??;
    seen.restore(&receipts).await?;
    Ok(mended)
}

/// Marks recent hours as changed, so that their sums are computed again: the marks may have been lost, too.
async fn touch_hours(queue: &Queue, seen: &LastSeen) -> anyhow::Result<()> {
    let running = hour_of(Timestamp::now());
    let hours: Vec<_> = (0..KEPT_HOURS).map(|back| running - SignedDuration::from_hours(back)).collect();
    if let Some(partition) = queue.partitions().next() {
        seen.note(partition, &[], &hours, u64::MAX).await?;
    }
    Ok(())
}

fn device_id(text: &str) -> Result<DeviceId, InvalidDeviceId> {
    DeviceId::parse(text)
}
