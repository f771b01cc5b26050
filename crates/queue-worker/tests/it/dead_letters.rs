//! Messages that cannot be processed: found, kept, shown, requeued.

use pisync_core::queue::{KEPT_DEAD, Queue};
use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago, mongo_command};

const PLENTY: u64 = 1_000_000;

/// Pushes bytes into the first partition that the API would never push.
async fn smuggle(queue: &Queue, message: &[u8]) {
    let partition = queue.partitions().next().unwrap();
    let pushed = queue.push(partition, &[message.to_vec()], PLENTY).await.unwrap();
    assert_eq!(pushed.accepted, 1);
}

/// Runs a command of the operator. Returns whether it succeeded, and its output.
async fn verb(env: &TestEnv, args: &[&str]) -> (bool, String) {
    let output = env.command("queue-worker", args).output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn listed(env: &TestEnv) -> Vec<Value> {
    let (success, list) = verb(env, &["dead-letters", "list", "--json"]).await;
    assert!(success, "{list}");
    serde_json::from_str(&list).unwrap()
}

#[tokio::test]
async fn what_is_no_event_is_buried_and_the_rest_of_the_batch_goes_on() {
    let env = TestEnv::new();
    let (api, queue) = (env.api(&[]).await, env.queue());
    api.accepts(&[body("a", hours_ago(1), true)]).await;
    smuggle(&queue, b"hello").await;
    smuggle(&queue, b"\xff\xfe").await;
    api.accepts(&[body("b", hours_ago(1), true)]).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;

    assert_eq!(env.rows().await.len(), 2);
    let letters = listed(&env).await;
    let mut reasons: Vec<_> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["malformed", "malformed"]);
    assert!(letters.iter().any(|letter| letter["message"] == "hello"), "{letters:?}");
    assert!(letters.iter().any(|letter| letter["message"] == json!({ "hex": "fffe" })), "{letters:?}");
    env.finish().await;
}

#[tokio::test]
async fn what_mongodb_refuses_is_buried_and_can_be_put_back_once_it_does_not() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    env.store().await.ensure_indexes().await.unwrap();
    let validator = json!({ "deviceId": { "$ne": "refused" } });
    mongo_command(&env, "collMod", "SyncEvent", json!({ "validator": validator })).await;
    api.accepts(&[body("refused", hours_ago(1), true), body("taken", hours_ago(1), true)]).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 1);
    let letters = listed(&env).await;
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"refused".into()));
    let id = letters[0]["id"].as_str().unwrap();

    let (_, shown) = verb(&env, &["dead-letters", "show", id]).await;
    assert!(shown.contains("121") && shown.contains("refused"), "{shown}");
    mongo_command(&env, "collMod", "SyncEvent", json!({ "validator": {} })).await;
    let (success, said) = verb(&env, &["dead-letters", "requeue", id]).await;
    assert!(success && said.starts_with('1'), "{said}");
    env.drained().await;
    assert_eq!((env.rows().await.len(), env.failure_count("refused").await), (2, 1));
    assert_eq!(listed(&env).await.len(), 0);
    let (success, said) = verb(&env, &["dead-letters", "requeue", id]).await;
    assert!(!success && said.contains(id), "{said}");
    env.finish().await;
}

#[tokio::test]
async fn a_message_that_kills_its_worker_is_found_after_one_crash() {
    let env = TestEnv::new();
    let api = env.api(&["--partitions", "4"]).await;
    let reports: Vec<_> = (0..40).map(|i| body(&format!("pibook-{i}"), hours_ago(1), true)).collect();
    api.accepts(&reports).await;
    let deadly = ["--crash-at", "reading/pibook-7", "--lease-ms", "300", "--lanes", "1"];
    let mut first = env.start("first.log", "queue-worker", &deadly);
    assert!(!first.ended().await.success());
    let _second = env.worker("second.log", &deadly).await;
    env.drained().await;
    let letters = listed(&env).await;
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"deadly".into()));
    assert!(letters[0]["message"].as_str().unwrap().contains("pibook-7"), "{letters:?}");
    assert_eq!(env.rows().await.len(), 39);
    env.finish().await;
}

#[tokio::test]
async fn a_worker_killed_after_reading_puts_no_message_under_suspicion() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let reports: Vec<_> = (0..40).map(|i| body(&format!("pibook-{i}"), hours_ago(1), true)).collect();
    api.accepts(&reports).await;
    for (crash, point) in ["after_claim", "before_insert", "after_insert_before_counter"].repeat(2).iter().enumerate() {
        let deadly = ["--crash-at", point, "--lease-ms", "300", "--lanes", "1"];
        let mut worker = env.start(&format!("worker-{crash}.log"), "queue-worker", &deadly);
        assert!(!worker.ended().await.success());
    }
    let _last = env.worker("last.log", &[]).await;
    env.drained().await;
    assert_eq!((listed(&env).await.len(), env.rows().await.len()), (0, 40));
    assert!(env.counters().await.values().all(|counter| counter.failure_count() == 1));
    env.finish().await;
}

#[tokio::test]
async fn the_oldest_of_too_many_are_moved_to_the_store() {
    let env = TestEnv::new();
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    let messages: Vec<_> = (0..KEPT_DEAD + 5).map(|i| format!("not an event {i}").into_bytes()).collect();
    let pushed = queue.push(partition, &messages, PLENTY).await.unwrap();
    assert_eq!(pushed.accepted, messages.len());
    let _worker = env.worker("worker.log", &[]).await;
    env.drained().await;
    queue_worker::overflow::move_out_all(&queue, &env.store().await).await.unwrap();
    let status = queue.status(partition).await.unwrap();
    assert_eq!(status.dead, KEPT_DEAD as u64);
    assert_eq!((status.total("dead"), status.total("moved_out")), (KEPT_DEAD as u64 + 5, 5));
    assert_eq!(env.store().await.dead_letters().count().await.unwrap(), 5);

    let file = env.path("export.ndjson").display().to_string();
    let (success, said) = verb(&env, &["dead-letters", "export", "--file", &file]).await;
    assert!(success, "{said}");
    let exported = std::fs::read_to_string(file).unwrap();
    assert_eq!(exported.lines().count(), KEPT_DEAD);
    assert!(!exported.contains("not an event 4\""), "the oldest fell out");
    let (_, said) = verb(&env, &["dead-letters", "purge", "--all"]).await;
    assert!(said.starts_with("10000"), "{said}");
    assert_eq!(listed(&env).await.len(), 0);
    env.finish().await;
}

#[tokio::test]
async fn a_paused_queue_takes_events_and_hands_out_none() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    assert!(verb(&env, &["queue", "pause"]).await.0);
    api.accepts(&[body("a", hours_ago(1), false)]).await;
    let (_, status) = verb(&env, &["queue", "status", "--json"]).await;
    let status: Vec<Value> = serde_json::from_str(&status).unwrap();
    assert!(status.iter().all(|partition| partition["paused"] == true), "{status:?}");
    assert_eq!(status.iter().filter_map(|partition| partition["waiting"].as_u64()).sum::<u64>(), 1);
    let (_, shown) = verb(&env, &["queue", "status"]).await;
    assert!(shown.contains("paused") && shown.contains("1 waiting"), "{shown}");
    assert_eq!(env.rows().await.len(), 0);
    assert!(verb(&env, &["queue", "resume"]).await.0);
    env.drained().await;
    assert_eq!(env.rows().await.len(), 1);
    env.finish().await;
}
