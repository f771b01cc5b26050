//! The fleet page during the scenarios of `scripts/fleet-first`: its headline names the problem. Its screenshots lie
//! under `.pisync/screenshots`.

use jiff::SignedDuration;
use pisync_core::models::SyncEvent;
use testkit::{
    TestEnv, body,
    fleet_first::{Story, push},
    setting, workspace_root,
};
use tokio::process::Command;

/// The number of devices, each of which reports once an hour.
const DEVICES: u32 = 400;

/// The current time of the scenario, in hours since its start.
const NOW: i64 = 24;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Opens the page of an environment and checks its headline.
async fn look(env: &TestEnv, name: &str, says: &str) {
    let api = env.api(&[]).await;
    let mut command = Command::new("node");
    command.arg(workspace_root().join("crates/e2e/browser/scene.mjs")).kill_on_drop(true);
    command.env("DASHBOARD_URL", &api.url).env("SCENE_NAME", name).env("SCENE_SAYS", says);
    command.env("DASHBOARD_CHROMIUM", format!("{}/chromium", setting("PISYNC_TEST_BIN")));
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}

/// Sends a report of every device that is not away; those of failing devices are failed syncs.
async fn plays(story: &Story<'_>, hour: i64, is_away: impl Fn(u32) -> bool, fails: impl Fn(u32) -> bool) {
    let reports: Vec<_> =
        (0..DEVICES).filter(|device| !is_away(*device)).map(|device| (device, fails(device))).collect();
    story.report(&reports, hours(hour)).await.unwrap();
}

#[tokio::test]
async fn a_content_release_is_seen_on_the_first_page() {
    let env = TestEnv::new();
    let (mut story, _worker) = (Story::new(&env, hours(NOW)).await.unwrap(), env.worker("worker.log", &[]).await);
    for hour in 0..=NOW {
        plays(&story, hour, |_| false, |device| device.is_multiple_of(5) && hour > NOW - 3).await;
    }
    story.tick(hours(NOW)).await.unwrap();
    look(&env, "content-release", "The fleet is failing: 80 of 400 devices, most for the content").await;
    env.finish().await;
}

#[tokio::test]
async fn an_outage_of_a_provider_is_seen_on_the_first_page() {
    let env = TestEnv::new();
    let (mut story, _worker) = (Story::new(&env, hours(NOW)).await.unwrap(), env.worker("worker.log", &[]).await);
    for hour in 0..=NOW {
        plays(&story, hour, |device| device < 60 && hour > NOW - 5, |_| false).await;
    }
    story.tick(hours(NOW)).await.unwrap();
    look(&env, "isp-outage", "The fleet is silent: no report from 60 of 400 devices").await;
    env.finish().await;
}

#[tokio::test]
async fn devices_that_flap_are_seen_on_the_first_page() {
    let env = TestEnv::new();
    let (mut story, _worker) = (Story::new(&env, hours(NOW)).await.unwrap(), env.worker("worker.log", &[]).await);
    for hour in 0..=NOW {
        plays(&story, hour, |_| false, |device| device.is_multiple_of(20) && hour % 2 == 0).await;
        if hour > NOW - 4 {
            story.tick(hours(hour)).await.unwrap();
        }
    }
    look(&env, "flapping", "20 open incidents.*Flapping devices: 20").await;
    env.finish().await;
}

/// The API is down for six hours; then the devices send their kept reports.
#[tokio::test]
async fn an_outage_of_ours_is_seen_on_the_first_page() {
    let env = TestEnv::new();
    let (mut story, _worker) = (Story::new(&env, hours(NOW)).await.unwrap(), env.worker("worker.log", &[]).await);
    for hour in 0..NOW - 6 {
        plays(&story, hour, |_| false, |device| (i64::from(device) + hour) % 50 == 0).await;
    }
    let kept = (NOW - 6..=NOW).flat_map(|hour| (0..DEVICES).map(move |device| (device, hour)));
    let event = |(device, hour): (u32, i64)| {
        let report = body(&format!("pibook-{device:07}"), story.at(hours(hour)), (i64::from(device) + hour) % 50 == 0);
        SyncEvent::from_json(report.to_string().as_bytes(), story.at(hours(NOW))).unwrap()
    };
    push(&env.queue(), &kept.map(event).collect::<Vec<_>>()).await.unwrap();
    env.drained().await;
    // The restarted API records the gap in its heartbeat.
    let last = story.at(hours(NOW - 6)).as_millisecond().to_string();
    env.redis(&["HSET", "{}:heartbeat", "ingest", &last]).await;
    let back = env.api_named("back.log", &[]).await;
    env.until("the gap", async || env.redis(&["HKEYS", "{}:heartbeat"]).await.contains("gap:")).await;
    story.tick(hours(NOW)).await.unwrap();
    drop(back);
    look(&env, "own-outage", "PiSync was away for 6 h No report was accepted until .* ago").await;
    env.finish().await;
}
