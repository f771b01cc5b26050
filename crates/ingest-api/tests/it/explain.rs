//! Every read uses an index: the database's profiler records the real queries and their plans.

use jiff::SignedDuration;
use pisync_core::models::Incident;
use serde_json::{Value, json};
use testkit::{
    Api, TestEnv, asked_by, hours_ago, mongo_command, profile,
    world::{counter, event, failing, heard_of, incident, save, silence, store_counters, store_events, tied},
};

/// Maximum number of documents that one command may examine, whatever the collections hold: a step of a walk, or
/// a batch of a streamed list.
const MOST: u64 = 601;

/// Maximum number of documents sorted in memory: those of the same time.
const SORTED: u64 = 201;

async fn filled(env: &TestEnv) {
    let first = hours_ago(5_000);
    let mut events = tied("one", hours_ago(5), 100);
    events.extend((0..6_000).map(|i| event("one", first + SignedDuration::from_mins(i * 10), i % 3 == 0)));
    for i in 0..400 {
        events.extend((1..20).map(|hours| event(&format!("pibook-{i:04}"), hours_ago(hours * 20), false)));
    }
    store_events(env, &events).await;
    let mut counters: Vec<_> = (0..4_000).map(|i| counter(&format!("pibook-{i:04}"), i % 5)).collect();
    counters.push(counter("one", 7));
    for suspect in counters.iter_mut().step_by(11) {
        suspect.clock_suspect_since = Some(hours_ago(2));
    }
    let ids: Vec<_> = counters.iter().map(|counter| counter.device_id.to_string()).collect();
    store_counters(env, counters).await;
    let seen: Vec<_> = ids.iter().zip(0..).map(|(id, i)| (id.as_str(), hours_ago(i % 48))).collect();
    heard_of(env, &seen).await;
    for i in 0..300 {
        incident(env, &format!("pibook-{:04}", i % 50), hours_ago(1_000 - i), true).await;
    }
    let open = incident(env, "one", hours_ago(3), false).await;
    for i in 100..300 {
        save(env, Incident { inhibited_by: Some(open.id), ..failing(&format!("pibook-{i:04}")) }).await;
    }
    silence(env, "deviceId=one").await;
}

/// Each read of the API, with a second page if there is one.
async fn ask_everything(api: &Api) {
    let time = hours_ago(5);
    for path in [
        "/api/device/one/sync-history?page=3&limit=200",
        "/api/devices/repeated-failures?page=2&limit=100",
        "/api/v1/devices/one",
        "/api/v1/devices/one/sync-events",
        "/api/v1/devices/one/sync-events?limit=10",
        "/api/v1/devices/one/sync-events?limit=1",
        &format!("/api/v1/devices/one/sync-events?limit=20&from={}&to={time}", hours_ago(900)),
        "/api/v1/devices",
        "/api/v1/devices?limit=200",
        "/api/v1/devices?status=ok",
        "/api/v1/devices?status=silent",
        "/api/v1/devices?status=clock-suspect",
        "/api/v1/devices?status=failing",
        "/api/v1/devices?minFailures=2&limit=200",
        "/api/v1/devices?q=pibook-00",
        "/api/v1/devices?q=pibook&status=failing",
        &format!("/api/v1/devices?seenBefore={time}"),
        &format!("/api/v1/devices?seenAfter={time}&status=silent"),
        "/api/v1/alerts",
        "/api/v1/alerts?state=firing",
        "/api/v1/alerts?state=resolved&limit=7",
        "/api/v1/alerts?deviceId=pibook-0003&limit=2",
        &format!("/api/v1/alerts?heldBy={}&limit=50", open_alert(api).await),
        "/api/v1/devices?sort=failures",
        "/api/v1/devices?sort=seen&limit=20",
        "/api/v1/devices?sort=failures&q=pibook-39&status=ok",
        "/api/v1/silences",
        "/api/v1/alerts?deviceId=pibook-0003&state=resolved&limit=2",
        "/api/v1/fleet/summary",
        "/api/v1/fleet/summary?hours=168",
    ] {
        let (status, answer) = api.get_computed(path).await;
        assert_eq!(status.as_u16(), 200, "{path}: {answer}");
        if let Some(cursor) = answer["nextCursor"].as_str() {
            let join = if path.contains('?') { '&' } else { '?' };
            assert_eq!(api.get(&format!("{path}{join}cursor={cursor}")).await.0.as_u16(), 200, "{path}");
        }
    }
    for path in ["/api/v1/devices/one/sync-events.csv", "/api/v1/devices.csv?status=failing"] {
        let answer = reqwest::get(format!("{}{path}", api.url)).await.unwrap();
        assert!(answer.text().await.unwrap().lines().count() > 700, "{path}");
    }
}

/// The pages of the dashboard that do not read all rows of a device.
async fn look_at_pages(api: &Api) {
    let held = format!("/alerts?heldBy={}", open_alert(api).await);
    for path in ["/alerts", "/alerts?state=", &held, "/silences?kind=prefix&device=pibook-00", "/devices?sort=failures"]
    {
        let answer = reqwest::get(format!("{}{path}", api.url)).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
}

/// Returns the id of the open alert that inhibits others.
async fn open_alert(api: &Api) -> String {
    let (_, open) = api.get("/api/v1/alerts?deviceId=one&state=firing").await;
    open["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Returns the queries of the API since the profiler was turned on.
async fn asked(env: &TestEnv) -> Vec<Value> {
    asked_by(env, "ingest-api").await
}

/// Returns whether a query examined more than it needed.
fn is_unbounded(entry: &Value) -> bool {
    let plan = entry["planSummary"].as_str().unwrap_or_default();
    let looked_at = entry["docsExamined"].as_u64().unwrap_or_default();
    let is_sorted = entry["hasSortStage"] == true;
    let is_much = looked_at > if is_sorted { SORTED } else { MOST };
    plan.contains("COLLSCAN") || is_much && !adds_up_an_hour(entry)
}

/// The sums of an hour read the rows of that hour once, and sort the few sums.
fn adds_up_an_hour(entry: &Value) -> bool {
    let command = &entry["command"];
    let command = if command.get("getMore").is_some() { &entry["originatingCommand"] } else { command };
    command["pipeline"].to_string().contains("$bucket") && entry["planSummary"] == "IXSCAN { _id: 1 }"
}

#[tokio::test]
async fn every_read_is_served_by_an_index_in_bounded_work() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    filled(&env).await;
    // The hours are added up at the first query; there is no such collection before.
    assert_eq!(api.get_computed("/api/v1/fleet/summary?hours=1").await.0.as_u16(), 200);
    profile(&env).await;
    ask_everything(&api).await;
    look_at_pages(&api).await;
    let asked = asked(&env).await;
    assert!(asked.len() > 60, "only {} reads were seen", asked.len());
    for entry in &asked {
        assert!(!is_unbounded(entry), "{entry:#}");
        let plan = entry["planSummary"].as_str().unwrap_or_default();
        assert!(!plan.is_empty() && plan != "EOF", "nothing was looked at: {entry:#}");
    }
    env.finish().await;
}

/// The control: without their index, reads without a hint scan or sort, and the profile shows it. Those with a
/// hint are refused and scan nothing.
#[tokio::test]
async fn a_read_without_its_index_is_found() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    filled(&env).await;
    profile(&env).await;
    for (collection, index) in
        [("SyncEvent", "deviceId_1_timestamp_1"), ("FailureCounter", "failureCount_-1_deviceId_1")]
    {
        mongo_command(&env, "dropIndexes", collection, json!({ "index": index })).await;
    }
    for path in ["/api/v1/devices/one/sync-events", "/api/v1/devices?status=failing"] {
        assert_eq!(api.get(path).await.0.as_u16(), 503, "{path}");
    }
    assert!(!asked(&env).await.iter().any(is_unbounded));
    for path in ["/api/device/one/sync-history", "/api/devices/repeated-failures"] {
        assert_eq!(api.get(path).await.0.as_u16(), 200, "{path}");
    }
    let unbounded = asked(&env).await.into_iter().filter(is_unbounded).count();
    assert!(unbounded >= 2, "{unbounded}");
    env.finish().await;
}
