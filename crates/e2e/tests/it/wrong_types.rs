//! A Redis key of a wrong type, made by a person: it stops only its own use, and the error names the key and a
//! remedy.

use pisync_core::queue::Partition;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Api, TestEnv, body, hours_ago};

/// Returns a device of each of the four partitions.
fn devices(env: &TestEnv) -> [String; 4] {
    let queue = env.queue();
    let of = |partition: usize| {
        let is_there = |name: &String| {
            let device = pisync_core::models::DeviceId::parse(name).unwrap();
            usize::from(queue.partition_of(&device).number()) == partition
        };
        (0..1_000).map(|i| format!("pibook-{i}")).find(is_there).unwrap()
    };
    [of(0), of(1), of(2), of(3)]
}

fn key(partition: usize, name: &str) -> String {
    format!("{{}}:{{q:{partition:02}}}:{name}")
}

async fn bury(env: &TestEnv, partition: Partition) {
    let pushed = env.queue().push(partition, &[b"no event".to_vec()], 9).await.unwrap();
    assert_eq!(pushed.accepted, 1);
}

async fn verb(env: &TestEnv, args: &[&str]) -> (Option<i32>, String, String) {
    let output = env.command("queue-worker", args).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn report(device: &str) -> Value {
    body(device, hours_ago(1), true)
}

#[tokio::test]
async fn dead_letters_of_another_type_stop_no_batch_and_are_put_aside() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    env.redis(&["SET", &key(2, "dead"), "a person's edit"]).await;
    let queue = env.queue();
    let partition = queue.partitions().nth(2).unwrap();
    bury(&env, partition).await;
    api.accepts(&[report(&devices(&env)[2])]).await;
    env.until("the row behind the poison message", async || env.rows().await.len() == 1).await;
    // The acknowledgement comes after the row.
    let is_buried = async || queue.dead_letters(partition, 0, 9).await.is_ok_and(|letters| letters.len() == 1);
    env.until("the dead letter", is_buried).await;
    assert_eq!(env.redis(&["GET", &key(2, "dead:unreadable")]).await, "a person's edit");
    env.remove().await;
}

#[tokio::test]
async fn lists_show_the_other_partitions_and_name_the_broken_key() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut worker = env.worker("worker.log", &[]).await;
    let partitions: Vec<_> = env.queue().partitions().collect();
    bury(&env, partitions[1]).await;
    env.until("a dead letter", async || env.queue().status(partitions[1]).await.unwrap().dead == 1).await;
    worker.terminate().await;
    env.redis(&["SET", &key(2, "dead"), "a person's edit"]).await;
    let name = format!("{}:{{q:02}}:dead", env.name());
    let is_named = |said: &str| {
        ["string", "list", "RENAME", &name].iter().all(|part| said.contains(part)) && said.contains("partition 2")
    };
    for args in [&["queue", "status"][..], &["dead-letters", "list"]] {
        let (code, shown, error) = verb(&env, args).await;
        assert_eq!(code, Some(2), "{args:?}: {error}");
        assert!(shown.contains("1 dead") || shown.contains("malformed"), "{args:?}: {shown}");
        assert!(is_named(&error), "{args:?}: {error}");
    }
    let (_, shown, _) = verb(&env, &["queue", "status", "--json"]).await;
    let shown: Vec<Value> = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.len(), 4, "{shown:?}");
    let (_, exported, error) = verb(&env, &["dead-letters", "export"]).await;
    assert!(exported.contains("\"malformed\"") && is_named(&error), "{exported} {error}");
    let page = reqwest::get(format!("{}/dead-letters", api.url)).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("malformed") && page.contains("Partition 2 is unavailable"), "{page}");
    let metrics = reqwest::get(format!("{}/metrics", api.url)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("pisync_queue_partitions_unknown 1"), "{metrics}");
    assert!(metrics.contains("pisync_queue_dead_letters{partition=\"1\"} 1"), "{metrics}");
    assert!(api.service.log().contains(&name), "{}", api.service.log());
    env.redis(&["DEL", &key(2, "dead")]).await;
    env.remove().await;
}

/// Returns the causes of refusals in `/readyz`.
async fn refused(api: &Api) -> Value {
    api.get("/readyz").await.1["refused"].clone()
}

#[tokio::test]
async fn a_queue_of_another_type_stops_its_partition_alone() {
    let env = TestEnv::new();
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for name in ["ready", "batch", "lease"] {
        env.redis(&["SET", &key(3, name), "a person's edit"]).await;
        let devices = devices(&env);
        for device in &devices[..3] {
            api.accepts(&[report(device)]).await;
        }
        let said = worker.says(&format!("q:03}}:{name} ")).await;
        assert!(said.contains("is a string"), "{said}");
        env.redis(&["DEL", &key(3, name)]).await;
        env.until("ready", async || refused(&api).await.is_null()).await;
    }
    env.until("three rows", async || env.rows().await.len() == 3).await;
    env.redis(&["SET", &key(3, "ready"), "a person's edit"]).await;
    env.until("degraded", async || !refused(&api).await.is_null()).await;
    let refused = refused(&api).await;
    assert_eq!((&refused[0]["cause"], &refused[0]["partitions"]), (&json!("redis_key_type"), &json!([3])), "{refused}");
    env.redis(&["DEL", &key(3, "ready")]).await;
    env.remove().await;
}

#[tokio::test]
async fn a_shared_key_of_another_type_is_named_at_the_start() {
    let env = TestEnv::new();
    env.redis(&["SADD", "{}:partitions", "4"]).await;
    let name = format!("{}:partitions", env.name());
    for binary in ["queue-worker", "ingest-api", "alerter"] {
        let mut command = env.command(binary, &[]);
        command.env("PISYNC_BIND", "127.0.0.1:0").env("PISYNC_ALERT_LOG", env.path("alerts.log"));
        let output = command.output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{binary}: {error}");
        assert!(error.contains(&format!("the key {name} is a set and has to be a string")), "{binary}: {error}");
        assert!(error.contains("RENAME"), "{binary}: {error}");
    }
    env.redis(&["DEL", "{}:partitions"]).await;
    env.remove().await;
}
