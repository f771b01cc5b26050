//! A device that fails and recovers in turn is notified once, and not each time.
//!
//! An alerter ticks on real servers every hour of a story; reports go through the queue.

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use pisync_core::models::SyncEvent;
use testkit::{
    AlerterHarness, Service, TestEnv, body,
    fleet_first::{self, Settings, push},
};

struct Story {
    env: TestEnv,
    looker: AlerterHarness,
    _worker: Service,
    start: Timestamp,
}

impl Story {
    /// Returns a story that began so many hours ago.
    async fn new(hours: i64) -> Self {
        let env = TestEnv::new();
        let (looker, worker) = (AlerterHarness::new(&env).await.unwrap(), env.worker("worker.log", &[]).await);
        Self { env, looker, _worker: worker, start: testkit::now() - SignedDuration::from_hours(hours) }
    }

    /// Devices report once, each failed or good; then the alerter ticks.
    async fn hour(&self, hour: i64, reports: &[(&str, bool)]) {
        self.reports(hour, reports).await;
        self.env.drained().await;
        self.looker.tick_at(self.at(hour) + SignedDuration::from_mins(1)).await.unwrap();
        self.looker.deliver().await.unwrap();
    }

    fn at(&self, hour: i64) -> Timestamp {
        self.start + SignedDuration::from_hours(hour)
    }

    async fn reports(&self, hour: i64, reports: &[(&str, bool)]) {
        let at = self.at(hour);
        let report = |(device, failed): &(&str, bool)| {
            SyncEvent::from_json(body(device, at, *failed).to_string().as_bytes(), at).unwrap()
        };
        push(&self.env.queue(), &reports.iter().map(report).collect::<Vec<_>>()).await.unwrap();
    }

    /// Returns the messages about a device.
    fn messages(&self, device: &str) -> Vec<String> {
        let of_device = |line: &serde_json::Value| line["deviceId"] == device;
        let word = |line: &serde_json::Value, member: &str| line[member].as_str().unwrap().to_owned();
        let lines = self.env.alerts().into_iter().filter(of_device);
        lines.map(|line| format!("{} {}", word(&line, "alertname"), word(&line, "status"))).collect()
    }
}

#[tokio::test]
async fn a_device_that_alternates_for_two_days_is_told_of_once_and_once_when_it_is_steady() {
    let story = Story::new(80).await;
    for hour in 0..48 {
        // Each other one fails; three fail and three are good.
        story.hour(hour, &[("turns", hour % 2 == 1), ("slow", hour % 6 < 3), ("well", false)]).await;
        if hour == 24 {
            assert_eq!(story.messages("slow").last().unwrap(), "DeviceFlapping firing");
        }
    }
    assert_eq!(story.messages("turns"), ["DeviceFlapping firing"]);
    let message = story.env.alerts().into_iter().find(|line| line["deviceId"] == "turns").unwrap();
    let message = message["message"].as_str().unwrap();
    assert!(message.starts_with("turns: flapping, 20 changes in 21 syncs;"), "{message}");
    // Until 21 reports show it, each of its four failures and recoveries is notified; then nothing is.
    assert_eq!(story.messages("slow").len(), 8 + 1, "{:?}", story.messages("slow"));
    assert_eq!(story.messages("well"), [""; 0]);

    for hour in 48..69 {
        story.reports(hour, &[("turns", false), ("slow", false)]).await;
    }
    story.hour(69, &[("turns", false), ("slow", false)]).await;
    let steady = ["DeviceFlapping firing", "DeviceFlapping resolved"];
    assert_eq!(story.messages("turns"), steady);
    assert_eq!(story.messages("slow")[8..], steady);

    for hour in 70..73 {
        story.hour(hour, &[("slow", true)]).await;
    }
    assert_eq!(story.messages("slow").last().unwrap(), "DeviceSyncFailing firing", "it is notified again");
    story.env.finish().await;
}

#[tokio::test]
async fn a_device_that_is_well_again_at_each_look_flaps_all_the_same() {
    let settings = Settings::try_parse_from(["fleet-first", "flapping-within-the-hour", "--devices", "1000"]).unwrap();
    assert!(fleet_first::run(&settings).await.unwrap());
}

#[tokio::test]
async fn of_the_changes_only_the_newest_has_to_be_live() {
    let story = Story::new(80).await;
    let received_at = story.at(30);
    let report = |hour: i64| {
        let body = body("kept", story.at(hour), hour % 2 == 1).to_string();
        SyncEvent::from_json(body.as_bytes(), received_at).unwrap()
    };
    push(&story.env.queue(), &(0..25).map(report).collect::<Vec<_>>()).await.unwrap();
    story.hour(30, &[("well", false)]).await;
    assert_eq!(story.messages("kept"), [""; 0], "all of it came late");
    story.hour(31, &[("kept", true)]).await;
    assert_eq!(story.messages("kept"), ["DeviceFlapping firing"]);
    story.env.finish().await;
}
