//! The promises that hold during a fault.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::{MongoServer, RedisServer, TestEnv, body, hours_ago};

fn devices(count: usize) -> Vec<Value> {
    (0..count).map(|i| body(&format!("pibook-{i}"), hours_ago(1), i % 2 == 0)).collect()
}

#[tokio::test]
async fn sigterm_in_the_middle_loses_nothing() {
    let env = TestEnv::new();
    let mut api = env.api(&[]).await;
    api.accepts(&devices(300)).await;
    // Each worker is stopped while events are left, and the next one continues.
    for i in 0..6 {
        let mut worker = env.worker(&format!("worker-{i}.log"), &["--batch", "10"]).await;
        testkit::pass(Duration::from_millis(20)).await;
        assert!(worker.terminate().await.success(), "{}", worker.log());
    }
    let in_flight = env.queue().status_of_all().await.unwrap();
    let redelivered: u64 = in_flight.iter().map(|partition| partition.total("redelivered")).sum();
    assert_eq!(redelivered, 0, "a stop is not a crash");
    assert!(api.service.terminate().await.success());

    let _last = env.worker("last.log", &[]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 300);
    assert_eq!(env.counters().await.len(), 300);
    env.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_its_batch_to_the_next() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    api.accepts(&devices(200)).await;
    for i in 0..3 {
        let args = ["--batch", "10", "--lease-ms", "500"];
        let mut worker = env.worker(&format!("worker-{i}.log"), &args).await;
        testkit::pass(Duration::from_millis(30)).await;
        worker.kill().await;
    }
    let _last = env.worker("last.log", &[]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 200);
    for (device, counter) in env.counters().await {
        let number: usize = device.as_str()["pibook-".len()..].parse().unwrap();
        assert_eq!(counter.failure_count(), i32::from(number.is_multiple_of(2)), "{device}");
    }
    env.finish().await;
}

#[tokio::test]
async fn redis_away_is_503_and_what_was_accepted_is_there_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    api.accepts(&devices(20)).await;
    redis.service().kill().await;

    let refused = api.post(&body("late", hours_ago(1), false)).await;
    assert_eq!(refused.status().as_u16(), 503);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(api.get("/readyz").await.0.as_u16(), 503);
    assert_eq!(api.get("/healthz").await.0.as_u16(), 200);

    redis.restart().await;
    env.until("202", async || api.post(&body("late", hours_ago(1), false)).await.status() == 202).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 21);
    env.finish().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_503_for_everyone_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    api.accepts(&devices(1)).await;
    redis.service().signal(Signal::SIGSTOP);
    let reports = devices(300);
    let posts = futures_util::future::join_all(reports.iter().map(|report| api.post(report)));
    // One after the other they would each take a second or more.
    let answers = tokio::time::timeout(Duration::from_secs(20), posts).await.unwrap();
    assert!(answers.iter().all(|answer| answer.status().as_u16() == 503));
    redis.service().signal(Signal::SIGCONT);
    env.until("202", async || api.post(&reports[0]).await.status() == 202).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.finish().await;
}

#[tokio::test]
async fn redis_away_at_the_start_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    redis.service().kill().await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    let _worker = env.worker("worker.log", &[]).await;
    let _alerter = env.alerter("alerter.log", &[]).await;
    assert_eq!(api.post(&body("a", hours_ago(1), false)).await.status().as_u16(), 503);
    redis.restart().await;
    env.until("202", async || api.post(&body("a", hours_ago(1), false)).await.status() == 202).await;
    env.finish().await;
}

#[tokio::test]
async fn mongodb_away_for_ten_seconds_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut mongo = MongoServer::start(folder.path().join("mongo")).await;
    let env = TestEnv::on_mongo(&mongo);
    let api = env.api(&[]).await;
    let worker = env.worker("worker.log", &["--lease-ms", "1000"]).await;
    let reports = devices(200);
    api.accepts(&reports[..50]).await;
    mongo.service().kill().await;
    api.accepts(&reports).await;
    assert_eq!(api.get("/readyz").await.1["status"], "degraded");
    testkit::pass(Duration::from_secs(10)).await;
    mongo.restart().await;

    env.drained().await;
    assert_eq!((env.rows().await.len(), env.counters().await.len()), (200, 200));
    let totals = env.queue().status_of_all().await.unwrap();
    let redelivered: u64 = totals.iter().map(|partition| partition.total("redelivered")).sum();
    assert_eq!(redelivered, 0, "the lease was kept: {}", worker.log());
    drop((api, worker));
    env.finish().await;
}
