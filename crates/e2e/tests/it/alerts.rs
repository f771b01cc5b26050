//! From the counter to the message: one when it begins, one when it is over.

use e2e::{Api, TestEnv, body, hours_ago};
use pisync_core::{
    models::{Alert, DeviceId, FailureRun},
    store::Opened,
};
use serde_json::Value;

/// A schedule that does not come: what happens, happens by hints.
const NEVER: [&str; 2] = ["--schedule", "0 0 29 2 1"];

async fn fails(api: &Api, device_id: &str, hours: &[i64]) {
    let reports: Vec<_> = hours.iter().map(|hours| body(device_id, hours_ago(*hours), true)).collect();
    api.accepts(&reports).await;
}

fn of<'a>(lines: &'a [Value], status: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["status"] == status).collect()
}

#[tokio::test]
async fn three_failures_are_one_message_and_the_recovery_another_with_two_alerters() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let _alerters = (env.alerter("one.log", &NEVER).await, env.alerter("two.log", &NEVER).await);
    fails(&api, "pibook-1", &[5, 4]).await;
    env.drained().await;
    assert_eq!(env.alerts(), [Value::Null; 0]);

    fails(&api, "pibook-1", &[3]).await;
    let line = env.has_alerts(1).await.remove(0);
    assert_eq!((&line["status"], &line["deviceId"]), (&"firing".into(), &"pibook-1".into()));
    assert_eq!((&line["failureCount"], &line["cause"]), (&3.into(), &"content".into()));

    fails(&api, "pibook-1", &[2]).await;
    api.accepts(&[body("pibook-1", hours_ago(1), false)]).await;
    let lines = env.has_alerts(2).await;
    assert_eq!((&lines[1]["status"], &lines[1]["id"]), (&"resolved".into(), &line["id"]));

    // Whatever else the two might say, a full look of each would say it.
    for _ in 0..2 {
        once(&env).await;
    }
    assert_eq!(env.alerts().len(), 2);
    env.finish().await;
}

#[tokio::test]
async fn a_hundred_incidents_are_a_hundred_messages_with_two_alerters_that_tick() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for i in 0..100 {
        fails(&api, &format!("pibook-{i}"), &[3, 2, 1]).await;
    }
    env.drained().await;
    tokio::join!(once(&env), once(&env));
    let lines = env.has_alerts(100).await;
    let mut devices: Vec<_> = lines.iter().map(|line| line["deviceId"].as_str().unwrap()).collect();
    devices.sort_unstable();
    devices.dedup();
    assert_eq!((lines.len(), devices.len(), of(&lines, "firing").len()), (100, 100, 100));
    env.finish().await;
}

/// Late failures move the beginning of a run, and with it the id that an alerter derives.
#[tokio::test]
async fn one_incident_of_a_device_is_open_whenever_it_is_said_to_have_begun() {
    let env = TestEnv::new();
    let store = env.store().await;
    store.ensure_indexes().await.unwrap();
    let alert = |hours| {
        let run = FailureRun { count: 3, since: hours_ago(hours), last_at: hours_ago(1), last_speed: 1.0 };
        Alert::device_sync_failing(DeviceId::parse("a").unwrap(), &run)
    };
    assert_eq!(store.alerts().open(&alert(5)).await.unwrap(), Opened::Now);
    assert_eq!(store.alerts().open(&alert(6)).await.unwrap(), Opened::Before);
    env.finish().await;
}

#[tokio::test]
async fn without_any_hint_a_tick_finds_it() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    fails(&api, "pibook-1", &[3, 2, 1]).await;
    env.drained().await;
    while !pisync_core::queue::Hints::new(env.queue()).take(100).await.unwrap().is_empty() {}
    once(&env).await;
    assert_eq!(of(&env.alerts(), "firing").len(), 1);
    env.finish().await;
}

#[tokio::test]
async fn a_later_run_of_failures_is_another_incident() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    fails(&api, "pibook-1", &[9, 8, 7]).await;
    env.drained().await;
    once(&env).await;
    api.accepts(&[body("pibook-1", hours_ago(6), false)]).await;
    env.drained().await;
    once(&env).await;
    fails(&api, "pibook-1", &[5, 4, 3]).await;
    env.drained().await;
    once(&env).await;
    let lines = env.alerts();
    let seen: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(seen, ["firing", "resolved", "firing"]);
    assert_ne!(lines[0]["id"], lines[2]["id"]);
    env.finish().await;
}

#[tokio::test]
async fn a_good_sync_that_arrives_late_resolves_too() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    fails(&api, "pibook-1", &[9, 7, 5]).await;
    env.drained().await;
    once(&env).await;
    api.accepts(&[body("pibook-1", hours_ago(6), false)]).await;
    env.drained().await;
    assert_eq!(env.failure_count("pibook-1").await, 1);
    once(&env).await;
    assert_eq!(of(&env.alerts(), "resolved").len(), 1);
    env.finish().await;
}

/// One look at everything, as a cron job would have it.
async fn once(env: &TestEnv) {
    let log = env.path("alerts.log").display().to_string();
    let mut look = env.start("once.log", "alerter", &["--once", "--alert-log", &log]);
    assert!(look.ended().await.success(), "{}", look.log());
}
