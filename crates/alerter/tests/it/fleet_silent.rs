//! Silent devices, by our clock: one message if they are many, and none if no API listened.
//!
//! An alerter ticks on real servers at the times of a story.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::SyncEvent, presence::LastSeen};
use serde_json::json;
use testkit::{
    AlerterHarness, TestEnv, body,
    fleet_first::{counted, push, told},
    mongo_command,
    world::device,
};

struct Story {
    env: TestEnv,
    looker: AlerterHarness,
    start: Timestamp,
}

impl Story {
    /// Returns a story that began so many hours ago.
    async fn new(hours: i64) -> Self {
        let env = TestEnv::new();
        let looker = AlerterHarness::new(&env).await.unwrap();
        Self { env, looker, start: testkit::now() - SignedDuration::from_hours(hours) }
    }

    fn at(&self, minutes: i64) -> Timestamp {
        self.start + SignedDuration::from_mins(minutes)
    }

    /// Devices by their numbers are heard of.
    async fn heard(&self, devices: std::ops::Range<u32>, minutes: i64) {
        let at = self.at(minutes);
        let heard: Vec<_> = devices.map(|number| (device(&format!("pibook-{number:04}")), at)).collect();
        LastSeen::new(self.env.queue()).restore(&heard).await.unwrap();
    }

    async fn looks(&self, minutes: i64) {
        self.looker.tick_at(self.at(minutes)).await.unwrap();
        self.looker.deliver().await.unwrap();
    }

    fn told(&self) -> BTreeMap<String, usize> {
        counted(&self.env.alerts())
    }

    async fn incidents_of_devices(&self) -> u64 {
        self.env.store().await.alerts().count_of_devices().await.unwrap()
    }
}

const HOUR: i64 = 60;

/// A twentieth of the fleet falls silent for 30 hours, and comes back but for three.
#[tokio::test]
async fn a_group_that_falls_silent_is_one_message_and_those_who_stay_silent_a_digest() {
    let story = Story::new(40).await;
    story.heard(0..1_000, 0).await;
    for hour in 1..=30 {
        story.heard(50..1_000, hour * HOUR).await;
        story.looks(hour * HOUR + 1).await;
    }
    assert_eq!(story.told(), told(&[("FleetSilent firing", 1)]));
    assert_eq!(story.incidents_of_devices().await, 50, "those are held back");
    let message = story.env.alerts()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("PiSync: 50 of 1000 devices silent;"), "{message}");

    for hour in 31..=33 {
        story.heard(3..1_000, hour * HOUR).await;
        story.looks(hour * HOUR + 1).await;
    }
    let all = [("FleetDigest firing", 1), ("FleetSilent firing", 1), ("FleetSilent resolved", 1)];
    assert_eq!(story.told(), told(&all));
    story.heard(3..1_000, 34 * HOUR).await;
    story.looks(34 * HOUR + 1).await;
    assert_eq!(story.told(), told(&all), "the digest holds those that it names");
    story.env.finish().await;
}

/// Its devices are unknown, and it would inhibit them for ever.
#[tokio::test]
async fn a_digest_whose_fleet_alert_cannot_be_read_is_over() {
    let story = Story::new(40).await;
    story.heard(0..1_000, 0).await;
    for hour in 1..=30 {
        story.heard(50..1_000, hour * HOUR).await;
        story.looks(hour * HOUR + 1).await;
    }
    for hour in 31..=33 {
        story.heard(3..1_000, hour * HOUR).await;
        story.looks(hour * HOUR + 1).await;
    }
    let mut all = vec![("FleetDigest firing", 1), ("FleetSilent firing", 1), ("FleetSilent resolved", 1)];
    assert_eq!(story.told(), told(&all));
    let broken = json!({ "$set": { "startsAt": "yesterday" } });
    let update = json!({ "updates": [{ "q": { "alertname": "FleetSilent" }, "u": broken, "multi": true }] });
    mongo_command(&story.env, "update", "Alert", update).await;
    story.heard(3..1_000, 34 * HOUR).await;
    story.looks(34 * HOUR + 1).await;
    all.extend([("FleetDigest resolved", 1), ("DeviceSilent firing", 3)]);
    assert_eq!(story.told(), told(&all), "those who are silent still are no longer held back");
    story.env.finish().await;
}

#[tokio::test]
async fn one_device_that_falls_silent_is_a_message_and_so_is_its_return_and_old_silences_are_none() {
    let story = Story::new(40).await;
    story.heard(0..100, 0).await;
    // Silent since long before.
    story.heard(100..101, -80 * HOUR).await;
    story.heard(1..100, 24 * HOUR).await;
    story.looks(24 * HOUR).await;
    assert_eq!(story.told(), told(&[]), "a day is not over yet");
    story.looks(24 * HOUR + 1).await;
    story.looks(25 * HOUR).await;
    assert_eq!(story.told(), told(&[("DeviceSilent firing", 1)]));
    assert_eq!(story.env.alerts()[0]["deviceId"], "pibook-0000");
    story.heard(0..1, 25 * HOUR + 5).await;
    story.looks(25 * HOUR + 6).await;
    assert_eq!(story.told(), told(&[("DeviceSilent firing", 1), ("DeviceSilent resolved", 1)]));
    story.env.finish().await;
}

/// All our processes are away for six hours, and a device was silent for 20 hours before that.
async fn away_for_six_hours(gap_is_known: bool) -> BTreeMap<String, usize> {
    let story = Story::new(40).await;
    story.heard(0..1, -20 * HOUR).await;
    story.heard(1..200, 0).await;
    let millis = |minutes| story.at(minutes).as_millisecond().to_string();
    let back = 6 * HOUR;
    story.env.redis(&["HSET", "{}:heartbeat", "ingest", &millis(back)]).await;
    if gap_is_known {
        story.env.redis(&["HSET", "{}:heartbeat", &format!("gap:{}", millis(0)), &millis(back)]).await;
    }
    story.looks(back).await;
    story.looks(back + 1).await;
    let told = story.told();
    story.env.finish().await;
    told
}

#[tokio::test]
async fn while_nobody_listened_nobody_was_silent() {
    assert_eq!(away_for_six_hours(true).await, told(&[]));
    // The effect of the gap.
    let without = away_for_six_hours(false).await;
    assert_eq!(without.get("FleetSilent firing"), Some(&1), "{without:?}");
}

#[tokio::test]
async fn while_no_api_is_alive_that_is_said_and_of_the_devices_nothing() {
    let story = Story::new(40).await;
    story.heard(0..200, 0).await;
    story.env.redis(&["HSET", "{}:heartbeat", "ingest", &story.at(0).as_millisecond().to_string()]).await;
    for hour in 1..=30 {
        story.looks(hour * HOUR).await;
    }
    assert_eq!(story.told(), told(&[("PipelineStalled firing", 1)]));
    assert_eq!(story.incidents_of_devices().await, 0);
    story.env.finish().await;
}

#[tokio::test]
async fn an_event_that_waits_too_long_is_a_message_and_it_is_over_when_all_was_well_for_a_while() {
    let story = Story::new(1).await;
    let event = |minutes| {
        let at = story.at(minutes);
        SyncEvent::from_json(body("pibook-0000", at, false).to_string().as_bytes(), at).unwrap()
    };
    push(&story.env.queue(), &[event(0)]).await.unwrap();
    story.looks(4).await;
    assert_eq!(story.told(), told(&[]));
    story.looks(6).await;
    assert_eq!(story.told(), told(&[("PipelineStalled firing", 1)]));
    let message = story.env.alerts()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("oldest queued event: has waited for 6 min"), "{message}");

    let _worker = story.env.work().await;
    story.env.drained().await;
    for minute in [7, 8, 11] {
        story.looks(minute).await;
    }
    assert_eq!(story.told(), told(&[("PipelineStalled firing", 1)]), "it has to last");
    story.looks(12).await;
    assert_eq!(story.told(), told(&[("PipelineStalled firing", 1), ("PipelineStalled resolved", 1)]));
    story.env.finish().await;
}
