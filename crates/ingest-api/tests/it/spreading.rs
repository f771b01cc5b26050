//! A fleet spreads over the hour by the returned next report time, and the summary shows it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago, world::heard_of};

#[tokio::test]
async fn a_batch_of_one_device_is_told_when_to_come_again_and_each_device_its_own_time() {
    let env = TestEnv::new();
    let api = env.api(&["--report-interval", "1h"]).await;
    let silent = env.api_named("silent.log", &[]).await;
    let of = |device: &str| json!([body(device, hours_ago(1), false), body(device, hours_ago(2), true)]);
    let place = async |device: &str| {
        let (status, answer) = api.send("POST", "/api/v1/sync-events", &of(device)).await;
        assert_eq!(status.as_u16(), 202, "{answer}");
        let wait = answer["nextReportIn"].as_i64().unwrap();
        assert!((1_800..5_400).contains(&wait), "{wait}");
        (testkit::clock().as_second() + wait) % 3_600
    };
    let (first, again, other) = (place("a").await, place("a").await, place("b").await);
    assert!((first - again).abs() <= 2 && (first - other).abs() > 2, "{first} {again} {other}");
    let mixed = json!([body("a", hours_ago(1), false), body("b", hours_ago(1), false)]);
    assert_eq!(api.send("POST", "/api/v1/sync-events", &mixed).await.1["nextReportIn"], Value::Null);
    assert_eq!(silent.send("POST", "/api/v1/sync-events", &of("a")).await.1["nextReportIn"], Value::Null);
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn the_summary_tells_what_share_of_the_fleet_reports_in_each_minute() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let minutes_ago = |minutes| testkit::now() - SignedDuration::from_mins(minutes);
    let (herd, between) = (minutes_ago(30), minutes_ago(10));
    heard_of(&env, &[("a", herd), ("b", herd), ("c", herd), ("d", between), ("old", hours_ago(2))]).await;
    let (_, summary) = api.get_computed("/api/v1/fleet/summary").await;
    let minutes = summary["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 60);
    let shares: Vec<_> =
        minutes.iter().filter(|minute| minute["devices"] != 0).map(|minute| &minute["share"]).collect();
    assert_eq!(shares, [&json!(0.75), &json!(0.25)]);
    let begins: Timestamp = minutes[0]["minute"].as_str().unwrap().parse().unwrap();
    assert_eq!(begins.as_second() % 60, 0);
    env.finish().await;
}
