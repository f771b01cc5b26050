//! Scenarios with clocks five hours behind, as of devices that write local time with a Z. Back-fill looks alike and
//! must alert nobody.

use jiff::SignedDuration;
use serde_json::Value;

use super::{
    messages::{told, word},
    scenarios::hours,
    story::{Story, push, report_of},
    table,
};
use crate::test_env::TestEnv;

/// The lag of the clocks, in hours.
const BEHIND: i64 = 5;

/// The length of a scenario, in hours; failed syncs begin in the fourth.
const HOURS: i64 = 10;

/// The hour in which devices begin to fail.
const FAILING_SINCE: i64 = 4;

/// The number of failing devices in the scenario of single ones.
const FAILING: u32 = 5;

/// The number of hours for which devices kept their syncs.
const KEPT: i64 = 24;

/// The age of the newest kept failed sync, in hours: over two, so it arrives late.
const AWAY: i64 = 4;

/// The reports of one hour: which devices have a clock that is behind, and which fail.
struct Hour<'a> {
    is_behind: &'a dyn Fn(u32) -> bool,
    fails: &'a dyn Fn(u32, i64) -> bool,
}

impl Hour<'_> {
    /// Sends a report of each device within the hour, and ticks four times.
    async fn play(&self, env: &TestEnv, story: &mut Story<'_>, devices: u32, hour: i64) -> anyhow::Result<()> {
        for quarter in 0..4 {
            let since = hours(hour) + SignedDuration::from_mins(15 * quarter);
            let received_at = story.at(since);
            let report = |device: u32| {
                let lag = hours(if (self.is_behind)(device) { BEHIND } else { 0 });
                report_of(device, received_at - lag, (self.fails)(device, hour), received_at)
            };
            let some = (0..devices).filter(|device| i64::from(device % 4) == quarter);
            push(&env.queue(), &some.map(report).collect::<anyhow::Result<Vec<_>>>()?).await?;
            env.drained().await;
            story.tick(since + SignedDuration::from_mins(1)).await?;
        }
        Ok(())
    }
}

/// One device in ten has a clock that is behind. A few of these fail for four hours, then recover.
pub(super) async fn constant_lag(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(HOURS)).await?;
    let _worker = env.work().await;
    let last = FAILING_SINCE + 4;
    let (is_behind, fails) = (
        |device: u32| device.is_multiple_of(10),
        |device: u32, hour: i64| {
            device.is_multiple_of(10) && device < 10 * FAILING && (FAILING_SINCE..last).contains(&hour)
        },
    );
    let hour = Hour { is_behind: &is_behind, fails: &fails };
    for number in 0..HOURS {
        hour.play(env, &mut story, devices, number).await?;
    }
    let failing = usize::try_from(FAILING)?;
    let expected = told(&[("DeviceSyncFailing firing", failing), ("DeviceSyncFailing resolved", failing)]);
    let is_in_time = |(at, line): &(SignedDuration, Value)| {
        let hour = if word(line, "status") == "firing" { FAILING_SINCE + 2 } else { last };
        at.as_hours() == hour
    };
    let says_so = says_so(&story, "clock: 5 h 0 min behind ours");
    let is_right = story.messages() == expected && story.sent.iter().all(is_in_time) && says_so;
    let title = format!(
        "the clocks of {} of {devices} devices are {BEHIND} hours behind, and {FAILING} of these fail four times",
        devices.div_ceil(10)
    );
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// All clocks are behind, and a fifth of the devices fails for four hours.
pub(super) async fn whole_fleet(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(HOURS)).await?;
    let _worker = env.work().await;
    let fails = |device: u32, hour: i64| is_failing(device) && (FAILING_SINCE..FAILING_SINCE + 4).contains(&hour);
    let hour = Hour { is_behind: &|_| true, fails: &fails };
    for number in 0..HOURS {
        hour.play(env, &mut story, devices, number).await?;
    }
    let failing = (0..devices).filter(|device| is_failing(*device)).count() as u64;
    let expected = told(&[("FleetSyncFailing firing", 1), ("FleetSyncFailing resolved", 1)]);
    let first = story.sent.first().map(|(at, _)| at.as_hours());
    let is_right = story.messages() == expected
        && first == Some(FAILING_SINCE)
        && says_so(&story, "are off, so they count by receipt")
        && story.incidents_of_devices().await? == failing;
    let title = format!("the clocks of all {devices} devices are {BEHIND} hours behind, and {failing} fail");
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// Devices send the reports of a day in order, one report a minute each; the last one is good.
pub(super) async fn in_order(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(2)).await?;
    let _worker = env.work().await;
    let kept = send_kept(env, &mut story, devices, hours(1), hours(0)).await?;
    let is_right = story.sent.is_empty() && story.incidents_of_devices().await? == 0;
    table::timeline(&story, &format!("{kept} kept reports of {devices} devices arrive in order"), is_right);
    Ok(is_right)
}

/// Devices with a known clock lag are away for a day, and then send their kept reports in order.
pub(super) async fn backfill(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(KEPT + AWAY + 1)).await?;
    let _worker = env.work().await;
    let hour = Hour { is_behind: &|_| true, fails: &|_, _| false };
    for number in -4..0 {
        hour.play(env, &mut story, devices, number).await?;
    }
    let kept = send_kept(env, &mut story, devices, hours(KEPT + AWAY), hours(BEHIND)).await?;
    let is_right = story.sent.is_empty() && story.incidents_of_devices().await? == 0;
    let title = format!("{devices} devices with a clock {BEHIND} hours behind were away, and send {kept} kept reports");
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// Returns true for one in five of the devices of each quarter of an hour.
fn is_failing(device: u32) -> bool {
    (device / 4).is_multiple_of(5)
}

/// Sends kept failed syncs in order, those of one hour each minute, then a good one. Their times of receipt lie
/// apart. Returns the number of reports.
async fn send_kept(
    env: &TestEnv,
    story: &mut Story<'_>,
    devices: u32,
    since: SignedDuration,
    lag: SignedDuration,
) -> anyhow::Result<u64> {
    let sent_at = story.at(since);
    for (step, hour) in (0..).zip((AWAY..AWAY + KEPT).rev().chain([0])) {
        let received = since + SignedDuration::from_mins(step);
        let report = |device| report_of(device, sent_at - hours(hour) - lag, hour > 0, story.at(received));
        push(&env.queue(), &(0..devices).map(report).collect::<anyhow::Result<Vec<_>>>()?).await?;
        env.drained().await;
        story.tick(received + SignedDuration::from_secs(5)).await?;
    }
    Ok(u64::from(devices) * u64::try_from(KEPT + 1)?)
}

/// Returns true if each firing message contains these words.
fn says_so(story: &Story<'_>, words: &str) -> bool {
    let mut firing = story.sent.iter().filter(|(_, line)| word(line, "status") == "firing");
    firing.all(|(_, line)| word(line, "message").contains(words))
}
