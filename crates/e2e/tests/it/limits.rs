//! A full queue: it refuses with a Retry-After, loses nothing, and drains.

use std::collections::HashSet;

use pisync_core::{
    models::SyncEvent,
    queue::{QueueError, encode},
};
use testkit::{RedisServer, TestEnv, body, hours_ago};

#[tokio::test]
async fn a_full_queue_is_503_and_takes_events_again_once_it_has_drained() {
    let env = TestEnv::new();
    let api = env.api(&["--max-queue", "40"]).await;
    let (mut accepted, mut waits) = (0, HashSet::new());
    for i in 0..200 {
        let answer = api.post(&body(&format!("pibook-{i}"), hours_ago(1), false)).await;
        match answer.status().as_u16() {
            202 => accepted += 1,
            503 => drop(waits.insert(answer.headers()["retry-after"].to_str().unwrap().to_owned())),
            other => panic!("{other}"),
        }
    }
    assert_eq!(accepted, 40);
    assert!(waits.len() > 1, "the waits vary: {waits:?}");
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    api.accepts(&[body("after", hours_ago(1), false)]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 41);
    env.finish().await;
}

/// A refused report must not use up the rate limit that the device needs to send its kept reports.
#[tokio::test]
async fn a_refusal_of_ours_costs_a_device_nothing_of_what_it_may_send() {
    let env = TestEnv::new();
    let api = env.api(&["--max-queue", "4", "--device-burst", "3"]).await;
    let batch = async |reports: &[serde_json::Value]| {
        let url = format!("{}/api/v1/sync-events", api.url);
        reqwest::Client::new().post(url).json(reports).send().await.unwrap().status().as_u16()
    };
    let reports: Vec<_> = (0..3).map(|hour| body("pibook-1", hours_ago(hour), false)).collect();
    // One report fits into the partition, and then it is full.
    api.accepts(&reports[..1]).await;
    for _ in 0..10 {
        assert_eq!(api.post(&reports[1]).await.status().as_u16(), 503);
        assert_eq!(batch(&reports[1..]).await, 503);
    }
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    for report in &reports[1..] {
        api.accepts(std::slice::from_ref(report)).await;
        env.drained().await;
    }
    assert_eq!(api.post(&reports[0]).await.status().as_u16(), 429);
    env.finish().await;
}

#[tokio::test]
async fn a_full_redis_is_503_and_drains_by_itself_even_by_a_worker_that_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &["--maxmemory", "6mb"]).await;
    let env = TestEnv::on_redis(&redis);
    let (api, queue) = (env.api(&[]).await, env.queue());
    let mut pushed = 0;
    let full = 'filling: loop {
        for partition in queue.partitions() {
            let messages: Vec<_> = (pushed..pushed + 200)
                .map(|i| {
                    // A thousand devices only: each leaves a few bytes in Redis after the drain, and the queue none.
                    let hours = i64::try_from(i / 1_000).unwrap();
                    let report = body(&format!("pibook-{}", i % 1_000), hours_ago(1 + hours), false).to_string();
                    encode(&SyncEvent::from_json(report.as_bytes(), hours_ago(0)).unwrap())
                })
                .collect();
            match queue.push(partition, &messages, 1_000_000).await {
                Ok(taken) => pushed += taken.accepted,
                Err(error) => break 'filling error,
            }
            assert!(pushed < 1_000_000, "Redis never became full");
        }
    };
    assert!(matches!(full, QueueError::OutOfMemory), "{full}");
    // The memory freed after a big push is enough for some small ones.
    let mut refused = None;
    for i in 0..5_000 {
        let answer = api.post(&body(&format!("late-{i}"), hours_ago(1), false)).await;
        if answer.status().as_u16() == 503 {
            refused = Some(answer);
            break;
        }
        pushed += 1;
    }
    assert!(refused.expect("a full Redis").headers().contains_key("retry-after"));

    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    api.accepts(&[body("late", hours_ago(1), false)]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), pushed + 1);
    env.finish().await;
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_unless_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &["--maxmemory-policy", "allkeys-lru"]).await;
    let env = TestEnv::on_redis(&redis);
    for binary in ["ingest-api", "queue-worker", "alerter"] {
        let args: &[&str] = if binary == "ingest-api" { &["--bind", "127.0.0.1:0"] } else { &[] };
        let output = env.command(binary, args).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("noeviction") && said.contains("PISYNC_ALLOW_EVICTION"), "{said}");
    }
    let _api = env.api(&["--allow-eviction"]).await;
    env.store().await.remove().await.unwrap();
}
