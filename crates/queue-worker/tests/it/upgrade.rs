//! Messages that wait while the workers are replaced: written by one version, read by another.
//!
//! The bytes in `data/envelopes-v2.ndjson` are of envelope version 2. Do not change them. If this version
//! writes another form, add it; all of them stay readable.

use pisync_core::{
    models::SyncEvent,
    queue::{decode, encode},
    store::StoredEvent,
};
use serde_json::{Value, json};
use testkit::TestEnv;

const RECORDED: &str = include_str!("../data/envelopes-v2.ndjson");

/// Pushes each message into the partition of its device, as the version that wrote it did.
async fn push(env: &TestEnv, messages: &[Vec<u8>]) {
    let queue = env.queue();
    for message in messages {
        let partition = queue.partition_of(&decode(message).unwrap().device_id);
        queue.push(partition, std::slice::from_ref(message), 1_000).await.unwrap();
    }
}

fn recorded() -> Vec<Vec<u8>> {
    RECORDED.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// Returns the same messages with members that a later version might add.
fn from_the_future() -> Vec<Vec<u8>> {
    let add = |line: &str| {
        let mut envelope: Value = serde_json::from_str(line).unwrap();
        envelope["x"] = json!({ "labels": ["a", null], "v": 9 });
        envelope["trace"] = json!("00-4bf92f3577b34da6-01");
        serde_json::to_vec(&envelope).unwrap()
    };
    RECORDED.lines().map(add).collect()
}

fn as_told(row: &StoredEvent) -> (&str, String, Option<String>, i64, i64, f64, String) {
    let own = row.device_timestamp.map(|time| time.to_string());
    let (received, time) = (row.created_at.to_string(), row.timestamp.to_string());
    (&row.device_id, time, own, row.total_files_synced, row.total_errors, row.internet_speed, received)
}

#[tokio::test]
async fn rows_of_messages_of_another_version_are_exact() {
    for messages in [recorded(), from_the_future()] {
        let env = TestEnv::new();
        push(&env, &messages).await;
        let _worker = env.worker("worker.log", &[]).await;
        env.drained().await;
        let mut rows = env.rows().await;
        rows.sort_by(|a, b| a.device_id.cmp(&b.device_id));
        let told: Vec<_> = rows.iter().map(as_told).collect();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            told,
            [
                (
                    "pibook-1",
                    text("2025-11-23T08:57:43.469Z"),
                    None,
                    8,
                    5,
                    97.540_860_556_406_43,
                    text("2025-11-23T08:57:44.001Z")
                ),
                (
                    "pibook-2",
                    text("2025-11-23T08:57:44.002Z"),
                    Some(text("1999-01-01T00:00:00Z")),
                    0,
                    0,
                    0.0,
                    text("2025-11-23T08:57:44.002Z")
                ),
            ]
        );
        assert_eq!(env.failure_count("pibook-1").await, 1);
        env.finish().await;
    }
}

#[test]
fn this_version_writes_what_older_workers_read() {
    for (body, received, line) in [
        (
            r#"{"deviceId":"pibook-1","timestamp":1763888263469,"totalFilesSynced":8,"totalErrors":5,"internetSpeed":97.54086055640643}"#,
            "2025-11-23T08:57:44.001Z",
            0,
        ),
        (
            r#"{"deviceId":"pibook-2","timestamp":"1999-01-01T00:00:00Z","totalFilesSynced":0,"totalErrors":0,"internetSpeed":0}"#,
            "2025-11-23T08:57:44.002Z",
            1,
        ),
    ] {
        let event = SyncEvent::from_json(body.as_bytes(), received.parse().unwrap()).unwrap();
        assert_eq!(String::from_utf8(encode(&event)).unwrap(), RECORDED.lines().nth(line).unwrap());
    }
}
