//! Scenario: a bad content release. A fifth of the fleet fails for three hours, then all but a few recover.

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

/// The length of the scenario, in hours: one is healthy, three fail, the rest is after the end.
const HOURS: i64 = 8;

/// The hours in which the failing devices fail.
const BAD: std::ops::Range<i64> = 1..4;

/// The version of the bad content.
const RELEASED: &str = "42";

/// The parameters of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRelease {
    /// The number of devices, each of which reports once an hour.
    pub devices: u32,
    /// The part of the hour over which the reports are spread.
    pub spread: SignedDuration,
    /// The number of failing devices that never recover.
    pub lasting: u32,
    /// The interval between ticks at the beginning of the failures.
    pub step: SignedDuration,
    /// The interval between ticks otherwise.
    pub pace: SignedDuration,
}

/// The messages that were sent, and the cost of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Notified {
    /// Time from the first failed report to the first message; `None` if no message was sent.
    pub after: Option<SignedDuration>,
    /// The number of messages by alert name and status, such as `FleetSyncFailing firing`.
    pub messages: BTreeMap<String, usize>,
    /// The lines of the alert log.
    pub lines: Vec<Value>,
    /// The time of each message, since the start of the scenario.
    pub times: Vec<SignedDuration>,
    /// The number of reports that workers processed.
    pub reports: u64,
    /// The number of incidents of single devices, none of which was sent.
    pub held: u64,
    /// The duration of each tick.
    pub ticks: Vec<Duration>,
}

impl ContentRelease {
    /// Returns a scenario with this number of devices, which report over the hour or all in one minute.
    pub fn of(devices: u32, is_herd: bool) -> Self {
        let spread = if is_herd { SignedDuration::from_mins(1) } else { SignedDuration::from_hours(1) };
        Self { devices, spread, lasting: 12, step: SignedDuration::from_mins(5), pace: SignedDuration::from_mins(15) }
    }

    /// Returns the number of failing devices.
    pub fn failing(&self) -> u32 {
        self.devices / 5
    }

    fn fails(&self, device: u32, hour: i64) -> bool {
        let (number, every) = (device / 5, self.failing() / self.lasting);
        let is_failing = device.is_multiple_of(5);
        let is_lasting = is_failing && number.is_multiple_of(every) && number / every < self.lasting;
        (is_failing && BAD.contains(&hour)) || (is_lasting && hour >= BAD.start)
    }

    /// Returns the content version of a device. All failing devices have the bad release, and a tenth as many healthy
    /// ones.
    fn version(device: u32) -> &'static str {
        if device.is_multiple_of(5) || device % 50 == 1 { RELEASED } else { "41" }
    }

    /// Returns the offset of a device's report within the hour, in milliseconds.
    fn offset(&self, device: u32) -> i64 {
        i64::from(device) * i64::try_from(self.spread.as_millis()).unwrap_or(i64::MAX) / i64::from(self.devices)
    }

    /// Returns the reports of a period; `from` and `to` are milliseconds since `start`.
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
    /// Returns true if the messages are: one firing within ten minutes that names the release, one resolved, one
    /// digest, and none of a single device.
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

/// Plays the scenario of a bad content release.
pub async fn content_release(env: &TestEnv, release: &ContentRelease) -> anyhow::Result<Notified> {
    let (queue, alerts, alerter) = (env.queue(), env.store().await.alerts(), AlerterHarness::new(env).await?);
    let _worker = env.work().await;

    let hours = |hours| SignedDuration::from_hours(hours);
    let start = Timestamp::now() - hours(HOURS);
    let begins = hours(BAD.start)..hours(BAD.start) + SignedDuration::from_mins(30);
    let (mut since, mut after, mut reports, mut ticks, mut times) =
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
        ticks.push(begun.elapsed());
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
        ticks,
    })
}
