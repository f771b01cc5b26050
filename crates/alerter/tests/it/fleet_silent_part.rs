//! A part of the fleet that falls silent by itself: one message with its label, and devices elsewhere are
//! notified singly.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{AlertName, Silence, SilenceEnd, SyncEvent},
    presence::LastSeen,
};
use serde_json::json;
use testkit::{
    AlerterHarness, TestEnv, body,
    fleet_first::{counted, told},
    world::{device, store_labelled},
};

const BY_REGION: &str = "[rules]\nfleet_by = [\"region\"]\n";

/// The number of devices; the first 90 are in the north.
const DEVICES: u32 = 2_000;

/// Returns whether a device is silent: all but 60 of the 90 in the north, and one elsewhere, 3 % of all.
fn is_silent(device: u32) -> bool {
    device < 60 || device == 90
}

/// A fleet that reported once, its alerter, and the start of its story.
struct Story {
    env: TestEnv,
    looker: AlerterHarness,
    start: Timestamp,
}

fn name(device: u32) -> String {
    format!("pibook-{device:04}")
}

impl Story {
    async fn new(config: &str) -> Self {
        let env = TestEnv::new();
        let looker = AlerterHarness::with(&env, config).await.unwrap();
        let start = testkit::now() - SignedDuration::from_hours(40);
        let report = |device: u32| {
            let mut report = body(&name(device), start, false);
            report["labels"] = json!({ "region": if device < 90 { "nord" } else { "sud" }, "room": "7" });
            let event = SyncEvent::from_json(report.to_string().as_bytes(), start).unwrap();
            (event.id(), event)
        };
        store_labelled(&env, &(0..DEVICES).map(report).collect::<Vec<_>>()).await;
        let story = Self { env, looker, start };
        story.heard(0, |_| true).await;
        story
    }

    fn at(&self, hour: i64) -> Timestamp {
        self.start + SignedDuration::from_hours(hour)
    }

    /// Some devices are heard of.
    async fn heard(&self, hour: i64, is_heard: impl Fn(u32) -> bool) {
        let (devices, at) = ((0..DEVICES).filter(|device| is_heard(*device)), self.at(hour));
        let heard: Vec<_> = devices.map(|number| (device(&name(number)), at)).collect();
        LastSeen::new(self.env.queue()).restore(&heard).await.unwrap();
    }

    /// The alerter ticks a minute after the hour.
    async fn look(&self, hour: i64) {
        self.looker.tick_at(self.at(hour) + SignedDuration::from_mins(1)).await.unwrap();
        self.looker.deliver().await.unwrap();
    }

    /// Some devices are heard of in each of these hours, after which the alerter ticks.
    async fn go_on(&self, hours: std::ops::RangeInclusive<i64>, is_heard: impl Fn(u32) -> bool) {
        for hour in hours {
            self.heard(hour, &is_heard).await;
            self.look(hour).await;
        }
    }

    fn told(&self) -> BTreeMap<String, usize> {
        counted(&self.env.alerts())
    }

    fn message(&self, at: usize) -> String {
        self.env.alerts()[at]["message"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_region_that_falls_silent_is_one_message_and_who_stays_silent_is_in_its_digest() {
    let story = Story::new(BY_REGION).await;
    story.go_on(1..=30, |device| !is_silent(device)).await;
    assert_eq!(story.told(), told(&[("DeviceSilent firing", 1), ("FleetSilent firing", 1)]));
    assert!(story.message(0).starts_with("region=nord: 60 of 90 devices silent;"), "{}", story.message(0));
    assert_eq!(story.env.alerts()[1]["deviceId"], "pibook-0090", "only who is elsewhere is told singly");
    assert_eq!(story.env.store().await.alerts().count_of_devices().await.unwrap(), 61);
    let api = story.env.api(&[]).await;
    let (_, listed) = api.get("/api/v1/alerts?state=firing").await;
    let of_part = listed["items"].as_array().unwrap().iter().find(|item| item.get("scope").is_some()).unwrap();
    assert_eq!((&of_part["alertname"], &of_part["scope"]["value"]), (&json!("FleetSilent"), &json!("nord")));

    // All come back but for two in the north, which are named two hours later, with their region.
    story.go_on(31..=34, |device| device >= 2 && device != 90).await;
    let since =
        [("DeviceSilent firing", 1), ("FleetDigest firing", 1), ("FleetSilent firing", 1), ("FleetSilent resolved", 1)];
    assert_eq!(story.told(), told(&since));
    assert!(story.message(2).starts_with("region=nord: few devices are silent now;"), "{}", story.message(2));
    let digest = story.message(3);
    assert!(digest.starts_with("PiSync: 2 devices have not recovered;"), "{digest}");
    assert!(digest.ends_with("recovered: the rest of region=nord; devices: pibook-0000, pibook-0001"), "{digest}");

    // The digest is evaluated before the devices that it names.
    story.go_on(35..=36, |_| true).await;
    let since = [&since[..], &[("DeviceSilent resolved", 1), ("FleetDigest resolved", 1)]].concat();
    assert_eq!(story.told(), told(&since));
    story.env.finish().await;
}

#[tokio::test]
async fn what_is_silenced_by_its_region_is_not_told_neither_the_part_nor_its_devices_nor_its_digest() {
    for config in ["", BY_REGION] {
        let story = Story::new(config).await;
        let silences = story.env.store().await.silences();
        let silence = Silence {
            id: silences.new_id(),
            matchers: vec!["region=nord".parse().unwrap()],
            starts_at: story.start,
            end: SilenceEnd::Resolved { has_matched: false },
            by: "me".into(),
            comment: "moving".into(),
            created_at: story.start,
        };
        silences.add(&silence).await.unwrap();
        story.go_on(1..=4, |device| !is_silent(device)).await;
        story.go_on(24..=25, |device| !is_silent(device)).await;
        assert_eq!(story.told(), told(&[("DeviceSilent firing", 1)]), "{config}");
        story.go_on(26..=29, |device| device >= 2).await;
        assert_eq!(story.told(), told(&[("DeviceSilent firing", 1), ("DeviceSilent resolved", 1)]), "{config}");
        assert_eq!(silences.not_over(story.at(29), 10).await.unwrap().len(), 1, "{config}");
        // The last of its alerts are over, and so is the silence.
        story.go_on(30..=30, |_| true).await;
        assert_eq!(silences.not_over(story.at(31), 10).await.unwrap(), [], "{config}");
        story.env.finish().await;
    }
}

#[tokio::test]
async fn without_parts_in_the_config_each_silent_device_is_told_of() {
    let story = Story::new("").await;
    story.go_on(1..=3, |device| !is_silent(device)).await;
    story.go_on(24..=25, |device| !is_silent(device)).await;
    assert_eq!(story.told(), told(&[("DeviceSilent firing", 61)]));
    story.env.finish().await;
}

#[tokio::test]
async fn while_the_whole_fleet_is_silent_its_parts_are_held_back() {
    let story = Story::new(BY_REGION).await;
    story.go_on(1..=4, |device| device >= 400).await;
    assert_eq!(story.told(), told(&[("FleetSilent firing", 1)]));
    assert!(story.message(0).starts_with("PiSync: 400 of 2000 devices silent;"), "{}", story.message(0));
    // The south comes back, the north does not: it then gets a message of its own.
    story.go_on(5..=6, |device| device >= 40).await;
    assert_eq!(story.told(), told(&[("FleetSilent firing", 2), ("FleetSilent resolved", 1)]));
    story.env.finish().await;
}

#[tokio::test]
async fn a_part_that_the_config_names_no_more_is_over() {
    let mut story = Story::new(BY_REGION).await;
    story.go_on(1..=4, |device| !is_silent(device)).await;
    assert_eq!(story.told(), told(&[("FleetSilent firing", 1)]));
    story.looker = AlerterHarness::with(&story.env, "").await.unwrap();
    story.look(5).await;
    assert_eq!(story.told(), told(&[("FleetSilent firing", 1), ("FleetSilent resolved", 1)]));
    story.env.finish().await;
}

#[tokio::test]
async fn while_no_api_is_alive_no_part_is_silent_and_one_that_is_stays_so() {
    let story = Story::new(BY_REGION).await;
    let alive = async |hour| {
        let heard = story.at(hour).as_millisecond().to_string();
        story.env.redis(&["HSET", "{}:heartbeat", "ingest", &heard]).await;
    };
    let open = async || {
        let open = story.env.store().await.alerts().open_of_rule(AlertName::FLEET_SILENT).await.unwrap();
        open.into_iter().map(|kept| kept.incident.inhibited_by.is_some()).collect::<Vec<_>>()
    };
    alive(0).await;
    story.go_on(1..=4, |device| !is_silent(device)).await;
    assert_eq!((story.told(), open().await), (told(&[("PipelineStalled firing", 1)]), vec![]));
    alive(5).await;
    story.go_on(5..=5, |device| !is_silent(device)).await;
    assert_eq!(open().await, [true], "it is held back until the pipeline was well for a while");
    // All are heard of when the API is away again: nobody can know.
    story.go_on(6..=6, |_| true).await;
    assert_eq!(open().await, [true]);
    assert_eq!(story.told(), told(&[("PipelineStalled firing", 1)]));
    story.env.finish().await;
}
