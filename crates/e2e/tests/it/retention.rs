//! Retention: old rows are removed; counters and hourly sums stay as they were.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ingest_api::fleet::Hours;
use jiff::{SignedDuration, Timestamp};
use pisync_core::{models::SyncEvent, presence::LastSeen, time::hour_of};
use queue_worker::{
    metrics::Metrics,
    retention::{RemovalWalk, RowRemoval},
};
use serde_json::{Value, json};
use testkit::{
    TestEnv, body, hours_ago, mongo_command,
    world::{event, store_events},
};
use tokio_util::sync::CancellationToken;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Returns the retention task of a worker, due at once on each call.
async fn retention(env: &TestEnv, owner: &str, days: u16) -> RowRemoval {
    let mut retention = RowRemoval::new(env.queue(), env.store().await, owner, days, Arc::new(Metrics::new()));
    retention.every = Duration::ZERO;
    retention
}

/// Runs one walk in steps of a few rows. Returns the number of removed rows.
async fn remove(env: &TestEnv, days: u16) -> u64 {
    match retention(env, "test", days).await.walk(7, &CancellationToken::new()).await.unwrap() {
        RemovalWalk::Through(removed) => removed,
        other => panic!("{other:?}"),
    }
}

fn at(device: &str, days_ago: f64, failed: bool) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "hours of some years")]
    let hours = (days_ago * 24.0) as i64;
    body(device, hours_ago(hours) + SignedDuration::from_mins(30), failed)
}

/// Returns the ages of each device's rows in days, rounded, oldest first.
async fn ages(env: &TestEnv) -> BTreeMap<String, Vec<i64>> {
    let mut ages = BTreeMap::<_, Vec<_>>::new();
    for row in env.rows().await {
        let age = testkit::now().duration_since(row.timestamp);
        ages.entry(row.device_id).or_default().push((age + HOUR * 12).as_hours() / 24);
    }
    for ages in ages.values_mut() {
        ages.sort_by_key(|age| -age);
    }
    ages
}

#[tokio::test]
async fn rows_go_and_counters_stay_and_can_still_be_made_from_the_rest() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let mut reports = vec![at("silent", 300.0, true), at("silent", 250.0, false)];
    reports.extend((0..=20).rev().map(|tens| at("well", f64::from(tens) * 10.0 + 1.0, false)));
    reports.push(at("failing", 150.0, false));
    reports.extend((1..150).rev().map(|days| at("failing", f64::from(days), true)));
    reports.push(at("brief", 120.0, false));
    reports.extend([50.0, 49.0, 48.0].map(|days| at("brief", days, true)));
    reports.push(at("dead", 300.0, false));
    reports.extend((195..=200).rev().map(|days| at("dead", f64::from(days), true)));
    // Its clock is in 1970, and it came today.
    reports.push(body("suspect", "1970-01-02T00:00:00Z".parse().unwrap(), false));
    reports.push(at("ahead", 2.0, false));
    api.accepts(&reports).await;
    // Its clock was in 2040, and it came 100 days ago.
    let future: Timestamp = "2040-01-02T00:00:00Z".parse().unwrap();
    let ahead = SyncEvent::from_json(body("ahead", future, false).to_string().as_bytes(), hours_ago(2_400)).unwrap();
    store_events(&env, &[(ahead.id(), ahead)]).await;
    env.drained().await;
    let counts = async |env: &TestEnv| {
        let mut counts = Vec::new();
        for device in ["ahead", "brief", "dead", "failing", "silent", "suspect", "well"] {
            counts.push(env.failure_count(device).await);
        }
        counts
    };
    assert_eq!(counts(&env).await, [0, 3, 6, 149, 0, 0, 0]);
    let before = env.rows().await.len();

    let removed = remove(&env, 90).await;
    let ages = ages(&env).await;
    assert_eq!(ages["well"], [81, 71, 61, 51, 41, 31, 21, 11, 1]);
    assert_eq!(ages["failing"], (1..=90).rev().collect::<Vec<_>>());
    assert_eq!(ages["brief"], [120, 50, 49, 48], "its last good sync and all after it");
    assert_eq!((&ages["silent"], ages.get("dead")), (&vec![250], None));
    assert_eq!((&ages["suspect"], &ages["ahead"]), (&vec![0], &vec![2]));
    assert_eq!(before as u64 - removed, env.rows().await.len() as u64);
    assert_eq!(counts(&env).await, [0, 3, 6, 149, 0, 0, 0], "no counter shrinks");
    assert_eq!(remove(&env, 90).await, 0);
    let rebuilt = env.command("queue-worker", &["counters", "rebuild", "--json"]).output().await.unwrap();
    let rebuilt: Value = serde_json::from_slice(&rebuilt.stdout).unwrap();
    assert_eq!(rebuilt["mended"], 0);

    // A late report makes a run longer or leaves it, and never shorter.
    api.accepts(&[at("failing", 60.5, true), at("failing", 140.0, true), at("failing", 130.5, true)]).await;
    api.accepts(&[at("silent", 260.0, true), at("dead", 197.5, true), at("dead", 1.0, true)]).await;
    api.accepts(&[at("brief", 130.0, true), at("brief", 49.5, true)]).await;
    env.drained().await;
    assert_eq!(counts(&env).await, [0, 4, 7, 150, 0, 0, 0]);
    assert!(remove(&env, 90).await > 0, "what was resent goes again");
    assert_eq!(counts(&env).await, [0, 4, 7, 150, 0, 0, 0]);
    api.accepts(&[at("failing", 0.5, false), at("dead", 0.5, false)]).await;
    env.drained().await;
    assert_eq!(counts(&env).await, [0, 4, 0, 0, 0, 0, 0]);
    api.accepts(&[at("failing", 95.0, true), at("failing", 0.25, true)]).await;
    env.drained().await;
    assert_eq!(env.failure_count("failing").await, 1);
    env.finish().await;
}

/// Returns the sums of an hour, as `SyncHour` has them.
async fn sums(env: &TestEnv, hour: Timestamp) -> Vec<(u64, u64, u64, u64, bool)> {
    let hours = env.store().await.sync_hours().hours(hour, hour + HOUR).await.unwrap();
    hours.iter().map(|hour| (hour.good, hour.failed, hour.files, hour.errors, hour.closed)).collect()
}

#[tokio::test]
async fn an_hour_keeps_its_sums_when_its_rows_are_gone() {
    let env = TestEnv::new();
    // Two expired hours: one without sums, and one whose sums the API has computed.
    let (long_ago, lately) = (hour_of(hours_ago(24 * 100)), hour_of(hours_ago(24 * 3)));
    let mut events = Vec::new();
    for i in 0..60 {
        let device = format!("pibook-{i}");
        events.push(event(&device, long_ago + SignedDuration::from_secs(i * 59), i % 4 == 0));
        events.push(event(&device, lately + SignedDuration::from_secs(i * 59), i % 3 == 0));
        events.push(event(&device, hours_ago(2), false));
    }
    store_events(&env, &events).await;
    let now = LastSeen::new(env.queue()).now().await.unwrap();
    env.store().await.sync_hours().compute(lately, now - HOUR).await.unwrap();
    let late = event("latecomer", lately + HOUR / 2, true);
    store_events(&env, &[late, event("latecomer", hours_ago(1), false)]).await;

    assert_eq!(remove(&env, 1).await, 121);
    let expected = [(45, 15, 480, 15, true)];
    assert_eq!(sums(&env, long_ago).await, expected);
    let recently = [(40, 21, 488, 21, true)];
    assert_eq!(sums(&env, lately).await, recently, "added up once more before");

    // Neither the API nor the next walk sums up removed rows.
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    LastSeen::new(queue.clone()).note(partition, &[], &[lately, long_ago], u64::MAX).await.unwrap();
    let shown = Hours::new(queue, env.store().await).of(lately, lately + HOUR).await.unwrap();
    assert_eq!((shown[0].good, shown[0].failed), (40, 21));
    let computed = env.store().await.sync_hours().compute(lately, now + HOUR).await.unwrap();
    assert_eq!((computed.good, computed.failed), (40, 21));
    store_events(&env, &[event("latecomer", long_ago + HOUR / 3, true)]).await;
    assert_eq!(remove(&env, 1).await, 1);
    assert_eq!((sums(&env, long_ago).await, sums(&env, lately).await), (expected.into(), recently.into()));
    env.finish().await;
}

#[tokio::test]
async fn one_worker_removes_at_a_time_and_who_is_interrupted_goes_on_where_it_was() {
    let env = TestEnv::new();
    let mut events: Vec<_> = (0..30).map(|i| event("a", hours_ago(24 * 200 - i), false)).collect();
    events.push(event("a", hours_ago(1), false));
    store_events(&env, &events).await;
    let (first, second) = (retention(&env, "first", 90).await, retention(&env, "second", 90).await);
    let stopped = CancellationToken::new();
    stopped.cancel();
    assert_eq!(first.walk(10, &stopped).await.unwrap(), RemovalWalk::Interrupted);
    assert_eq!(env.rows().await.len(), 21);
    let go_on = CancellationToken::new();
    assert_eq!(second.walk(10, &go_on).await.unwrap(), RemovalWalk::NotNow, "the first one has it");
    // Behind the position of the walk: for the next walk.
    store_events(&env, &[event("a", hours_ago(24 * 300), false)]).await;
    assert_eq!(first.walk(10, &go_on).await.unwrap(), RemovalWalk::Through(20));
    assert_eq!(second.walk(10, &go_on).await.unwrap(), RemovalWalk::Through(1));
    let mut rested = retention(&env, "third", 90).await;
    rested.every = Duration::from_hours(1);
    assert_eq!(rested.walk(10, &go_on).await.unwrap(), RemovalWalk::NotNow, "it was done just now");

    // The lease of a dead worker ends.
    let lapsed = env.store().await.retention().claim("dead", Duration::ZERO, Duration::ZERO).await.unwrap();
    assert!(lapsed.is_some());
    env.until("the end of the lease", async || second.walk(10, &go_on).await.unwrap() == RemovalWalk::Through(0)).await;
    env.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_told_how_long_removes_by_itself() {
    let env = TestEnv::new();
    let mut events: Vec<_> = (0..50).map(|i| event("a", hours_ago(24 * 100 + i), true)).collect();
    events.extend([event("a", hours_ago(1), false), event("b", hours_ago(24 * 200), false)]);
    store_events(&env, &events).await;
    let mut worker = env.worker("worker.log", &["--retain-days", "90"]).await;
    assert_eq!(worker.says("old rows removed rows=").await, "50");
    assert_eq!(env.rows().await.len(), 2);
    assert!(worker.terminate().await.success());
    let date = json!({ "retainDays": "soon" });
    let mut bad = env.command("queue-worker", &[]);
    bad.env("PISYNC_RETAIN_DAYS", date["retainDays"].as_str().unwrap());
    assert_eq!(bad.output().await.unwrap().status.code(), Some(2));
    env.finish().await;
}

/// If the server refuses a counter (by a validator of an operator), the rows behind it stay; rows of other devices
/// are removed.
#[tokio::test]
async fn rows_stay_whose_counter_cannot_be_saved() {
    let env = TestEnv::new();
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for device in ["refused", "taken"] {
        api.accepts(&(1..30).rev().map(|days| at(device, f64::from(days) * 10.0, true)).collect::<Vec<_>>()).await;
    }
    env.drained().await;
    worker.terminate().await;
    let rule = json!({ "$or": [{ "deviceId": "taken" }, { "settledBefore": { "$exists": false } }] });
    mongo_command(&env, "collMod", "FailureCounter", json!({ "validator": rule })).await;
    let removed = remove(&env, 100).await;
    let ages = ages(&env).await;
    assert_eq!(ages["refused"].len(), 29, "{ages:?}");
    assert!(ages["taken"].len() < 12 && removed > 15, "{removed}: {ages:?}");
    let counts = (env.failure_count("refused").await, env.failure_count("taken").await);
    assert_eq!(counts, (29, 29));
    env.finish().await;
}
