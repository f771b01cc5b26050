//! Scenarios of silent devices, back-fill and flapping; [`super::content_release`] is a larger one.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    messages::told,
    story::{Story, push, report_of},
    table,
};
use crate::test_env::TestEnv;

/// The number of events of a backlog that are built at once.
const BATCH_SIZE: usize = 50_000;

/// The ages of kept failed syncs, in hours: older than two, so they arrive late.
const KEPT: std::ops::Range<i64> = 4..76;

/// The pause between two ticks while workers drain a backlog on the same processors.
const BETWEEN: Duration = Duration::from_secs(2);

pub(super) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

pub(super) fn just_after(hour: i64) -> SignedDuration {
    hours(hour) + SignedDuration::from_mins(1)
}

/// A twentieth of the fleet is silent for 30 hours, and then comes back.
pub(super) async fn isp_outage(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let (mut story, group) = (Story::new(env, hours(40)).await?, devices / 20);
    story.heard(0..devices, hours(0)).await?;
    for hour in 1..=33 {
        story.heard(if hour <= 30 { group..devices } else { 0..devices }, hours(hour)).await?;
        story.tick(just_after(hour)).await?;
    }
    let incidents = story.incidents_of_devices().await?;
    let is_right = story.messages() == told(&[("FleetSilent firing", 1), ("FleetSilent resolved", 1)])
        && incidents == u64::from(group);
    table::timeline(&story, &format!("{group} of {devices} devices are silent for 30 hours"), is_right);
    Ok(is_right)
}

/// `PiSync` itself is down for six hours.
pub(super) async fn own_outage(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(40)).await?;
    // One device was silent for 20 hours before, so its silence would reach a day.
    story.heard(0..1, hours(-20)).await?;
    story.heard(1..devices, hours(0)).await?;
    let millis = |hour| story.at(hours(hour)).as_millisecond().to_string();
    let (from, to) = (format!("gap:{}", millis(0)), millis(6));
    for minute in 0..3 {
        let now = hours(6) + SignedDuration::from_mins(minute);
        // The API writes its heartbeat every few seconds.
        let heard = story.at(now).as_millisecond().to_string();
        env.redis(&["HSET", "{}:heartbeat", "ingest", &heard, &from, &to]).await;
        story.tick(now).await?;
    }
    let is_right = story.sent.is_empty() && story.incidents_of_devices().await? == 0;
    table::timeline(
        &story,
        &format!("no report of {devices} devices arrives for six hours, as the API is down"),
        is_right,
    );
    Ok(is_right)
}

/// Devices send the reports of three days in a random order, while an alerter ticks.
pub(super) async fn backfill(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(0)).await?;
    let mut all: Vec<_> = (0..devices).flat_map(|device| KEPT.chain([0]).map(move |hour| (device, hour))).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut all);
    let now = story.at(hours(0));
    for some in all.chunks(BATCH_SIZE) {
        let report = |(device, hour): &(u32, i64)| report_of(*device, now - hours(*hour), *hour > 0, now);
        push(&env.queue(), &some.iter().map(report).collect::<anyhow::Result<Vec<_>>>()?).await?;
    }
    let _worker = env.work().await;
    let (queue, mut looks, mut between) = (env.queue(), 0, tokio::time::interval(BETWEEN));
    loop {
        between.tick().await;
        let waiting: u64 = queue.status_of_all().await?.iter().map(|status| status.ready + status.in_flight()).sum();
        story.tick(hours(0)).await?;
        looks += 1;
        if waiting == 0 {
            break;
        }
    }
    let is_right = story.sent.is_empty() && story.incidents_of_devices().await? == 0;
    let title =
        format!("{} reports of {devices} devices, 72 failed ones and a good one each, and {looks} ticks", all.len());
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// One device in a hundred fails every other sync.
pub(super) async fn flapping(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(50)).await?;
    let _worker = env.work().await;
    for hour in 0..48 {
        let report = |device: u32| (device, device.is_multiple_of(100) && hour % 2 == 1);
        story.report(&(0..devices).map(report).collect::<Vec<_>>(), hours(hour)).await?;
        story.tick(just_after(hour)).await?;
    }
    let flapping = usize::try_from(devices.div_ceil(100))?;
    let is_right = story.messages() == told(&[("DeviceFlapping firing", flapping)]);
    table::timeline(&story, &format!("{flapping} of {devices} devices fail every other sync for two days"), is_right);
    Ok(is_right)
}

/// One device in a hundred fails every two minutes and recovers two seconds later: no tick sees it failing.
pub(super) async fn flapping_within_the_hour(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(2)).await?;
    let _worker = env.work().await;
    let all: Vec<_> = (0..devices).map(|device| (device, false)).collect();
    story.report(&all, hours(0)).await?;
    for minute in (2..=66).step_by(2) {
        let at = SignedDuration::from_mins(minute);
        let report = |device: u32| {
            let [failed, good] = [at, at + SignedDuration::from_secs(2)].map(|at| story.at(at));
            [report_of(device, failed, true, failed), report_of(device, good, false, good)]
        };
        let reports = (0..devices).step_by(100).flat_map(report);
        push(&env.queue(), &reports.collect::<anyhow::Result<Vec<_>>>()?).await?;
        env.drained().await;
        story.tick(at + SignedDuration::from_mins(1)).await?;
    }
    let flapping = usize::try_from(devices.div_ceil(100))?;
    let is_right = story.messages() == told(&[("DeviceFlapping firing", flapping)]);
    let title = format!("{flapping} of {devices} devices fail 33 times in an hour, and recover two seconds later");
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}
