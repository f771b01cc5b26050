//! The path of a report from the route to row and counter.

use std::collections::HashSet;

use serde_json::Value;
use testkit::{TestEnv, body, hours_ago};

/// Returns a device's reports, one each hour, the last one an hour ago.
fn reports(device_id: &str, failed: &[bool]) -> Vec<Value> {
    let first = i64::try_from(failed.len()).expect("a small number");
    (1..=first).rev().zip(failed).map(|(hours, failed)| body(device_id, hours_ago(hours), *failed)).collect()
}

#[tokio::test]
async fn an_event_becomes_a_row_with_its_exact_values_and_a_counter() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let sent = body("pibook-1", hours_ago(1), true);
    api.accepts(std::slice::from_ref(&sent)).await;
    env.drained().await;

    let (status, answer) = api.get("/api/device/pibook-1/sync-history").await;
    assert_eq!((status.as_u16(), answer["success"].as_bool()), (200, Some(true)));
    assert_eq!(answer["data"]["totalResults"], 1);
    let row = &answer["data"]["results"][0];
    for member in ["deviceId", "timestamp", "totalFilesSynced", "totalErrors", "internetSpeed"] {
        assert_eq!(row[member], sent[member], "{member}");
    }
    assert_eq!(env.failure_count("pibook-1").await, 1);
    env.finish().await;
}

#[tokio::test]
async fn resent_and_shuffled_events_change_nothing() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &["--batch", "3"]).await);
    let mut sent = Vec::new();
    for (device, failed) in [("a", [true, false, true, true]), ("b", [true; 4]), ("c", [true, true, true, false])] {
        sent.extend(reports(device, &failed));
    }
    for _ in 0..4 {
        fastrand::shuffle(&mut sent);
        api.accepts(&sent).await;
    }
    env.drained().await;

    assert_eq!(env.rows().await.len(), 12);
    for (device, count) in [("a", 2), ("b", 4), ("c", 0)] {
        assert_eq!(env.failure_count(device).await, count, "{device}");
    }
    env.finish().await;
}

#[tokio::test]
async fn the_worst_devices_come_first() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for (device, failures) in [("b", 3), ("well", 2), ("a", 3), ("worst", 5)] {
        api.accepts(&reports(device, &vec![true; failures])).await;
    }
    env.drained().await;

    let (_, answer) = api.get("/api/devices/repeated-failures?limit=2").await;
    assert_eq!((&answer["data"]["totalResults"], &answer["data"]["totalPages"]), (&3.into(), &2.into()));
    let (_, second) = api.get("/api/devices/repeated-failures?limit=2&page=2").await;
    let results = [&answer, &second].map(|page| page["data"]["results"].as_array().unwrap().clone()).concat();
    let listed: Vec<_> = results.iter().map(|r| (r["deviceId"].as_str(), r["failureCount"].as_i64())).collect();
    assert_eq!(listed, [(Some("worst"), Some(5)), (Some("a"), Some(3)), (Some("b"), Some(3))]);
    env.finish().await;
}

#[tokio::test]
async fn two_workers_share_the_work() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let devices: Vec<_> = (0..200).map(|i| format!("pibook-{i}")).collect();
    for device in &devices {
        api.accepts(&reports(device, &[true, true])).await;
    }
    // Both find a full queue and take small batches from it.
    let mut start = Vec::new();
    for name in ["one.log", "two.log"] {
        let mut command = env.command("queue-worker", &["--batch", "5", "--lanes", "1"]);
        command.env("RUST_LOG", "debug,mongodb=warn");
        start.push(testkit::Service::start(command, &env.path(name)));
    }
    env.drained().await;

    let done = start.iter().map(|worker| worker.log().matches("batch done").count()).collect::<Vec<_>>();
    assert!(done.iter().all(|batches| *batches > 0), "{done:?}");
    let devices: HashSet<_> = env.rows().await.into_iter().map(|row| row.device_id).collect();
    assert_eq!((devices.len(), env.rows().await.len()), (200, 400));
    assert!(env.counters().await.values().all(|counter| counter.failure_count() == 2));
    env.finish().await;
}

#[tokio::test]
async fn bodies_of_the_original_client_are_taken_whole_and_verified() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/original-client-sample.ndjson");
    let ledger = env.path("ledger.ndjson").display().to_string();
    let mut replay = env.start("replay.log", "fleet-sim", &["replay", sample, "--api", &api.url, "--ledger", &ledger]);
    assert!(replay.ended().await.success(), "{}", replay.log());
    let verify = ["verify", "--ledger", &ledger, "--wait", "30"];
    let mut verify = env.start("verify.log", "fleet-sim", &verify);
    assert!(verify.ended().await.success(), "{}", verify.log());
    assert_eq!(env.rows().await.len(), 20);
    env.finish().await;
}

#[tokio::test]
async fn the_verifier_finds_a_lost_event() {
    let env = TestEnv::new();
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let ledger = env.path("ledger.ndjson").display().to_string();
    let run =
        ["run", "--api", &api.url, "--devices", "5", "--rounds", "2", "--failure-rate", "0.5", "--pattern", "burst"];
    let mut run = env.start("run.log", "fleet-sim", &[&run[..], &["--ledger", &ledger]].concat());
    assert!(run.ended().await.success(), "{}", run.log());
    env.drained().await;
    worker.terminate().await;

    // The control: an acknowledged event that stays in the queue has no row.
    api.accepts(&[body("pibook-1", hours_ago(1), false)]).await;
    let line = std::fs::read_to_string(&ledger).unwrap();
    let device = serde_json::from_str::<Value>(line.lines().next().unwrap()).unwrap();
    let missing = line
        .lines()
        .next()
        .unwrap()
        .replace(device["body"]["timestamp"].as_str().unwrap_or("T"), &format!("{:.3}", hours_ago(30)));
    std::fs::write(&ledger, format!("{line}{missing}\n")).unwrap();
    let mut verify = env.start("verify.log", "fleet-sim", &["verify", "--ledger", &ledger]);
    assert_eq!(verify.ended().await.code(), Some(1), "{}", verify.log());
    env.remove().await;
}
