//! A backup by the steps of docs/admins/backup.md, made while the system runs, and its restore.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{MongoServer, RedisServer, TestEnv, body, hours_ago, mongo_admin};

const DEVICES: usize = 20;

/// Returns a report of one device: one a minute, all failed.
fn report(device: usize, first: Timestamp, number: usize) -> Value {
    let minutes = SignedDuration::from_mins(i64::try_from(number).unwrap());
    body(&format!("pibook-{device}"), first + minutes, true)
}

/// Sends reports of devices in turn without end. Counts the accepted reports of each device.
async fn report_on(url: String, first: Timestamp, accepted: Arc<Vec<AtomicUsize>>) {
    let client = Client::new();
    loop {
        for (device, accepted) in accepted.iter().enumerate() {
            let post =
                client.post(format!("{url}/api/sync-event")).json(&report(device, first, accepted.load(Relaxed)));
            if post.send().await.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
                accepted.fetch_add(1, Relaxed);
            }
        }
    }
}

fn counts(accepted: &[AtomicUsize]) -> Vec<usize> {
    accepted.iter().map(|accepted| accepted.load(Relaxed)).collect()
}

async fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let copied = tokio::process::Command::new("cp").arg("-a").args([from, to]).status().await.unwrap();
    assert!(copied.success());
}

/// Copies the append-only files while Redis rewrites none of them.
async fn back_up_redis(env: &TestEnv, redis: &RedisServer, from: &Path, to: &Path) {
    redis.cli(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]).await;
    env.until("the end of a rewrite", async || {
        redis.cli(&["INFO", "persistence"]).await.contains("aof_rewrite_in_progress:0")
    })
    .await;
    copy(&from.join("appendonlydir"), to).await;
    redis.cli(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "100"]).await;
}

/// Copies the files of `MongoDB` while its writes are locked.
async fn back_up_mongo(mongo: &MongoServer, from: &Path, to: &Path) {
    mongo_admin(&mongo.uri(), "fsync", 1, json!({ "lock": true })).await;
    copy(&from.join("data"), to).await;
    mongo_admin(&mongo.uri(), "fsyncUnlock", 1, json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_before_a_backup_is_there_when_it_is_put_back_and_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut redis = RedisServer::start(at("redis"), &[]).await;
    let mut mongo = MongoServer::start(at("mongo")).await;
    let mut env = TestEnv::at(Some(redis.url()), Some(mongo.uri()));
    let api = env.api(&["--device-burst", "100000"]).await;
    let mut worker = env.worker("worker.log", &["--lease-ms", "1000"]).await;
    let (first, accepted) = (hours_ago(24 * 20), Arc::new((0..DEVICES).map(|_| AtomicUsize::new(0)).collect()));
    let sending = tokio::spawn(report_on(api.url.clone(), first, Arc::clone(&accepted)));
    let sent = async |more: usize| {
        let least = counts(&accepted).iter().sum::<usize>() + more;
        env.until("reports", async || counts(&accepted).iter().sum::<usize>() >= least).await;
    };

    sent(200).await;
    let before = counts(&accepted);
    back_up_redis(&env, &redis, &at("redis"), &at("redis-backup")).await;
    back_up_mongo(&mongo, &at("mongo"), &at("mongo-backup")).await;
    sent(100).await;
    sending.abort();
    worker.kill().await;
    let after = counts(&accepted);
    drop(api);
    redis.service().kill().await;
    mongo.service().kill().await;

    let (redis, mongo) =
        (RedisServer::start(at("redis-backup"), &[]).await, MongoServer::start(at("mongo-backup")).await);
    env.move_to(&redis, &mongo);
    let rebuilt = env.command("queue-worker", &["counters", "rebuild"]).output().await.unwrap();
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let _worker = env.worker("new-worker.log", &[]).await;
    env.drained().await;
    let mut rows = BTreeMap::<String, usize>::new();
    for row in env.rows().await {
        *rows.entry(row.device_id).or_default() += 1;
    }
    let counters = env.counters().await;
    for (device, (before, after)) in before.iter().zip(&after).enumerate() {
        let stored = rows[&format!("pibook-{device}")];
        assert!((*before..=*after + 1).contains(&stored), "device {device}: {before} {stored} {after}");
        let counter = counters.iter().find(|(id, _)| id.as_str() == format!("pibook-{device}")).unwrap().1;
        assert_eq!(usize::try_from(counter.failure_count()).unwrap(), stored, "device {device}");
    }

    // Devices that send their kept reports again and continue have all their rows then.
    let api = env.api_named("new-api.log", &["--device-burst", "100000"]).await;
    for (device, after) in after.iter().enumerate() {
        api.accepts(&(0..=*after).map(|number| report(device, first, number)).collect::<Vec<_>>()).await;
    }
    env.drained().await;
    for (device, after) in after.iter().enumerate() {
        let count = env.failure_count(&format!("pibook-{device}")).await;
        assert_eq!(usize::try_from(count).unwrap(), after + 1, "device {device}");
    }
    env.finish().await;
}
