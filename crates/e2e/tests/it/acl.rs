//! The rights of Redis and `MongoDB` users: the documented rights are enough, and a missing one is named.

use std::collections::BTreeSet;

use pisync_core::{
    process::Process,
    queue::{Queue, QueueError, acl_rule},
    settings::{MongoSettings, Secret},
    store::{Store, StoreError, least_role},
};
use serde_json::{Value, json};
use testkit::{MongoServer, RedisServer, TestEnv, body, hours_ago, mongo_admin, workspace_root};
use tokio::process::Command;

const USER: &str = "fleet";
const PASSWORD: &str = "of-a-test";

/// Starts a Redis with a user of its own. Returns it, and an environment that uses it.
async fn guarded(folder: &std::path::Path) -> (RedisServer, TestEnv) {
    let redis = RedisServer::start(folder.join("redis"), &[]).await;
    let env = TestEnv::at(Some(format!("redis://{USER}:{PASSWORD}@{}", redis.address())), None);
    allow(&redis, &env, &[]).await;
    (redis, env)
}

/// Gives the user the documented rights, changed by some rules.
async fn allow(redis: &RedisServer, env: &TestEnv, changes: &[&str]) {
    let password = format!(">{PASSWORD}");
    let rule = acl_rule(env.name());
    let words: Vec<_> = ["ACL", "SETUSER", USER, "reset", "on", &password].into_iter().chain(rule.split(' ')).collect();
    assert_eq!(redis.cli(&[&words[..], changes].concat()).await, "OK");
}

/// Returns the status and the standard error of a process that ends.
async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), command.kill_on_drop(true).output()).await;
    let output = output.expect("a process that ends").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn reports(count: usize) -> Vec<Value> {
    (0..count).map(|i| body(&format!("pibook-{i}"), hours_ago(1), i % 2 == 0)).collect()
}

#[tokio::test]
async fn the_pipeline_runs_with_exactly_the_documented_rights() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, mut env) = guarded(folder.path()).await;
    let api = env.api(&[]).await;
    let mut worker = env.worker("worker.log", &["--lease-ms", "1000"]).await;
    let alerter = env.alerter("alerter.log", &[]).await;
    api.accepts(&reports(40)).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 40);
    assert_eq!(api.get_computed("/api/v1/fleet/summary").await.0, 200);
    for path in ["/readyz", "/api/v1/devices", "/metrics"] {
        assert_eq!(reqwest::get(format!("{}{path}", api.url)).await.unwrap().status(), 200, "{path}");
    }
    for verb in [
        &["queue", "status"][..],
        &["queue", "pause"],
        &["queue", "resume"],
        &["dead-letters", "list"],
        &["counters", "rebuild"],
    ] {
        let (code, error) = ends(env.command("queue-worker", verb)).await;
        assert_eq!(code, Some(0), "{verb:?}: {error}");
    }
    let (code, error) = ends(env.command("queue-worker", &["queue", "repartition", "9"])).await;
    assert_eq!(code, Some(0), "{error}");
    env.set_partitions(9);
    worker.terminate().await;
    let worker = env.worker("worker-2.log", &[]).await;
    for log in [api.service.log(), worker.log(), alerter.log()] {
        assert!(!log.contains("may not") && !log.contains("NOPERM"), "{log}");
    }
    let denied = redis.cli(&["ACL", "LOG"]).await;
    assert_eq!(denied, "", "{denied}");
    env.store().await.remove().await.unwrap();
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_with_its_rule() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, env) = guarded(folder.path()).await;
    env.queue().check().await.unwrap();
    let rule = acl_rule(env.name());
    let mut needed = BTreeSet::new();
    for command in rule.split(' ').filter_map(|word| word.strip_prefix('+')) {
        allow(&redis, &env, &[&format!("-{command}")]).await;
        for process in [Process::Ingest, Process::Worker, Process::Alerter] {
            let queue = Queue::new(&env.redis_settings()).unwrap();
            match queue.check_rights(process).await {
                Ok(()) => {}
                Err(QueueError::Misconfigured(why)) => {
                    let flags = ["--redis-url", "PISYNC_REDIS_URL", &redis.address(), USER, &format!("+{command}")];
                    assert!(flags.iter().all(|part| why.contains(part)), "{command}: {why}");
                    assert!(!why.contains(PASSWORD), "{why}");
                    needed.insert(format!("{process:?} {command}"));
                }
                Err(error) => panic!("{process:?} without {command}: {error}"),
            }
        }
    }
    for right in ["Ingest rpush", "Ingest llen", "Worker ltrim", "Worker zadd", "Alerter zcount", "Worker evalsha"] {
        assert!(needed.contains(right), "{right} is not in {needed:?}");
    }
    for right in ["Ingest publish", "Worker publish", "Worker subscribe", "Worker info", "Ingest hincrby"] {
        assert!(!needed.contains(right), "{right} can be done without");
    }
    for (binary, right) in [("ingest-api", "rpush"), ("queue-worker", "ltrim"), ("alerter", "hgetall")] {
        allow(&redis, &env, &[&format!("-{right}")]).await;
        let bind: &[&str] = if binary == "ingest-api" { &["--bind", "127.0.0.1:0"] } else { &[] };
        let (code, error) = ends(env.command(binary, bind)).await;
        assert_eq!(code, Some(2), "{binary}: {error}");
        assert!(error.contains(&right.to_uppercase()) && error.contains("ACL SETUSER fleet"), "{error}");
    }
    // Keys of another prefix alone.
    allow(&redis, &env, &["resetkeys", "~other:*"]).await;
    let (code, error) = ends(env.command("queue-worker", &[])).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains(&format!("~{}:*", env.name())) || error.contains("NOPERM"), "{error}");
}

#[tokio::test]
async fn without_channels_reports_are_taken_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, env) = guarded(folder.path()).await;
    allow(&redis, &env, &["resetchannels"]).await;
    let api = env.api(&[]).await;
    let worker = env.worker("worker.log", &[]).await;
    api.accepts(&reports(40)).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 40);
    let (code, error) = ends(env.command("queue-worker", &["queue", "resume"])).await;
    assert_eq!(code, Some(0), "{error}");
    for log in [api.service.log(), worker.log()] {
        let warnings = log.matches("workers poll every second").count();
        assert!((1..=2).contains(&warnings) && log.contains(":wake"), "{log}");
    }
    env.store().await.remove().await.unwrap();
}

#[tokio::test]
async fn totals_of_another_type_stop_nothing() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    for partition in 0..4 {
        env.redis(&["SET", &format!("{{}}:{{q:{partition:02}}}:stats"), "a person's edit"]).await;
        env.redis(&["SET", &format!("{{}}:{{q:{partition:02}}}:seen"), "a person's edit"]).await;
    }
    api.accepts(&reports(20)).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 20);
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    assert_eq!(queue.push(partition, &[b"no event".to_vec()], 9).await.unwrap().accepted, 1);
    env.until("a dead letter", async || queue.status(partition).await.unwrap().dead == 1).await;
    let buried = queue.dead_letters(partition, 0, 1).await.unwrap().remove(0);
    assert!(queue.purge(&buried).await.unwrap());
    assert!(!queue.purge(&buried).await.unwrap(), "it is gone");
    env.finish().await;
}

#[tokio::test]
async fn a_wrong_password_is_named_with_host_and_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, env) = guarded(folder.path()).await;
    for (login, secret) in
        [("fleet:wrong-one@", "wrong-one"), ("nobody:wrong-one@", "wrong-one"), (":wrong-one@", "wrong-one")]
    {
        for binary in ["ingest-api", "queue-worker", "alerter"] {
            let mut command = env.command(binary, &[]);
            command.env("PISYNC_REDIS_URL", format!("redis://{login}{}", redis.address()));
            command.env("PISYNC_BIND", if binary == "ingest-api" { "127.0.0.1:0" } else { "" });
            let (code, error) = ends(command).await;
            assert_eq!(code, Some(2), "{binary} {login}: {error}");
            let parts = ["password", "--redis-url", "PISYNC_REDIS_URL", &redis.address()];
            assert!(parts.iter().all(|part| error.contains(part)), "{binary} {login}: {error}");
            assert!(!error.contains(secret), "{error}");
        }
    }
    // No login at all, although the server requires one.
    redis.cli(&["CONFIG", "SET", "requirepass", "asked-for"]).await;
    let mut command = env.command("queue-worker", &["queue", "status"]);
    let (code, error) = ends({
        command.env("PISYNC_REDIS_URL", redis.url());
        command
    })
    .await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("password") && error.contains(&redis.address()), "{error}");
}

#[tokio::test]
async fn a_policy_that_evicts_or_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, env) = guarded(folder.path()).await;
    let status = async |args: &[&str]| {
        let mut worker = env.command("queue-worker", args);
        worker.env("PISYNC_MONGO_URI", "mongodb://127.0.0.1:1");
        worker
    };
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let (code, error) = ends(status(&[]).await).await;
    assert_eq!(code, Some(2), "{error}");
    for part in ["allkeys-lru", "--allow-eviction", "--redis-url", &redis.address()] {
        assert!(error.contains(part), "{part}: {error}");
    }
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    allow(&redis, &env, &["-info", "-config"]).await;
    let (code, error) = ends(status(&[]).await).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("not known") && error.contains("ACL SETUSER fleet +info"), "{error}");
    let api = env.api(&["--allow-eviction"]).await;
    api.accepts(&reports(1)).await;
    // CONFIG alone answers the question, too.
    allow(&redis, &env, &["-info", "+config|get"]).await;
    env.queue().check().await.unwrap();
}

#[tokio::test]
async fn a_policy_that_changes_while_the_process_runs_refuses_reports_until_it_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    let report = &reports(1)[0];
    api.accepts(std::slice::from_ref(report)).await;
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
    env.until("503", async || api.post(report).await.status() == 503).await;
    let (status, ready) = api.get("/readyz").await;
    assert_eq!((status.as_u16(), &ready["refused"][0]["cause"]), (503, &json!("redis_settings")), "{ready}");
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    env.until("202", async || api.post(report).await.status() == 202).await;
    env.finish().await;
}

/// Starts a `MongoDB` whose user has the documented rights, but for one. Returns it, and an environment that uses it.
async fn guarded_mongo(folder: &std::path::Path, without: Option<(&str, &str)>) -> (MongoServer, TestEnv) {
    let mut mongo = MongoServer::start(folder.join("mongo")).await;
    let uri = mongo.uri();
    let env = TestEnv::at(
        None,
        Some(format!("mongodb://{USER}:{PASSWORD}@{}/?replicaSet=rs0&authSource=admin", mongo.address())),
    );
    let privileges = least_role().into_iter().map(|(collection, actions)| {
        let actions = actions.into_iter().filter(|action| without != Some((collection, *action)));
        json!({ "resource": { "db": env.name(), "collection": collection }, "actions": actions.collect::<Vec<_>>() })
    });
    let privileges: Vec<_> = privileges.collect();
    mongo_admin(&uri, "createRole", "pisync", json!({ "privileges": privileges, "roles": [] })).await;
    mongo_admin(&uri, "createUser", USER, json!({ "pwd": PASSWORD, "roles": ["pisync"] })).await;
    let key = folder.join("key");
    std::fs::write(&key, "b2ZhdGVzdG9mYXRlc3RvZmF0ZXN0").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let key: &'static str = key.display().to_string().leak();
    mongo.restart_as(&["--auth", "--keyFile", key]).await;
    (mongo, env)
}

#[tokio::test]
async fn the_documented_role_is_enough_for_mongodb() {
    let folder = tempfile::tempdir().unwrap();
    let (_mongo, env) = guarded_mongo(folder.path(), None).await;
    let (api, worker) = (env.api(&[]).await, env.worker("worker.log", &["--retain-days", "30"]).await);
    let alerter = env.alerter("alerter.log", &[]).await;
    for round in (1..=4).rev() {
        api.accepts(&(0..10).map(|i| body(&format!("pibook-{i}"), hours_ago(round), true)).collect::<Vec<_>>()).await;
    }
    env.drained().await;
    assert_eq!(env.rows().await.len(), 40);
    env.has_alerts(1).await;
    let silence = json!({
        "matchers": ["deviceId=pibook-1"], "endsAt": hours_ago(-1).to_string(), "by": "a test", "comment": "of a test",
    });
    let (status, answer) = api.send("POST", "/api/v1/silences", &silence).await;
    assert!(status.is_success(), "{status} {answer}");
    assert_eq!(api.get_computed("/api/v1/fleet/summary").await.0, 200);
    for path in ["/api/v1/alerts", "/api/v1/silences", "/", "/metrics"] {
        assert_eq!(reqwest::get(format!("{}{path}", api.url)).await.unwrap().status(), 200, "{path}");
    }
    for log in [api.service.log(), worker.log(), alerter.log()] {
        assert!(!log.contains("refuses access") && !log.contains("may not"), "{log}");
    }
    env.queue().remove().await.unwrap();
}

#[tokio::test]
async fn a_right_that_is_missing_in_mongodb_is_named_with_its_collection() {
    let folder = tempfile::tempdir().unwrap();
    let (mongo, env) = guarded_mongo(folder.path(), Some(("SyncEvent", "insert"))).await;
    let (code, error) = ends(env.command("queue-worker", &[])).await;
    assert_eq!(code, Some(2), "{error}");
    let says = format!("may not insert on the collection {}.SyncEvent", env.name());
    assert!(error.contains(&says) && error.contains("--mongo-uri"), "{error}");
    // An API accepts reports nevertheless, and names the missing right on reads.
    let mut api = env.api(&[]).await;
    assert_eq!(api.get("/readyz").await.1["status"], "ready");
    assert!(api.service.terminate().await.success());

    for (login, says) in [("fleet:wrong-one@", "authSource"), ("", "")] {
        let mut command = env.command("queue-worker", &[]);
        command
            .env("PISYNC_MONGO_URI", format!("mongodb://{login}{}/?replicaSet=rs0&authSource=admin", mongo.address()));
        if login.is_empty() {
            command.env("PISYNC_MONGO_URI", format!("mongodb://{}/?replicaSet=rs0", mongo.address()));
        }
        let (code, error) = ends(command).await;
        assert_eq!(code, Some(2), "{login}: {error}");
        assert!(error.contains(says) && error.contains("PISYNC_MONGO_URI") && !error.contains("wrong-one"), "{error}");
    }
    let settings = MongoSettings {
        mongo_uri: Secret::new(env.mongo_uri()),
        mongo_db: Some("another".into()),
        mongo_ca_file: None,
        sync_event_collection: "SyncEvent".into(),
        failure_counter_collection: "FailureCounter".into(),
    };
    let store = Store::open(&settings, "e2e").await.unwrap();
    let denied = store.failure_counters().count_failing(3).await;
    let Err(StoreError::Denied(why)) = denied else { panic!("{denied:?}") };
    assert!(why.contains("another.FailureCounter"), "{why}");
    env.queue().remove().await.unwrap();
}

#[test]
fn the_documentation_has_the_rule_and_the_role() {
    let page = std::fs::read_to_string(workspace_root().join("docs/admins/security.md")).unwrap();
    let rule = acl_rule("pisync");
    assert!(page.contains(&rule), "docs/admins/security.md has not: {rule}");
    for (collection, actions) in least_role() {
        let line = format!("['{collection}', '{}']", actions.join(" "));
        assert!(page.contains(&line), "docs/admins/security.md has not: {line}");
    }
}
