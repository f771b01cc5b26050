//! A part of the fleet that fails by itself: one message with its label, and devices elsewhere are notified
//! singly.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::SyncEvent;
use serde_json::json;
use testkit::{
    AlerterHarness, Service, TestEnv, body,
    fleet_first::{counted, push, told},
};

const BY_REGION: &str = "[rules]\nfleet_by = [\"region\"]\n";

/// The number of devices; the first 90 are in the north.
const DEVICES: u32 = 2_000;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A fleet, its alerter, and the start of its story.
struct Story {
    env: TestEnv,
    looker: AlerterHarness,
    start: Timestamp,
}

impl Story {
    async fn new(config: &str) -> Self {
        let env = TestEnv::new();
        let looker = AlerterHarness::with(&env, config).await.unwrap();
        Self { env, looker, start: testkit::now() - hours(10) }
    }

    /// All devices report at an hour, and the alerter ticks a minute later.
    async fn report(&self, hour: i64, fails: impl Fn(u32) -> bool) {
        self.report_from(hour, |device| if device < 90 { "nord" } else { "sud" }, fails).await;
    }

    /// The same, each from a region.
    async fn report_from(&self, hour: i64, region: impl Fn(u32) -> &'static str, fails: impl Fn(u32) -> bool) {
        let at = self.start + hours(hour);
        let report = |device: u32| {
            let mut report = body(&format!("pibook-{device:04}"), at, fails(device));
            report["labels"] = json!({ "region": region(device) });
            SyncEvent::from_json(report.to_string().as_bytes(), at).unwrap()
        };
        push(&self.env.queue(), &(0..DEVICES).map(report).collect::<Vec<_>>()).await.unwrap();
        self.env.drained().await;
        self.look(hour * 60 + 1).await;
    }

    async fn look(&self, minutes: i64) {
        self.looker.tick_at(self.start + SignedDuration::from_mins(minutes)).await.unwrap();
        self.looker.deliver().await.unwrap();
    }

    fn told(&self) -> BTreeMap<String, usize> {
        counted(&self.env.alerts())
    }

    fn message(&self, at: usize) -> String {
        self.env.alerts()[at]["message"].as_str().unwrap().to_owned()
    }
}

/// Returns whether a device fails: 80 of the 90 in the north, and three elsewhere, 4 % of all.
fn in_the_north(device: u32) -> bool {
    device < 80 || (90..93).contains(&device)
}

/// Returns a fleet after three hours in which the north fails, with its messages sent, and its worker.
async fn a_north_that_fails() -> (Story, Service) {
    let story = Story::new(BY_REGION).await;
    let worker = story.env.worker("worker.log", &[]).await;
    for hour in 0..3 {
        story.report(hour, in_the_north).await;
    }
    assert_eq!(story.told(), told(&[("DeviceSyncFailing firing", 3), ("FleetSyncFailing firing", 1)]));
    (story, worker)
}

#[tokio::test]
async fn a_region_that_fails_is_one_message_and_devices_elsewhere_are_told_singly() {
    let (story, _worker) = a_north_that_fails().await;
    assert!(story.message(0).starts_with("region=nord: "), "{}", story.message(0));
    assert!(story.message(0).contains("what changed: region=nord: 89 % failing"), "{}", story.message(0));
    let api = story.env.api(&[]).await;
    let (_, listed) = api.get("/api/v1/alerts?state=firing").await;
    let of_part = listed["items"].as_array().unwrap().iter().find(|item| item.get("scope").is_some()).unwrap();
    assert_eq!(of_part["scope"], json!({ "label": "region", "value": "nord" }));

    // All recover but two in the north: those are named two hours later, with their region.
    for hour in 3..7 {
        story.report(hour, |device| device < 2).await;
        story.look(hour * 60 + 31).await;
    }
    let all = [
        ("DeviceSyncFailing firing", 3),
        ("DeviceSyncFailing resolved", 3),
        ("FleetDigest firing", 1),
        ("FleetSyncFailing firing", 1),
        ("FleetSyncFailing resolved", 1),
    ];
    assert_eq!(story.told(), told(&all));
    let digest = story.message(story.env.alerts().len() - 1);
    assert!(digest.starts_with("PiSync: 2 devices have not recovered;") && digest.contains("region=nord"), "{digest}");
    story.env.finish().await;
}

#[tokio::test]
async fn without_parts_in_the_config_each_device_is_told_of() {
    let story = Story::new("").await;
    let _worker = story.env.work().await;
    for hour in 0..3 {
        story.report(hour, in_the_north).await;
    }
    assert_eq!(story.told(), told(&[("DeviceSyncFailing firing", 83)]));
    story.env.finish().await;
}

#[tokio::test]
async fn while_the_whole_fleet_fails_its_parts_are_held_back() {
    let story = Story::new(BY_REGION).await;
    let _worker = story.env.work().await;
    for hour in 0..3 {
        story.report(hour, |device| device < 400).await;
    }
    assert_eq!(story.told(), told(&[("FleetSyncFailing firing", 1)]));
    assert!(story.message(0).starts_with("PiSync: 400 of "), "{}", story.message(0));
    // The north fails on when the rest has recovered: it then gets a message of its own.
    for hour in 3..5 {
        story.report(hour, |device| device < 40).await;
        story.look(hour * 60 + 31).await;
    }
    let now = [("FleetSyncFailing firing", 2), ("FleetSyncFailing resolved", 1)];
    assert_eq!(story.told(), told(&now));
    story.env.finish().await;
}

#[tokio::test]
async fn a_part_of_which_nobody_reports_any_more_is_over() {
    let (story, _worker) = a_north_that_fails().await;
    // The north is another region now, and all is healthy there.
    for hour in 3..6 {
        assert_eq!(story.told().get("FleetSyncFailing resolved"), None, "at {hour}");
        story.report_from(hour, |_| "sud", |device| (90..93).contains(&device)).await;
    }
    assert_eq!(story.told().get("FleetSyncFailing resolved"), Some(&1));
    story.env.finish().await;
}
