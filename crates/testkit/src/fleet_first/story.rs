//! A scenario while it is played: devices that are heard of or report, an alerter that ticks, and its messages, all
//! at times since the start.

use std::{collections::BTreeMap, ops::Range};

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, SyncEvent},
    presence::LastSeen,
    queue::{Partition, Pushed, Queue, encode},
};
use serde_json::Value;

use super::messages::counted;
use crate::{alerter_harness::AlerterHarness, requests::body, test_env::TestEnv};

/// The number of last-seen times in one write.
const BATCH_SIZE: usize = 10_000;

/// The number of envelopes in one push.
const PUSH_SIZE: usize = 2_000;

/// A scenario that is being played.
#[derive(Debug)]
pub struct Story<'a> {
    env: &'a TestEnv,
    alerter: AlerterHarness,
    start: Timestamp,
    /// The messages so far, each with its time since the start.
    pub sent: Vec<(SignedDuration, Value)>,
}

impl<'a> Story<'a> {
    /// Starts a scenario so long before now.
    pub async fn new(env: &'a TestEnv, ago: SignedDuration) -> anyhow::Result<Self> {
        Self::with(env, Timestamp::now() - ago, "").await
    }

    /// Starts a scenario at this time, with this config of the alerter, in TOML.
    pub async fn with(env: &'a TestEnv, start: Timestamp, config: &str) -> anyhow::Result<Self> {
        Ok(Self { env, alerter: AlerterHarness::with(env, config).await?, start, sent: Vec::new() })
    }

    /// Returns the time from the start of the scenario until `at`.
    pub fn since(&self, at: Timestamp) -> SignedDuration {
        at.duration_since(self.start)
    }

    /// Returns the time `since` the start of the scenario.
    pub fn at(&self, since: SignedDuration) -> Timestamp {
        self.start + since
    }

    /// Sets the last-seen time of devices, by number, without a report.
    pub async fn heard(&self, devices: Range<u32>, since: SignedDuration) -> anyhow::Result<()> {
        self.heard_some(devices, since).await
    }

    /// Sets the last-seen time of these devices, by number, without a report.
    pub async fn heard_some(&self, devices: impl Iterator<Item = u32>, since: SignedDuration) -> anyhow::Result<()> {
        let (seen, at, all) = (LastSeen::new(self.env.queue()), self.at(since), devices.collect::<Vec<_>>());
        for some in all.chunks(BATCH_SIZE) {
            let heard = some.iter().map(|device| Ok((DeviceId::parse(&name(*device))?, at)));
            seen.restore(&heard.collect::<anyhow::Result<Vec<_>>>()?).await?;
        }
        Ok(())
    }

    /// Sends reports of devices: each is a device number, and true if the sync failed. Waits until they are stored.
    pub async fn report(&self, reports: &[(u32, bool)], since: SignedDuration) -> anyhow::Result<()> {
        let at = self.at(since);
        let event = |(device, failed): &(u32, bool)| report_of(*device, at, *failed, at);
        push(&self.env.queue(), &reports.iter().map(event).collect::<anyhow::Result<Vec<_>>>()?).await?;
        self.env.drained().await;
        Ok(())
    }

    /// Ticks the alerter at this time and sends all due messages.
    pub async fn tick(&mut self, since: SignedDuration) -> anyhow::Result<()> {
        self.alerter.tick_at(self.at(since)).await?;
        self.alerter.deliver().await?;
        let lines = self.env.alerts().into_iter().skip(self.sent.len());
        self.sent.extend(lines.map(|line| (since, line)));
        Ok(())
    }

    /// Returns the number of messages by alert name and status, such as `FleetSilent firing`.
    pub fn messages(&self) -> BTreeMap<String, usize> {
        counted(self.sent.iter().map(|(_, line)| line))
    }

    /// Returns the number of incidents of single devices, with a message or without.
    pub async fn incidents_of_devices(&self) -> anyhow::Result<u64> {
        Ok(self.env.store().await.alerts().count_of_devices().await?)
    }
}

/// Returns the name of a device by its number.
pub(super) fn name(device: u32) -> String {
    format!("pibook-{device:07}")
}

/// Returns a report of a device.
pub(super) fn report_of(device: u32, at: Timestamp, failed: bool, received_at: Timestamp) -> anyhow::Result<SyncEvent> {
    SyncEvent::from_json(body(&name(device), at, failed).to_string().as_bytes(), received_at).context("a report")
}

/// Pushes events to the queue. Fails if it is full.
pub async fn push(queue: &Queue, events: &[SyncEvent]) -> anyhow::Result<()> {
    let mut by_partition = BTreeMap::<Partition, Vec<_>>::new();
    for event in events {
        by_partition.entry(queue.partition_of(&event.device_id)).or_default().push(encode(event));
    }
    for (partition, envelopes) in by_partition {
        for some in envelopes.chunks(PUSH_SIZE) {
            let Pushed { accepted, .. } = queue.push(partition, some, 1_000_000).await?;
            ensure!(accepted == some.len(), "the queue is full");
        }
    }
    Ok(())
}
