//! Documents edited by a person or another program: an unreadable one never stops the others. It is counted, named in
//! the log, and repaired by `counters rebuild`.

use pisync_core::models::Incident;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{
    Api, Service, TestEnv, body, hours_ago, mongo_command, mongo_find,
    world::{counter, event, failing, incident, save, silence, store_counters, store_events},
};

async fn insert(env: &TestEnv, collection: &str, documents: Value) {
    mongo_command(env, "insert", collection, json!({ "documents": documents })).await;
}

async fn set(env: &TestEnv, collection: &str, query: Value, change: Value) {
    let update = json!({ "updates": [{ "q": query, "u": change, "multi": true }] });
    mongo_command(env, "update", collection, update).await;
}

async fn rebuild(env: &TestEnv, args: &[&str]) -> Value {
    let args = [&["counters", "rebuild", "--json"], args].concat();
    let output = env.command("queue-worker", &args).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn metrics(url: &str) -> String {
    reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap()
}

async fn worker_with_metrics(env: &TestEnv, name: &str) -> (Service, String) {
    let mut worker = env.start(name, "queue-worker", &["--ops-bind", "127.0.0.1:0"]);
    let address = worker.says("the port for operators is open address=").await;
    (worker, format!("http://{}", address.trim()))
}

/// Returns possible edits of the counter of the device `edited`.
fn edits() -> Vec<(&'static str, Value)> {
    let far = json!({ "$date": { "$numberLong": "9000000000000000" } });
    vec![
        ("a broken revision", json!({ "$set": { "revision": 1.5 } })),
        ("a text as revision", json!({ "$set": { "revision": "1" } })),
        ("the last revision there can be", json!({ "$set": { "revision": { "$numberLong": "9223372036854775807" } } })),
        ("a negative revision", json!({ "$set": { "revision": -1 } })),
        ("a negative count", json!({ "$set": { "failureCount": -3 } })),
        ("a broken count", json!({ "$set": { "failureCount": 3.5 } })),
        ("a text as count", json!({ "$set": { "failureCount": "3" } })),
        ("no count", json!({ "$unset": { "failureCount": "" } })),
        ("a null count", json!({ "$set": { "failureCount": null } })),
        ("an array as count", json!({ "$set": { "failureCount": [3] } })),
        ("a date as text", json!({ "$set": { "watermark": "2026-11-23" } })),
        ("a date beyond all clocks", json!({ "$set": { "lastSuccessAt": far } })),
        ("a device in an array", json!({ "$set": { "deviceId": ["edited"] } })),
    ]
}

async fn world_with_worker() -> (TestEnv, Api, Service, String) {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (worker, url) = worker_with_metrics(&env, "worker.log").await;
    (env, api, worker, url)
}

#[tokio::test]
async fn a_counter_that_cannot_be_read_stops_nothing_and_is_mended_by_a_rebuild() {
    let (mut env, now) = (TestEnv::new(), hours_ago(0));
    // With one partition, all devices share batches.
    env.set_partitions(1);
    let api = env.api(&[]).await;
    let (_worker, url) = worker_with_metrics(&env, "worker.log").await;
    let at = |minutes: i64| now - jiff::SignedDuration::from_mins(minutes);
    let mut minutes = 1_000;
    let mut report = async |device: &str| {
        minutes -= 1;
        api.accepts(&[body(device, at(minutes), true)]).await;
        env.drained().await;
    };
    report("edited").await;
    let mut failed = 1;
    for (what, edit) in edits() {
        set(&env, "FailureCounter", json!({ "deviceId": "edited" }), edit).await;
        for device in ["edited", "neighbour", "edited"] {
            report(device).await;
        }
        failed += 2;
        let rebuilt = rebuild(&env, &["--device", "edited"]).await;
        assert_eq!(rebuilt["unreadableRemoved"], 1, "{what}");
        assert_eq!(env.failure_count("edited").await, failed, "{what}");
    }
    let edits = i32::try_from(edits().len()).unwrap();
    assert_eq!(env.failure_count("neighbour").await, edits);
    assert_eq!(env.rows().await.len(), 3 * edits.unsigned_abs() as usize + 1);
    let counted = metrics(&url).await;
    assert!(counted.contains("pisync_unreadable_documents_total{collection=\"FailureCounter\"}"), "{counted}");
    let log = std::fs::read_to_string(env.path("worker.log")).unwrap();
    assert!(log.contains("cannot be read") && log.contains("field=failureCount"), "{log}");
    assert_eq!(rebuild(&env, &[]).await["unreadableRemoved"], 0);
    env.finish().await;
}

#[tokio::test]
async fn numbers_as_people_write_them_and_a_null_revision_are_read() {
    let (env, api, _worker, _) = world_with_worker().await;
    let edits = [
        json!({ "$set": { "revision": 7.0, "failureCount": 1.0 } }),
        json!({ "$set": { "revision": { "$numberDecimal": "7" }, "failureCount": { "$numberDecimal": "1" } } }),
        json!({ "$set": { "revision": null } }),
        json!({ "$unset": { "revision": "" } }),
        json!({ "$set": { "note": "mine", "tags": ["a"] } }),
    ];
    for (place, edit) in (0..).zip(edits) {
        let (device, base) = (format!("edited-{place}"), hours_ago(9));
        api.accepts(&[body(&device, base, true)]).await;
        env.drained().await;
        set(&env, "FailureCounter", json!({ "deviceId": &device }), edit).await;
        api.accepts(&[body(&device, base + jiff::SignedDuration::from_hours(1), true)]).await;
        env.drained().await;
        assert_eq!(env.failure_count(&device).await, 2, "{device}");
        assert_eq!(mongo_find(&env, "FailureCounter", json!({ "deviceId": &device })).await.len(), 1, "{device}");
    }
    env.finish().await;
}

#[tokio::test]
async fn two_counters_of_one_device_are_made_one_and_the_index_unique() {
    let env = TestEnv::new();
    // As another program left it: no unique index, and two documents.
    insert(
        &env,
        "FailureCounter",
        json!([
            { "deviceId": "twice", "failureCount": 1 },
            { "deviceId": "twice", "failureCount": 9 },
            { "deviceId": "once", "failureCount": 0 },
        ]),
    )
    .await;
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let now = hours_ago(0);
    for minutes in [30, 20, 10] {
        api.accepts(&[body("twice", now - jiff::SignedDuration::from_mins(minutes), true)]).await;
    }
    api.accepts(&[body("once", now, true)]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 4);
    // Reads are served meanwhile.
    assert_eq!(api.get("/api/v1/devices").await.0, StatusCode::OK);
    assert_eq!(api.get("/api/v1/devices?status=failing").await.0, StatusCode::OK);

    let rebuilt = rebuild(&env, &[]).await;
    assert_eq!(rebuilt["unreadableRemoved"], 1, "{rebuilt}");
    assert_eq!(env.failure_count("twice").await, 3);
    assert_eq!(mongo_find(&env, "FailureCounter", json!({ "deviceId": "twice" })).await.len(), 1);
    insert(&env, "FailureCounter", json!([{ "deviceId": "twice", "failureCount": 9 }])).await;
    assert_eq!(mongo_find(&env, "FailureCounter", json!({ "deviceId": "twice" })).await.len(), 1, "it is unique");
    env.finish().await;
}

/// Every list continues after an unreadable document.
#[tokio::test]
async fn lists_leave_out_what_cannot_be_read_and_go_on() {
    let env = TestEnv::new();
    store_counters(&env, (0..6).map(|i| counter(&format!("pibook-{i}"), 3 + i)).collect()).await;
    let now = hours_ago(0);
    let rows: Vec<_> =
        (1..=6).map(|hours| event("pibook-0", now - jiff::SignedDuration::from_hours(hours), true)).collect();
    store_events(&env, &rows).await;
    set(&env, "FailureCounter", json!({ "deviceId": "pibook-3" }), json!({ "$set": { "revision": "x" } })).await;
    set(&env, "FailureCounter", json!({ "deviceId": "pibook-5" }), json!({ "$set": { "failureCount": 8.5 } })).await;
    let middle = rows[2].0.to_string();
    let bad_row = json!({ "$set": { "deviceId": ["pibook-0"] } });
    set(&env, "SyncEvent", json!({ "_id": { "$oid": middle } }), bad_row).await;
    for strange in [json!(null), json!(7), json!(["a", "b"])] {
        let at = json!({ "$date": "2026-11-20T00:00:00Z" });
        insert(&env, "SyncEvent", json!([{ "deviceId": strange, "timestamp": at, "totalErrors": 1 }])).await;
        insert(&env, "FailureCounter", json!([{ "deviceId": strange, "failureCount": 4 }])).await;
    }
    let api = env.api(&[]).await;
    let all = async |path: &str, member: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..30 {
            let (status, page) = api.get(&format!("{path}{cursor}")).await;
            assert_eq!(status, StatusCode::OK, "{path}: {page}");
            found.extend(page["items"].as_array().unwrap().iter().map(|item| item[member].to_string()));
            let Some(next) = page["nextCursor"].as_str() else { return found };
            cursor = format!("&cursor={next}");
        }
        panic!("{path} goes on for ever: {found:?}");
    };
    let devices = |numbers: &[i32]| numbers.iter().map(|i| format!("\"pibook-{i}\"")).collect::<Vec<_>>();
    for limit in [1, 2, 10] {
        let path = format!("/api/v1/devices?limit={limit}");
        assert_eq!(all(&path, "deviceId").await, devices(&[0, 1, 2, 4]), "{path}");
        let path = format!("/api/v1/devices?status=failing&limit={limit}");
        assert_eq!(all(&path, "deviceId").await, devices(&[4, 2, 1, 0]), "{path}");
        let path = format!("/api/v1/devices/pibook-0/sync-events?limit={limit}");
        assert_eq!(all(&path, "_id").await.len(), 5, "{path}");
    }
    for path in [
        "/api/devices/repeated-failures?limit=2",
        "/api/device/pibook-0/sync-history",
        "/api/v1/fleet/summary",
        "/api/v1/fleet/what-changed",
    ] {
        let (status, answer) = api.get_computed(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
    let csv = reqwest::get(format!("{}/api/v1/devices.csv?status=failing", api.url)).await.unwrap();
    assert_eq!(csv.text().await.unwrap().lines().count(), 5);
    let counted = metrics(&api.url).await;
    for collection in ["FailureCounter", "SyncEvent"] {
        let sample = format!("pisync_unreadable_documents_total{{collection=\"{collection}\"}}");
        assert!(counted.contains(&sample), "{sample}: {counted}");
    }
    // An unreadable document without a device must not stop the rebuild of the others.
    let rebuilt = rebuild(&env, &[]).await;
    assert_eq!((&rebuilt["counted"], &rebuilt["unreadableRemoved"]), (&json!(1), &json!(5)), "{rebuilt}");
    env.remove().await;
}

#[tokio::test]
async fn an_alert_of_a_later_version_stops_no_message_and_no_list() {
    let env = TestEnv::new();
    incident(&env, "pibook-1", hours_ago(3), false).await;
    for name in ["pibook-2", "pibook-3"] {
        save(&env, Incident { ..failing(name) }).await;
    }
    let later = json!({ "$set": { "alertname": "DeviceOnFire" } });
    set(&env, "Alert", json!({ "deviceId": "pibook-1" }), later).await;
    for (place, edit) in
        [json!({ "revision": "x" }), json!({ "outbox": 7 }), json!({ "state": 1 })].into_iter().enumerate()
    {
        let device = format!("pibook-{}", 4 + place);
        save(&env, failing(&device)).await;
        set(&env, "Alert", json!({ "deviceId": device }), json!({ "$set": edit })).await;
    }
    let now = hours_ago(0);
    store_events(
        &env,
        &(1..4).map(|i| event("pibook-9", now - jiff::SignedDuration::from_mins(i), true)).collect::<Vec<_>>(),
    )
    .await;
    store_counters(&env, vec![counter("pibook-9", 3)]).await;

    let api = env.api(&[]).await;
    for limit in [1, 2, 50] {
        let (status, page) = api.get(&format!("/api/v1/alerts?limit={limit}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert!(!page["items"].as_array().unwrap().is_empty(), "{page}");
    }
    let _alerter = env.alerter("alerter.log", &["--schedule", "* * * * * *"]).await;
    env.until("the alert of another device", async || env.alerts().iter().any(|alert| alert["deviceId"] == "pibook-9"))
        .await;
    env.remove().await;
}

#[tokio::test]
async fn silences_hours_and_other_records_that_were_edited_stop_nothing() {
    let env = TestEnv::new();
    silence(&env, "deviceId=one").await;
    let far = json!({ "$date": { "$numberLong": "9000000000000000" } });
    let at = json!({ "$date": "2026-11-20T00:00:00Z" });
    let later = json!({ "$date": "2036-11-20T00:00:00Z" });
    insert(&env, "Silence", json!([
        { "matchers": [], "startsAt": at, "endsAt": later, "by": "me", "comment": "", "createdAt": at },
        { "matchers": [{ "label": "deviceId", "operator": "??", "value": "a" }], "startsAt": at, "endsAt": later, "by": "me", "comment": "", "createdAt": at },
        { "matchers": "deviceId=a", "endsAt": later },
        { "matchers": [{ "label": "deviceId", "operator": "=", "value": "far" }], "startsAt": at, "endsAt": far, "by": "me", "comment": "", "createdAt": at },
    ]))
    .await;
    insert(
        &env,
        "Retention",
        json!([{ "_id": "SyncEvent", "owner": 7, "until": far, "finishedAt": "never", "after": "x" }]),
    )
    .await;
    let hour = pisync_core::time::hour_of(hours_ago(2)).to_string();
    insert(&env, "SyncHour", json!([{ "_id": { "$date": hour }, "failedSpeeds": [1], "good": "many" }])).await;
    insert(&env, "StatusHour", json!([{ "_id": { "$date": hour }, "ok": -1 }])).await;
    insert(&env, "Summary", json!([{ "_id": "2026-W01", "lines": 3 }])).await;
    store_events(&env, &[event("one", hours_ago(2), true)]).await;

    let api = env.api(&["--first-record-ms", "0"]).await;
    let (status, silences) = api.get("/api/v1/silences").await;
    assert_eq!((status, silences["items"].as_array().unwrap().len()), (StatusCode::OK, 2), "{silences}");
    let (status, summary) = api.get_computed("/api/v1/fleet/summary").await;
    assert_eq!(status, StatusCode::OK, "{summary}");
    let page = reqwest::get(format!("{}/", api.url)).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let mut worker = env.start("worker.log", "queue-worker", &["--retain-days", "3000"]);
    worker.says("old rows removed").await;
    env.remove().await;
}

#[tokio::test]
async fn what_a_person_puts_into_redis_stops_nothing() {
    let mut env = TestEnv::new();
    env.set_partitions(1);
    let key = |name: &str| format!("{{}}:{{q:00}}:{name}");
    env.redis(&["ZADD", &key("hours"), "1", "no hour"]).await;
    env.redis(&["ZADD", &key("hours"), "1e300", "1795000000"]).await;
    env.redis(&["ZADD", &key("seen"), "1e300", "far"]).await;
    env.redis(&["ZADD", &key("seen"), "-inf", "never"]).await;
    env.redis(&["HSET", &key("stats"), "acked", "many"]).await;
    env.redis(&["LPUSH", &key("dead"), "no letter"]).await;
    env.redis(&["HSET", "{}:heartbeat", "ingest", "today", "gap:x", "1"]).await;
    env.redis(&["RPUSH", "{}:alerts", ""]).await;
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let base = hours_ago(3);
    api.accepts(&[body("one", base, true)]).await;
    env.drained().await;
    for path in ["/api/v1/fleet/summary", "/api/v1/devices?status=silent", "/readyz"] {
        let (status, answer) = api.get_computed(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
    assert!(metrics(&api.url).await.contains("pisync_queue_waiting_events"));
    for args in [&["queue", "status"][..], &["dead-letters", "list"]] {
        let output = env.command("queue-worker", args).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // A key of another type is moved aside by its next writer.
    for name in ["seen", "hours"] {
        env.redis(&["DEL", &key(name)]).await;
        env.redis(&["SET", &key(name), "text"]).await;
    }
    api.accepts(&[body("two", base, true)]).await;
    env.drained().await;
    assert_eq!(api.get_computed("/api/v1/fleet/summary").await.0, StatusCode::OK);
    assert_eq!(env.redis(&["TYPE", &key("seen")]).await, "zset");
    env.redis(&["DEL", &key("dead")]).await;
    env.remove().await;
}

/// A regression: a row without a valid number of errors counted as a good sync, so the device was healthy and no
/// alert fired.
#[tokio::test]
async fn a_row_without_a_number_of_errors_is_neither_good_nor_failed() {
    let env = TestEnv::new();
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let at = |hours: i64| hours_ago(hours) + jiff::SignedDuration::from_mins(30);
    let edits = [
        json!({ "$set": { "totalErrors": "1" } }),
        json!({ "$set": { "totalErrors": null } }),
        json!({ "$unset": { "totalErrors": "" } }),
        json!({ "$set": { "totalErrors": [0] } }),
        json!({ "$set": { "totalErrors": { "$numberDouble": "NaN" } } }),
        json!({ "$set": { "totalErrors": -1 } }),
        json!({ "$set": { "internetSpeed": "12 Mbps", "totalErrors": 0 } }),
    ];
    let device = |place: usize| format!("edited-{place}");
    for place in 0..edits.len() {
        let device = device(place);
        api.accepts(&[body(&device, at(4), true), body(&device, at(3), true), body(&device, at(2), true)]).await;
    }
    env.drained().await;
    for (place, edit) in edits.iter().enumerate() {
        let newest = json!({ "deviceId": device(place), "timestamp": { "$date": at(2).to_string() } });
        set(&env, "SyncEvent", newest, edit.clone()).await;
    }
    worker.terminate().await;
    rebuild(&env, &[]).await;
    for (place, edit) in edits.iter().enumerate() {
        assert_eq!(env.failure_count(&device(place)).await, 2, "{edit}");
    }
    // The next report is the third failure in a row.
    let (_worker, _) = worker_with_metrics(&env, "worker-2.log").await;
    for place in 0..edits.len() {
        api.accepts(&[body(&device(place), at(1), true)]).await;
    }
    env.drained().await;
    for (place, edit) in edits.iter().enumerate() {
        assert_eq!(env.failure_count(&device(place)).await, 3, "{edit}");
        let (_, history) = api.get(&format!("/api/device/{}/sync-history", device(place))).await;
        assert_eq!(history["data"]["results"].as_array().unwrap().len(), 3, "{edit}: {history}");
    }
    let rows = u64::try_from(edits.len()).unwrap();
    let (status, summary) = api.get_computed("/api/v1/fleet/summary?hours=24").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&summary["syncs"]["good"], &summary["syncs"]["failed"]), (&json!(0), &json!(3 * rows)), "{summary}");
    let counted = metrics(&api.url).await;
    assert!(counted.contains("pisync_unreadable_documents_total{collection=\"SyncEvent\"}"), "{counted}");
    assert!(api.service.log().contains("field=totalErrors"), "{}", api.service.log());
    env.remove().await;
}

/// Rows of other programs may lack the speed: it counts as not measured.
#[tokio::test]
async fn a_row_without_a_speed_counts_as_one_that_was_not_measured() {
    let env = TestEnv::new();
    store_events(&env, &[event("one", hours_ago(3), true), event("one", hours_ago(2), true)]).await;
    set(&env, "SyncEvent", json!({ "deviceId": "one" }), json!({ "$unset": { "internetSpeed": "" } })).await;
    rebuild(&env, &[]).await;
    assert_eq!(env.failure_count("one").await, 2);
    let run = env.counters().await.into_values().next().unwrap().run.unwrap();
    assert!(run.last_speed <= 0.0, "{run:?}");
    env.remove().await;
}

#[tokio::test]
async fn an_open_incident_that_cannot_be_read_keeps_its_device_from_no_alert() {
    let env = TestEnv::new();
    let now = hours_ago(0);
    let rows = (1..4).map(|i| event("pibook-1", now - jiff::SignedDuration::from_mins(i), true));
    store_events(&env, &rows.collect::<Vec<_>>()).await;
    store_counters(&env, vec![counter("pibook-1", 3)]).await;
    let mut alerter = env.alerter("alerter.log", &["--schedule", "* * * * * *"]).await;
    env.has_alerts(1).await;
    alerter.terminate().await;
    let edit = json!({ "$set": { "state": 7, "outbox": "none" } });
    set(&env, "Alert", json!({ "deviceId": "pibook-1" }), edit).await;
    let mut alerter = env.alerter("alerter-2.log", &["--schedule", "* * * * * *"]).await;
    env.has_alerts(2).await;
    alerter.says("is kept under `unreadable`").await;
    let kept = mongo_find(&env, "Alert", json!({ "unreadable.state": 7 })).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let open = mongo_find(&env, "Alert", json!({ "open": true })).await;
    assert_eq!((open.len(), &open[0]["state"]), (1, &json!("firing")), "{open:?}");
    env.remove().await;
}

#[tokio::test]
async fn a_lease_of_a_clock_far_ahead_holds_no_message_up() {
    let env = TestEnv::new();
    let far = json!({ "$date": "2099-01-01T00:00:00Z" });
    incident(&env, "pibook-1", hours_ago(3), false).await;
    let entries = mongo_find(&env, "Alert", json!({ "deviceId": "pibook-1" })).await;
    let group = entries[0]["outbox"][0]["groupKey"].clone();
    insert(&env, "AlertGroup", json!([{ "_id": group, "owner": "gone", "leaseUntil": far, "notBefore": far }])).await;
    store_counters(&env, vec![counter("pibook-1", 3)]).await;
    let _alerter = env.alerter("alerter.log", &["--schedule", "* * * * * *"]).await;
    env.has_alerts(1).await;
    env.remove().await;
}
