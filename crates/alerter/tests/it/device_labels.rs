//! Labels of devices on their alerts: routes by region, and an end where the alert began.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::SyncEvent;
use serde_json::{Value, json};
use testkit::{AlerterHarness, FakeReceiver, TestEnv, body, fleet_first::push};

/// Sends a report of a device in a region, and waits until it is stored.
async fn report(env: &TestEnv, device: &str, region: &str, at: Timestamp, failed: bool) {
    let mut report = body(device, at, failed);
    report["labels"] = json!({ "region": region });
    push(&env.queue(), &[SyncEvent::from_json(report.to_string().as_bytes(), at).unwrap()]).await.unwrap();
    env.drained().await;
}

/// Returns the device, region and status of each alert that a receiver got.
fn got(receiver: &FakeReceiver) -> Vec<[String; 3]> {
    let alerts =
        receiver.received().into_iter().flat_map(|message| message.json()["alerts"].as_array().unwrap().clone());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    alerts
        .map(|alert| [text(&alert["labels"]["deviceId"]), text(&alert["labels"]["region"]), text(&alert["status"])])
        .collect()
}

#[tokio::test]
async fn each_region_has_its_receiver_and_an_alert_ends_where_it_began() {
    let (env, north, south) = (TestEnv::new(), FakeReceiver::start().await, FakeReceiver::start().await);
    let of = |name: &str, receiver: &FakeReceiver| {
        let url = receiver.url();
        format!(
            "[[receiver]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\n\
             [[route]]\nreceiver = \"{name}\"\nmatch = {{ region = \"{name}\" }}\ngroup_wait = \"0s\"\n\
             group_interval = \"0s\"\n"
        )
    };
    let alerter = AlerterHarness::with(&env, &format!("{}{}", of("north", &north), of("south", &south))).await.unwrap();
    let _worker = env.work().await;
    let start = testkit::now() - SignedDuration::from_hours(1);
    let at = |minute: i64| start + SignedDuration::from_mins(minute);
    for minute in 0..3 {
        report(&env, "pi-n", "north", at(minute), true).await;
        report(&env, "pi-s", "south", at(minute), true).await;
    }
    alerter.tick_at(at(3)).await.unwrap();
    alerter.deliver().await.unwrap();
    let fires = |device: &str, region: &str| [device.to_owned(), region.to_owned(), "firing".to_owned()];
    assert_eq!((got(&north), got(&south)), (vec![fires("pi-n", "north")], vec![fires("pi-s", "south")]));
    let lines = env.alerts();
    assert!(lines.iter().all(|line| line["labels"]["region"].is_string()), "{lines:#?}");

    // It is brought to the south and works there.
    report(&env, "pi-n", "south", at(5), false).await;
    alerter.tick_at(at(6)).await.unwrap();
    alerter.deliver().await.unwrap();
    assert_eq!((got(&north)[1][..2].to_vec(), got(&south).len()), (vec!["pi-n".to_owned(), "north".to_owned()], 1));
    assert_eq!(got(&north)[1][2], "resolved");

    // The next failure is one of the south.
    for minute in 41..44 {
        report(&env, "pi-n", "south", at(minute), true).await;
    }
    alerter.tick_at(at(45)).await.unwrap();
    alerter.deliver().await.unwrap();
    assert_eq!((got(&north).len(), got(&south).last()), (2, Some(&fires("pi-n", "south"))));
    env.finish().await;
}
