//! Another number of partitions: no event lost, none out of order, none left behind.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{DeviceId, SyncEvent},
    presence::LastSeen,
    queue::{BatchId, PushError, Queue, QueueError, encode},
    repartition::Repartition,
    time::hour_of,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago, mongo_command};
use tokio::sync::watch;

const DEVICES: usize = 40;
const PLENTY: u64 = 1_000_000;

/// Runs a command of the operator. Returns whether it succeeded, and its output.
async fn verb(env: &TestEnv, args: &[&str]) -> (bool, String) {
    let output = env.command("queue-worker", args).output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn device(i: usize) -> DeviceId {
    DeviceId::parse(&format!("pibook-{i}")).unwrap()
}

/// Returns a failed report of a device; its number gives its time.
fn report(device: usize, number: i64) -> Value {
    body(&format!("pibook-{device}"), hours_ago(24 * 30) + SignedDuration::from_mins(number), true)
}

async fn push(queue: &Queue, event: &SyncEvent) -> Result<usize, QueueError> {
    Ok(queue.push(queue.partition_of(&event.device_id), &[encode(event)], PLENTY).await?.accepted)
}

fn event(device: usize, number: i64) -> SyncEvent {
    SyncEvent::from_json(report(device, number).to_string().as_bytes(), hours_ago(0)).unwrap()
}

/// The result of a fleet: the number of accepted reports of each device, and of refusals.
#[derive(Debug, Default)]
struct Sent {
    accepted: Vec<i64>,
    refused: usize,
}

/// Runs devices that send one report after the other, in turn, and resend it after a refusal. They use the
/// current API until they are stopped.
async fn fleet(api: watch::Receiver<Option<String>>) -> Sent {
    let client = reqwest::Client::new();
    let mut sent = Sent { accepted: vec![0; DEVICES], refused: 0 };
    loop {
        for i in 0..DEVICES {
            let Some(url) = api.borrow().clone() else { return sent };
            let post = client.post(format!("{url}/api/sync-event")).json(&report(i, sent.accepted[i]));
            match post.send().await.map(|answer| answer.status()) {
                Ok(StatusCode::ACCEPTED) => sent.accepted[i] += 1,
                Ok(StatusCode::SERVICE_UNAVAILABLE) | Err(_) => sent.refused += 1,
                Ok(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_before_during_and_after_a_change_of_partitions_are_one_row_each_and_in_order() {
    let mut env = TestEnv::new();
    let mut old_api = env.api(&["--device-burst", "100000"]).await;
    old_api.accepts(&[body("refused", hours_ago(1), true)]).await;
    env.store().await.ensure_indexes().await.unwrap();
    let validator = json!({ "deviceId": { "$ne": "refused" } });
    mongo_command(&env, "collMod", "SyncEvent", json!({ "validator": validator })).await;
    let mut old_worker = env.worker("old-worker.log", &["--batch", "7"]).await;
    let (switch, at) = watch::channel(Some(old_api.url.clone()));
    let sending = tokio::spawn(fleet(at));
    let seen_by = async |env: &TestEnv| LastSeen::new(env.queue()).count().await.unwrap();
    env.until("all devices heard of", async || seen_by(&env).await == DEVICES as u64).await;

    let (success, said) = verb(&env, &["queue", "repartition", "7"]).await;
    assert!(success && said.contains("--partitions 7"), "{said}");
    assert_eq!(old_api.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE, "it has the old number");
    let (success, said) = verb(&env, &["queue", "status"]).await;
    assert!(!success && said.contains("7 partitions"), "{said}");

    env.set_partitions(7);
    let pushed = async |env: &TestEnv| {
        let status = env.queue().status_of_all().await.unwrap();
        status.iter().map(|status| status.total("pushed")).sum::<u64>()
    };
    let before = pushed(&env).await;
    old_worker.terminate().await;
    old_api.service.terminate().await;
    let api = env.api_named("new-api.log", &["--device-burst", "100000"]).await;
    let _worker = env.worker("new-worker.log", &["--batch", "7"]).await;
    switch.send(Some(api.url.clone())).unwrap();
    env.until("events at the new one", async || pushed(&env).await > before + 200).await;
    switch.send(None).unwrap();
    let sent = sending.await.unwrap();
    env.drained().await;

    assert!(sent.refused > 0, "none came meanwhile");
    let mut rows = BTreeMap::<_, Vec<_>>::new();
    for row in env.rows().await {
        rows.entry(row.device_id).or_default().push(row.timestamp);
    }
    for (i, accepted) in sent.accepted.iter().enumerate() {
        let times = &rows[device(i).as_str()];
        assert_eq!(times.len(), usize::try_from(*accepted).unwrap(), "device {i}");
        assert!(times.is_sorted(), "device {i} out of order: {times:?}");
        assert_eq!(env.failure_count(device(i).as_str()).await, i32::try_from(*accepted).unwrap());
    }
    let seen = LastSeen::new(env.queue()).of(&(0..DEVICES).map(device).collect::<Vec<_>>()).await.unwrap();
    assert_eq!((seen.len(), seen_by(&env).await), (DEVICES, DEVICES as u64), "each once, and found");

    // The dead letter is now in the partition of its device's new events.
    let (queue, refused) = (env.queue(), DeviceId::parse("refused").unwrap());
    assert_eq!(queue.dead_letters(queue.partition_of(&refused), 0, 9).await.unwrap().len(), 1);
    mongo_command(&env, "collMod", "SyncEvent", json!({ "validator": {} })).await;
    let (success, said) = verb(&env, &["dead-letters", "requeue", "--all"]).await;
    assert!(success && said.contains("1 requeued"), "{said}");
    env.drained().await;
    assert_eq!(env.failure_count("refused").await, 1);
    env.finish().await;
}

#[tokio::test]
async fn who_still_has_the_old_number_can_neither_push_nor_claim_nor_note() {
    let mut env = TestEnv::new();
    let old = env.queue();
    assert_eq!(push(&old, &event(1, 1)).await.unwrap(), 1);
    let change = Repartition::look(&env.redis_settings(), 9).await.unwrap();
    change.close().await.unwrap();
    // Closed: nothing goes in, and the rest goes out.
    assert!(matches!(push(&old, &event(1, 2)).await, Err(QueueError::PartitionsChanged)));
    assert!(change.finish().await.is_err(), "one waits yet");
    let partition = old.partition_of(&device(1));
    let claim = async |queue: &Queue| queue.claim(partition, &BatchId::new(), "test", 10, Duration::from_secs(9)).await;
    let pisync_core::queue::Claim::Batch(batch) = claim(&old).await.unwrap() else { panic!("nothing there") };
    assert_eq!(change.remaining().await.unwrap(), 1);
    LastSeen::new(old.clone()).restore(&[(device(1), hours_ago(1))]).await.unwrap();
    let _ = old.ack(&batch.lease, &[]).await.unwrap();
    assert_eq!(change.finish().await.unwrap().devices, 1);

    assert!(matches!(push(&old, &event(1, 2)).await, Err(QueueError::PartitionsChanged)));
    assert!(matches!(claim(&old).await, Err(QueueError::PartitionsChanged)));
    let noted = LastSeen::new(old.clone()).restore(&[(device(1), hours_ago(0))]).await;
    assert!(matches!(noted, Err(QueueError::PartitionsChanged)));
    assert!(matches!(old.check().await, Err(QueueError::Misconfigured(_))));
    env.set_partitions(9);
    assert_eq!(LastSeen::new(env.queue()).of(&[device(1)]).await.unwrap().len(), 1);
    env.finish().await;
}

#[tokio::test]
async fn a_change_that_was_cut_short_is_finished_or_taken_back() {
    let mut env = TestEnv::new();
    let old = env.queue();
    assert_eq!(push(&old, &event(1, 1)).await.unwrap(), 1);
    // No worker drains: all stays as it is.
    let (success, said) = verb(&env, &["queue", "repartition", "6", "--wait", "0"]).await;
    assert!(!success && said.contains("nothing was changed"), "{said}");
    assert_eq!(push(&old, &event(1, 2)).await.unwrap(), 1);
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;

    // A process that dies after closing: the next one finishes, or goes back.
    Repartition::look(&env.redis_settings(), 6).await.unwrap().close().await.unwrap();
    assert!(push(&old, &event(1, 3)).await.is_err());
    let (success, said) = verb(&env, &["queue", "repartition", "4"]).await;
    assert!(success, "{said}");
    assert_eq!(push(&old, &event(1, 3)).await.unwrap(), 1);
    Repartition::look(&env.redis_settings(), 6).await.unwrap().close().await.unwrap();
    let (success, said) = verb(&env, &["queue", "repartition", "6"]).await;
    assert!(success, "{said}");
    let (success, said) = verb(&env, &["queue", "repartition", "6"]).await;
    assert!(success && said.contains("already"), "{said}");
    env.set_partitions(6);
    assert_eq!(push(&env.queue(), &event(1, 4)).await.unwrap(), 1);
    let _worker = env.worker("new-worker.log", &[]).await;
    env.drained().await;
    assert_eq!(env.failure_count("pibook-1").await, 4);
    env.finish().await;
}

#[tokio::test]
async fn fewer_partitions_keep_what_the_others_had() {
    let mut env = TestEnv::new();
    env.set_partitions(9);
    let queue = env.queue();
    let seen = LastSeen::new(queue.clone());
    let devices: Vec<_> = (0..2_500).map(|i| (device(i), hours_ago(3))).collect();
    seen.restore(&devices).await.unwrap();
    let hours: Vec<Timestamp> = (0..9).map(|hours| hour_of(hours_ago(hours))).collect();
    for (partition, hour) in queue.partitions().zip(&hours) {
        seen.note(partition, &[], &[*hour], u64::MAX).await.unwrap();
        let pushed = queue.push(partition, &[b"no event".to_vec()], PLENTY).await.unwrap();
        assert_eq!(pushed.accepted, 1);
    }
    let mut worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    worker.terminate().await;
    let touched = seen.touched(Timestamp::MIN, Timestamp::MAX).await.unwrap();
    let totals = async |queue: &Queue| {
        let mut totals = HashMap::<String, u64>::new();
        for (name, total) in queue.status_of_all().await.unwrap().into_iter().flat_map(|status| status.totals) {
            *totals.entry(name).or_default() += total;
        }
        totals
    };
    let before = totals(&queue).await;

    let (success, said) = verb(&env, &["queue", "repartition", "2"]).await;
    assert!(success && said.contains("7 dead letters moved"), "{said}");
    env.set_partitions(2);
    let (queue, seen) = (env.queue(), LastSeen::new(env.queue()));
    assert_eq!(totals(&queue).await, before);
    assert_eq!(seen.touched(Timestamp::MIN, Timestamp::MAX).await.unwrap(), touched);
    assert_eq!(seen.count().await.unwrap(), 2_500);
    let found = seen.of(&devices.iter().map(|(device, _)| device.clone()).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(found.len(), 2_500);
    let dead: u64 = queue.status_of_all().await.unwrap().iter().map(|status| status.dead).sum();
    assert_eq!(dead, 9);
    env.finish().await;
}

/// The API answers its callers with 503 and a time to come back.
#[tokio::test]
async fn a_refusal_while_partitions_change_is_one_to_send_again() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let change = Repartition::look(&env.redis_settings(), 3).await.unwrap();
    change.close().await.unwrap();
    let answer = api.post(&report(1, 1)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    change.reopen().await.unwrap();
    api.accepts(&[report(1, 1)]).await;
    let producer = pisync_core::queue::Producer::start(env.queue(), PLENTY);
    change.close().await.unwrap();
    let refused = producer.push_all(&[event(1, 2)]).await;
    assert!(matches!(refused[..], [Err(PushError::Queue(QueueError::PartitionsChanged))]), "{refused:?}");
    change.reopen().await.unwrap();
    let _worker = env.worker("worker.log", &[]).await;
    env.finish().await;
}
