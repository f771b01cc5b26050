//! Where a story is played: a fleet that is heard of or reports, an alerter that looks, and what it
//! tells, each at a time since the story began.

use std::{collections::BTreeMap, ops::Range};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, SyncEvent},
    queue::LastSeen,
};
use serde_json::Value;

use super::{messages::counted, story::push};
use crate::{alerter_harness::AlerterHarness, env::TestEnv, requests::body};

/// How many last words are noted at once.
const AT_ONCE: usize = 10_000;

/// A story that is being played.
#[derive(Debug)]
pub struct Stage<'a> {
    env: &'a TestEnv,
    looker: AlerterHarness,
    start: Timestamp,
    /// What was told, each with when.
    pub told: Vec<(SignedDuration, Value)>,
}

impl<'a> Stage<'a> {
    /// A story that began so long ago.
    pub async fn new(env: &'a TestEnv, ago: SignedDuration) -> anyhow::Result<Self> {
        Ok(Self { env, looker: AlerterHarness::new(env).await?, start: Timestamp::now() - ago, told: Vec::new() })
    }

    /// The time of the story.
    pub fn at(&self, since: SignedDuration) -> Timestamp {
        self.start + since
    }

    /// Devices by their numbers are heard of, without a report.
    pub async fn heard(&self, devices: Range<u32>, since: SignedDuration) -> anyhow::Result<()> {
        let (seen, at, all) = (LastSeen::new(self.env.queue()), self.at(since), devices.collect::<Vec<_>>());
        for some in all.chunks(AT_ONCE) {
            let heard = some.iter().map(|device| Ok((DeviceId::parse(&name(*device))?, at)));
            seen.restore(&heard.collect::<anyhow::Result<Vec<_>>>()?).await?;
        }
        Ok(())
    }

    /// Devices by their numbers report, each whether it failed.
    pub async fn report(&self, reports: &[(u32, bool)], since: SignedDuration) -> anyhow::Result<()> {
        let at = self.at(since);
        let event = |(device, failed): &(u32, bool)| report_of(*device, at, *failed, at);
        push(&self.env.queue(), &reports.iter().map(event).collect::<anyhow::Result<Vec<_>>>()?).await?;
        self.env.drained().await;
        Ok(())
    }

    /// The alerter looks at everything, and sends what is due.
    pub async fn look(&mut self, since: SignedDuration) -> anyhow::Result<()> {
        self.looker.tick_at(self.at(since)).await?;
        self.looker.deliver().await?;
        let lines = self.env.alerts().into_iter().skip(self.told.len());
        self.told.extend(lines.map(|line| (since, line)));
        Ok(())
    }

    /// How many messages there were by what they are about and say, as in `FleetSilent firing`.
    pub fn messages(&self) -> BTreeMap<String, usize> {
        counted(self.told.iter().map(|(_, line)| line))
    }

    /// How many incidents of single devices there are, told or not.
    pub async fn incidents_of_devices(&self) -> anyhow::Result<u64> {
        Ok(self.env.store().await.alerts().count_of_devices().await?)
    }
}

/// The name of a device by its number.
pub(super) fn name(device: u32) -> String {
    format!("pibook-{device:07}")
}

/// A report of a device.
pub(super) fn report_of(device: u32, at: Timestamp, failed: bool, received_at: Timestamp) -> anyhow::Result<SyncEvent> {
    SyncEvent::from_json(body(&name(device), at, failed).to_string().as_bytes(), received_at).context("a report")
}
