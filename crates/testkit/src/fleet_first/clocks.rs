//! Scenarios about clocks: one that begins in 1970 at each start, and one by which all devices report at the same
//! time.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, SyncEvent, next_report_in},
    presence::LastSeen,
    store::StoredEvent,
    time::minute_of,
};

use super::{
    messages::told,
    scenarios::{hours, just_after},
    story::{Story, name, push, report_of},
    table,
};
use crate::test_env::TestEnv;

/// The length of the scenario with clocks of 1970, in hours.
const HOURS: i64 = 12;

/// The number of devices with such a clock whose last three syncs fail.
const FAILING: u32 = 5;

/// The length of a minute, in milliseconds.
const MINUTE: i64 = 60_000;

/// The number of hours with reports by cron, and then of hours with reports at the server's time.
const ROUNDS: i64 = 3;

/// The maximum share of a spread fleet that may report in one minute: a sixtieth by chance, and some room.
const SPREAD: f64 = 0.03;

/// A device in ten has a clock that begins in 1970, and a few of these fail.
pub(super) async fn clock_1970(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let (mut story, wrong) = (Story::new(env, hours(HOURS + 1)).await?, devices / 10);
    let _worker = env.work().await;
    for hour in 0..HOURS {
        let now = story.at(hours(hour));
        let report = |device: u32| {
            let since_1970 = Timestamp::UNIX_EPOCH + hours(hour) + SignedDuration::from_secs(90);
            let fails = device < FAILING && hour >= HOURS - 3;
            report_of(device, if device < wrong { since_1970 } else { now }, fails, now)
        };
        push(&env.queue(), &(0..devices).map(report).collect::<anyhow::Result<Vec<_>>>()?).await?;
        env.drained().await;
        story.tick(just_after(hour)).await?;
    }
    let (rows, suspect) = rows(env).await?;
    let flagged = env.counters().await.values().filter(|counter| counter.clock_suspect_since.is_some()).count();
    let is_right = (rows, suspect) == (i64::from(devices) * HOURS, i64::from(wrong) * HOURS)
        && flagged == usize::try_from(wrong)?
        && story.messages() == told(&[("DeviceSyncFailing firing", usize::try_from(FAILING)?)])
        && story.incidents_of_devices().await? == u64::from(FAILING);
    let title = format!(
        "{wrong} of {devices} devices have a clock of 1970, and {FAILING} of these fail three times: {rows} rows, {suspect} \
         of them with a wrong clock, {flagged} devices flagged"
    );
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// Returns the number of rows, and the number of rows with a wrong clock.
async fn rows(env: &TestEnv) -> anyhow::Result<(i64, i64)> {
    let all = env.store().await.sync_events().all().await?;
    let count =
        async |(rows, suspect), row: StoredEvent| Ok((rows + 1, suspect + i64::from(row.device_timestamp.is_some())));
    Ok(all.try_fold((0, 0), count).await?)
}

/// All devices report in the first minute of the hour, by cron; then each at the time that the server gave it.
pub(super) async fn top_of_hour(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(2 * ROUNDS + 1)).await?;
    let _worker = env.work().await;
    // Start at the first full minute.
    let start = story.at(hours(0)).as_millisecond();
    let top = MINUTE + minute_of(story.at(hours(0))).as_millisecond() - start;
    let herd = |device: u32| SignedDuration::from_millis(top + i64::from(device) * MINUTE / i64::from(devices));
    let mut due: Vec<_> = (0..devices).map(herd).collect();
    let mut busiest = Vec::new();
    for round in 0..2 * ROUNDS {
        let times = due.iter().map(|due| story.at(*due)).collect::<Vec<_>>();
        report_when_due(env, &mut story, &times, hours(round)).await?;
        busiest.push(busiest_minute(env, *times.iter().max().unwrap_or(&story.at(hours(round)))).await?);
        for (device, due) in (0..).zip(&mut due) {
            *due = if round + 1 < ROUNDS {
                *due + hours(1)
            } else {
                *due + next_report_in(&DeviceId::parse(&name(device))?, hours(1), story.at(*due))
            };
        }
    }
    let (first, last) = (busiest[0], busiest[busiest.len() - 1]);
    let is_right = first > 0.9 && last < SPREAD && story.sent.is_empty();
    let shares: Vec<_> = busiest.iter().map(|share| format!("{:.1} %", 100.0 * share)).collect();
    let title = format!(
        "{devices} devices report by cron for {ROUNDS} hours, and then at the server's times; in the busiest minute of each \
         hour there were {}",
        shares.join(", ")
    );
    table::timeline(&story, &title, is_right);
    Ok(is_right)
}

/// Sends a report of each device at its due time, with a tick each quarter of an hour.
async fn report_when_due(
    env: &TestEnv,
    story: &mut Story<'_>,
    due: &[Timestamp],
    since: SignedDuration,
) -> anyhow::Result<()> {
    let mut by_quarter = BTreeMap::<_, Vec<SyncEvent>>::new();
    for (device, at) in (0..).zip(due) {
        let quarter = at.duration_since(story.at(since)).as_mins().div_euclid(15);
        by_quarter.entry(quarter).or_default().push(report_of(device, *at, false, *at)?);
    }
    for (quarter, events) in by_quarter {
        push(&env.queue(), &events).await?;
        env.drained().await;
        story.tick(since + SignedDuration::from_mins(15 * (quarter + 1))).await?;
    }
    Ok(())
}

/// Returns the largest share of devices last seen in one minute, of all devices seen within the hour before `now`.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
async fn busiest_minute(env: &TestEnv, now: Timestamp) -> anyhow::Result<f64> {
    let minutes = LastSeen::new(env.queue()).by_minute(now).await?;
    let all: u64 = minutes.iter().map(|(_, devices)| devices).sum();
    let most = minutes.iter().map(|(_, devices)| *devices).max().unwrap_or(0);
    Ok(most as f64 / all.max(1) as f64)
}
