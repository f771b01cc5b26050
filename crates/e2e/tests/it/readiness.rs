//! Ready means that a report would be accepted. Each cause of refusals is logged, at its beginning and at its end.

use jiff::SignedDuration;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::{Api, MongoServer, RedisServer, TestEnv, body, hours_ago, mongo_admin, world::alerter_ticked};

/// Waits until `/readyz` names this cause, and asserts that a report is refused.
async fn refuses(env: &TestEnv, api: &Api, cause: &str) {
    env.until(cause, async || {
        let (status, ready) = api.get("/readyz").await;
        let refused = ready["refused"].as_array().cloned().unwrap_or_default();
        status == 503 && ready["status"] == "unavailable" && refused.iter().any(|refused| refused["cause"] == cause)
    })
    .await;
    assert_eq!(api.post(&report()).await.status(), 503, "{cause}");
    assert_eq!(api.get("/healthz").await.0, 200);
}

async fn is_ready(env: &TestEnv, api: &Api) {
    env.until("ready", async || {
        let (status, ready) = api.get("/readyz").await;
        status == 200 && ready["status"] == "ready" && ready.get("refused").is_none()
    })
    .await;
    env.until("202", async || api.post(&report()).await.status() == 202).await;
}

fn report() -> Value {
    body("pibook-1", hours_ago(1), false)
}

/// Returns the lines of the log with this text and cause.
fn lines(api: &Api, text: &str, cause: &str) -> Vec<String> {
    let log = api.service.log();
    let named = log.lines().filter(|line| line.contains(text) && line.contains(&format!("cause={cause}")));
    named.map(ToOwned::to_owned).collect()
}

/// Asserts that the log has one beginning and one end of the cause, with the number of refused reports.
async fn is_logged_once(env: &TestEnv, api: &Api, cause: &str) {
    env.until("the end in the log", async || lines(api, "reports are accepted again", cause).len() == 1).await;
    assert_eq!(lines(api, "reports are refused", cause).len(), 1, "{}", api.service.log());
    let end = lines(api, "reports are accepted again", cause).remove(0);
    let refused = end.split("refused=").nth(1).unwrap().split_whitespace().next().unwrap().parse::<u64>().unwrap();
    assert!(refused >= 1 && end.contains("seconds="), "{end}");
}

#[tokio::test]
async fn each_cause_of_refusals_is_named_and_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    is_ready(&env, &api).await;
    for (cause, begin, end) in [
        ("redis_read_only", &["REPLICAOF", "127.0.0.1", "1"][..], &["REPLICAOF", "NO", "ONE"][..]),
        ("redis_full", &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (
            "redis_not_durable",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        ("redis_access", &["ACL", "SETUSER", "default", "-rpush"], &["ACL", "SETUSER", "default", "+rpush"]),
    ] {
        assert_eq!(redis.cli(begin).await, "OK", "{cause}");
        refuses(&env, &api, cause).await;
        assert_eq!(redis.cli(end).await, "OK", "{cause}");
        is_ready(&env, &api).await;
        is_logged_once(&env, &api, cause).await;
    }
    redis.service().signal(Signal::SIGSTOP);
    refuses(&env, &api, "redis_away").await;
    assert_eq!(api.get("/readyz").await.1["redis"], "down");
    redis.service().signal(Signal::SIGCONT);
    is_ready(&env, &api).await;
    is_logged_once(&env, &api, "redis_away").await;
    let log = api.service.log();
    assert!(log.contains(&redis.address()) && log.contains("--redis-url"), "{log}");
    env.finish().await;
}

/// Returns the integer part of a metric of the API.
async fn metric(api: &Api, name: &str) -> i64 {
    let text = reqwest::get(format!("{}/metrics", api.url)).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn readiness_and_metrics_name_an_alerter_that_is_missing() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (status, ready) = api.get("/readyz").await;
    assert_eq!((status.as_u16(), &ready["status"], &ready["alerter"]), (200, &json!("ready"), &json!("absent")));
    assert_eq!(ready.get("alerterAgeSeconds"), None, "there never was one");
    assert_eq!([metric(&api, "pisync_alerter_up").await, last_tick(&api).await], [0, 0]);
    assert!(queue_status(&env).await.contains("nobody is being alerted: no alerter has ever run"));

    let before = testkit::now().as_second();
    let mut alerter = env.alerter("alerter.log", &[]).await;
    env.until("a heartbeat", async || api.get("/readyz").await.1["alerter"] == "ok").await;
    assert!(api.get("/readyz").await.1["alerterAgeSeconds"].as_u64().is_some_and(|age| age < 60));
    assert_eq!(metric(&api, "pisync_alerter_up").await, 1);
    assert!(last_tick(&api).await >= before);
    assert!(queue_status(&env).await.contains("an alerter runs, its last tick"));

    alerter.kill().await;
    alerter_ticked(&env, SignedDuration::from_mins(4), SignedDuration::from_mins(-3)).await;
    env.until("its absence", async || api.get("/readyz").await.1["alerter"] == "absent").await;
    let (status, ready) = api.get("/readyz").await;
    assert_eq!((status.as_u16(), &ready["status"]), (200, &json!("ready")), "reports are taken all the same");
    assert!(ready["alerterAgeSeconds"].as_u64().is_some_and(|age| age >= 240), "{ready}");
    assert_eq!(metric(&api, "pisync_alerter_up").await, 0);
    assert!(queue_status(&env).await.contains("nobody is being alerted: no alerter has run for 4m"));

    // An alerter run by cron counts as running until its schedule shows a missing run.
    let log = env.path("alerts.log").display().to_string();
    let args = ["--once", "--schedule", "0 0 1 1 *", "--alert-log", &log];
    assert_eq!(env.start("once.log", "alerter", &args).ended().await.code(), Some(0));
    env.until("its heartbeat", async || api.get("/readyz").await.1["alerter"] == "ok").await;
    env.finish().await;
}

async fn last_tick(api: &Api) -> i64 {
    metric(api, "pisync_alerter_last_tick_timestamp_seconds").await
}

async fn queue_status(env: &TestEnv) -> String {
    let output = env.command("queue-worker", &["queue", "status"]).output().await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_full_partition_degrades_and_a_full_queue_is_not_ready() {
    let env = TestEnv::new();
    let api = env.api(&["--max-queue", "8"]).await;
    let queue = env.queue();
    let all: Vec<_> = queue.partitions().collect();
    let fill = async |partition| queue.push(partition, &[b"no event".to_vec(), b"no event".to_vec()], 2).await.unwrap();
    fill(all[1]).await;
    env.until("degraded", async || api.get("/readyz").await.1["status"] == "degraded").await;
    let (status, ready) = api.get("/readyz").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&ready["refused"][0]["cause"], &ready["refused"][0]["partitions"]),
        (&json!("queue_full"), &json!([1]))
    );
    for partition in [all[0], all[2], all[3]] {
        fill(partition).await;
    }
    refuses(&env, &api, "queue_full").await;
    let _worker = env.worker("worker.log", &[]).await;
    is_ready(&env, &api).await;
    is_logged_once(&env, &api, "queue_full").await;
    env.finish().await;
}

#[tokio::test]
async fn a_change_of_the_number_of_partitions_is_not_ready() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    for partition in 0..4 {
        env.redis(&["SET", &format!("{{}}:{{q:{partition:02}}}:count"), "4>"]).await;
    }
    refuses(&env, &api, "partitions_changed").await;
    for partition in 0..4 {
        env.redis(&["SET", &format!("{{}}:{{q:{partition:02}}}:count"), "4"]).await;
    }
    is_ready(&env, &api).await;
    let _worker = env.worker("worker.log", &[]).await;
    env.finish().await;
}

#[tokio::test]
async fn readiness_that_is_asked_for_all_the_time_asks_redis_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    is_ready(&env, &api).await;
    redis.cli(&["CONFIG", "RESETSTAT"]).await;
    let began = testkit::stopwatch();
    for _ in 0..300 {
        assert_eq!(api.get("/readyz").await.0, 200);
    }
    let stats = redis.cli(&["INFO", "commandstats"]).await;
    let calls = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse::<u64>().ok());
    // Four partitions each time. The process also checks by itself, and its heartbeat is a script.
    let rounds = began.elapsed().as_secs() * 2 + 4;
    assert!(calls.unwrap_or_default() <= rounds * 4 + 4, "{calls:?} in {rounds} rounds");
    env.queue().remove().await.unwrap();
}

#[tokio::test]
async fn a_worker_tells_when_its_servers_work_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let (api, mut worker) = (env.api(&[]).await, env.worker("worker.log", &["--lanes", "4"]).await);
    redis.service().kill().await;
    worker.says("the queue failed, retrying").await;
    redis.restart().await;
    env.until("202", async || api.post(&report()).await.status() == 202).await;
    env.drained().await;
    worker.says("the queue has recovered").await;
    let log = worker.log();
    assert_eq!(log.matches("the queue failed, retrying").count(), 1, "{log}");
    env.finish().await;
}

async fn ready_of(address: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{address}/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A regression: a worker with read access alone was ready and could not work.
#[tokio::test]
async fn workers_and_alerters_are_ready_if_what_they_write_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let mongo = MongoServer::start(folder.path().join("mongo")).await;
    let env = TestEnv::at(Some(redis.url()), Some(mongo.uri()));
    let ops = ["--ops-bind", "127.0.0.1:0"];
    let mut worker = env.start("worker.log", "queue-worker", &ops);
    let worker = (worker.says("the port for operators is open address=").await, worker);
    let mut alerter = env.alerter("alerter.log", &["--schedule", "* * * * * *", ops[0], ops[1]]).await;
    let alerter = (alerter.says("the port for operators is open address=").await, alerter);
    let is_ready = async |address: &str| {
        env.until("ready", async || {
            let (status, ready) = ready_of(address).await;
            status == 200 && ready["status"] == "ready"
        })
        .await;
    };
    let refuses = async |address: &str, cause: &str| {
        env.until(cause, async || {
            let (status, ready) = ready_of(address).await;
            let refused = ready["refused"].as_array().cloned().unwrap_or_default();
            status == 503 && refused.iter().any(|refused| refused["cause"] == cause)
        })
        .await;
    };
    is_ready(&worker.0).await;
    is_ready(&alerter.0).await;
    assert_eq!(redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await, "OK");
    refuses(&worker.0, "redis_read_only").await;
    assert_eq!(redis.cli(&["REPLICAOF", "NO", "ONE"]).await, "OK");
    is_ready(&worker.0).await;
    // Reads are answered, and writes wait.
    mongo_admin(&mongo.uri(), "fsync", 1, json!({ "lock": true })).await;
    refuses(&worker.0, "mongodb_away").await;
    refuses(&alerter.0, "mongodb_away").await;
    mongo_admin(&mongo.uri(), "fsyncUnlock", 1, json!({})).await;
    is_ready(&worker.0).await;
    is_ready(&alerter.0).await;
    env.remove().await;
}
