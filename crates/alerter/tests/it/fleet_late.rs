//! Late reports page nobody: devices that were away send all that they kept, in any order. A clock that is
//! behind is another thing: its reports are live.

use clap::Parser;
use pisync_core::models::{Report, SyncEvent};
use testkit::{
    AlerterHarness, TestEnv, body,
    fleet_first::{self, Settings, push},
    hours_ago,
};

/// The number of devices that come back.
const DEVICES: usize = 100;

/// Three days of failed syncs each, the last of them four hours ago, and a good one just now. All of these come
/// in a random order, while two alerters evaluate each hint.
#[tokio::test]
async fn three_days_of_failed_syncs_and_a_good_one_in_any_order_page_nobody() {
    let env = TestEnv::new();
    let _alerters = (env.alerter("one.log", &[]).await, env.alerter("two.log", &[]).await);
    let report = |device: usize, hours: i64| {
        let body = body(&format!("pibook-{device}"), hours_ago(hours), hours > 0).to_string();
        SyncEvent::from_json(body.as_bytes(), hours_ago(0)).unwrap()
    };
    let mut events: Vec<_> =
        (0..DEVICES).flat_map(|device| (4..76).chain([0]).map(move |hours| report(device, hours))).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut events);
    push(&env.queue(), &events).await.unwrap();
    let _worker = env.worker("worker.log", &["--batch", "200"]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), DEVICES * 73);
    let log = env.path("alerts.log").display().to_string();
    assert!(env.start("once.log", "alerter", &["--once", "--alert-log", &log]).ended().await.success());
    assert_eq!(env.alerts(), [serde_json::Value::Null; 0]);
    assert_eq!(env.store().await.alerts().count_of_devices().await.unwrap(), 0, "nor did any incident begin");
    env.finish().await;
}

/// Runs a story of `scripts/fleet-first`.
async fn is_told_right(story: &str, devices: &str) -> bool {
    let settings = Settings::try_parse_from(["fleet-first", story, "--devices", devices]).unwrap();
    fleet_first::run(&settings).await.unwrap()
}

#[tokio::test]
async fn what_was_kept_and_comes_in_order_pages_nobody() {
    assert!(is_told_right("backfill-in-order", "1000").await);
}

#[tokio::test]
async fn what_was_kept_by_a_clock_that_is_behind_pages_nobody() {
    assert!(is_told_right("backfill-behind", "1000").await);
}

#[tokio::test]
async fn devices_whose_clock_is_five_hours_behind_are_told_of_at_their_third_failed_sync() {
    assert!(is_told_right("constant-lag", "1000").await);
}

#[tokio::test]
async fn a_fleet_whose_clocks_are_five_hours_behind_is_one_message() {
    assert!(is_told_right("fleet-behind", "2000").await);
}

/// Three failed syncs of five hours ago each, sent an hour apart. They are late if the clock agrees with ours
/// meanwhile; else the clock is behind.
#[tokio::test]
async fn a_clock_that_agrees_with_ours_while_it_sends_is_right_and_its_reports_come_late() {
    let env = TestEnv::new();
    let (looker, _worker) = (AlerterHarness::new(&env).await.unwrap(), env.work().await);
    for hour in [3, 2, 1] {
        let (received_at, at) = (hours_ago(hour), hours_ago(hour + 5));
        let report = |device: &str, sent_at| {
            let body = body(device, at, true).to_string();
            Report::from_json(body.as_bytes(), received_at, sent_at).unwrap().event
        };
        push(&env.queue(), &[report("late", Some(received_at)), report("behind", None)]).await.unwrap();
    }
    env.drained().await;
    looker.tick_at(hours_ago(1)).await.unwrap();
    looker.deliver().await.unwrap();
    let told: Vec<_> = env.alerts().iter().map(|line| line["deviceId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, ["behind"]);
    let api = env.api(&[]).await;
    let page = async |device: &str| {
        let page = reqwest::get(format!("{}/device?id={device}", api.url)).await.unwrap();
        page.text().await.unwrap()
    };
    assert!(page("behind").await.contains("Its clock is 5 h behind ours"), "{}", page("behind").await);
    assert!(!page("late").await.contains("behind ours"));
    env.finish().await;
}
