//! A bad content release: a fifth of the fleet fails for three hours, then all but a few are well.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::SyncEvent;
use serde_json::{Value, json};

use super::{
    messages::{counted, told, word},
    story::push,
};
use crate::{alerter_harness::AlerterHarness, requests::body, test_env::TestEnv};

/// How many hours the story has: one is well, three fail, and three show what comes after.
const HOURS: i64 = 8;

/// The hours in which the failing devices fail.
const BAD: std::ops::Range<i64> = 1..4;

/// The version of the content that fails.
const RELEASED: &str = "42";

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRelease {
    /// Devices of the fleet, each of which reports once an hour.
    pub devices: u32,
    /// Over how long of the hour their reports are spread.
    pub spread: SignedDuration,
    /// How many of those that failed never recover.
    pub lasting: u32,
    /// How often the alerter looks while it begins.
    pub step: SignedDuration,
    /// How often it looks otherwise.
    pub pace: SignedDuration,
}

/// What people were told, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Notified {
    /// How long after the first failing report the first message left.
    pub after: Option<SignedDuration>,
    /// Messages by what they are about and say, as in `FleetSyncFailing firing`.
    pub messages: BTreeMap<String, usize>,
    /// The lines of the alert log.
    pub lines: Vec<Value>,
    /// When each was told, since the story began.
    pub times: Vec<SignedDuration>,
    /// Reports that were worked on.
    pub reports: u64,
    /// Incidents of single devices, none of which was told.
    pub held: u64,
    /// How long each look took.
    pub looks: Vec<Duration>,
}

impl ContentRelease {
    /// A fleet of this size that reports over the hour, or as a herd.
    pub fn of(devices: u32, is_herd: bool) -> Self {
        let spread = if is_herd { SignedDuration::from_mins(1) } else { SignedDuration::from_hours(1) };
        Self { devices, spread, lasting: 12, step: SignedDuration::from_mins(5), pace: SignedDuration::from_mins(15) }
    }

    /// How many fail.
    pub fn failing(&self) -> u32 {
        self.devices / 5
    }

    fn fails(&self, device: u32, hour: i64) -> bool {
        let (number, every) = (device / 5, self.failing() / self.lasting);
        let is_failing = device.is_multiple_of(5);
        let is_lasting = is_failing && number.is_multiple_of(every) && number / every < self.lasting;
        (is_failing && BAD.contains(&hour)) || (is_lasting && hour >= BAD.start)
    }

    /// The version of its content: all that fail have the one that was released, and a tenth of as
    /// many that do not.
    fn version(device: u32) -> &'static str {
        if device.is_multiple_of(5) || device % 50 == 1 { RELEASED } else { "41" }
    }

    /// When in the hour a device reports, in milliseconds.
    fn offset(&self, device: u32) -> i64 {
        i64::from(device) * i64::try_from(self.spread.as_millis()).unwrap_or(i64::MAX) / i64::from(self.devices)
    }

    /// The reports of a time since the start, in milliseconds.
    fn reports(&self, start: Timestamp, from: i64, to: i64) -> anyhow::Result<Vec<SyncEvent>> {
        let hour_ms = 3_600_000;
        let mut reports = Vec::new();
        for device in 0..self.devices {
            let hour = from.div_euclid(hour_ms);
            let at = hour * hour_ms + self.offset(device);
            if (from..to).contains(&at) {
                let time = start + SignedDuration::from_millis(at);
                let mut body = body(&format!("pibook-{device:06}"), time, self.fails(device, hour));
                body["labels"] = json!({ "contentVersion": Self::version(device) });
                reports.push(SyncEvent::from_json(body.to_string().as_bytes(), time).context("a report")?);
            }
        }
        Ok(reports)
    }
}

impl Notified {
    /// One message that it began, within ten minutes, which names the release; one that it is over;
    /// one digest; and of no single device any.
    pub fn is_right(&self, release: &ContentRelease) -> bool {
        let is_in_time = self.after.is_some_and(|after| after <= SignedDuration::from_mins(10));
        let expected = ["FleetDigest firing", "FleetSyncFailing firing", "FleetSyncFailing resolved"];
        let names = |line: &Value| word(line, "message").contains(&format!("contentVersion={RELEASED}: "));
        is_in_time
            && self.lines.first().is_some_and(names)
            && self.messages == told(&expected.map(|message| (message, 1)))
            && self.held == u64::from(release.failing())
    }
}

/// Tells the story of a bad content release.
pub async fn content_release(env: &TestEnv, release: &ContentRelease) -> anyhow::Result<Notified> {
    let (queue, alerts, alerter) = (env.queue(), env.store().await.alerts(), AlerterHarness::new(env).await?);
    let _worker = env.worker("worker.log", &[]).await;

    let hours = |hours| SignedDuration::from_hours(hours);
    let start = Timestamp::now() - hours(HOURS);
    let begins = hours(BAD.start)..hours(BAD.start) + SignedDuration::from_mins(30);
    let (mut since, mut after, mut reports, mut looks, mut times) =
        (SignedDuration::ZERO, None, 0, Vec::new(), Vec::new());
    while since < hours(HOURS) {
        let next = since + if begins.contains(&since) { release.step } else { release.pace };
        let events = release.reports(start, i64::try_from(since.as_millis())?, i64::try_from(next.as_millis())?)?;
        since = next;
        reports += events.len() as u64;
        push(&queue, &events).await?;
        env.drained().await;
        let now = start + since;
        let begun = Instant::now();
        alerter.tick_at(now).await?;
        looks.push(begun.elapsed());
        alerter.deliver().await?;
        times.resize(env.alerts().len(), since);
        if after.is_none() && !times.is_empty() {
            after = Some(since - hours(BAD.start));
        }
    }
    let lines = env.alerts();
    Ok(Notified {
        after,
        messages: counted(&lines),
        lines,
        times,
        reports,
        held: alerts.count_of_devices().await?,
        looks,
    })
}
