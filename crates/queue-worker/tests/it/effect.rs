//! Rows and counters, whatever the database and the workers do.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use pisync_core::{
    crash::CrashSettings,
    models::{DeviceId, FailureCounter, SyncEvent},
    queue::{Queue, encode},
    store::{Revision, Saved, Store},
};
use queue_worker::{
    config::WorkSettings,
    worker::{StepOutcome, Worker},
};
use serde_json::{Value, json};
use testkit::{MongoServer, TestEnv, body, hours_ago, mongo_command};
use tokio_util::sync::CancellationToken;

fn settings(batch: u16) -> WorkSettings {
    WorkSettings {
        batch,
        lease_ms: 60_000,
        lanes: 1,
        threshold: 3,
        max_devices: NonZeroU64::MAX,
        retain_days: None,
        crash: CrashSettings::default(),
    }
}

/// Steps one worker until the queue is empty.
async fn work(queue: Queue, store: Store, batch: u16) {
    let worker = Worker::new(queue.clone(), store, settings(batch));
    let stop = CancellationToken::new();
    loop {
        match worker.step(None, &stop).await.unwrap() {
            StepOutcome::Worked => {}
            // Another worker holds a batch of the partition that has the rest.
            StepOutcome::Idle(Some(_)) => tokio::task::yield_now().await,
            StepOutcome::Idle(None) => return,
        }
    }
}

/// Any order, duplication, split and number of workers: the same rows and counters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_to_eight_workers_make_the_same_rows_and_counters() {
    for workers in 1..=8_usize {
        let env = TestEnv::new();
        let (queue, store) = (env.queue(), env.store().await);
        store.ensure_indexes().await.unwrap();
        let mut reports = Vec::new();
        for device in 0..12 {
            for hour in 1..=20 {
                let mut report = body(&format!("pibook-{device}"), hours_ago(hour), fastrand::u8(0..10) < 6);
                // Three devices move on each hour, three never, and the others have no labels.
                if device < 6 {
                    report["labels"] = json!({ "place": if device < 3 { hour } else { 0 } });
                }
                reports.push(report);
            }
        }
        let expected = expected(&reports);
        let resent: Vec<_> = fastrand::choose_multiple(&reports, 100).into_iter().cloned().collect();
        reports.extend(resent);
        fastrand::shuffle(&mut reports);
        for report in &reports {
            let event = SyncEvent::from_json(report.to_string().as_bytes(), hours_ago(0)).unwrap();
            let pushed = queue.push(queue.partition_of(&event.device_id), &[encode(&event)], 10_000).await.unwrap();
            assert_eq!(pushed.accepted, 1);
        }
        let batch = fastrand::u16(1..30);
        let tasks = (0..workers).map(|_| tokio::spawn(work(env.queue(), store.clone(), batch)));
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(env.rows().await.len(), 240, "{workers} workers, batches of {batch}");
        for (device, count) in expected {
            assert_eq!(env.failure_count(&device).await, count, "{device}, {workers} workers, batches of {batch}");
        }
        let labels = store.failure_counters().labels(&devices().iter().collect::<Vec<_>>()).await.unwrap();
        let places: Vec<_> =
            devices().iter().map(|device| labels.get(device)?.get("place").map(str::to_owned)).collect();
        let place = |device: usize| (device < 6).then(|| i32::from(device < 3).to_string());
        assert_eq!(places, (0..12).map(place).collect::<Vec<_>>(), "{workers} workers, batches of {batch}");
        env.finish().await;
    }
}

fn devices() -> Vec<DeviceId> {
    (0..12).map(|device| DeviceId::parse(&format!("pibook-{device}")).unwrap()).collect()
}

/// Returns each device with the number of its failed reports after the last good one, by time.
fn expected(reports: &[Value]) -> Vec<(String, i32)> {
    let mut devices: Vec<_> = reports.iter().map(|report| report["deviceId"].as_str().unwrap()).collect();
    devices.sort_unstable();
    devices.dedup();
    let count = |device: &str| {
        let mut of: Vec<_> = reports.iter().filter(|report| report["deviceId"] == device).collect();
        of.sort_by_key(|report| std::cmp::Reverse(report["timestamp"].as_str().unwrap()));
        i32::try_from(of.iter().take_while(|report| report["totalErrors"] == 1).count()).unwrap()
    };
    devices.into_iter().map(|device| (device.to_owned(), count(device))).collect()
}

/// A worker that slept past its lease still believes in the counter that it read.
#[tokio::test]
async fn a_counter_that_has_changed_since_it_was_read_is_not_overwritten() {
    let env = TestEnv::new();
    let store = env.store().await;
    store.ensure_indexes().await.unwrap();
    let counters = store.failure_counters();
    let device = DeviceId::parse("a").unwrap();
    let of = |success: i64| {
        let mut counter = FailureCounter::new(device.clone());
        counter.last_success_at = Some(hours_ago(success));
        counter
    };
    // Two workers that saw no counter, and two that saw the same one.
    assert_eq!(counters.save(&[(of(9), Revision::Unset)], &HashMap::new()).await.unwrap(), Saved::All);
    assert_eq!(counters.save(&[(of(8), Revision::Unset)], &HashMap::new()).await.unwrap(), Saved::Conflict);
    let read = counters.find(std::slice::from_ref(&device)).await.unwrap()[&device].revision;
    let (newer, zombie) = (of(2), of(5));
    assert_eq!(counters.save(&[(newer.clone(), read)], &HashMap::new()).await.unwrap(), Saved::All);
    assert_eq!(counters.save(&[(zombie, read)], &HashMap::new()).await.unwrap(), Saved::Conflict);
    let kept = counters.find(std::slice::from_ref(&device)).await.unwrap();
    let millis = |counter: &FailureCounter| counter.last_success_at.map(jiff::Timestamp::as_millisecond);
    assert_eq!(millis(&kept[&device].counter), millis(&newer));
    env.finish().await;
}

#[tokio::test]
async fn counters_are_made_from_the_rows_again_while_workers_run() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for device in ["a", "b", "c"] {
        api.accepts(&[body(device, hours_ago(2), true), body(device, hours_ago(1), true)]).await;
    }
    env.drained().await;
    let wrong = json!({ "q": { "deviceId": { "$ne": "c" } }, "u": { "$set": { "failureCount": 7 } }, "multi": true });
    mongo_command(&env, "update", "FailureCounter", json!({ "updates": [wrong] })).await;
    mongo_command(&env, "delete", "FailureCounter", json!({ "deletes": [{ "q": { "deviceId": "b" }, "limit": 1 }] }))
        .await;

    let rebuild = async |args: &[&str]| {
        let args = [&["counters", "rebuild", "--json"], args].concat();
        let output = env.command("queue-worker", &args).output().await.unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(rebuild(&["--device", "a"]).await, json!({ "counted": 1, "mended": 1, "unreadableRemoved": 0 }));
    assert_eq!(rebuild(&[]).await, json!({ "counted": 3, "mended": 1, "unreadableRemoved": 0 }));
    for device in ["a", "b", "c"] {
        assert_eq!(env.failure_count(device).await, 2, "{device}");
    }
    env.finish().await;
}

#[tokio::test]
async fn a_database_that_mongoose_made_is_adopted_as_it_is() {
    let env = TestEnv::new();
    let row = |hours, errors: i32| {
        let date = json!({ "$date": format!("{:.3}", hours_ago(hours)) });
        json!({ "deviceId": "old", "timestamp": date, "totalFilesSynced": 1, "totalErrors": errors,
            "internetSpeed": 3, "createdAt": date, "updatedAt": date, "__v": 0 })
    };
    mongo_command(&env, "insert", "SyncEvent", json!({ "documents": [row(9, 0), row(8, 2), row(7, 1)] })).await;
    let counter = json!({ "deviceId": "old", "failureCount": 9, "__v": 0 });
    mongo_command(&env, "insert", "FailureCounter", json!({ "documents": [counter] })).await;

    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    api.accepts(&[body("old", hours_ago(6), true)]).await;
    env.drained().await;
    assert_eq!(env.failure_count("old").await, 3);
    let (_, answer) = api.get("/api/device/old/sync-history").await;
    assert_eq!(answer["data"]["totalResults"], 4);
    env.finish().await;
}

/// A malformed document must not block a partition or a tick of the alerter.
#[tokio::test]
async fn documents_of_another_shape_hold_up_nobody() {
    let env = TestEnv::new();
    let date = json!({ "$date": format!("{:.3}", hours_ago(9)) });
    let rows = json!([
        { "deviceId": "old", "timestamp": date, "totalErrors": null, "internetSpeed": "fast" },
        { "deviceId": "old", "timestamp": "yesterday", "totalErrors": 1 },
    ]);
    mongo_command(&env, "insert", "SyncEvent", json!({ "documents": rows })).await;
    let counters = json!([{ "deviceId": "old", "failureCount": 9.0 }, { "deviceId": "", "failureCount": 9 }]);
    mongo_command(&env, "insert", "FailureCounter", json!({ "documents": counters })).await;

    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let reports = [3, 2, 1].map(|hours| body("old", hours_ago(hours), true));
    api.accepts(&reports).await;
    env.drained().await;
    let old = DeviceId::parse("old").unwrap();
    let kept = env.store().await.failure_counters().find(std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(kept[&old].counter.failure_count(), 3);
    for history in ["/api/device/old/sync-history", "/api/v1/devices/old/sync-events"] {
        assert_eq!(api.get(history).await.0.as_u16(), 200, "{history}");
    }
    let mut look = env.start("once.log", "alerter", &["--once"]);
    assert!(look.ended().await.success(), "{}", look.log());
    assert!(std::fs::read_to_string(env.path("alerts.log")).unwrap().contains("old"));
    env.finish().await;
}

/// A good sync that a worker leaves out of a counter must not fall between a rebuild's read and save.
#[tokio::test]
async fn counters_can_be_rebuilt_all_the_time_while_events_come() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &["--batch", "5"]).await);
    let reports: Vec<_> = (1..=20)
        .flat_map(|hour| (0..10).map(move |i| body(&format!("pibook-{i}"), hours_ago(hour), fastrand::bool())))
        .collect();
    let expected = expected(&reports);
    let mut shuffled = reports;
    fastrand::shuffle(&mut shuffled);
    let rebuilding = async {
        for _ in 0..15 {
            let output = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    tokio::join!(api.accepts(&shuffled), rebuilding);
    env.drained().await;
    for (device, count) in expected {
        assert_eq!(env.failure_count(&device).await, count, "{device}");
    }
    env.finish().await;
}

/// The server answers a write with an internal error, and accepts the second attempt.
#[tokio::test]
async fn errors_of_the_server_are_tried_again_and_nothing_is_buried() {
    let folder = tempfile::tempdir().unwrap();
    let mongo = MongoServer::start_with(folder.path().join("mongo"), &["--setParameter", "enableTestCommands=1"]).await;
    let concern =
        json!({ "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting for replication timed out" });
    for (command, data) in [
        ("insert", json!({ "writeConcernError": concern })),
        ("insert", json!({ "errorCode": 13 })),
        ("insert", json!({ "closeConnection": true })),
        ("update", json!({ "writeConcernError": concern })),
        ("update", json!({ "errorCode": 10107 })),
        ("update", json!({ "errorCode": 13 })),
        ("find", json!({ "errorCode": 11600 })),
    ] {
        let env = TestEnv::on_mongo(&mongo);
        let (api, worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
        let mut data = data.clone();
        data["failCommands"] = json!([command]);
        data["appName"] = json!("queue-worker");
        let fail = json!({ "mode": { "times": 3 }, "data": data });
        testkit::mongo_admin(&mongo.uri(), "configureFailPoint", "failCommand", fail).await;
        api.accepts(&[body("a", hours_ago(2), true), body("a", hours_ago(1), true)]).await;
        env.drained().await;
        assert_eq!((env.rows().await.len(), env.failure_count("a").await), (2, 2), "{command} {data}");
        let dead: u64 = env.queue().status_of_all().await.unwrap().iter().map(|partition| partition.dead).sum();
        assert_eq!(dead, 0, "{}", worker.log());
        assert!(worker.log().contains("the store failed"), "{command} {data} was not felt: {}", worker.log());
        env.finish().await;
    }
}

#[tokio::test]
async fn a_primary_that_steps_down_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mongo = testkit::MongoSet::start(folder.path()).await;
    let env = TestEnv::at(None, Some(mongo.uri()));
    let api = Arc::new(env.api(&[]).await);
    let _worker = env.worker("worker.log", &["--lease-ms", "1000"]).await;
    let reports: Vec<_> = (0..600).map(|i| body(&format!("pibook-{}", i % 60), hours_ago(i / 60 + 1), true)).collect();
    let (first, rest) = reports.split_at(200);
    api.accepts(first).await;
    let posting = tokio::spawn({
        let (api, rest) = (api.clone(), rest.to_vec());
        async move { api.accepts(&rest).await }
    });
    for _ in 0..2 {
        mongo.step_down().await;
    }
    posting.await.unwrap();
    env.drained().await;
    assert_eq!((env.rows().await.len(), env.counters().await.len()), (600, 60));
    assert!(env.counters().await.values().all(|counter| counter.failure_count() == 10));
    env.finish().await;
}
