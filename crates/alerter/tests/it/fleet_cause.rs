//! The cause of an incident, by a floor and by the usual speed of its device, with the numbers.

use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::{TestEnv, body};

/// Returns good syncs and then three failed ones, with these speeds.
fn reports(device: &str, good: f64, failed: f64) -> Vec<Value> {
    let report = |minutes: i64| {
        let at = testkit::now() - SignedDuration::from_mins(minutes);
        let mut report = body(device, at, minutes < 4);
        report["internetSpeed"] = json!(if minutes < 4 { failed } else { good });
        report
    };
    (1..12).rev().map(report).collect()
}

#[tokio::test]
async fn a_line_that_is_far_slower_than_usual_is_the_cause_and_one_that_is_slow_by_nature_is_not() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for (device, good, failed) in [("fell", 40.0, 9.9), ("steady", 10.0, 9.9), ("slow", 0.3, 0.3), ("none", 40.0, 0.0)]
    {
        api.accepts(&reports(device, good, failed)).await;
    }
    env.drained().await;
    let log = env.path("alerts.log").display().to_string();
    assert!(env.start("once.log", "alerter", &["--once", "--alert-log", &log]).ended().await.success());
    let lines = env.alerts();
    for (device, cause, says, usual) in [
        ("fell", "connectivity", "(9.9 Mbps), below a quarter of the 40 Mbps that are typical", json!(40.0)),
        ("steady", "content", "(9.9 Mbps), not below 0.5 Mbps", json!(10.0)),
        ("slow", "connectivity", "(0.3 Mbps), below 0.5 Mbps", json!(0.3)),
        ("none", "unknown", "no speed was measured", json!(40.0)),
    ] {
        let line = lines.iter().find(|line| line["deviceId"] == device).unwrap();
        assert_eq!(line["cause"], cause, "{line}");
        assert!(line["message"].as_str().unwrap().contains(says), "{line}");
        let (_, listed) = api.get(&format!("/api/v1/alerts?deviceId={device}")).await;
        assert_eq!((&listed["items"][0]["cause"], &listed["items"][0]["usualSpeed"]), (&cause.into(), &usual));
    }
    env.finish().await;
}
