//! Measures the duration of a tick that groups silent devices by label, by the number of labels.

use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{DeviceId, SyncEvent};
use serde_json::json;

use super::{
    messages::{counted, told},
    story::{Story, name},
    table::durations,
};
use crate::{
    alerter_harness::AlerterHarness,
    requests::body,
    test_env::TestEnv,
    world::{labelled, store_counters},
};

/// The number of measurements of each kind.
const TIMES: usize = 5;

/// The number of rows in one insert.
const BATCH_SIZE: usize = 5_000;

/// The number of devices whose labels are looked up.
const LOOKED_UP: u32 = 20_000;

/// Measures with devices that all reported within 14 minutes. Then a fiftieth more, all of one region, were last
/// heard of four hours ago. Returns true if these are one message.
pub(super) async fn measure(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let (story, absent) = (Story::new(env, SignedDuration::ZERO).await?, devices..devices + devices / 50);
    let now = story.at(SignedDuration::ZERO);
    for minute in 1..=14 {
        let some = |minute: u32| minute * devices / 14;
        let (of_minute, ago) = (some(minute - 1)..some(minute), SignedDuration::from_mins(-i64::from(minute)));
        report(env, devices, of_minute.clone(), now + ago).await?;
        story.heard(of_minute, ago).await?;
    }
    println(&format!("{devices} devices with four labels that reported within 14 minutes"));
    let groupings =
        [("", "a tick, no labels"), (BY_ONE, "a tick, by one label"), (BY_THREE, "a tick, by three labels")];
    for (config, kind) in groupings {
        let alerter = AlerterHarness::with(env, config).await?;
        print(kind, &ticks(&alerter, now, TIMES).await?);
    }
    let mut reads = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        env.store().await.sync_events().what_changed(now - SignedDuration::from_mins(15)..now).await?;
        reads.push(begun.elapsed());
    }
    print("recent changes read", &reads);
    print("labels of 20,000 devices read", &look_up(env, devices).await?);

    println(&format!("and {} more of one region, silent", absent.len()));
    let ago = SignedDuration::from_hours(-4);
    report(env, devices, absent.clone(), now + ago).await?;
    story.heard(absent, ago).await?;
    for (config, kind) in groupings {
        let alerter = AlerterHarness::with(env, config).await?;
        print(&format!("{kind}, the first"), &ticks(&alerter, now, 1).await?);
        print(&format!("{kind}, the next"), &ticks(&alerter, now, TIMES).await?);
    }
    let messages = counted(&env.alerts());
    println(&format!("  messages: {messages:?}"));
    // The last config names the region, as the one before it did.
    Ok(messages == told(&[("FleetSilent firing", 1)]))
}

const BY_ONE: &str = "[rules]\nfleet_by = [\"region\"]\n";
const BY_THREE: &str = "[rules]\nfleet_by = [\"region\", \"group\", \"contentVersion\"]\n";

/// Stores a row of each device. Devices with numbers from `fleet` on are all of one region.
async fn report(env: &TestEnv, fleet: u32, devices: std::ops::Range<u32>, at: Timestamp) -> anyhow::Result<()> {
    let event = |device: u32| {
        let region = if device < fleet { device % 10 } else { 0 };
        let mut report = body(&name(device), at, false);
        report["labels"] = json!({
            "region": format!("r{region}"), "group": format!("g{}", device % 50),
            "contentVersion": (device % 3).to_string(), "appVersion": (device % 5).to_string(),
        });
        let event = SyncEvent::from_json(report.to_string().as_bytes(), at).context("a report")?;
        Ok((event.id(), event))
    };
    let rows = devices.map(event).collect::<anyhow::Result<Vec<_>>>()?;
    for some in rows.chunks(BATCH_SIZE) {
        env.store().await.sync_events().insert(some).await?;
    }
    store_counters(env, labelled(&rows)).await;
    Ok(())
}

async fn ticks(alerter: &AlerterHarness, now: Timestamp, times: usize) -> anyhow::Result<Vec<Duration>> {
    let mut ticks = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        alerter.tick_at(now).await?;
        ticks.push(begun.elapsed());
    }
    alerter.deliver().await?;
    Ok(ticks)
}

async fn look_up(env: &TestEnv, fleet: u32) -> anyhow::Result<Vec<Duration>> {
    let (counters, devices) = (env.store().await.failure_counters(), 0..LOOKED_UP.min(fleet));
    let devices = devices.map(|device| Ok(DeviceId::parse(&name(device))?)).collect::<anyhow::Result<Vec<_>>>()?;
    let (devices, mut spent) = (devices.iter().collect::<Vec<_>>(), Vec::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        counters.labels(&devices).await?;
        spent.push(begun.elapsed());
    }
    Ok(spent)
}

fn print(kind: &str, spent: &[Duration]) {
    let [median, longest] = durations(spent);
    println(&format!("  {kind:<36} median {median:.3} s, longest {longest:.3} s, of {}", spent.len()));
}

#[expect(clippy::print_stdout, reason = "a tool for people")]
fn println(line: &str) {
    println!("{line}");
}
